"""Bulk operations: statements about all tasks of a user."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
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
from persistence.postgres.cooperative import Slices
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import tasks, users
from persistence.tasks import CHANGED_AT, INTO_TRASH, LIVE, OWNER, STATUSES, PageRequest, page
from persistence.users import Owner, known_user

# Rows as one JSON document: to write arrays for PostgreSQL, psycopg took half a second of the event loop for 50,000.
_GIVEN: Final[Mapping[str, TypeEngine[Any]]] = {
    "id": Uuid(),
    "title": Text(),
    "title_key": Text(),  # in base64
    "description": Text(),
    "completed": Boolean(),
    "created_at": DateTime(timezone=True),
    "updated_at": DateTime(timezone=True),
}


def _add_statement() -> Statement:
    columns = (column(name, type_) for name, type_ in _GIVEN.items())
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
        # In one order whatever that of the lines is: two at once would otherwise wait for each other.
    ).order_by(given.c.id)
    names = ["user_id", *_GIVEN]
    added = (
        postgresql.insert(tasks)
        .from_select(names, rows)
        .on_conflict_do_nothing(index_elements=[tasks.c.user_id, tasks.c.id])
        .returning(literal_column("1"))
        .cte("added")
    )
    return compile_statement(select(func.count().label("count")).select_from(added).add_cte(known_user()))


_ADD: Final = _add_statement()


def _in_turn() -> ColumnElement[bool]:
    """Holds what is about all tasks of a user up while another such statement, or the end of the user, is under way.

    Each takes rows in an order of its own, and they would wait for each other. Creates are not held up.
    """
    owner: Select[Any] = select(literal_column("1")).select_from(users).where(users.c.id == OWNER)
    turn = owner.with_for_update(key_share=True).cte("turn")
    return select(literal_column("1")).select_from(turn).exists()


def _count_of(changes: Update | Delete) -> Statement:
    """How many tasks a statement changes, without a list of them."""
    changed = changes.where(_in_turn()).returning(literal_column("1")).cte("changed")
    return compile_statement(select(func.count().label("count")).select_from(changed))


_COMPLETED = (tasks.c.user_id == OWNER, STATUSES["completed"])
_NEW_COMPLETED = bindparam("new_completed", type_=Boolean)
_TRASH_COMPLETED: Final = _count_of(update(tasks).where(*_COMPLETED).values(INTO_TRASH))
_REMOVE_COMPLETED: Final = _count_of(delete(tasks).where(*_COMPLETED))
_COMPLETE_ALL: Final = _count_of(
    update(tasks)
    .where(tasks.c.user_id == OWNER, LIVE, tasks.c.completed != _NEW_COMPLETED)
    .values(completed=_NEW_COMPLETED, updated_at=CHANGED_AT)
)

PAGE: Final = 1000
"""How many tasks are read at once, at most."""


async def pages(database: Database, user_id: str, *, status: str) -> AsyncIterator[list[Row]]:
    """All of the user's tasks in the order of their creation, `PAGE` at a time.

    Each page is read when it is asked for: what is created or deleted meanwhile may or may not be among them, and
    everything else is, once. Raises `DatabaseUnavailable`.
    """
    cursor: str | None = None
    while True:
        found = await page(database, user_id, PageRequest(status, "created", PAGE, cursor))
        yield found.tasks
        cursor = found.next_cursor
        if cursor is None:
            return


async def add(database: Database, owner: Owner, rows: Sequence[Row]) -> int:
    """Keep all these tasks, in one statement. Returns how many; those whose id the user has already stay as they are.

    A row has a `title`, and may have `id`, `description`, `completed`, `created_at` and `updated_at`, the last two as
    RFC 3339 writes them. Raises `DatabaseUnavailable`.
    """
    slices = Slices()
    document = bytearray(b"[")
    for row in rows:
        document += _given(row) + b","
        await slices.pause()
    document[len(document) - bool(rows) :] = b"]"
    parameters = {**owner.parameters(), "rows": document}
    count: int = (await database.fetch_one(_ADD, parameters, many=True))["count"]
    return count


def _given(row: Row) -> bytes:
    key = base64.b64encode(title_key(row["title"])).decode()
    return orjson.dumps({"id": uuid7(), "completed": False, **row, "title_key": key})


async def clear_completed(database: Database, user_id: str, *, permanently: bool) -> int:
    """Put all completed tasks of the user into the trash, or remove them for good. Returns how many.

    Raises `DatabaseUnavailable`.
    """
    statement = _REMOVE_COMPLETED if permanently else _TRASH_COMPLETED
    return await _count(database, statement, {"user_id": user_id})


async def complete_all(database: Database, user_id: str, *, completed: bool) -> int:
    """Complete, or reopen, all tasks of the user that are not yet so. Returns how many.

    Raises `DatabaseUnavailable`.
    """
    return await _count(database, _COMPLETE_ALL, {"user_id": user_id, "new_completed": completed})


async def _count(database: Database, statement: Statement, parameters: Mapping[str, Any]) -> int:
    count: int = (await database.fetch_one(statement, parameters, many=True))["count"]
    return count
