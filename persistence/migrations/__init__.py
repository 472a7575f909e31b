"""The schema's history, and the commands that walk it. Alembic does the walking."""

import functools
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from persistence.database import Database
from persistence.statement import compile_statement

LOCK = 7_205_759_403
"""The advisory lock that whoever migrates holds: any number that no other program uses in the same database."""

_CURRENT = compile_statement(text("SELECT version_num AS revision FROM alembic_version"))


def _config(url: str | None = None, *, leave_newer: bool = False) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(url=url, leave_newer=leave_newer)
    return config


class MigrationError(Exception):
    """The migrations could not be applied, and nothing has changed. The message is for the operator."""


@functools.cache
def _revisions() -> tuple[str, ...]:
    """Every revision that this code knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def head() -> str:
    """The newest revision that this code knows."""
    return _revisions()[0]


def upgrade(url: str) -> None:
    """Bring the database at `url` to `head()`; does nothing where it is there. Many may call this at once.

    A database with a revision that this code does not know was migrated by a newer release, and is left alone: the
    replicas of both work side by side while one takes over from the other. Raises `MigrationError`.
    """
    try:
        command.upgrade(_config(url, leave_newer=True), "head")
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise MigrationError(_reason(error)) from error


def downgrade(url: str, revision: str) -> None:
    """Bring the database at `url` back to `revision` (`base` is an empty one). Raises `MigrationError`."""
    try:
        command.downgrade(_config(url), revision)
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise MigrationError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """The driver's own message in one line: it names the host and what it said, and never the password."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


async def applied(database: Database) -> bool:
    """Whether the database stands at `head()` or beyond.

    Raises `DatabaseUnavailable`, also where no migration ever ran.
    """
    row = await database.fetch_first(_CURRENT, {})
    return row is not None and row["revision"] not in _revisions()[1:]
