"""Bulk operations: statements about all tasks of a user."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import (
    CTE,
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
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine
from uuid_utils.compat import uuid7

from persistence.collation import title_key
from persistence.idempotency import KeyedRequest, claimed_key, count_once, fingerprint, is_claimed, keeping_result
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
# What an absent member of a row means, so that both spellings have one fingerprint.
_ABSENT: Final[Row] = {"id": None, "description": None, "completed": False, "created_at": None, "updated_at": None}


@dataclass(frozen=True, slots=True)
class _Counting:
    """A bulk operation, which returns a `count`, without and with an idempotency key."""

    unkeyed: Statement
    keyed: Statement


_ONE: ColumnElement[Any] = literal_column("1")


def _import_statements() -> _Counting:
    key = claimed_key()
    return _Counting(
        compile_statement(select(_count_of(_added(true()))).add_cte(known_user()), "import_tasks"),
        keeping_result(key, select(_count_of(_added(is_claimed(key)))).subquery("counted"), "import_tasks_once"),
    )


def _count_of(changed: CTE) -> ColumnElement[int]:
    return select(func.count()).select_from(changed).scalar_subquery().label("count")


def _added(condition: ColumnElement[bool]) -> CTE:
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
        # LEAST ignores a null: a task is not created after its last change.
        func.coalesce(given.c.created_at, func.least(given.c.updated_at, func.now())),
        func.coalesce(given.c.updated_at, given.c.created_at, func.now()),
        # Sorted, so that concurrent imports lock rows in the same order and cannot deadlock.
    ).order_by(given.c.id)
    names = ["user_id", *_IMPORTED]
    return (
        postgresql.insert(tasks)
        .from_select(names, rows.where(condition))
        .on_conflict_do_nothing(index_elements=[tasks.c.user_id, tasks.c.id])
        .returning(_ONE)
        .cte("added")
    )


_IMPORT: Final = _import_statements()


def _user_is_locked(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """A condition that locks the user's row, so that bulk operations on one user's tasks are serialized.

    Each locks rows in another order, so concurrent ones could deadlock. Creates do not wait for the lock.
    """
    owner: Select[Any] = select(_ONE).select_from(users).where(users.c.id == OWNER, condition)
    locked = owner.with_for_update(key_share=True).cte("locked_user")
    return select(_ONE).select_from(locked).exists()


def _counting(changes: Update | Delete, label: str) -> _Counting:
    """The statements that make the changes and return the number of changed tasks."""
    key = claimed_key()
    unkeyed = changes.where(_user_is_locked(true())).returning(_ONE).cte("changed")
    keyed = changes.where(_user_is_locked(is_claimed(key))).returning(_ONE).cte("changed")
    return _Counting(
        compile_statement(select(_count_of(unkeyed)), label),
        keeping_result(key, select(_count_of(keyed)).subquery("counted"), f"{label}_once"),
    )


_NEW_COMPLETED = bindparam("new_completed", type_=Boolean)
_SOFT_DELETE_COMPLETED: Final = _counting(
    update(tasks).where(tasks.c.user_id == OWNER, STATUSES["completed"]).values(SOFT_DELETED), "soft_delete_completed"
)
_DELETE: Final = {
    status: _counting(delete(tasks).where(tasks.c.user_id == OWNER, STATUSES[status]), f"delete_{status}")
    for status in ("completed", "trashed")
}
_COMPLETE_ALL: Final = _counting(
    update(tasks)
    .where(tasks.c.user_id == OWNER, LIVE, tasks.c.completed != _NEW_COMPLETED)
    .values(completed=_NEW_COMPLETED, updated_at=CHANGED_AT),
    "complete_all",
)

Counted = tuple[int, bool]
"""A number of tasks, and whether it is the result of an earlier request with the same idempotency key."""


async def import_tasks(database: Database, owner: Owner, rows: Sequence[Row], key: str | None = None) -> Counted:
    """Insert all tasks in one statement, except those whose id the user has already. Returns the number inserted.

    A row has a `title`, and may have `id`, `description`, `completed`, `created_at` and `updated_at`, the last two as
    RFC 3339 writes them. Raises `DatabaseUnavailable`; with a key, also what `count_once` raises.
    """
    work = Cooperative()
    digest = hashlib.sha256()
    document = bytearray(b"[")
    for row in rows:
        document += _record(row) + b","
        if key is not None:
            digest.update(orjson.dumps({**_ABSENT, **row}, option=orjson.OPT_SORT_KEYS) + b"\n")
        await work.checkpoint()
    document[len(document) - bool(rows) :] = b"]"
    parameters = {"rows": document}
    request = None if key is None else KeyedRequest(key, fingerprint("import", digest.hexdigest()))
    return await _count(database, _IMPORT, owner, parameters, request)


def _record(row: Row) -> bytes:
    key = base64.b64encode(title_key(row["title"])).decode()
    return orjson.dumps({"id": uuid7(), "completed": False, **row, "title_key": key})


async def clear(database: Database, owner: Owner, status: str, *, permanently: bool, key: str | None = None) -> Counted:
    """Delete all tasks of the user that are `completed` or `trashed`. Returns their number.

    Completed ones move to the trash, unless they are deleted `permanently`. Raises `DatabaseUnavailable`; with a key,
    also what `count_once` raises.
    """
    statements = _DELETE[status] if permanently or status == "trashed" else _SOFT_DELETE_COMPLETED
    request = None if key is None else KeyedRequest(key, fingerprint("clear", status, permanently))
    return await _count(database, statements, owner, {}, request)


async def complete_all(database: Database, owner: Owner, *, completed: bool, key: str | None = None) -> Counted:
    """Complete or reopen all tasks of the user. Returns the number of tasks that changed.

    Raises `DatabaseUnavailable`; with a key, also what `count_once` raises.
    """
    request = None if key is None else KeyedRequest(key, fingerprint("complete", completed))
    return await _count(database, _COMPLETE_ALL, owner, {"new_completed": completed}, request)


async def _count(
    database: Database,
    statements: _Counting,
    owner: Owner,
    parameters: Mapping[str, Any],
    request: KeyedRequest | None,
) -> Counted:
    parameters = {**owner.parameters(), **parameters}
    if request is not None:
        return await count_once(database, statements.keyed, request, parameters)
    count: int = (await database.fetch_one(statements.unkeyed, parameters, bulk=True))["count"]
    return count, False
