"""Statements about tasks, one for each operation. Each names its owner: somebody else's row is never found."""

import base64
import binascii
import hashlib
import itertools
import json
import struct
import zlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    Delete,
    Integer,
    LargeBinary,
    Select,
    Text,
    Update,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine
from uuid_utils.compat import uuid7

from persistence.collation import KEY_BYTES, title_key
from persistence.errors import InvalidCursor, KeyInUse, KeyReused, Locked, TaskChanged, TaskNotFound
from persistence.postgres.cooperative import Slices
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import KEY_HOURS, idempotency_keys, tasks, users
from persistence.users import known_user

_VISIBLE = [column for column in tasks.c if column.name not in ("title_key", "deleted_at")]
_OWNER = bindparam("user_id", type_=Text)
_ID = bindparam("id", type_=Uuid)
_LIVE: Final = tasks.c.deleted_at.is_(None)
_IN_TRASH: Final = tasks.c.deleted_at.is_not(None)
_ONE_ANYWHERE = (tasks.c.user_id == _OWNER, tasks.c.id == _ID)
_ONE = (*_ONE_ANYWHERE, _LIVE)
# The version of a task is the moment of its last change, which only moves forward.
_AS_KNOWN = tasks.c.updated_at == any_(bindparam("versions", type_=ARRAY(DateTime(timezone=True))))

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

STATUSES: Final[Mapping[str, ColumnElement[bool]]] = {
    "all": _LIVE,
    "pending": and_(_LIVE, tasks.c.completed.is_(False)),
    "completed": and_(_LIVE, tasks.c.completed.is_(True)),
    "trashed": _IN_TRASH,
}
"""The statuses by which a list can be filtered."""


def _list_statement(sort: str, status: str, *, after: bool) -> Statement:
    order = _ORDERS[sort.removeprefix("-")]
    place = tuple_(order.column, tasks.c.id)
    descending = sort.startswith("-")
    statement = select(*_VISIBLE, order.column.label("position")).where(tasks.c.user_id == _OWNER, STATUSES[status])
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

_NEW: Final[Mapping[str, BindParameter[Any]]] = {
    "user_id": _OWNER,
    "id": _ID,
    "title": bindparam("title", type_=Text),
    "title_key": bindparam("title_key", type_=LargeBinary),
    "description": bindparam("description", type_=Text),
    "completed": bindparam("completed", type_=Boolean),
}
_INSERT: Final = compile_statement(insert(tasks).values(_NEW).add_cte(known_user()).returning(*_VISIBLE))

# A key is kept in the statement that makes its task, so there is never one without the other. Where it is there
# already, nothing is made. A statement that is about to keep the same key is waited for, but not for long.
_KEY = bindparam("key", type_=Text)
_FINGERPRINT = bindparam("fingerprint", type_=LargeBinary)
_PATIENCE = func.set_config(
    literal_column("'lock_timeout'"),
    literal_column("'1s'"),
    literal_column("true"),  # of this transaction only
).alias("patience")
_KEPT_FOR = literal_column(f"interval '{KEY_HOURS} hours'", DateTime)


def _claimed_key() -> CTE:
    row = postgresql.insert(idempotency_keys).from_select(
        ["user_id", "key", "fingerprint", "task_id", "created_at"],
        select(_OWNER, _KEY, cast(_FINGERPRINT, LargeBinary), _ID, func.now()).select_from(_PATIENCE),
    )
    return (
        row.on_conflict_do_update(
            index_elements=[idempotency_keys.c.user_id, idempotency_keys.c.key],
            set_={name: row.excluded[name] for name in ("fingerprint", "task_id", "created_at")},
            where=idempotency_keys.c.created_at <= func.now() - _KEPT_FOR,
        )
        .returning(idempotency_keys.c.task_id)
        .cte("claimed_key")
    )


_INSERT_ONCE: Final = compile_statement(
    insert(tasks)
    .from_select(list(_NEW), select(*(cast(value, value.type) for value in _NEW.values())).select_from(_claimed_key()))
    .add_cte(known_user())
    .returning(*_VISIBLE)
)

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
        _OWNER,
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
_FIRST: Final = compile_statement(
    select(idempotency_keys.c.fingerprint, idempotency_keys.c.task_id, idempotency_keys.c.created_at).where(
        idempotency_keys.c.user_id == _OWNER, idempotency_keys.c.key == _KEY
    )
)
_SELECT: Final = compile_statement(select(*_VISIBLE).where(*_ONE))
_SELECT_ANYWHERE: Final = compile_statement(select(tasks.c.id).where(*_ONE_ANYWHERE))


