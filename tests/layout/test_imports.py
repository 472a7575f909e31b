"""The direction of imports: server -> handlers -> persistence, and the imports that each package must not have."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.layout.sources import imports_of, is_in, modules, name_of

HTTP_LIBRARIES = ("connexion", "h11", "http", "httptools", "httpx", "httpx2", "starlette", "uvicorn", "werkzeug")
DRIVER = "persistence.postgres"


class Rule(NamedTuple):
    """Modules of `package` may not import `forbidden`, `allowed` excepted."""

    package: str
    forbidden: tuple[str, ...]
    allowed: tuple[str, ...] = ()

    def violations(self, module: Path, source: str | None = None) -> list[str]:
        return [
            f"{module} imports {name}"
            for name in imports_of(module, source)
            if is_in(name, *self.forbidden) and not is_in(name, *self.allowed)
        ]


RULES = {
    "persistence imports neither handlers nor server": Rule("persistence", ("handlers", "server", "tests", "bench")),
    "persistence knows no HTTP library": Rule("persistence", HTTP_LIBRARIES),
    "handlers do not import the server": Rule("handlers", ("server", "tests", "bench")),
    "handlers do not know Connexion": Rule("handlers", ("connexion",)),
    "the driver knows no table": Rule(DRIVER, ("persistence",), (DRIVER, "persistence.errors")),
    "the server does not import tests": Rule("server", ("tests", "bench")),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_imports_point_one_way(rule: Rule) -> None:
    found = modules(*rule.package.split(".")[:1])
    checked = [module for module in found if is_in(name_of(module), rule.package)]
    assert checked
    assert [violation for module in checked for violation in rule.violations(module)] == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("persistence imports neither handlers nor server", "import handlers.types"),
        ("persistence knows no HTTP library", "from starlette.requests import Request"),
        ("handlers do not import the server", "def late():\n    from server import app"),
        ("handlers do not know Connexion", "import connexion"),
        ("the driver knows no table", "from persistence.schema import tasks"),
        ("the driver knows no table", "from persistence import tasks"),
        ("the driver knows no table", "from ..schema import tasks"),
        ("the server does not import tests", "if True:\n    import tests.support"),
    ],
)
def test_an_import_against_the_direction_is_found(rule: str, source: str) -> None:
    package = RULES[rule].package.replace(".", "/")
    assert RULES[rule].violations(Path(package, "added.py"), source)
