"""Readiness of the database: the role's privileges, the columns, and the revision of the schema."""

import asyncio
from typing import Final

from sqlalchemy import FromClause, Text, column, false, func, literal_column, select, table, true, values

from persistence.errors import DatabaseUnavailable
from persistence.migrations import is_older
from persistence.postgres.database import Database
from persistence.postgres.statement import Statement, compile_statement
from persistence.schema import metadata

# Probes usually wait a second. Without a connection the database is known to be away before that.
_SECONDS: Final = 0.95
_VERSIONS: Final = table("alembic_version", column("version_num", Text))
NEEDED_PRIVILEGES: Final = (
    (_VERSIONS.name, "SELECT"),
    *((name, privilege) for name in metadata.tables for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")),
)
"""The tables, and the privileges on each, that the role of the service needs."""


def _missing_privileges() -> Statement:
    """A row for each privilege that the role lacks. A read-only standby can tell, too, and nothing is locked."""
    needed = values(column("table", Text), column("privilege", Text), name="needed", literal_binds=True)
    needed = needed.data(NEEDED_PRIVILEGES)
    lacks = ~func.has_table_privilege(needed.c.table, needed.c.privilege)
    return compile_statement(
        select(literal_column("current_user", Text).label("role"), needed).where(lacks), "get_missing_privileges"
    )


def _revisions() -> Statement:
    """The revisions of the database. PostgreSQL resolves every column of every table for it, and reads no row."""
    tables: FromClause = _VERSIONS
    for each in metadata.sorted_tables:
        tables = tables.outerjoin(select(*each.columns).where(false()).subquery(f"no_{each.name}"), true())
    return compile_statement(select(_VERSIONS.c.version_num.label("revision")).select_from(tables), "get_revision")


_MISSING_PRIVILEGES: Final = _missing_privileges()
_REVISIONS: Final = _revisions()


async def check(database: Database) -> None:
    """Return if the database can serve requests. Costs two statements that read no table but `alembic_version`.

    A revision that this release does not know is that of a newer one, as long as the tables have the columns of this
    release. Raises `DatabaseUnavailable` with the reason, within a second.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            await _check(database)
    except TimeoutError as error:
        raise DatabaseUnavailable("the database does not answer in time") from error


async def _check(database: Database) -> None:
    missing = await database.fetch_all(_MISSING_PRIVILEGES, {})
    if missing:
        privileges = ", ".join(f"{row['privilege']} on {row['table']}" for row in missing)
        raise DatabaseUnavailable(f"the role {missing[0]['role']} lacks {privileges}")
    revisions = [row["revision"] for row in await database.fetch_all(_REVISIONS, {})]
    if not revisions or any(map(is_older, revisions)):
        raise DatabaseUnavailable("the migrations are not applied")
