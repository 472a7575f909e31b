"""Statements about one task or a page of tasks. Each names the owner, so it never finds a row of another user."""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    Delete,
    Integer,
    LargeBinary,
    Text,
    Update,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    tuple_,
    update,
)
from uuid_utils.compat import uuid7

from persistence.clock import after, after_if
from persistence.collation import title_key
from persistence.cursor import ORDERS, SORTS, Cursor, cursor_after, position_parameters
from persistence.errors import TaskChanged, TaskNotFound
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import tasks
from persistence.users import Owner, known_user

VISIBLE = [column for column in tasks.c if column.name not in ("title_key", "deleted_at")]
OWNER = bindparam("user_id", type_=Text)
TASK_ID = bindparam("id", type_=Uuid)
LIVE: Final = tasks.c.deleted_at.is_(None)
_IN_TRASH: Final = tasks.c.deleted_at.is_not(None)
ONE_ANYWHERE = (tasks.c.user_id == OWNER, tasks.c.id == TASK_ID)
_ONE = (*ONE_ANYWHERE, LIVE)

# The version of a task is its `updated_at`, which only moves forward.
_IS_VERSION = tasks.c.updated_at == any_(bindparam("versions", type_=ARRAY(DateTime(timezone=True))))

CHANGED_AT = after(tasks.c.updated_at)

STATUSES: Final[Mapping[str, ColumnElement[bool]]] = {
    "all": LIVE,
    "pending": and_(LIVE, tasks.c.completed.is_(False)),
    "completed": and_(LIVE, tasks.c.completed.is_(True)),
    "trashed": _IN_TRASH,
}
"""The statuses by which a list can be filtered."""


def _list_statement(sort: str, status: str, *, after: bool) -> Statement:
    order = ORDERS[sort.removeprefix("-")]
    row = tuple_(order.column, tasks.c.id)
    descending = sort.startswith("-")
    statement = select(*VISIBLE, order.column.label("position")).where(tasks.c.user_id == OWNER, STATUSES[status])
    if after:
        start: BindParameter[Any] = bindparam("position", type_=order.column.type)
        last = tuple_(start, bindparam("last_id", type_=Uuid))
        statement = statement.where(row < last if descending else row > last)
    columns = (order.column, tasks.c.id)
    return compile_statement(
        statement.order_by(*(column.desc() if descending else column for column in columns)).limit(
            bindparam("count", type_=Integer)
        ),
        "list_tasks",
    )


_LIST: Final = {
    (sort, status, after): _list_statement(sort, status, after=after)
    for sort, status, after in itertools.product(SORTS, STATUSES, (False, True))
}
NEW: Final[Mapping[str, BindParameter[Any]]] = {
    "user_id": OWNER,
    "id": TASK_ID,
    "title": bindparam("title", type_=Text),
    "title_key": bindparam("title_key", type_=LargeBinary),
    "description": bindparam("description", type_=Text),
    "completed": bindparam("completed", type_=Boolean),
}
_INSERT: Final = compile_statement(insert(tasks).values(NEW).add_cte(known_user()).returning(*VISIBLE), "create_task")
_SELECT: Final = compile_statement(select(*VISIBLE).where(*_ONE), "get_task")
_SELECT_ANYWHERE: Final = compile_statement(select(tasks.c.id).where(*ONE_ANYWHERE), "find_task")


class _Change:
    """A statement that changes one task, unconditionally or only if it has an expected version."""

    def __init__(self, statement: Update | Delete, label: str, *, anywhere: bool = False) -> None:
        """Compile both forms. With `anywhere` they also change a task in the trash."""
        statement = statement.where(*(ONE_ANYWHERE if anywhere else _ONE))
        self.unconditional = compile_statement(statement.returning(*VISIBLE), label)
        self.conditional = compile_statement(statement.where(_IS_VERSION).returning(*VISIBLE), label)
        self.find = _SELECT_ANYWHERE if anywhere else _SELECT


_TOGGLE: Final = _Change(update(tasks).values(completed=~tasks.c.completed, updated_at=CHANGED_AT), "toggle_task")
SOFT_DELETED: Final = {"deleted_at": func.now(), "updated_at": CHANGED_AT}
_SOFT_DELETE: Final = _Change(update(tasks).values(SOFT_DELETED), "soft_delete_task")
_DELETE: Final = _Change(delete(tasks), "delete_task", anywhere=True)
RESTORING: Final = (
    update(tasks).where(*ONE_ANYWHERE).values(deleted_at=null(), updated_at=after_if(_IN_TRASH, tasks.c.updated_at))
)
_RESTORE: Final = compile_statement(RESTORING.returning(*VISIBLE), "restore_task")


def _update(names: tuple[str, ...]) -> _Change:
    """Set these columns; `updated_at` changes only if one of them gets another value."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=tasks.c[name].type) for name in names}
    differs = or_(*(tasks.c[name].is_distinct_from(value) for name, value in values.items()))
    if "title" in values:
        values["title_key"] = bindparam("title_key", type_=LargeBinary)
    values["updated_at"] = after_if(differs, tasks.c.updated_at)
    return _Change(update(tasks).values(values), "update_task")


_CHANGEABLE: Final = ("title", "description", "completed")
_UPDATE: Final = {
    frozenset(names): _update(names)
    for count in range(1, len(_CHANGEABLE) + 1)
    for names in itertools.combinations(_CHANGEABLE, count)
}

Versions = Collection[datetime] | None
"""The expected versions of a task (`updated_at`, aware), as `If-Match` lists them; None for any version."""


@dataclass(frozen=True, slots=True)
class Page:
    """The tasks of a page in order, and the cursor of the next page if there is one."""

    tasks: list[Row]
    next_cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which tasks of a list to read: at most `limit` of those with the status, in this order, after the cursor."""

    status: str
    sort: str
    limit: int
    cursor: Cursor | None = None


