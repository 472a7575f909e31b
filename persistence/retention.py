"""Retention: removes expired tasks from the trash, and expired idempotency keys."""

from collections.abc import Mapping
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
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import KEY_HOURS, idempotency_keys, tasks

_BATCH_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Expiry:
    """The statements about the expired rows of one table."""

    first: Statement
    """Where the oldest of them are."""
    next: Statement
    """Where those after one of them are."""
    remove: Statement
    """Remove a batch of those of one user."""


def _expiry(table: Table, column: str, age: ColumnElement[Any]) -> _Expiry:
    is_expired = table.c[column] <= func.now() - age
    place = (table.c[column], *table.primary_key.columns)
    oldest = select(*place).where(is_expired).order_by(*place).limit(literal_column(str(_BATCH_ROWS)))
    last = (bindparam(f"last_{each.name}", type_=each.type) for each in place)
    return _Expiry(
        compile_statement(oldest, f"find_expired_{table.name}"),
        compile_statement(oldest.where(tuple_(*place) > tuple_(*last)), f"find_expired_{table.name}"),
        _removal(table, is_expired),
    )


def _removal(table: Table, is_expired: ColumnElement[bool]) -> Statement:
    """Of one user, because `FOR UPDATE` takes the rows of no other shard of a distributed table.

    Rows that another purge, or a request, has locked are passed by.
    """
    key = table.primary_key.columns
    of_user = table.c.user_id == bindparam("user_id", type_=table.c.user_id.type)
    batch: Select[Any] = select(*key).where(of_user, is_expired).limit(literal_column(str(_BATCH_ROWS)))
    locked = batch.with_for_update(skip_locked=True).cte("expired")
    removed: CTE = (
        delete(table).where(of_user, tuple_(*key).in_(select(locked))).returning(literal_column("1")).cte("removed")
    )
    return compile_statement(select(func.count().label("count")).select_from(removed), f"purge_{table.name}")


_NONE: ColumnElement[Any] = literal_column("0")
_DAYS = func.make_interval(_NONE, _NONE, _NONE, bindparam("days", type_=Integer), type_=Interval)
_TRASH: Final = _expiry(tasks, "deleted_at", _DAYS)
_KEYS: Final = _expiry(idempotency_keys, "created_at", literal_column(f"interval '{KEY_HOURS} hours'", Interval))


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
    return Purged(await _remove_all(database, _TRASH, {"days": retention_days}), await _remove_all(database, _KEYS, {}))


async def _remove_all(database: Database, expiry: _Expiry, parameters: Mapping[str, Any]) -> int:
    total = 0
    rows = await database.fetch_all(expiry.first, parameters)
    while rows:
        for user_id in dict.fromkeys(row["user_id"] for row in rows):
            total += await _remove_of_user(database, expiry.remove, {**parameters, "user_id": user_id})
        rows = await database.fetch_all(expiry.next, {**parameters, **_after(rows[-1])})
    return total


def _after(row: Row) -> dict[str, Any]:
    return {f"last_{name}": value for name, value in row.items()}


async def _remove_of_user(database: Database, statement: Statement, parameters: Mapping[str, Any]) -> int:
    total = 0
    while True:
        count: int = (await database.fetch_one(statement, parameters))["count"]
        total += count
        if count < _BATCH_ROWS:
            return total
