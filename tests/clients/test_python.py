"""Each generator of Python makes a client with right types, and a program uses it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import tools
from tests.support.document import AUTHORED
from tests.support.service import Service, token


def _openapi_python_client(folder: Path) -> None:
    """Generate. It warns of media types that it does not know, but must not leave out an operation for that."""
    output = ("--meta", "none", "--output-path", "tasks_api_client")
    program = tools.python_program("openapi-python-client")
    said = tools.run(program, "generate", "--path", str(AUTHORED), *output, directory=folder)
    assert "will not be generated" not in said


def _openapi_generator(folder: Path) -> None:
    generate = ("generate", "--generator-name", "python", "--output", "generated")
    tools.run(tools.openapi_generator(), *generate, "--input-spec", str(AUTHORED), directory=folder)
    shutil.move(folder / "generated/openapi_client", folder)


GENERATORS: dict[str, tuple[Callable[[Path], None], str]] = {
    "openapi-python-client": (_openapi_python_client, "--strict"),
    # Its code is not annotated throughout, and does not pass --strict.
    "openapi-generator": (_openapi_generator, "--check-untyped-defs"),
}
"""How to generate, and how strictly to check the types."""


@pytest.mark.parametrize("name", GENERATORS)
def test_a_client_has_right_types_and_works(
    name: str, service: Service, new_user: Callable[[str], str], tmp_path: Path
) -> None:
    """It creates, lists two pages, updates, toggles, deletes, restores, exports and imports tasks, and reads errors."""
    generate, strictness = GENERATORS[name]
    generate(tmp_path)
    package = next(path.name for path in tmp_path.iterdir() if (path / "__init__.py").exists())
    shutil.copy(tools.PYTHON / name / "drive.py", tmp_path)
    tools.run(tools.python_program("mypy"), strictness, "drive.py", package, directory=tmp_path)
    user = new_user(name)
    settings = {"TASKS_URL": service.url, "TASKS_USER": user, "TASKS_TOKEN": token(user)}
    tools.run(tools.python_program("python"), "-W", "error", "drive.py", directory=tmp_path, **settings)
