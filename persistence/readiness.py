"""Readiness of the database: the role's privileges, the columns, and the revision of the schema."""

import asyncio
from typing import Any, Final

from sqlalchemy import Integer, Select, Text, column, func, literal_column, select, table, values
from sqlalchemy.sql.selectable import NamedFromClause

from persistence.errors import DatabaseNotReady, DatabaseUnavailable
from persistence.migrations import head, is_older
from persistence.postgres.database import Database
from persistence.postgres.statement import Statement, compile_statement
from persistence.schema import metadata

# Probes usually wait a second. Without a connection the database is known to be away before that.
_SECONDS: Final = 0.95
_VERSIONS: Final = table("alembic_version", column("version_num", Text))
_ATTRIBUTES: Final = table("pg_attribute", column("attrelid", Integer), column("attname", Text))
NEEDED_PRIVILEGES: Final = (
    (_VERSIONS.name, "SELECT"),
    *((name, privilege) for name in metadata.tables for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")),
)
"""The tables, and the privileges on each, that the role of the service needs."""

_COLUMNS: Final = tuple((each.name, name) for each in metadata.sorted_tables for name in each.columns.keys())  # noqa: SIM118  a collection of columns is no dictionary


def _needed(kind: str, rows: tuple[tuple[str, str], ...]) -> NamedFromClause:
    return values(column("table", Text), column(kind, Text), name="needed", literal_binds=True).data(list(rows))


def _missing_privileges() -> Statement:
    """A row for each privilege that the role lacks. A read-only standby can tell, too, and nothing is locked."""
    needed = _needed("privilege", NEEDED_PRIVILEGES)
    lacks = ~func.has_table_privilege(needed.c.table, needed.c.privilege)
    return compile_statement(
        select(literal_column("current_user", Text).label("role"), needed).where(lacks), "get_missing_privileges"
    )


def _missing_columns() -> Statement:
    """A row for each column that a table lacks.

    The catalogue tells, which is on the node that is asked: where the tables are distributed, the service is ready
    while one of the other nodes is away.
    """
    needed = _needed("column", _COLUMNS)
    found: Select[Any] = select(literal_column("1")).where(
        _ATTRIBUTES.c.attrelid == func.to_regclass(needed.c.table), _ATTRIBUTES.c.attname == needed.c.column
    )
    return compile_statement(select(needed).where(~found.exists()), "get_missing_columns")


_MISSING_PRIVILEGES: Final = _missing_privileges()
_MISSING_COLUMNS: Final = _missing_columns()
_REVISIONS: Final = compile_statement(select(_VERSIONS.c.version_num.label("revision")), "get_revision")


async def check(database: Database) -> None:
    """Return if the database can serve requests. Costs three statements that read no table but `alembic_version`.

    A revision that this release does not know is that of a newer one, as long as the tables have the columns of this
    release. Raises `DatabaseNotReady` with the reason, within a second.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            await _check(database)
    except TimeoutError as error:
        raise DatabaseNotReady("the database does not answer in time") from error
    except DatabaseUnavailable as error:
        raise DatabaseNotReady(str(error)) from error


async def is_current(database: Database) -> bool:
    """True if the schema has the newest revision. False also where the database does not tell within a second."""
    try:
        async with asyncio.timeout(_SECONDS):
            return head() in [row["revision"] for row in await database.fetch_all(_REVISIONS, {})]
    except (TimeoutError, DatabaseUnavailable):
        return False


async def _check(database: Database) -> None:
    missing = await database.fetch_all(_MISSING_PRIVILEGES, {})
    if missing:
        privileges = ", ".join(f"{row['privilege']} on {row['table']}" for row in missing)
        raise DatabaseUnavailable(f"the role {missing[0]['role']} lacks {privileges}")
    columns = await database.fetch_all(_MISSING_COLUMNS, {})
    if columns:
        names = ", ".join(f"{row['table']}.{row['column']}" for row in columns)
        raise DatabaseUnavailable(f"the database lacks the columns {names}")
    revisions = [row["revision"] for row in await database.fetch_all(_REVISIONS, {})]
    if not revisions or any(map(is_older, revisions)):
        raise DatabaseUnavailable("the migrations are not applied")
