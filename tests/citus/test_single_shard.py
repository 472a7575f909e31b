"""Every statement of a request goes to the node of its user, and to one shard of each table."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from psycopg import sql

from persistence import bulk, export, idempotency, tasks, users
from persistence.postgres.statement import Statement
from tests.support.types import Connection

_NOW: Final = datetime.now(UTC)
_ID: Final = uuid.uuid4()
_VALUES: Final[dict[str, Any]] = {
    **users.Owner("ada", "ada@example.com", "Ada", _NOW).parameters(),
    "id": _ID,
    "title": "Milk",
    "title_key": b"milk",
    "description": None,
    "completed": True,
    "versions": [_NOW],
    "new_title": "Bread",
    "new_description": None,
    "new_completed": True,
    "key": "same",
    "fingerprint": bytes(32),
    "count": 20,
    "last_id": _ID,
    "rows": f'[{{"id": "{_ID}", "title": "Milk", "title_key": "bWlsaw==", "completed": false}}]',
}


def _found(value: object) -> Iterator[Statement]:
    """The statements in a module, or in a value of it."""
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _found(each)
    elif type(value).__module__.startswith("persistence.") and type(value).__name__.startswith("_"):
        names = getattr(value, "__slots__", None) or vars(value)
        for name in names:
            yield from _found(getattr(value, name))


_STATEMENTS: Final = {
    f"{statement.label} {statement.name.decode()[-4:]}": statement
    for module in (tasks, users, bulk, idempotency, export)
    for name, value in vars(module).items()
    if name.startswith("_")
    for statement in _found(value)
}


def _with(statement: Statement, values: dict[str, Any]) -> bytes:
    """The text of the statement with the values in it. Citus explains no plan with parameters for all statements."""
    literals = [sql.Literal(value).as_bytes(None) for value in statement.values(values)]
    return re.sub(rb"\$(\d+)", lambda found: literals[int(found[1]) - 1], statement.text)


def test_the_statements_are_found() -> None:
    assert len(_STATEMENTS) > 80
    assert {name.rpartition(" ")[0] for name in _STATEMENTS} >= {"list_tasks", "toggle_task", "create_task_once"}


@pytest.mark.parametrize("statement", _STATEMENTS.values(), ids=_STATEMENTS)
def test_a_statement_goes_to_one_shard(statement: Statement, coordinator: Connection) -> None:
    """Its parts too. A part that reads what another has returned, and no table, runs on the coordinator."""
    by_title = b"title_key, tasks.id) " in statement.text or b"title_key > " in statement.text
    values = {**_VALUES, "position": b"milk" if by_title else _NOW}
    with coordinator.transaction(force_rollback=True):
        rows = coordinator.execute(b"EXPLAIN (COSTS OFF, VERBOSE) " + _with(statement, values)).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert set(re.findall(r"Task Count: (\d+)", plan)) == {"1"}
    shards = re.findall(r"public\.([a-z_]+)_(\d+)\b", plan)
    assert {table for table, _ in shards} <= {"users", "tasks", "idempotency_keys", "idempotency_results"}
    found = {table: {number for name, number in shards if name == table} for table, _ in shards}
    assert all(len(numbers) == 1 for numbers in found.values())
    workers = re.findall(r"Query: [^\n]*public\.[^\n]*\n\s*Node: host=(\S+) port=(\d+)", plan)
    assert len(set(workers)) == 1
