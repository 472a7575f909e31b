"""Migrations of the schema, with Alembic: the revisions are here, and what needs Alembic is in `runner`.

A service whose database has the newest revision never imports Alembic, which takes a tenth of its start.
"""

import functools
from pathlib import Path

_FILES = Path(__file__).parent / "versions"


@functools.cache
def revisions() -> tuple[str, ...]:
    """Every revision that this code knows, the newest first. Alembic names the files so (`file_template`)."""
    return tuple(sorted((path.name.partition("_")[0] for path in _FILES.glob("[0-9]*.py")), reverse=True))


def head() -> str:
    """The newest revision that this code knows."""
    return revisions()[0]


def known(revision: str) -> bool:
    """True if this release has the revision. An unknown one belongs to a newer release."""
    return revision in revisions()


def is_older(revision: str) -> bool:
    """True if the revision is an old one of this release."""
    return revision in revisions()[1:]