class _Change:
    """A statement that changes one task, whatever its version is or only if it is a known one."""

    def __init__(self, statement: Update | Delete, *, anywhere: bool = False) -> None:
        """Compile both. `anywhere` means the task even where it is in the trash."""
        statement = statement.where(*(_ONE_ANYWHERE if anywhere else _ONE))
        self.always = compile_statement(statement.returning(*_VISIBLE))
        self.as_known = compile_statement(statement.where(_AS_KNOWN).returning(*_VISIBLE))
        self.find = _SELECT_ANYWHERE if anywhere else _SELECT


_TOGGLE: Final = _Change(update(tasks).values(completed=~tasks.c.completed, updated_at=_CHANGED_AT))
_INTO_TRASH: Final = {"deleted_at": func.clock_timestamp(), "updated_at": _CHANGED_AT}
_TRASH: Final = _Change(update(tasks).values(_INTO_TRASH))
_REMOVE: Final = _Change(delete(tasks), anywhere=True)
_RESTORE: Final = compile_statement(
    update(tasks)
    .where(*_ONE_ANYWHERE)
    .values(deleted_at=null(), updated_at=case((_IN_TRASH, _CHANGED_AT), else_=tasks.c.updated_at))
    .returning(*_VISIBLE)
)


def _update(names: tuple[str, ...]) -> _Change:
    """Set these columns; the moment of change moves only if one of them gets another value."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=tasks.c[name].type) for name in names}
    differs = or_(*(tasks.c[name].is_distinct_from(value) for name, value in values.items()))
    if "title" in values:
        values["title_key"] = bindparam("title_key", type_=LargeBinary)
    values["updated_at"] = case((differs, _CHANGED_AT), else_=tasks.c.updated_at)
    return _Change(update(tasks).values(values))


_CHANGEABLE: Final = ("title", "description", "completed")
_UPDATE: Final = {
    frozenset(names): _update(names)
    for count in range(1, len(_CHANGEABLE) + 1)
    for names in itertools.combinations(_CHANGEABLE, count)
}


def _in_turn() -> ColumnElement[bool]:
    """Holds what is about all tasks of a user up while another such statement, or the end of the user, is under way.

    Each takes rows in an order of its own, and they would wait for each other. Creates are not held up.
    """
    owner: Select[Any] = select(literal_column("1")).select_from(users).where(users.c.id == _OWNER)
    turn = owner.with_for_update(key_share=True).cte("turn")
    return select(literal_column("1")).select_from(turn).exists()


def _count_of(changes: Update | Delete) -> Statement:
    """How many tasks a statement changes, without a list of them."""
    changed = changes.where(_in_turn()).returning(literal_column("1")).cte("changed")
    return compile_statement(select(func.count().label("count")).select_from(changed))


_COMPLETED = (tasks.c.user_id == _OWNER, STATUSES["completed"])
_NEW_COMPLETED = bindparam("new_completed", type_=Boolean)
_TRASH_COMPLETED: Final = _count_of(update(tasks).where(*_COMPLETED).values(_INTO_TRASH))
_REMOVE_COMPLETED: Final = _count_of(delete(tasks).where(*_COMPLETED))
_COMPLETE_ALL: Final = _count_of(
    update(tasks)
    .where(tasks.c.user_id == _OWNER, _LIVE, tasks.c.completed != _NEW_COMPLETED)
    .values(completed=_NEW_COMPLETED, updated_at=_CHANGED_AT)
)


PAGE: Final = 1000
"""How many tasks are read at once, at most."""

Versions = Collection[datetime] | None
"""The versions of a task (its `updated_at`, aware) that a change is meant for; None is whichever there is."""


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


async def pages(database: Database, user_id: str, *, status: str) -> AsyncIterator[list[Row]]:
    """All of the user's tasks in the order of their creation, `PAGE` at a time.

    Each page is read when it is asked for: what is created or deleted meanwhile may or may not be among them, and
    everything else is, once. Raises `DatabaseUnavailable`.
    """
    cursor: str | None = None
    while True:
        found = await page(database, user_id, status=status, sort="created", limit=PAGE, cursor=cursor)
        yield found.tasks
        cursor = found.next_cursor
        if cursor is None:
            return


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
    parameters = _new(user_id, email, name, title, description, completed=completed)
    return await database.fetch_one(_INSERT, parameters)


async def create_once(  # noqa: PLR0913  the members of a task, by name
    database: Database,
    user_id: str,
    *,
    key: str,
    email: str | None,
    name: str | None,
    title: str,
    description: str | None,
    completed: bool,
) -> tuple[Row, bool]:
    """Keep a new task unless the user's `key` has made it before, within `KEY_HOURS`.

    Returns the task as it was when it was made, and whether that was before. Raises `KeyReused` where the key has
    made another task, `KeyInUse` where it is about to make one now, and `DatabaseUnavailable`.
    """
    fingerprint = hashlib.sha256(json.dumps([title, description, completed]).encode()).digest()
    parameters = _new(user_id, email, name, title, description, completed=completed)
    try:
        made = await database.fetch_first(_INSERT_ONCE, {**parameters, "key": key, "fingerprint": fingerprint})
    except Locked as error:
        raise KeyInUse from error
    if made is not None:
        return made, False
    first = await database.fetch_first(_FIRST, {"user_id": user_id, "key": key})
    if first is None:
        # It was there a moment ago, so the user, or a purge, has just removed it.
        raise KeyInUse
    if first["fingerprint"] != fingerprint:
        raise KeyReused
    members = {"title": title, "description": description, "completed": completed}
    moments = {"created_at": first["created_at"], "updated_at": first["created_at"]}
    return {"id": first["task_id"], "user_id": user_id, **members, **moments}, True


async def add(database: Database, user_id: str, rows: Sequence[Row], *, email: str | None, name: str | None) -> int:
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
    parameters = {"user_id": user_id, "email": email, "name": name, "rows": document}
    count: int = (await database.fetch_one(_ADD, parameters, many=True))["count"]
    return count


def _given(row: Row) -> bytes:
    key = base64.b64encode(title_key(row["title"])).decode()
    return orjson.dumps({"id": uuid7(), "completed": False, **row, "title_key": key})


def _new(  # noqa: PLR0913
    user_id: str, email: str | None, name: str | None, title: str, description: str | None, *, completed: bool
) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "email": email,
        "name": name,
        "id": uuid7(),
        "title": title,
        "title_key": title_key(title),
        "description": description,
        "completed": completed,
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
    """Set the members in `changes` (title, description, completed; at least one) and return the task.

    Where nothing gets another value, `updated_at` stays. Raises `TaskNotFound`, `TaskChanged` and
    `DatabaseUnavailable`.
    """
    parameters = {f"new_{name}": value for name, value in changes.items()}
    if "title" in changes:
        parameters["title_key"] = title_key(changes["title"])
    return await _change(database, _UPDATE[frozenset(changes)], user_id, task_id, versions, **parameters)


async def toggle(database: Database, user_id: str, task_id: str, versions: Versions = None) -> Row:
    """Flip `completed` in the database, so N calls at once flip it N times.

    Raises `TaskNotFound`, `TaskChanged` and `DatabaseUnavailable`.
    """
    return await _change(database, _TOGGLE, user_id, task_id, versions)


async def trash(database: Database, user_id: str, task_id: str, versions: Versions = None) -> None:
    """Put the user's task into the trash. Raises `TaskNotFound`, `TaskChanged` and `DatabaseUnavailable`."""
    await _change(database, _TRASH, user_id, task_id, versions)


