"""The schema's history, and the commands that walk it. Alembic does the walking."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import SQLAlchemyError

from persistence.postgres.encoding import refuse_encoding

LOCK = 7_205_759_403
"""The advisory lock that whoever migrates holds: any number that no other program uses in the same database."""

_CONNECT_TIMEOUT = 10
# Of the lock above, and of every lock that a migration takes: while it waits for a table, all others wait behind it.
_LOCK_TIMEOUT = "5s"


def _config(url: str | None = None, *, connection: Connection | None = None, leave_newer: bool = False) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(url=url, connection=connection, leave_newer=leave_newer)
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


def known(revision: str) -> bool:
    """Whether this code has the revision. One that it has not is that of a newer release."""
    return revision in _revisions()


def is_older(revision: str) -> bool:
    """Whether migrations of this code are still to be applied to a database at this revision."""
    return revision in _revisions()[1:]


@contextlib.contextmanager
def exclusive(url: str) -> Iterator[Connection]:
    """A transaction on the database at `url` in which nobody else migrates. Waits five seconds at most for any lock.

    Raises `MigrationError` for a database that cannot hold Unicode, `sqlalchemy.exc.SQLAlchemyError` and
    `psycopg.Error`.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        # libpq reads the address itself, so every form of it that psql takes is taken here.
        creator=lambda: psycopg.connect(
            url,
            connect_timeout=_CONNECT_TIMEOUT,
            prepare_threshold=None,
            application_name="tasks-api",
            client_encoding="utf8",
        ),
        poolclass=pool.NullPool,
    )
    with engine.begin() as connection:
        unsuitable = refuse_encoding(connection.scalar(text("SHOW server_encoding")))
        if unsuitable is not None:
            raise MigrationError(unsuitable)
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        # Held until the transaction ends: of many workers that start at once, one migrates and the others find
        # the work done. A lock of the transaction, not of the session, works behind a transaction-mode pooler.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        yield connection


def current(connection: Connection) -> str | None:
    """The revision at which the database stands, or None where no migration ever ran."""
    return MigrationContext.configure(connection).get_current_revision()


def move(connection: Connection, revision: str) -> None:
    """Bring the database to a known revision, in whichever direction that is, in the transaction of `exclusive`."""
    start = current(connection)
    backward = start is not None and _revisions().index(start) < _revisions().index(revision)
    walk = command.downgrade if backward else command.upgrade
    walk(_config(connection=connection), revision)


def upgrade(url: str) -> None:
    """Bring the database at `url` to `head()`; does nothing where it is there. Many may call this at once.

    A database with a revision that this code does not know was migrated by a newer release, and is left alone: the
    replicas of both work side by side while one takes over from the other. If it lacks this release's tables, then
    the revision is that of another program. Raises `MigrationError`, also in that case.
    """
    try:
        command.upgrade(_config(url, leave_newer=True), "head")
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise MigrationError(reason(error)) from error


def downgrade(url: str, revision: str) -> None:
    """Bring the database at `url` back to `revision` (`base` is an empty one). Raises `MigrationError`."""
    try:
        command.downgrade(_config(url), revision)
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise MigrationError(reason(error)) from error


def reason(error: Exception) -> str:
    """The driver's own message in one line: it names the host and what it said, and neither passwords nor values."""
    original = getattr(error, "orig", None) or error
    said = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return " ".join((said or str(original)).split())
