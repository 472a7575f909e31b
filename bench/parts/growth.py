"""The cost of a request in a small and in a large table, for a user with few and with many tasks."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx2

from bench.contenders import SERVICE
from bench.database import benchmark_database
from bench.operations import OPERATIONS, SECRET, Operation, issue, user_id
from bench.parts import Options
from bench.parts.service import variant
from bench.peers.baseline_service import create_app
from bench.processes import separate
from bench.results import Part
from bench.runner import Plan, measure_on
from bench.servers import running
from persistence.postgres.database import Database
from persistence.postgres.statement import Statement

_SMALL = 10_000
_EACH = 1_000
_FEW, _MANY = 21, 10_000  # one more than a page, and many
_NUMBERS = {_FEW: 90, _MANY: 91}
_LATER = 5  # pages of 1,000 tasks before a later page
_EXPLANATIONS = 30


def growth(options: Options) -> Part:
    """Pages in three orders and single tasks: CPU time, latency, execution time and query plan."""
    separate()
    with benchmark_database() as small, benchmark_database() as large:
        databases, rows = {"small": small, "large": large}, {"small": _SMALL, "large": options.tasks}
        for name, database in databases.items():
            database.replace_tasks(rows[name] // _EACH, _EACH)
            for count, user in _NUMBERS.items():
                database.fill(user, count)
        with running(SERVICE, small) as server:
            operations = list(_operations(server.base_url))
        contenders = [variant(name, f"{count:,} tasks") for name, count in rows.items()]
        plan = Plan(contenders, operations, options.rounds, options.seconds)
        part = measure_on(plan, lambda contender: databases[contender.name], users=[_FEW, _MANY])
        for operation in operations:
            statement, values = asyncio.run(_statement(operation))
            for name, database in databases.items():
                milliseconds, query_plan = database.explain(statement, values, _EXPLANATIONS)
                found = {"block": "explained", "execution_ms": milliseconds, "plan": query_plan}
                names = {"operation": operation.name, "tasks": operation.tasks}
                part.samples.append({"contender": name, **names, **found})
    return part


def _operations(base_url: str) -> Iterator[Operation]:
    """The operations of both users; only the one with many tasks has later pages."""
    for count, user in _NUMBERS.items():
        for sort in ("created", "title", "updated"):
            path = f"/api/{{user}}/tasks?sort={sort}&limit=20"
            yield Operation(f"{sort}_first", f"Page by {sort}, first", "GET", path, user, count)
            if count == _MANY:
                path += f"&cursor={_cursor(base_url, user_id(user), sort)}"
                yield Operation(f"{sort}_later", f"Page by {sort}, later", "GET", path, user, count)
        for name in ("get", "create", "toggle"):
            yield replace(OPERATIONS[name], user=user, tasks=count)


def _cursor(base_url: str, user: str, sort: str) -> str:
    path = f"/api/{user}/tasks?sort={sort}&limit=1000"
    with httpx2.Client(
        base_url=base_url, headers={"Authorization": f"Bearer {issue(user)}"}, trust_env=False
    ) as client:
        for _ in range(_LATER):
            path = client.get(path).links["next"]["url"]
    return str(httpx2.URL(path).params["cursor"])


class _Recorded(Exception):
    """A statement that was not executed, and the values of its parameters."""


class _Recorder(Database):
    async def fetch_all(
        self, statement: Statement, parameters: Mapping[str, Any], **_options: object
    ) -> list[dict[str, Any]]:
        raise _Recorded(statement.text, statement.values(parameters))


async def _statement(operation: Operation) -> tuple[bytes, list[Any]]:
    """The statement of an operation, and the values of its parameters."""
    os.environ["BETTER_AUTH_SECRET"] = SECRET
    (work,) = operation.works(1, 1)
    headers, transport = {"Authorization": f"Bearer {work.token}"}, httpx2.ASGITransport(create_app(_Recorder()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://baseline") as client:
        try:
            await client.request(work.method, work.paths[0], content=work.body, headers=headers)
        except _Recorded as recorded:
            statement, values = recorded.args
            return statement, values
    raise AssertionError("the operation executes no statement")