async def remove(database: Database, user_id: str, task_id: str, versions: Versions = None) -> None:
    """Remove the user's task for good, also from the trash.

    Raises `TaskNotFound`, `TaskChanged` and `DatabaseUnavailable`.
    """
    await _change(database, _REMOVE, user_id, task_id, versions)


async def restore(database: Database, user_id: str, task_id: str) -> Row:
    """Take the user's task out of the trash; one that is not in it stays as it is.

    Raises `TaskNotFound` and `DatabaseUnavailable`.
    """
    return await _fetch(database, _RESTORE, user_id, task_id)


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


async def _fetch(database: Database, statement: Statement, user_id: str, task_id: str) -> Row:
    row = await database.fetch_first(statement, {"user_id": user_id, "id": task_id})
    if row is None:
        raise TaskNotFound
    return row


async def _change(
    database: Database, change: _Change, user_id: str, task_id: str, versions: Versions, **values: Any
) -> Row:
    parameters = {"user_id": user_id, "id": task_id, **values}
    if versions is None:
        row = await database.fetch_first(change.always, parameters)
    elif versions:
        row = await database.fetch_first(change.as_known, {**parameters, "versions": list(versions)})
    else:
        row = None
    if row is not None:
        return row
    if versions is not None:
        # Nothing was changed. What is left to tell is why, and that may be older by now than this answer.
        await _fetch(database, change.find, user_id, task_id)
        raise TaskChanged
    raise TaskNotFound


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
