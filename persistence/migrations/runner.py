"""Upgrade and downgrade of a database, with Alembic."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import SQLAlchemyError

from persistence.errors import MigrationError
from persistence.migrations import revisions
from persistence.postgres.encoding import refuse_encoding

LOCK = 7_205_759_403
"""The key of the advisory lock of a migration: any number that no other program uses in the database."""

_CONNECT_TIMEOUT = 10
# For every lock of a migration: while it waits for a table, all other statements wait behind it.
_LOCK_TIMEOUT = "5s"


def _config(url: str | None = None, *, connection: Connection | None = None, leave_newer: bool = False) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(url=url, connection=connection, leave_newer=leave_newer)
    return config


@contextlib.contextmanager
def exclusive(url: str) -> Iterator[Connection]:
    """A transaction on the database at `url` that excludes other migrations. Waits at most five seconds for any lock.

    Raises `MigrationError` for a database that cannot hold Unicode, `sqlalchemy.exc.SQLAlchemyError` and
    `psycopg.Error`.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        # libpq parses the URL, so every form that psql accepts is accepted.
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
        # Of many workers that start together, one migrates and the others find the work done. A lock of the
        # transaction, unlike one of the session, works behind a pooler in transaction mode.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        yield connection


def current(connection: Connection) -> str | None:
    """The revision of the database, or None if no migration ever ran."""
    return MigrationContext.configure(connection).get_current_revision()


def move(connection: Connection, revision: str) -> None:
    """Upgrade or downgrade the database to a known revision, in the transaction of `exclusive`."""
    start = current(connection)
    backward = start is not None and revisions().index(start) < revisions().index(revision)
    walk = command.downgrade if backward else command.upgrade
    walk(_config(connection=connection), revision)


def upgrade(url: str) -> None:
    """Upgrade the database at `url` to `migrations.head()`. Concurrent calls are safe.

    A database with a revision that this code does not know was migrated by a newer release, and is left alone: the
    replicas of both work side by side while one takes over from the other. If it lacks this release's tables, then
    the revision is that of another program. Raises `MigrationError`, also in that case.
    """
    try:
        command.upgrade(_config(url, leave_newer=True), "head")
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise MigrationError(reason(error)) from error


def downgrade(url: str, revision: str) -> None:
    """Downgrade the database at `url` to `revision` (`base` is an empty one). Raises `MigrationError`."""
    try:
        command.downgrade(_config(url), revision)
    except (psycopg.Error, SQLAlchemyError, CommandError) as error:
        raise MigrationError(reason(error)) from error


def reason(error: Exception) -> str:
    """The driver's message in one line. It names the host, but no password and no value."""
    original = getattr(error, "orig", None) or error
    said = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    return " ".join((said or str(original)).split())
