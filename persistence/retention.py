"""What is kept for a time only, and removed when that is over: the trash, and idempotency keys."""

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

_BATCH: Final = 1000


def _oldest(table: Table, column: str, age: Any) -> Select[Any]:
    """The keys of the rows that are too old, without those that somebody else is removing at the moment."""
    moment = table.c[column]
    return (
        select(*table.primary_key.columns)
        .where(moment <= func.now() - age)
        .order_by(moment)
        .limit(literal_column(str(_BATCH)))
        .with_for_update(skip_locked=True)
    )


def _removal(table: Table, column: str, age: Any) -> Statement:
    keys = _oldest(table, column, age).cte("oldest")
    removed: CTE = (
        delete(table)
        .where(tuple_(*table.primary_key.columns).in_(select(keys)))
        .returning(literal_column("1"))
        .cte("removed")
    )
    return compile_statement(select(func.count().label("count")).select_from(removed))


_NONE: ColumnElement[Any] = literal_column("0")
_DAYS = func.make_interval(_NONE, _NONE, _NONE, bindparam("days", type_=Integer), type_=Interval)
_TRASH: Final = _removal(tasks, "deleted_at", _DAYS)
_KEYS: Final = _removal(idempotency_keys, "created_at", literal_column(f"interval '{KEY_HOURS} hours'", Interval))


@dataclass(frozen=True, slots=True)
class Purged:
    """How much was removed."""

    tasks: int
    keys: int


async def purge(database: Database, *, retention_days: int) -> Purged:
    """Remove for good what has been in the trash for `retention_days`, and idempotency keys that are too old.

    Any number of callers share the work: each takes what no other has in hand. Raises `DatabaseUnavailable`; what was
    removed by then stays removed.
    """
    return Purged(await _remove_all(database, _TRASH, days=retention_days), await _remove_all(database, _KEYS))


async def _remove_all(database: Database, statement: Statement, **parameters: int) -> int:
    total = 0
    while True:
        count: int = (await database.fetch_one(statement, parameters))["count"]
        total += count
        if count < _BATCH:
            return total
