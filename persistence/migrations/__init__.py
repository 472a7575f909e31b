"""Migrations of the schema, with Alembic: the revisions are here, and what needs Alembic is in `runner`.

A service whose database has the newest revision never imports Alembic, which takes a tenth of its start.
"""

import functools
import re
from pathlib import Path

_FILES = Path(__file__).parent / "versions"
_VALUE = r"""^{}\b[^=\n]*=\s*["']([^"']+)["']"""
_REVISION, _DOWN_REVISION = (re.compile(_VALUE.format(name), re.MULTILINE) for name in ("revision", "down_revision"))


@functools.cache
def revisions() -> tuple[str, ...]:
    """Every revision that this code knows, the newest first, by the variables in the files that Alembic reads."""
    after = {}
    for path in _FILES.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        before = _DOWN_REVISION.search(text)
        after[before[1] if before else None] = _REVISION.findall(text)[0]
    found: list[str] = []
    while (newer := after.get(found[0] if found else None)) is not None:
        found.insert(0, newer)
    return tuple(found)


def head() -> str:
    """The newest revision that this code knows."""
    return revisions()[0]


def known(revision: str) -> bool:
    """True if this release has the revision. An unknown one belongs to a newer release."""
    return revision in revisions()


def is_older(revision: str) -> bool:
    """True if the revision is an old one of this release."""
    return revision in revisions()[1:]
