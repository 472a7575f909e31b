"""Statements about tasks, one for each operation. Each names its owner: somebody else's row is never found."""

import base64
import binascii
import itertools
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from uuid_utils.compat import uuid7

from persistence.collation import KEY_BYTES, title_key
from persistence.database import Database
from persistence.errors import InvalidCursor, TaskNotFound
from persistence.schema import tasks
from persistence.statement import Row, Statement, compile_statement
from persistence.users import known_user

_VISIBLE = [column for column in tasks.c if column.name != "title_key"]
_OWNER = bindparam("user_id", type_=Text)
_ID = bindparam("id", type_=Uuid)
_ONE = (tasks.c.user_id == _OWNER, tasks.c.id == _ID)

# The moment of this change, later than the last one even where a clock was set back.
_CHANGED_AT = func.greatest(
    func.clock_timestamp(), tasks.c.updated_at + literal_column("interval '1 microsecond'", DateTime)
)


@dataclass(frozen=True, slots=True)
class _Order:
    """A column by which lists can be ordered, and the letter that stands for it in a cursor."""

    column: ColumnElement[Any]
    letter: bytes


_ORDERS: Final = {
    "created": _Order(tasks.c.created_at, b"c"),
    "title": _Order(tasks.c.title_key, b"t"),
    "updated": _Order(tasks.c.updated_at, b"u"),
}
SORTS: Final = (*_ORDERS, *(f"-{name}" for name in _ORDERS))
"""The sort orders: the name of a column, after `-` where it descends."""

STATUSES: Final[Mapping[str, ColumnElement[bool] | None]] = {
    "all": None,
    "pending": tasks.c.completed.is_(False),
    "completed": tasks.c.completed.is_(True),
}
"""The statuses by which a list can be filtered."""


def _list_statement(sort: str, status: str, *, after: bool) -> Statement:
    order = _ORDERS[sort.removeprefix("-")]
    place = tuple_(order.column, tasks.c.id)
    descending = sort.startswith("-")
    statement = select(*_VISIBLE, order.column.label("position")).where(tasks.c.user_id == _OWNER)
    if (condition := STATUSES[status]) is not None:
        statement = statement.where(condition)
    if after:
        start: BindParameter[Any] = bindparam("position", type_=order.column.type)
        edge = tuple_(start, bindparam("last_id", type_=Uuid))
        statement = statement.where(place < edge if descending else place > edge)
    columns = (order.column, tasks.c.id)
    return compile_statement(
        statement.order_by(*(column.desc() if descending else column for column in columns)).limit(
            bindparam("count", type_=Integer)
        )
    )


_LIST: Final = {
    (sort, status, after): _list_statement(sort, status, after=after)
    for sort, status, after in itertools.product(SORTS, STATUSES, (False, True))
}

_INSERT: Final = compile_statement(
    insert(tasks)
    .values(
        user_id=_OWNER,
        id=_ID,
        title=bindparam("title", type_=Text),
        title_key=bindparam("title_key", type_=LargeBinary),
        description=bindparam("description", type_=Text),
        completed=bindparam("completed", type_=Boolean),
    )
    .add_cte(known_user())
    .returning(*_VISIBLE)
)
_SELECT: Final = compile_statement(select(*_VISIBLE).where(*_ONE))
_DELETE: Final = compile_statement(delete(tasks).where(*_ONE).returning(tasks.c.id))
_TOGGLE: Final = compile_statement(
    update(tasks).where(*_ONE).values(completed=~tasks.c.completed, updated_at=_CHANGED_AT).returning(*_VISIBLE)
)


def _update_statement(names: tuple[str, ...]) -> Statement:
    """Set these columns; the moment of change moves only if one of them gets another value."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=tasks.c[name].type) for name in names}
    differs = or_(*(tasks.c[name].is_distinct_from(value) for name, value in values.items()))
    if "title" in values:
        values["title_key"] = bindparam("title_key", type_=LargeBinary)
    values["updated_at"] = case((differs, _CHANGED_AT), else_=tasks.c.updated_at)
    return compile_statement(update(tasks).where(*_ONE).values(values).returning(*_VISIBLE))


_CHANGEABLE: Final = ("title", "description", "completed")
_UPDATE: Final = {
    frozenset(names): _update_statement(names)
    for count in range(1, len(_CHANGEABLE) + 1)
    for names in itertools.combinations(_CHANGEABLE, count)
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks of a list in order, and the cursor of the next page where there is one."""

    tasks: list[Row]
    next_cursor: str | None


async def page(  # noqa: PLR0913  the parameters of a list, by name
    database: Database, user_id: str, *, status: str, sort: str, limit: int, cursor: str | None
) -> Page:
    """At most `limit` of the user's tasks after `cursor`. A page neither skips nor repeats what was there before.

    Raises `InvalidCursor` and `DatabaseUnavailable`.
    """
    parameters: dict[str, Any] = {"user_id": user_id, "count": limit + 1}
    if cursor is not None:
        parameters |= _read_cursor(sort, cursor)
    rows = await database.fetch_all(_LIST[sort, status, cursor is not None], parameters)
    positions = [row.pop("position") for row in rows]
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], write_cursor(sort, positions[limit - 1], rows[limit - 1]["id"]))


