"""The trash, what is removed from it, and what is done to all tasks of a user at once."""

import asyncio
import itertools
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from persistence import migrations
from persistence.postgres.database import Database
from persistence.retention import Purged, purge
from persistence.schema import metadata
from tests.support.concurrency import at_once
from tests.support.postgres import fresh_database
from tests.support.raw_http import problem, violations
from tests.support.service import ROOT, Service, running_service, token
from tests.support.types import Call, Connection, Json, Owner
from tests.tasks.test_tasks import Home, both_homes

SORTS = ["created", "-created", "title", "-title", "updated", "-updated"]
STATUSES = ["all", "pending", "completed", "trashed"]
MANY = 20_000


@pytest.fixture(params=[0, 1], ids=["by-user-id", "by-token"])
def home(request: pytest.FixtureRequest, ada: Owner) -> Home:
    """Ada's tasks, under each address."""
    index: int = request.param
    return both_homes(*ada)[index]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """The database, to look into and to change the past. Each statement is a transaction of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def delete(home: Home, task: Json, **query: str) -> None:
    answer = home.client.delete(home.path(task), params=query)
    assert (answer.status_code, answer.content) == (204, b"")


def restore(home: Home, task: Json) -> httpx2.Response:
    return home.client.post(f"{home.path(task)}/restore")


def listed(home: Home, **query: str) -> list[Json]:
    found: list[Json] = home.client.get(home.tasks, params=query).json()
    return found


def counts(home: Home) -> tuple[int, int, int]:
    tasks = home.client.get(f"/api/{home.subject}").json()["tasks"]
    return tasks["total"], tasks["completed"], tasks["pending"]


def moment(task: Json) -> datetime:
    return datetime.fromisoformat(task["updated_at"])


# One task


def test_a_deleted_task_is_in_the_trash_and_nowhere_else(service: Service, home: Home) -> None:
    kept, task = home.create(), home.create(title="Mow the lawn", description="both", completed=True)
    delete(home, task)
    (trashed,) = listed(home, status="trashed")
    assert trashed == {**task, "updated_at": trashed["updated_at"]}
    assert moment(trashed) > moment(task)
    assert listed(home) == listed(home, status="pending") == [kept]
    assert listed(home, status="completed") == []
    assert counts(home) == (1, 0, 1)
    path = home.path(task)
    for answer in (
        home.client.get(path),
        home.client.put(path, json={"title": "x"}),
        home.client.patch(f"{path}/{home.toggle}"),
        home.client.delete(path),
    ):
        problem(service, answer, "task-not-found")
    assert listed(home, status="trashed") == [trashed]


def test_a_restored_task_is_as_it_was_and_changed_last(home: Home) -> None:
    task = home.create(description="two cartons", completed=True)
    delete(home, task)
    (trashed,) = listed(home, status="trashed")
    answer = restore(home, task)
    assert answer.status_code == 200
    restored = answer.json()
    assert restored == {**task, "updated_at": restored["updated_at"]}
    assert moment(restored) > moment(trashed)
    assert listed(home) == [home.fetch(task)] == [restored]
    assert listed(home, status="trashed") == []
    assert counts(home) == (1, 1, 0)


def test_a_task_can_go_there_and_back_any_number_of_times(home: Home) -> None:
    task = home.create()
    for _ in range(3):
        delete(home, task)
        assert restore(home, task).status_code == 200
        # Who is told to repeat a restore may do so.
        assert restore(home, task).json() == home.fetch(task)
    assert listed(home, status="trashed") == []


def test_what_is_not_there_cannot_be_restored(service: Service, home: Home, bob: Owner) -> None:
    task = home.create()
    delete(home, task, permanent="true")
    problem(service, restore(home, task), "task-not-found")
    theirs = home.create()
    delete(home, theirs)
    problem(service, restore(both_homes(*bob)[1], theirs), "task-not-found")
    assert [each["id"] for each in listed(home, status="trashed")] == [theirs["id"]]


@pytest.mark.parametrize("body", [b"", b"{}", b"not JSON"], ids=["none", "JSON", "not JSON"])
def test_a_restore_looks_at_no_body(home: Home, body: bytes) -> None:
    task = home.create()
    delete(home, task)
    answer = home.client.post(f"{home.path(task)}/restore", content=body)
    assert answer.status_code == 200


def test_a_task_that_is_deleted_for_good_is_gone_from_the_trash_too(
    service: Service, home: Home, connection: Connection
) -> None:
    live, trashed, kept = home.create(), home.create(), home.create()
    delete(home, trashed)
    delete(home, live, permanent="true")
    delete(home, trashed, permanent="true")
    for task in (live, trashed):
        answer = home.client.delete(home.path(task), params={"permanent": "true"})
        problem(service, answer, "task-not-found")
        problem(service, restore(home, task), "task-not-found")
    assert (listed(home), listed(home, status="trashed")) == ([kept], [])
    rows = connection.execute("SELECT id FROM tasks WHERE user_id = %s", [home.subject]).fetchall()
    assert [str(row[0]) for row in rows] == [kept["id"]]


def test_permanent_is_no_by_default_and_takes_true_and_false_only(service: Service, home: Home) -> None:
    task = home.create()
    for value in ("True", "1", "yes", "", "TRUE"):
        answer = home.client.delete(home.path(task), params={"permanent": value})
        assert violations(service, answer) == [("permanent", "must be a boolean")]
    assert listed(home) == [task]
    delete(home, task, permanent="false")
    assert [each["id"] for each in listed(home, status="trashed")] == [task["id"]]


def test_nobody_deletes_somebody_elses_task_for_good(service: Service, home: Home, bob: Owner) -> None:
    live, trashed = home.create(), home.create()
    delete(home, trashed)
    others = both_homes(*bob)[1]
    for task in (live, trashed):
        answer = others.client.delete(others.path(task), params={"permanent": "true"})
        problem(service, answer, "task-not-found")
    assert len(listed(home) + listed(home, status="trashed")) == 2


@pytest.mark.parametrize("sort", SORTS)
def test_the_trash_is_listed_in_every_order_and_page_by_page(ada: Owner, sort: str) -> None:
    home = both_homes(*ada)[1]
    tasks = [home.create(title=title, completed=title in "bd") for title in ("d", "B", "a", "E", "c", "B", "x", "y")]
    for index in (3, 0, 5, 1, 2, 4):
        delete(home, tasks[index])
    there = listed(home, status="trashed", sort="created")
    assert [task["id"] for task in there] == [task["id"] for task in tasks[:6]]

    def place(task: Json) -> tuple[str, str]:
        by = sort.removeprefix("-")
        return (task["title"].lower() if by == "title" else task[f"{by}_at"], task["id"])

    expected = sorted(there, key=place, reverse=sort.startswith("-"))
    for limit in (1, 2, 4, 6, 1000):
        found = []
        path: str | None = f"{home.tasks}?status=trashed&sort={sort}&limit={limit}"
        for _ in range(10):
            answer = home.client.get(path or "")
            found += answer.json()
            path = answer.links.get("next", {}).get("url")
            if path is None:
                break
        assert found == expected


def test_a_page_of_the_trash_neither_skips_nor_repeats_while_tasks_come_and_go(ada: Owner) -> None:
    home = both_homes(*ada)[1]
    tasks = [home.create(title=str(number)) for number in range(9)]
    for task in tasks:
        delete(home, task)
    answer = home.client.get(home.tasks, params={"status": "trashed", "limit": "3"})
    seen = [answer.json()]
    restore(home, tasks[0]).raise_for_status()
    delete(home, tasks[2], permanent="true")
    delete(home, home.create(title="new"))
    while "next" in answer.links:
        answer = home.client.get(answer.links["next"]["url"])
        seen.append(answer.json())
    titles = [task["title"] for task in itertools.chain(*seen)]
    assert titles == [*map(str, range(9)), "new"]


# All tasks


def clear(home: Home, **query: str) -> httpx2.Response:
    return home.client.delete(home.tasks, params=query)


def complete(home: Home, *, completed: bool = True) -> httpx2.Response:
    return home.client.patch(home.tasks, json={"completed": completed})


def crowd(home: Home) -> dict[str, list[Json]]:
    """Three pending, two completed, one of each in the trash."""
    tasks = {
        "pending": [home.create(title=f"pending {number}") for number in range(3)],
        "completed": [home.create(title=f"completed {number}", completed=True) for number in range(2)],
        "trashed": [home.create(title="trashed"), home.create(title="trashed and completed", completed=True)],
    }
    for task in tasks["trashed"]:
        delete(home, task)
    tasks["trashed"] = listed(home, status="trashed")
    return tasks


def test_completed_tasks_are_cleared_into_the_trash(home: Home, bob: Owner) -> None:
    tasks, others = crowd(home), both_homes(*bob)[0]
    theirs = others.create(completed=True)
    answer = clear(home, status="completed")
    assert (answer.status_code, answer.json()) == (200, {"count": 2})
    assert listed(home) == tasks["pending"]
    trash = {task["id"]: task for task in listed(home, status="trashed")}
    assert set(trash) == {task["id"] for task in tasks["completed"] + tasks["trashed"]}
    for task in tasks["trashed"]:
        assert trash[task["id"]] == task
    for task in tasks["completed"]:
        now = trash[task["id"]]
        assert now == {**task, "updated_at": now["updated_at"]}
        assert moment(now) > moment(task)
        assert restore(home, task).json()["completed"] is True
    assert counts(home) == (5, 2, 3)
    assert listed(others) == [theirs]
    assert clear(others, status="completed").json() == {"count": 1}


def test_completed_tasks_are_cleared_for_good(service: Service, home: Home) -> None:
    tasks = crowd(home)
    assert clear(home, status="completed", permanent="true").json() == {"count": 2}
    assert listed(home) == tasks["pending"]
    # What is in the trash already is no completed task of a list.
    assert listed(home, status="trashed") == tasks["trashed"]
    for task in tasks["completed"]:
        problem(service, restore(home, task), "task-not-found")
    assert clear(home, status="completed", permanent="true").json() == {"count": 0}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [("status", "is required")]),
        ({"permanent": "true"}, [("status", "is required")]),
        ({"status": ""}, [("status", 'must be one of "completed"')]),
        ({"status": "all"}, [("status", 'must be one of "completed"')]),
        ({"status": "trashed"}, [("status", 'must be one of "completed"')]),
        ({"status": "completed", "x": "1"}, [("x", "is not a parameter that the contract knows")]),
    ],
    ids=["nothing", "permanent only", "empty", "all", "trashed", "unknown"],
)
def test_nothing_is_cleared_by_a_mistake(
    service: Service, home: Home, query: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    task = home.create(completed=True)
    assert violations(service, clear(home, **query)) == expected
    assert listed(home) == [task]


@pytest.mark.parametrize("completed", [True, False], ids=["completed", "reopened"])
def test_all_tasks_are_completed_or_reopened_at_once(home: Home, bob: Owner, *, completed: bool) -> None:
    tasks, others = crowd(home), both_homes(*bob)[0]
    theirs = [others.create(completed=each) for each in (True, False)]
    changed, same = tasks["pending"], tasks["completed"]
    if not completed:
        changed, same = same, changed
    tags = {task["id"]: home.client.get(home.path(task)).headers["etag"] for task in changed + same}
    answer = complete(home, completed=completed)
    assert (answer.status_code, answer.json()) == (200, {"count": len(changed)})
    for task in changed:
        now = home.fetch(task)
        assert now == {**task, "completed": completed, "updated_at": now["updated_at"]}
        assert moment(now) > moment(task)
        assert home.client.get(home.path(task)).headers["etag"] != tags[task["id"]]
    for task in same:
        assert home.fetch(task) == task
        assert home.client.get(home.path(task)).headers["etag"] == tags[task["id"]]
    assert listed(home, status="trashed") == tasks["trashed"]
    assert counts(home) == ((5, 5, 0) if completed else (5, 0, 5))
    assert complete(home, completed=completed).json() == {"count": 0}
    assert listed(others) == theirs


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("/completed", "is required")),
        ({"completed": None}, ("/completed", "must be a boolean")),
        ({"completed": "true"}, ("/completed", "must be a boolean")),
        ({"completed": True, "title": "x"}, ("/title", "is not a member that the contract knows")),
    ],
    ids=["empty", "null", "a string", "another member"],
)
def test_what_to_make_of_all_tasks_must_be_said(
    service: Service, home: Home, body: Json, expected: tuple[str, str]
) -> None:
    task = home.create()
    assert violations(service, home.client.patch(home.tasks, json=body)) == [expected]
    assert listed(home) == [task]


def toggling_of(home: Home, task: Json) -> Call:
    return lambda client: client.patch(f"{home.path(task)}/toggle")


def restoring_of(home: Home, task: Json) -> Call:
    return lambda client: client.post(f"{home.path(task)}/restore")


def test_completing_all_among_toggles_misses_none_and_counts_what_it_changed(service: Service, ada: Owner) -> None:
    home = both_homes(*ada)[1]
    tasks = [home.create(title=str(number)) for number in range(12)]

    def set_all(completed: bool) -> Call:  # noqa: FBT001
        return lambda client: client.patch(home.tasks, json={"completed": completed})

    for number in range(6):
        before = Counter(task["completed"] for task in listed(home))
        calls = [toggling_of(home, task) for task in tasks] + [set_all(number % 2 == 0)] * 3
        answers = at_once(service, [(token(home.subject), call) for call in calls])
        assert [answer.status_code for answer in answers] == [200] * len(calls)
        flips = sum(1 if answer.json()["completed"] else -1 for answer in answers[:12])
        set_by = sum(answer.json()["count"] for answer in answers[12:]) * (1 if number % 2 == 0 else -1)
        assert before[True] + flips + set_by == Counter(task["completed"] for task in listed(home))[True]


def test_clearing_among_restores_and_toggles_never_fails_and_loses_nothing(service: Service, ada: Owner) -> None:
    home = both_homes(*ada)[1]
    tasks = [home.create(title=str(number), completed=True) for number in range(10)]
    others = [make(home, task) for make in (restoring_of, toggling_of) for task in tasks]
    clearing: Call = lambda client: client.delete(home.tasks, params={"status": "completed"})  # noqa: E731
    for _ in range(4):
        answers = at_once(service, [(token(home.subject), call) for call in [*others, clearing, clearing]])
        assert {answer.status_code for answer in answers} <= {200, 404}
        found = listed(home) + listed(home, status="trashed")
        assert sorted(task["id"] for task in found) == sorted(task["id"] for task in tasks)


def fill(connection: Connection, subject: str, count: int, *, trashed_days: int | None = None) -> None:
    connection.execute("INSERT INTO users (id) VALUES (%s) ON CONFLICT DO NOTHING", [subject])
    connection.execute(
        """
        INSERT INTO tasks (user_id, id, title, title_key, deleted_at)
        SELECT %s, gen_random_uuid(), 'title ' || n, '\\x01', now() - make_interval(days => %s)
        FROM generate_series(1, %s) n
        """,
        [subject, trashed_days, count],
    )


def test_twenty_thousand_tasks_are_completed_cleared_and_removed_within_the_time_limit(
    ada: Owner, connection: Connection
) -> None:
    home = both_homes(*ada)[1]
    fill(connection, home.subject, MANY)
    assert complete(home).json() == {"count": MANY}
    assert counts(home) == (MANY, MANY, 0)
    assert clear(home, status="completed").json() == {"count": MANY}
    assert counts(home) == (0, 0, 0)
    assert home.client.delete(f"/api/{home.subject}").status_code == 204
    assert connection.execute("SELECT count(*) FROM tasks WHERE user_id = %s", [home.subject]).fetchone() == (0,)


def deadlocks(connection: Connection) -> int:
    row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def test_changes_of_all_tasks_at_once_wait_for_each_other_and_not_in_a_circle(
    service: Service, ada: Owner, connection: Connection
) -> None:
    home = both_homes(*ada)[1]
    calls: list[Call] = [
        lambda client: client.patch(home.tasks, json={"completed": True}),
        lambda client: client.patch(home.tasks, json={"completed": False}),
        lambda client: client.delete(home.tasks, params={"status": "completed"}),
        lambda client: client.delete(f"/api/{home.subject}"),
    ]
    before = deadlocks(connection)
    for _ in range(6):
        fill(connection, home.subject, 2000)
        # Rows lie in an order that no index has.
        for _ in range(2):
            connection.execute(
                "UPDATE tasks SET completed = NOT completed WHERE user_id = %s AND random() < 0.5", [home.subject]
            )
        answers = at_once(service, [(token(home.subject), call) for call in calls * 3])
        assert {answer.status_code for answer in answers} <= {200, 204}
    assert deadlocks(connection) == before


# Without a trash


def test_without_retention_there_is_no_trash(database_url: str, tmp_path: Path) -> None:
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path, DATABASE_URL=url, TRASH_RETENTION_DAYS="0") as service,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        home = both_homes("ada", service.as_user("ada"))[1]
        task, done, kept = home.create(), home.create(completed=True), home.create()
        delete(home, task)
        assert clear(home, status="completed").json() == {"count": 1}
        for gone in (task, done):
            problem(service, restore(home, gone), "task-not-found")
        assert (listed(home), listed(home, status="trashed")) == ([kept], [])
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)


# The purge


@pytest.fixture
def fresh(database_url: str, tmp_path: Path) -> Iterator[tuple[str, Connection, Path]]:
    """A database of the test's own with the tables in it."""
    with fresh_database(database_url) as url, psycopg.connect(url, autocommit=True) as connection:
        migrations.upgrade(url)
        yield url, connection, tmp_path


