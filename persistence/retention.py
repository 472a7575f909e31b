"""Retention: removes expired tasks from the trash, and expired idempotency keys."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Interval,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.sql.schema import Table

from persistence.postgres.database import Database
from persistence.postgres.statement import Statement, compile_statement
from persistence.schema import KEY_HOURS, idempotency_keys, tasks

_BATCH_ROWS: Final = 1000


def _oldest(table: Table, column: str, age: Any) -> Select[Any]:
    """The primary keys of a batch of expired rows, without those that another purge has locked."""
    timestamp = table.c[column]
    return (
        select(*table.primary_key.columns)
        .where(timestamp <= func.now() - age)
        .order_by(timestamp)
        .limit(literal_column(str(_BATCH_ROWS)))
        .with_for_update(skip_locked=True)
    )


def _delete_statement(table: Table, column: str, age: Any, label: str) -> Statement:
    keys = _oldest(table, column, age).cte("oldest")
    removed: CTE = (
        delete(table)
        .where(tuple_(*table.primary_key.columns).in_(select(keys)))
        .returning(literal_column("1"))
        .cte("removed")
    )
    return compile_statement(select(func.count().label("count")).select_from(removed), label)


_NONE: ColumnElement[Any] = literal_column("0")
_DAYS = func.make_interval(_NONE, _NONE, _NONE, bindparam("days", type_=Integer), type_=Interval)
_TRASH: Final = _delete_statement(tasks, "deleted_at", _DAYS, "purge_tasks")
_KEYS: Final = _delete_statement(
    idempotency_keys, "created_at", literal_column(f"interval '{KEY_HOURS} hours'", Interval), "purge_idempotency_keys"
)


@dataclass(frozen=True, slots=True)
class Purged:
    """The numbers of rows removed."""

    tasks: int
    keys: int


async def purge(database: Database, *, retention_days: int) -> Purged:
    """Remove tasks that have been in the trash for `retention_days`, and expired idempotency keys.

    Concurrent callers share the work: each takes the rows that no other has locked. Raises `DatabaseUnavailable`;
    batches that were removed before stay removed.
    """
    return Purged(await _remove_batches(database, _TRASH, days=retention_days), await _remove_batches(database, _KEYS))


async def _remove_batches(database: Database, statement: Statement, **parameters: int) -> int:
    total = 0
    while True:
        count: int = (await database.fetch_one(statement, parameters))["count"]
        total += count
        if count < _BATCH_ROWS:
            return total