async def create(  # noqa: PLR0913  the members of a task, by name
    database: Database,
    user_id: str,
    *,
    email: str | None,
    name: str | None,
    title: str,
    description: str | None,
    completed: bool,
) -> Row:
    """Keep a new task, and its owner's row with it. Raises `DatabaseUnavailable`."""
    parameters = {
        "user_id": user_id,
        "email": email,
        "name": name,
        "id": uuid7(),
        "title": title,
        "title_key": title_key(title),
        "description": description,
        "completed": completed,
    }
    return await database.fetch_one(_INSERT, parameters)


async def get(database: Database, user_id: str, task_id: str) -> Row:
    """The user's task. Raises `TaskNotFound` and `DatabaseUnavailable`."""
    return await _fetch(database, _SELECT, user_id, task_id)


async def change(database: Database, user_id: str, task_id: str, changes: Mapping[str, Any]) -> Row:
    """Set the members in `changes` (title, description, completed; at least one) and return the task.

    Where nothing gets another value, `updated_at` stays. Raises `TaskNotFound` and `DatabaseUnavailable`.
    """
    parameters = {f"new_{name}": value for name, value in changes.items()}
    if "title" in changes:
        parameters["title_key"] = title_key(changes["title"])
    return await _fetch(database, _UPDATE[frozenset(changes)], user_id, task_id, parameters)


async def toggle(database: Database, user_id: str, task_id: str) -> Row:
    """Flip `completed` in the database, so N calls at once flip it N times.

    Raises `TaskNotFound` and `DatabaseUnavailable`.
    """
    return await _fetch(database, _TOGGLE, user_id, task_id)


async def remove(database: Database, user_id: str, task_id: str) -> None:
    """Remove the user's task. Raises `TaskNotFound` and `DatabaseUnavailable`."""
    await _fetch(database, _DELETE, user_id, task_id)


async def _fetch(
    database: Database, statement: Statement, user_id: str, task_id: str, parameters: Mapping[str, Any] | None = None
) -> Row:
    row = await database.fetch_first(statement, {"user_id": user_id, "id": task_id, **(parameters or {})})
    if row is None:
        raise TaskNotFound
    return row


# A cursor is the place of the last task of a page: the letter of the order, in upper case where it descends; the
# value in its column (for a moment the microseconds since 1970 as a signed 64-bit integer, for a title its key); the
# task's id of 16 bytes; and the CRC-32 of all that, for an address that was cut or mistyped would otherwise give a page
# from somewhere else. base64url without padding (RFC 4648, section 5).
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  like every moment in this room, naive and in UTC
_MICROSECOND = timedelta(microseconds=1)
_MOMENT = struct.Struct("!q")
_ID_BYTES = 16
_SUM_BYTES = 4


def _letter(sort: str) -> bytes:
    letter = _ORDERS[sort.removeprefix("-")].letter
    return letter.upper() if sort.startswith("-") else letter


def write_cursor(sort: str, position: datetime | bytes, last_id: UUID) -> str:
    """The cursor for the tasks after the one at `position` with `last_id`, 1 to 2,048 characters long."""
    value = _MOMENT.pack((position - _EPOCH) // _MICROSECOND) if isinstance(position, datetime) else position
    place = _letter(sort) + value + last_id.bytes
    return base64.urlsafe_b64encode(place + _sum(place)).rstrip(b"=").decode()


def _sum(place: bytes) -> bytes:
    return zlib.crc32(place).to_bytes(_SUM_BYTES)


def is_cursor(text: str) -> bool:
    """Whether this is whole, for whichever order: the contract's format `cursor`."""
    try:
        _unpack(text)
    except InvalidCursor:
        return False
    return True


def _unpack(cursor: str) -> tuple[bytes, bytes, UUID]:
    try:
        read = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place, check = read[:-_SUM_BYTES], read[-_SUM_BYTES:]
        if check != _sum(place):
            raise InvalidCursor
        return place[:1], place[1:-_ID_BYTES], UUID(bytes=place[-_ID_BYTES:])
    except (ValueError, binascii.Error) as error:
        raise InvalidCursor from error


def _read_cursor(sort: str, cursor: str) -> dict[str, Any]:
    letter, value, last_id = _unpack(cursor)
    if letter != _letter(sort):
        raise InvalidCursor
    try:
        by_title = _ORDERS[sort.removeprefix("-")].column is tasks.c.title_key
        position = _read_key(value) if by_title else _EPOCH + _MOMENT.unpack(value)[0] * _MICROSECOND
    except (OverflowError, struct.error) as error:
        raise InvalidCursor from error
    return {"position": position, "last_id": last_id}


def _read_key(value: bytes) -> bytes:
    if not 1 <= len(value) <= KEY_BYTES:
        raise InvalidCursor
    return value