def purge_by_hand(url: str, directory: Path, **settings: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": url, **settings}
    done = subprocess.run(
        [sys.executable, "-m", "server", "purge"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def keep_key(connection: Connection, subject: str, age: str) -> None:
    connection.execute(
        "INSERT INTO idempotency_keys VALUES (%s, %s, sha256('x'), gen_random_uuid(), now() - %s::interval)",
        [subject, uuid.uuid4().hex, age],
    )


def remaining(connection: Connection) -> tuple[int, int, int]:
    """How many tasks are in lists and in the trash, and how many keys there are."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(deleted_at), "
        "(SELECT count(*) FROM idempotency_keys) FROM tasks"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def test_the_purge_removes_what_is_too_old_and_nothing_else(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, directory = fresh
    for subject in ("ada", "bob"):
        fill(connection, subject, 3)
        fill(connection, subject, 4, trashed_days=29)
        fill(connection, subject, 5, trashed_days=30)
        keep_key(connection, subject, "23 hours 59 minutes")
        keep_key(connection, subject, "24 hours")
    assert "Removed 10 tasks and 2 idempotency keys." in purge_by_hand(url, directory)
    assert remaining(connection) == (6, 8, 2)
    assert "Removed 0 tasks and 0 idempotency keys." in purge_by_hand(url, directory)
    assert "Removed 8 tasks" in purge_by_hand(url, directory, TRASH_RETENTION_DAYS="29")
    assert remaining(connection) == (6, 0, 2)


def test_a_purge_without_retention_empties_the_trash(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, directory = fresh
    fill(connection, "ada", 2)
    fill(connection, "ada", 2, trashed_days=0)
    assert "Removed 2 tasks" in purge_by_hand(url, directory, TRASH_RETENTION_DAYS="0")
    assert remaining(connection) == (2, 0, 0)


async def purges(url: str, count: int) -> list[Purged]:
    """As many of the service's processes as may run, each with connections of its own."""
    databases = [Database(size=1) for _ in range(count)]
    for database in databases:
        await database.open(url)
    try:
        return await asyncio.gather(*(purge(database, retention_days=30) for database in databases))
    finally:
        for database in databases:
            await database.close()


def test_purges_at_once_share_the_work(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, _ = fresh
    fill(connection, "ada", 10)
    for subject in ("ada", "bob", "cleo"):
        fill(connection, subject, 3500, trashed_days=31)
    for _ in range(50):
        keep_key(connection, "bob", "2 days")
    before = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    done = asyncio.run(purges(url, 6))
    assert (sum(each.tasks for each in done), sum(each.keys for each in done)) == (10_500, 50)
    # Nobody waited for another to do it all.
    assert sum(each.tasks > 0 for each in done) > 1
    assert remaining(connection) == (10, 0, 0)
    assert (
        before
        == connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    )


def test_a_purge_passes_by_what_is_held_by_somebody_else(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, _ = fresh
    fill(connection, "ada", 5, trashed_days=31)
    with psycopg.connect(url) as other:
        row = other.execute("SELECT id FROM tasks LIMIT 1 FOR UPDATE").fetchone()
        assert asyncio.run(purges(url, 1)) == [Purged(4, 0)]
        # It is restored while the purge is at work.
        assert row is not None
        other.execute("UPDATE tasks SET deleted_at = NULL WHERE id = %s", row)
    assert asyncio.run(purges(url, 1)) == [Purged(0, 0)]
    assert remaining(connection) == (1, 0, 0)


def test_a_task_that_is_restored_while_it_is_purged_is_wholly_there_or_wholly_gone(
    service: Service, database_url: str, connection: Connection, ada: Owner
) -> None:
    home = both_homes(*ada)[1]
    won: Counter[int] = Counter()
    for _ in range(5):
        tasks = [home.create(title=str(number)) for number in range(8)]
        for task in tasks:
            delete(home, task)
        connection.execute(
            "UPDATE tasks SET deleted_at = now() - interval '31 days' WHERE user_id = %s", [home.subject]
        )
        restoring = [restoring_of(home, task) for task in tasks]
        with ThreadPoolExecutor(1) as pool:
            purging = pool.submit(asyncio.run, purges(database_url, 2))
            answers = at_once(service, [(token(home.subject), call) for call in restoring])
            purging.result(30)
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {200, 404}
        won.update(statuses)
        for task, status in zip(tasks, statuses, strict=True):
            assert home.client.get(home.path(task)).status_code == status
        assert listed(home, status="trashed") == []
        for task in listed(home):
            delete(home, task, permanent="true")
    assert won.total() == 40


# The end of a user


def kept_of(connection: Connection, subject: str) -> Counter[str]:
    """How many rows there are of the user, by table."""
    found: Counter[str] = Counter()
    for table in metadata.sorted_tables:
        column = "id" if table.name == "users" else "user_id"
        asked = SQL("SELECT count(*) FROM {} WHERE {} = %s").format(Identifier(table.name), Identifier(column))
        row = connection.execute(asked, [subject]).fetchone()
        assert row is not None
        found[table.name] = row[0]
    return found


def fill_every_table(home: Home) -> None:
    crowd(home)
    home.client.post(home.tasks, json={"title": "t"}, headers={"Idempotency-Key": "k"}).raise_for_status()


def test_nothing_is_kept_of_a_user_who_is_deleted(ada: Owner, bob: Owner, connection: Connection) -> None:
    home, others = both_homes(*ada)[0], both_homes(*bob)[0]
    for each in (home, others):
        fill_every_table(each)
    assert set(kept_of(connection, home.subject).values()) != {0}
    assert all(kept_of(connection, home.subject).values()), "a table that the test does not fill"
    theirs = (kept_of(connection, others.subject), listed(others), listed(others, status="trashed"))
    for _ in range(2):
        answer = home.client.delete(f"/api/{home.subject}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert not +kept_of(connection, home.subject)
    assert theirs == (kept_of(connection, others.subject), listed(others), listed(others, status="trashed"))
    # Looking at one's tasks makes no row; the next profile is a new one.
    assert [listed(home, status=status) for status in STATUSES] == [[]] * 4
    assert not +kept_of(connection, home.subject)
    assert counts(home) == (0, 0, 0)


def test_a_user_whom_nobody_has_seen_can_be_deleted(ada: Owner) -> None:
    assert ada[1].delete(f"/api/{ada[0]}").status_code == 204


def test_nobody_deletes_another_user(service: Service, ada: Owner, bob: Owner, connection: Connection) -> None:
    fill_every_table(both_homes(*bob)[0])
    before = kept_of(connection, bob[0])
    problem(service, ada[1].delete(f"/api/{bob[0]}"), "forbidden")
    problem(service, service.client().delete(f"/api/{bob[0]}"), "unauthenticated")
    assert kept_of(connection, bob[0]) == before


def test_a_user_is_deleted_among_all_that_they_do_without_a_failure(
    service: Service, ada: Owner, connection: Connection
) -> None:
    home = both_homes(*ada)[1]
    line = b'{"title": "imported"}\n'
    ndjson = {"content-type": "application/x-ndjson"}
    calls: list[Call] = [
        lambda client: client.post(home.tasks, json={"title": "t"}),
        lambda client: client.post(home.tasks, json={"title": "t"}, headers={"Idempotency-Key": uuid.uuid4().hex}),
        lambda client: client.post(f"{home.tasks}/import", content=line, headers=ndjson),
        lambda client: client.get(f"/api/{home.subject}"),
        lambda client: client.patch(home.tasks, json={"completed": True}),
        lambda client: client.delete(home.tasks, params={"status": "completed"}),
        lambda client: client.delete(f"/api/{home.subject}"),
    ]
    for _ in range(6):
        answers = at_once(service, [(token(home.subject), call) for call in calls * 4])
        assert {answer.status_code for answer in answers} <= {200, 201, 204}
    assert home.client.delete(f"/api/{home.subject}").status_code == 204
    assert not +kept_of(connection, home.subject)
