"""Query plans: a list in the default order walks an index; in others the tasks of the user are sorted, and no more."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from persistence import cursor, tasks, users
from persistence.migrations import runner
from persistence.postgres.statement import Statement
from tests.support.servers.postgres import fresh_database


@pytest.fixture(scope="module")
def crowded(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Five users with four thousand tasks each, half of them completed."""
    with fresh_database(database_url) as url:
        runner.upgrade(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO users (id) SELECT 'user-' || n FROM generate_series(1, 5) n")
            connection.execute(
                "INSERT INTO tasks (user_id, id, title, title_key, completed, created_at, updated_at) "
                "SELECT 'user-' || 1 + n % 5, gen_random_uuid(), 'Task', decode(md5(n::text), 'hex'), n % 2 = 0, "
                "now() - n * interval '1 minute', now() - (n * 7919 % 20000) * interval '1 minute' "
                "FROM generate_series(1, 20000) n"
            )
            connection.execute("VACUUM ANALYZE")
            yield connection


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _plan(
    connection: psycopg.Connection[Any], statement: Statement, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    cursor = psycopg.RawCursor(connection)
    row = cursor.execute(b"EXPLAIN (FORMAT JSON) " + statement.text, statement.values(parameters)).fetchone()
    assert row is not None
    (explained,) = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return list(_nodes(explained["Plan"]))


_INDEXED = ("created", "-created")


@pytest.mark.parametrize("status", tasks.STATUSES)
@pytest.mark.parametrize("sort", cursor.SORTS)
@pytest.mark.parametrize("after", [False, True], ids=["first page", "next page"])
def test_every_list_reads_the_tasks_of_its_user_only(
    crowded: psycopg.Connection[Any], sort: str, status: str, *, after: bool
) -> None:
    parameters: dict[str, Any] = {"user_id": "user-3", "count": 51}
    if after:
        column = {"created": "created_at", "title": "title_key", "updated": "updated_at"}[sort.removeprefix("-")]
        middle = crowded.execute(
            f"SELECT {column} FROM tasks WHERE user_id = 'user-3' ORDER BY {column} OFFSET 2000 LIMIT 1".encode()  # noqa: S608
        ).fetchone()
        assert middle is not None
        parameters |= {"position": middle[0], "last_id": uuid.UUID(int=0)}
    nodes = _plan(crowded, tasks._LIST[sort, status, after], parameters)  # noqa: SLF001  the statement is the subject
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
    (condition,) = [node["Index Cond"] for node in nodes if "Index Cond" in node]
    assert "user_id" in condition
    if sort in _INDEXED:
        assert [node["Node Type"] for node in nodes] == ["Limit", "Index Scan"]
        # The start of the page is found in the index, not by walking past everything before it.
        assert ("ROW(" in condition) == after
    else:
        assert [node["Node Type"] for node in nodes][:2] == ["Limit", "Sort"]


def test_the_numbers_of_a_profile_are_counted_from_an_index(crowded: psycopg.Connection[Any]) -> None:
    for statement in (users._KNOWN, users._FIRST_SEEN):  # noqa: SLF001  the statements are the subject
        nodes = _plan(crowded, statement, {"user_id": "user-3", "email": None, "name": None, "issued_at": None})
        of_tasks = [node["Node Type"] for node in nodes if node.get("Relation Name") == "tasks"]
        assert of_tasks in (["Index Only Scan"], ["Index Scan"], ["Bitmap Heap Scan"])
        assert "Seq Scan" not in {n["Node Type"] for n in nodes if n.get("Relation Name") == "tasks"}
