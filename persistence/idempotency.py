"""Operations that take place at most once for an idempotency key (draft-ietf-httpapi-idempotency-key-header).

One statement claims the key, makes the change and keeps its result, so none of the three exists without the others.
Where the key exists, nothing is changed, and a second statement reads the first result.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    null,
    select,
)
from sqlalchemy.dialects import postgresql

from persistence.clock import later
from persistence.errors import KeyInUse, KeyReused, Locked, TaskNotFound
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import KEY_HOURS, idempotency_keys, idempotency_results, tasks
from persistence.tasks import NEW, ONE_ANYWHERE, OWNER, RESTORING, TASK_ID, VISIBLE, NewTask, insert_parameters
from persistence.users import Owner, known_user

# A statement waits up to a second for a concurrent one with the same key, and is run again after another lock. This
# setting does not reach the other nodes of Citus, where it is one of the database (persistence.admin.distribution).
_KEY = bindparam("key", type_=Text)
_FINGERPRINT = bindparam("fingerprint", type_=LargeBinary)
_LOCK_TIMEOUT = func.set_config(
    literal_column("'lock_timeout'"),
    literal_column("'1s'"),
    literal_column("true"),  # of this transaction only
).alias("lock_timeout")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """An idempotency key, and what was asked for with it."""

    key: str
    fingerprint: bytes
    """The SHA-256 of the operation and its arguments. Equal requests have equal ones."""

    def parameters(self) -> dict[str, Any]:
        """The parameters of a statement with `claimed_key`."""
        return {"key": self.key, "fingerprint": self.fingerprint}


def fingerprint(operation: str, *arguments: Any) -> bytes:
    """The fingerprint of an operation with these arguments, which are JSON values."""
    return hashlib.sha256(json.dumps({"operation": operation, "arguments": arguments}).encode()).digest()


def claimed_key(task_id: ColumnElement[Any] | None = None, *, where: ColumnElement[bool] | None = None) -> CTE:
    """The common table expression that inserts the key, or replaces an expired one.

    It has one row if the key is claimed, and none if it exists or the condition is false.
    """
    task_id = cast(null(), Uuid) if task_id is None else task_id
    new = select(OWNER, _KEY, cast(_FINGERPRINT, LargeBinary), task_id, func.now()).select_from(_LOCK_TIMEOUT)
    row = postgresql.insert(idempotency_keys).from_select(
        ["user_id", "key", "fingerprint", "task_id", "created_at"], new if where is None else new.where(where)
    )
    return (
        row.on_conflict_do_update(
            index_elements=[idempotency_keys.c.user_id, idempotency_keys.c.key],
            set_={name: row.excluded[name] for name in ("fingerprint", "task_id", "created_at")},
            where=later(idempotency_keys.c.created_at, f"{KEY_HOURS} hours") <= row.excluded.created_at,
        )
        .returning(idempotency_keys.c.task_id, idempotency_keys.c.created_at)
        .cte("claimed_key")
    )


def is_claimed(key: CTE) -> ColumnElement[bool]:
    """True in the statement that has claimed the key."""
    return select(literal_column("1")).select_from(key).exists()


def keeping_result(key: CTE, result: FromClause, label: str) -> Statement:
    """A statement that keeps the one row of `result` with the key as JSON, and returns that; nothing without the key.

    `result` must change nothing unless the key is claimed. Keeping it is the statement's last part, because Citus
    sends what a part returns to one node for a change of rows, and to all nodes for a query without a table.
    """
    members: Iterable[ColumnElement[Any]] = itertools.chain.from_iterable(
        (literal_column(f"'{column.name}'"), column) for column in result.c
    )
    document: Select[Any] = select(OWNER, _KEY, func.json_build_object(*members)).select_from(result)
    row = postgresql.insert(idempotency_results).from_select(
        ["user_id", "key", "result"], document.where(is_claimed(key))
    )
    kept = row.on_conflict_do_update(
        index_elements=[idempotency_results.c.user_id, idempotency_results.c.key],
        set_={"result": row.excluded.result},
    )
    # The user comes first: Citus executes the parts of a statement in this order.
    return compile_statement(kept.add_cte(known_user()).returning(idempotency_results.c.result), label)


def _create_statement() -> Statement:
    key = claimed_key(TASK_ID)
    # The time of the key is that of the task, which is told again from the key.
    row = select(*(cast(value, value.type) for value in NEW.values()), key.c.created_at, key.c.created_at)
    created = insert(tasks).from_select([*NEW, "created_at", "updated_at"], row)
    return compile_statement(created.add_cte(known_user()).returning(*VISIBLE), "create_task_once")


_CREATE: Final = _create_statement()


def _restore_statement() -> Statement:
    exists = select(literal_column("1")).select_from(tasks).where(*ONE_ANYWHERE).exists()
    key = claimed_key(where=exists)
    return keeping_result(
        key, RESTORING.where(is_claimed(key)).returning(*VISIBLE).cte("restored"), "restore_task_once"
    )


_RESTORE: Final = _restore_statement()
_FIRST: Final = compile_statement(
    select(
        idempotency_keys.c.fingerprint,
        idempotency_keys.c.task_id,
        idempotency_keys.c.created_at,
        idempotency_results.c.result,
    )
    .select_from(idempotency_keys)
    .outerjoin(
        idempotency_results,
        and_(
            idempotency_results.c.user_id == idempotency_keys.c.user_id,
            idempotency_results.c.key == idempotency_keys.c.key,
        ),
    )
    .where(idempotency_keys.c.user_id == OWNER, idempotency_keys.c.key == _KEY),
    "get_idempotent_result",
)


async def count_once(
    database: Database, statement: Statement, request: KeyedRequest, parameters: Mapping[str, Any]
) -> tuple[int, bool]:
    """Run a bulk operation that `keeping_result` has made and that returns a `count`, unless its key exists.

    Returns the count, and whether it is that of an earlier call. Raises `KeyReused` where the key belongs to another
    request, `KeyInUse` where one with the key is in progress, and `DatabaseUnavailable`.
    """
    row = await _claim(database, statement, request, parameters, bulk=True)
    if row is not None:
        return row["result"]["count"], False
    first = await _first(database, request, parameters["user_id"])
    if first is None:
        raise KeyInUse
    return first["result"]["count"], True


async def create_once(database: Database, owner: Owner, new: NewTask, key: str) -> tuple[Row, bool]:
    """Insert a task unless the owner's `key` has inserted one within `KEY_HOURS`.

    Returns the task as it was when it was created, and whether that was before this call. Raises `KeyReused` where the
    key belongs to another request, `KeyInUse` where a request with the key is in progress, and `DatabaseUnavailable`.
    """
    members = asdict(new)
    # Without the name of the operation, as in the first release: a retry may reach another release than its request.
    request = KeyedRequest(key, hashlib.sha256(json.dumps(list(members.values())).encode()).digest())
    created = await _claim(database, _CREATE, request, insert_parameters(owner, new))
    if created is not None:
        return created, False
    first = await _first(database, request, owner.id)
    if first is None:
        raise KeyInUse
    moments = {"created_at": first["created_at"], "updated_at": first["created_at"]}
    return {"id": first["task_id"], "user_id": owner.id, **members, **moments}, True


async def restore_once(database: Database, owner: Owner, task_id: str, key: str) -> tuple[Row, bool]:
    """Restore a task from the trash unless the owner's `key` has restored it within `KEY_HOURS`.

    Returns the task as it was when it was restored, and whether that was before this call. Raises `KeyReused` where the
    key belongs to another request, `KeyInUse` where a request with the key is in progress, `TaskNotFound`, and
    `DatabaseUnavailable`.
    """
    request = KeyedRequest(key, fingerprint("restore", task_id.lower()))
    restored = await _claim(database, _RESTORE, request, {**owner.parameters(), "id": task_id})
    if restored is not None:
        return _kept_task(restored["result"]), False
    first = await _first(database, request, owner.id)
    # A key without a result claimed a task that another statement deleted permanently at that moment.
    if first is None or first["result"] is None:
        raise TaskNotFound
    return _kept_task(first["result"]), True


def _kept_task(task: Row) -> Row:
    """A task that was kept as JSON, with its timestamps in the form that rows have."""
    moments = {
        name: datetime.fromisoformat(task[name]).astimezone(UTC).replace(tzinfo=None)
        for name in ("created_at", "updated_at")
    }
    return {**task, **moments}


async def _claim(
    database: Database,
    statement: Statement,
    request: KeyedRequest,
    parameters: Mapping[str, Any],
    *,
    bulk: bool = False,
) -> Row | None:
    try:
        rows = await database.fetch_all(
            statement, {**parameters, **request.parameters()}, bulk=bulk, waits_once_for=idempotency_keys.name
        )
    except Locked as error:
        if not error.concerns(idempotency_keys.name):
            raise
        raise KeyInUse from error
    return rows[0] if rows else None


async def _first(database: Database, request: KeyedRequest, user_id: str) -> Row | None:
    """The key and its result. None if it does not exist, because its user, or a purge, has just removed it."""
    first = await database.fetch_first(_FIRST, {"user_id": user_id, "key": request.key})
    if first is not None and first["fingerprint"] != request.fingerprint:
        raise KeyReused
    return first
