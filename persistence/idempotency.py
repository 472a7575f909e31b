"""Creating a task at most once for an idempotency key (draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
import json
from dataclasses import asdict
from typing import Final

from sqlalchemy import CTE, DateTime, LargeBinary, Text, bindparam, cast, func, insert, literal_column, select
from sqlalchemy.dialects import postgresql

from persistence.errors import KeyInUse, KeyReused, Locked
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, compile_statement
from persistence.schema import KEY_HOURS, idempotency_keys, tasks
from persistence.tasks import NEW, OWNER, TASK_ID, VISIBLE, NewTask, insert_parameters
from persistence.users import Owner, known_user

# One statement inserts the key and its task, so neither exists without the other. If the key exists, nothing is
# inserted. The statement waits up to a second for a concurrent one with the same key.
_KEY = bindparam("key", type_=Text)
_FINGERPRINT = bindparam("fingerprint", type_=LargeBinary)
_LOCK_TIMEOUT = func.set_config(
    literal_column("'lock_timeout'"),
    literal_column("'1s'"),
    literal_column("true"),  # of this transaction only
).alias("lock_timeout")
_LIFETIME = literal_column(f"interval '{KEY_HOURS} hours'", DateTime)


def _claimed_key() -> CTE:
    row = postgresql.insert(idempotency_keys).from_select(
        ["user_id", "key", "fingerprint", "task_id", "created_at"],
        select(OWNER, _KEY, cast(_FINGERPRINT, LargeBinary), TASK_ID, func.now()).select_from(_LOCK_TIMEOUT),
    )
    return (
        row.on_conflict_do_update(
            index_elements=[idempotency_keys.c.user_id, idempotency_keys.c.key],
            set_={name: row.excluded[name] for name in ("fingerprint", "task_id", "created_at")},
            where=idempotency_keys.c.created_at <= func.now() - _LIFETIME,
        )
        .returning(idempotency_keys.c.task_id)
        .cte("claimed_key")
    )


_INSERT_ONCE: Final = compile_statement(
    insert(tasks)
    .from_select(list(NEW), select(*(cast(value, value.type) for value in NEW.values())).select_from(_claimed_key()))
    .add_cte(known_user())
    .returning(*VISIBLE)
)
_FIRST: Final = compile_statement(
    select(idempotency_keys.c.fingerprint, idempotency_keys.c.task_id, idempotency_keys.c.created_at).where(
        idempotency_keys.c.user_id == OWNER, idempotency_keys.c.key == _KEY
    )
)


async def create_once(database: Database, owner: Owner, new: NewTask, key: str) -> tuple[Row, bool]:
    """Insert a task unless the owner's `key` has inserted one within `KEY_HOURS`.

    Returns the task as it was when it was created, and whether that was before this call. Raises `KeyReused` where the
    key belongs to a task with other members, `KeyInUse` where a request with the key is in progress, and
    `DatabaseUnavailable`.
    """
    members = asdict(new)
    fingerprint = hashlib.sha256(json.dumps(list(members.values())).encode()).digest()
    parameters = {**insert_parameters(owner, new), "key": key, "fingerprint": fingerprint}
    try:
        created = await database.fetch_first(_INSERT_ONCE, parameters)
    except Locked as error:
        raise KeyInUse from error
    if created is not None:
        return created, False
    first = await database.fetch_first(_FIRST, {"user_id": owner.id, "key": key})
    if first is None:
        # It existed a moment ago, so the deletion of the user, or a purge, has just removed it.
        raise KeyInUse
    if first["fingerprint"] != fingerprint:
        raise KeyReused
    moments = {"created_at": first["created_at"], "updated_at": first["created_at"]}
    return {"id": first["task_id"], "user_id": owner.id, **members, **moments}, True