async def page(database: Database, user_id: str, request: PageRequest) -> Page:
    """A page of the user's tasks. It neither skips nor repeats a task that existed when the first page was read.

    Raises `InvalidCursor` and `DatabaseUnavailable`.
    """
    parameters: dict[str, Any] = {"user_id": user_id, "count": request.limit + 1}
    if request.cursor is not None:
        parameters |= position_parameters(request.sort, request.cursor)
    statement = _LIST[request.sort, request.status, request.cursor is not None]
    rows = await database.fetch_all(statement, parameters)
    positions = [row.pop("position") for row in rows]
    if len(rows) <= request.limit:
        return Page(rows, None)
    last = request.limit - 1
    return Page(rows[: request.limit], cursor_after(request.sort, positions[last], rows[last]["id"]))


@dataclass(frozen=True, slots=True)
class NewTask:
    """The members of a task that its creator chooses."""

    title: str
    description: str | None = None
    completed: bool = False


async def create(database: Database, owner: Owner, new: NewTask) -> Row:
    """Insert a task, and its owner's row with it. Raises `DatabaseUnavailable`."""
    return await database.fetch_one(_INSERT, insert_parameters(owner, new))


def insert_parameters(owner: Owner, new: NewTask) -> dict[str, Any]:
    """The parameters of a statement that inserts a task. Its id is a UUID of version 7 (RFC 9562, section 5.7)."""
    return {
        **owner.parameters(),
        "id": uuid7(),
        "title": new.title,
        "title_key": title_key(new.title),
        "description": new.description,
        "completed": new.completed,
    }


async def get(database: Database, user_id: str, task_id: str) -> Row:
    """The user's task. Raises `TaskNotFound` and `DatabaseUnavailable`."""
    return await _fetch(database, _SELECT, user_id, task_id)


async def change(
    database: Database,
    user_id: str,
    task_id: str,
    changes: Mapping[str, Any],
    versions: Versions = None,
) -> Row:
    """Set the members in `changes` (title, description, completed) and return the task.

    If no member gets another value, `updated_at` stays. Raises `TaskNotFound`, `TaskChanged` and
    `DatabaseUnavailable`.
    """
    if not changes:
        return await _unchanged(database, user_id, task_id, versions)
    parameters = {f"new_{name}": value for name, value in changes.items()}
    if "title" in changes:
        parameters["title_key"] = title_key(changes["title"])
    return await _change(database, _UPDATE[frozenset(changes)], user_id, task_id, versions, **parameters)


async def toggle(database: Database, user_id: str, task_id: str, versions: Versions = None) -> Row:
    """Invert `completed` in one atomic statement, so N concurrent calls invert it N times.

    Raises `TaskNotFound`, `TaskChanged` and `DatabaseUnavailable`.
    """
    return await _change(database, _TOGGLE, user_id, task_id, versions)


async def soft_delete(database: Database, user_id: str, task_id: str, versions: Versions = None) -> None:
    """Move the user's task to the trash. Raises `TaskNotFound`, `TaskChanged` and `DatabaseUnavailable`."""
    await _change(database, _SOFT_DELETE, user_id, task_id, versions)


async def delete_permanently(database: Database, user_id: str, task_id: str, versions: Versions = None) -> None:
    """Delete the user's task permanently, also from the trash.

    Raises `TaskNotFound`, `TaskChanged` and `DatabaseUnavailable`.
    """
    await _change(database, _DELETE, user_id, task_id, versions)


async def restore(database: Database, user_id: str, task_id: str) -> Row:
    """Restore the user's task from the trash. A task that is not in it does not change.

    Raises `TaskNotFound` and `DatabaseUnavailable`.
    """
    return await _fetch(database, _RESTORE, user_id, task_id)


async def _fetch(database: Database, statement: Statement, user_id: str, task_id: str) -> Row:
    row = await database.fetch_first(statement, {"user_id": user_id, "id": task_id})
    if row is None:
        raise TaskNotFound
    return row


async def _unchanged(database: Database, user_id: str, task_id: str, versions: Versions) -> Row:
    row = await _fetch(database, _SELECT, user_id, task_id)
    if versions is not None and row["updated_at"].replace(tzinfo=UTC) not in versions:
        raise TaskChanged
    return row


async def _change(
    database: Database, change: _Change, user_id: str, task_id: str, versions: Versions, **values: Any
) -> Row:
    parameters = {"user_id": user_id, "id": task_id, **values}
    if versions is None:
        row = await database.fetch_first(change.unconditional, parameters)
    elif versions:
        row = await database.fetch_first(change.conditional, {**parameters, "versions": list(versions)})
    else:
        row = None
    if row is not None:
        return row
    if versions is not None:
        # Nothing was changed. This second statement tells a missing task from a stale version.
        await _fetch(database, change.find, user_id, task_id)
        raise TaskChanged
    raise TaskNotFound
