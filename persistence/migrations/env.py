"""Run by Alembic for every command."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool, text

from persistence.migrations import LOCK
from persistence.schema import metadata

_CONNECT_TIMEOUT = 10
# Of the lock below, and of every lock that a migration takes: while it waits for a table, all others wait behind it.
_LOCK_TIMEOUT = "5s"


def _run() -> None:
    attributes = context.config.attributes
    engine = create_engine(
        "postgresql+psycopg://",
        # libpq reads the address itself, so every form of it that psql takes is taken here.
        creator=lambda: psycopg.connect(
            attributes["url"], connect_timeout=_CONNECT_TIMEOUT, prepare_threshold=None, application_name="tasks-api"
        ),
        poolclass=pool.NullPool,
    )
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        # Held until the transaction ends: of many workers that start at once, one migrates and the others find
        # the work done. A lock of the transaction, not of the session, works behind a transaction-mode pooler.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        current = context.get_context().get_current_revision()
        known = {script.revision for script in context.script.walk_revisions()}
        if current is None or current in known or not attributes["leave_newer"]:
            context.run_migrations()


_run()
