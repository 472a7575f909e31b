"""The Python modules of this checkout, and what they import."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.service import ROOT

PACKAGES = ("bench", "docs", "handlers", "openapi", "persistence", "server", "tests")


def modules(*packages: str) -> list[Path]:
    """Return the paths of all modules in these packages, relative to the checkout."""
    found = [path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py")]
    return sorted(path for path in found if "node_modules" not in path.parts)


def name_of(module: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(module.with_suffix("").parts).removesuffix(".__init__")


def imports_of(module: Path, source: str | None = None) -> Iterator[str]:
    """Yield the dotted name of every module or member that a module imports, anywhere in it.

    `source` is its text, where that is not in a file.
    """
    tree = ast.parse((ROOT / module).read_text() if source is None else source)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                package = list(module.with_suffix("").parts[: len(module.parts) - level]) if level else []
                base = ".".join([*package, *([name] if name else [])])
                yield from (f"{base}.{alias.name}" for alias in names)


def is_in(name: str, *packages: str) -> bool:
    """Return True if a dotted name is one of these packages or in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)
