"""Restarts of the service while it is developed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from uvicorn.supervisors.statreload import StatReload

_ROOT: Final = Path(__file__).parent.parent.parent
_PACKAGES: Final = ("server", "handlers", "persistence")
_SUFFIXES: Final = {".py", ".html", ".js", ".css", ".md"}


class Reload(StatReload):
    """Restarts the process when a source file, a page or the document has changed."""

    def iter_py_files(self) -> Iterator[Path]:
        """The files that are watched. uvicorn itself watches Python's only."""
        for package in _PACKAGES:
            yield from (path for path in (_ROOT / package).rglob("*") if path.suffix in _SUFFIXES)
        # Not below: the linters are there, with thousands of files.
        for folder in (_ROOT / "openapi", _ROOT / "openapi" / "overlays"):
            yield from (path for path in folder.glob("*") if path.suffix in {".yaml", ".md"})
