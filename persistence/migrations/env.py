"""Run by Alembic for every command."""

import contextlib
from pkgutil import resolve_name

from alembic import context
from sqlalchemy import Connection, inspect

from persistence.errors import MigrationError
from persistence.migrations import known
from persistence.migrations.runner import exclusive
from persistence.schema import metadata


def _run() -> None:
    if context.is_offline_mode():
        _write()
        return
    attributes = context.config.attributes
    if attributes.get("connection") is not None:
        _walk(attributes["connection"])
        return
    with _address() as url, exclusive(url) as connection:
        _walk(connection)


def _address() -> contextlib.AbstractContextManager[str]:
    """The URL of the database. Alembic's own command gets it from what `address` in alembic.ini names."""
    url = context.config.attributes.get("url")
    if url is not None:
        return contextlib.nullcontext(url)
    found: contextlib.AbstractContextManager[str] = resolve_name(context.config.get_main_option("address", ""))()
    return found


def _write() -> None:
    """Write the statements to standard output, for `alembic upgrade --sql`."""
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def _walk(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    current = context.get_context().get_current_revision()
    if current is None or known(current) or not context.config.attributes.get("leave_newer"):
        context.run_migrations()
        return
    missing = [name for name in metadata.tables if not inspect(connection).has_table(name)]
    if missing:
        raise MigrationError(
            f"the database is at revision {current} of another program, and has no table {', '.join(missing)}: "
            "use a database or a schema of its own"
        )


_run()
