"""Run by Alembic for every command."""

from alembic import context
from sqlalchemy import Connection, inspect

from persistence.migrations import MigrationError, exclusive, known
from persistence.schema import metadata


def _run() -> None:
    attributes = context.config.attributes
    if attributes["connection"] is not None:
        _walk(attributes["connection"])
        return
    with exclusive(attributes["url"]) as connection:
        _walk(connection)


def _walk(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    current = context.get_context().get_current_revision()
    if current is None or known(current) or not context.config.attributes["leave_newer"]:
        context.run_migrations()
        return
    missing = [name for name in metadata.tables if not inspect(connection).has_table(name)]
    if missing:
        raise MigrationError(
            f"the database is at revision {current} of another program, and has no table {', '.join(missing)}: "
            "use a database or a schema of its own"
        )


_run()
