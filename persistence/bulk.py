"""Bulk operations: statements about all tasks of a user."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import (
    Boolean,
    ColumnElement,
    DateTime,
    Delete,
    Select,
    Text,
    Update,
    Uuid,
    bindparam,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine
from uuid_utils.compat import uuid7

from persistence.collation import title_key
from persistence.postgres.cooperative import Cooperative
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import tasks, users
from persistence.tasks import CHANGED_AT, LIVE, OWNER, SOFT_DELETED, STATUSES
from persistence.users import Owner, known_user

# The rows are sent as one JSON document: psycopg held the event loop for half a second to write 50,000 as arrays.
_IMPORTED: Final[Mapping[str, TypeEngine[Any]]] = {
    "id": Uuid(),
    "title": Text(),
    "title_key": Text(),  # in base64
    "description": Text(),
    "completed": Boolean(),
    "created_at": DateTime(timezone=True),
    "updated_at": DateTime(timezone=True),
}


def _import_statement() -> Statement:
    columns = (column(name, type_) for name, type_ in _IMPORTED.items())
    document = cast(bindparam("rows", type_=Text), postgresql.JSON)
    given = func.json_to_recordset(document).table_valued(*columns, name="given").render_derived(with_types=True)
    rows = select(
        OWNER,
        given.c.id,
        given.c.title,
        func.decode(given.c.title_key, literal_column("'base64'")),
        given.c.description,
        given.c.completed,
        func.coalesce(given.c.created_at, func.now()),
        func.coalesce(given.c.updated_at, given.c.created_at, func.now()),
        # Sorted, so that concurrent imports lock rows in the same order and cannot deadlock.
    ).order_by(given.c.id)
    names = ["user_id", *_IMPORTED]
    added = (
        postgresql.insert(tasks)
        .from_select(names, rows)
        .on_conflict_do_nothing(index_elements=[tasks.c.user_id, tasks.c.id])
        .returning(literal_column("1"))
        .cte("added")
    )
    return compile_statement(select(func.count().label("count")).select_from(added).add_cte(known_user()))


_IMPORT: Final = _import_statement()


def _user_is_locked() -> ColumnElement[bool]:
    """A condition that locks the user's row, so that bulk operations on one user's tasks are serialized.

    Each locks rows in another order, so concurrent ones could deadlock. Creates do not wait for the lock.
    """
    owner: Select[Any] = select(literal_column("1")).select_from(users).where(users.c.id == OWNER)
    locked = owner.with_for_update(key_share=True).cte("locked_user")
    return select(literal_column("1")).select_from(locked).exists()


def _counting(changes: Update | Delete) -> Statement:
    """A statement that makes the changes and returns the number of changed tasks as `count`."""
    changed = changes.where(_user_is_locked()).returning(literal_column("1")).cte("changed")
    return compile_statement(select(func.count().label("count")).select_from(changed))


_COMPLETED = (tasks.c.user_id == OWNER, STATUSES["completed"])
_NEW_COMPLETED = bindparam("new_completed", type_=Boolean)
_SOFT_DELETE_COMPLETED: Final = _counting(update(tasks).where(*_COMPLETED).values(SOFT_DELETED))
_DELETE_COMPLETED: Final = _counting(delete(tasks).where(*_COMPLETED))
_COMPLETE_ALL: Final = _counting(
    update(tasks)
    .where(tasks.c.user_id == OWNER, LIVE, tasks.c.completed != _NEW_COMPLETED)
    .values(completed=_NEW_COMPLETED, updated_at=CHANGED_AT)
)


async def import_tasks(database: Database, owner: Owner, rows: Sequence[Row]) -> int:
    """Insert all tasks in one statement, except those whose id the user has already. Returns the number inserted.

    A row has a `title`, and may have `id`, `description`, `completed`, `created_at` and `updated_at`, the last two as
    RFC 3339 writes them. Raises `DatabaseUnavailable`.
    """
    work = Cooperative()
    document = bytearray(b"[")
    for row in rows:
        document += _record(row) + b","
        await work.checkpoint()
    document[len(document) - bool(rows) :] = b"]"
    parameters = {**owner.parameters(), "rows": document}
    count: int = (await database.fetch_one(_IMPORT, parameters, bulk=True))["count"]
    return count


def _record(row: Row) -> bytes:
    key = base64.b64encode(title_key(row["title"])).decode()
    return orjson.dumps({"id": uuid7(), "completed": False, **row, "title_key": key})


async def clear_completed(database: Database, user_id: str, *, permanently: bool) -> int:
    """Move all completed tasks of the user to the trash, or delete them permanently. Returns their number.

    Raises `DatabaseUnavailable`.
    """
    statement = _DELETE_COMPLETED if permanently else _SOFT_DELETE_COMPLETED
    return await _count(database, statement, {"user_id": user_id})


async def complete_all(database: Database, user_id: str, *, completed: bool) -> int:
    """Complete or reopen all tasks of the user. Returns the number of tasks that changed.

    Raises `DatabaseUnavailable`.
    """
    return await _count(database, _COMPLETE_ALL, {"user_id": user_id, "new_completed": completed})


async def _count(database: Database, statement: Statement, parameters: Mapping[str, Any]) -> int:
    count: int = (await database.fetch_one(statement, parameters, bulk=True))["count"]
    return count
