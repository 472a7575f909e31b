"""Distribution of the tables over the nodes of Citus, by user (Citus 13, "Distributing tables").

All tables are co-located: the rows of a user are on one node, where foreign keys and statements need no other node.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint

from persistence.errors import DistributionError
from persistence.migrations import runner
from persistence.schema import idempotency_keys, idempotency_results, metadata, tasks, users

COLUMNS: Final = {
    users.name: "id",
    tasks.name: "user_id",
    idempotency_keys.name: "user_id",
    idempotency_results.name: "user_id",
}
"""The distribution column of each table, after the tables that it references."""

_CONNECT_TIMEOUT: Final = 10
_LOCK_TIMEOUT: Final = "5s"
# What a statement with an idempotency key sets for itself (persistence.idempotency) does not reach the other nodes.
_NODES_LOCK_TIMEOUT: Final = "1s"
_DISTRIBUTED: Final = "SELECT table_name::text FROM citus_tables WHERE citus_table_type = 'distributed'"
_NODES: Final = "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards AND noderole = 'primary'"
_FOREIGN_KEYS: Final = (
    "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass(%s)"
)
_ORPHANS: Final = "DELETE FROM {table} WHERE NOT EXISTS (SELECT FROM users WHERE users.id = {table}.user_id)"

_Connection = psycopg.Connection[tuple[Any, ...]]


def distribute(url: str) -> list[str]:
    """Distribute those tables of the database at `url` that are not, and return their names.

    The service may run: rows are copied while it reads and writes. Meanwhile no foreign key is there, and some
    requests get a 503. What was interrupted goes on at the next call. Raises `DistributionError` and
    `MigrationError`.
    """
    runner.upgrade(url)
    try:
        with _exclusive(url) as connection:
            _refuse_without_nodes(connection)
            missing = [table for table in COLUMNS if table not in _distributed(connection)]
            if missing:
                _distribute(connection, missing)
            _reference(connection)
            _limit_waiting(connection)
    except psycopg.Error as error:
        raise DistributionError(runner.reason(error)) from error
    return missing


@contextlib.contextmanager
def _exclusive(url: str) -> Iterator[_Connection]:
    """A session that excludes migrations and others like it."""
    with psycopg.connect(
        url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT, prepare_threshold=None, application_name="tasks-api"
    ) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute(sql.SQL("SET lock_timeout = {}").format(_LOCK_TIMEOUT))
        connection.execute("SELECT pg_advisory_lock(%s)", [runner.LOCK])
        yield connection


def _refuse_without_nodes(connection: _Connection) -> None:
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'citus'").fetchone() is None:
        raise DistributionError("the database has no extension citus")
    if connection.execute(_NODES).fetchone() == (0,):
        raise DistributionError("Citus knows no node for the tables: add one with citus_add_node, on the coordinator")


def _distributed(connection: _Connection) -> set[str]:
    return {name for (name,) in connection.execute(_DISTRIBUTED)}


def _distribute(connection: _Connection, tables: list[str]) -> None:
    if _are_empty(connection):
        with connection.transaction():
            for table in tables:
                connection.execute(f"SELECT create_distributed_table({_arguments(table)})".encode())
        return
    # Citus copies a table while it is written to only where it has no foreign key, to it or from it.
    with connection.transaction():
        for table in COLUMNS:
            for name, _ in connection.execute(_FOREIGN_KEYS, [table]).fetchall():
                connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*_identifiers(table, name)))
    for table in tables:
        connection.execute(f"SELECT create_distributed_table_concurrently({_arguments(table)})".encode())


def _are_empty(connection: _Connection) -> bool:
    # Every other table references this one.
    return connection.execute("SELECT FROM users LIMIT 1").fetchone() is None


def _arguments(table: str) -> str:
    colocated = "" if table == users.name else f", colocate_with => '{users.name}'"
    return f"'{table}', '{COLUMNS[table]}'{colocated}"


def _identifiers(*names: str) -> Iterator[sql.Identifier]:
    return map(sql.Identifier, names)


def _reference(connection: _Connection) -> None:
    """Add the foreign keys that are missing. Writes wait for a moment; the rows are read while they go on."""
    for table in COLUMNS:
        known: dict[str, bool] = dict(connection.execute(_FOREIGN_KEYS, [table]).fetchall())
        for constraint in metadata.tables[table].foreign_key_constraints:
            name = str(constraint.name)
            if name not in known:
                connection.execute(f"{_addition(constraint)} NOT VALID".encode())
            if not known.get(name):
                # Of users who were deleted while there was no foreign key.
                connection.execute(_ORPHANS.format(table=table).encode())
                connection.execute(sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(*_identifiers(table, name)))


def _addition(constraint: ForeignKeyConstraint) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(AddConstraint(constraint).compile(dialect=dialect))


def _limit_waiting(connection: _Connection) -> None:
    """Set `lock_timeout` of the database on every other node. New sessions have it."""
    setting = sql.SQL("ALTER DATABASE {} SET lock_timeout = {}").format(
        sql.Identifier(connection.info.dbname), _NODES_LOCK_TIMEOUT
    )
    query = "SELECT nodename, nodeport, result FROM run_command_on_workers(%s) WHERE NOT success"
    for host, port, said in connection.execute(query, [setting.as_string(connection)]):
        raise DistributionError(f"the node {host}:{port} does not take a setting of the database: {said}")
