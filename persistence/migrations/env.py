"""Run by Alembic for every command."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool, text

from persistence.schema import metadata

# Any number that no other program uses for the same purpose in the same database.
_LOCK = 7_205_759_403
_CONNECT_TIMEOUT = 10


def _run() -> None:
    url = context.config.attributes["url"]
    engine = create_engine(
        "postgresql+psycopg://",
        # libpq reads the address itself, so every form of it that psql takes is taken here.
        creator=lambda: psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT),
        poolclass=pool.NullPool,
    )
    with engine.begin() as connection:
        # Held until the transaction ends: of many workers that start at once, one migrates and the others find
        # the work done. A lock of the transaction, not of the session, works behind a transaction-mode pooler.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        current = context.get_context().get_current_revision()
        known = {script.revision for script in context.script.walk_revisions()}
        if current is None or current in known:
            context.run_migrations()


_run()
