"""The trash, the removal of tasks from it, and operations on all tasks of a user at once."""

import itertools
from pathlib import Path

import psycopg
import pytest

from tests.support.api import SORTS, TasksApi, both_apis, clear, counts, delete, listed, restore, updated_at
from tests.support.raw_http import problem, violations
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service
from tests.support.types import Connection, Json, Owner

# One task


def test_a_deleted_task_is_in_the_trash_and_nowhere_else(service: Service, api: TasksApi) -> None:
    kept, task = api.create(), api.create(title="Mow the lawn", description="both", completed=True)
    delete(api, task)
    (trashed,) = listed(api, status="trashed")
    assert trashed == {**task, "updated_at": trashed["updated_at"]}
    assert updated_at(trashed) > updated_at(task)
    assert listed(api) == listed(api, status="pending") == [kept]
    assert listed(api, status="completed") == []
    assert counts(api) == (1, 0, 1)
    path = api.path(task)
    for answer in (
        api.client.get(path),
        api.client.put(path, json={"title": "x"}),
        api.client.patch(f"{path}/{api.toggle}"),
        api.client.delete(path),
    ):
        problem(service, answer, "task-not-found")
    assert listed(api, status="trashed") == [trashed]


def test_a_restored_task_is_as_it_was_and_changed_last(api: TasksApi) -> None:
    task = api.create(description="two cartons", completed=True)
    delete(api, task)
    (trashed,) = listed(api, status="trashed")
    answer = restore(api, task)
    assert answer.status_code == 200
    restored = answer.json()
    assert restored == {**task, "updated_at": restored["updated_at"]}
    assert updated_at(restored) > updated_at(trashed)
    assert listed(api) == [api.fetch(task)] == [restored]
    assert listed(api, status="trashed") == []
    assert counts(api) == (1, 1, 0)


def test_a_task_can_go_there_and_back_any_number_of_times(api: TasksApi) -> None:
    task = api.create()
    for _ in range(3):
        delete(api, task)
        assert restore(api, task).status_code == 200
        # A client that is told to repeat a restore may do so.
        assert restore(api, task).json() == api.fetch(task)
    assert listed(api, status="trashed") == []


def test_what_is_not_there_cannot_be_restored(service: Service, api: TasksApi, bob: Owner) -> None:
    task = api.create()
    delete(api, task, permanent="true")
    problem(service, restore(api, task), "task-not-found")
    theirs = api.create()
    delete(api, theirs)
    problem(service, restore(both_apis(*bob)[1], theirs), "task-not-found")
    assert [each["id"] for each in listed(api, status="trashed")] == [theirs["id"]]


def test_a_permanently_deleted_task_is_gone_from_the_trash_too(
    service: Service, api: TasksApi, connection: Connection
) -> None:
    live, trashed, kept = api.create(), api.create(), api.create()
    delete(api, trashed)
    delete(api, live, permanent="true")
    delete(api, trashed, permanent="true")
    for task in (live, trashed):
        answer = api.client.delete(api.path(task), params={"permanent": "true"})
        problem(service, answer, "task-not-found")
        problem(service, restore(api, task), "task-not-found")
    assert (listed(api), listed(api, status="trashed")) == ([kept], [])
    rows = connection.execute("SELECT id FROM tasks WHERE user_id = %s", [api.subject]).fetchall()
    assert [str(row[0]) for row in rows] == [kept["id"]]


def test_permanent_is_a_boolean_and_false_by_default(service: Service, api: TasksApi) -> None:
    task = api.create()
    for value in ("True", "1", "yes", "", "TRUE"):
        answer = api.client.delete(api.path(task), params={"permanent": value})
        assert violations(service, answer) == [("permanent", "must be a boolean")]
    assert listed(api) == [task]
    delete(api, task, permanent="false")
    assert [each["id"] for each in listed(api, status="trashed")] == [task["id"]]


def test_nobody_deletes_somebody_elses_task_for_good(service: Service, api: TasksApi, bob: Owner) -> None:
    live, trashed = api.create(), api.create()
    delete(api, trashed)
    others = both_apis(*bob)[1]
    for task in (live, trashed):
        answer = others.client.delete(others.path(task), params={"permanent": "true"})
        problem(service, answer, "task-not-found")
    assert len(listed(api) + listed(api, status="trashed")) == 2


@pytest.mark.parametrize("sort", SORTS)
def test_the_trash_is_listed_in_every_order_and_page_by_page(ada: Owner, sort: str) -> None:
    api = both_apis(*ada)[1]
    tasks = [api.create(title=title, completed=title in "bd") for title in ("d", "B", "a", "E", "c", "B", "x", "y")]
    for index in (3, 0, 5, 1, 2, 4):
        delete(api, tasks[index])
    there = listed(api, status="trashed", sort="created")
    assert [task["id"] for task in there] == [task["id"] for task in tasks[:6]]

    def place(task: Json) -> tuple[str, str]:
        by = sort.removeprefix("-")
        return (task["title"].lower() if by == "title" else task[f"{by}_at"], task["id"])

    expected = sorted(there, key=place, reverse=sort.startswith("-"))
    for limit in (1, 2, 4, 6, 1000):
        found = []
        path: str | None = f"{api.tasks}?status=trashed&sort={sort}&limit={limit}"
        for _ in range(10):
            answer = api.client.get(path or "")
            found += answer.json()
            path = answer.links.get("next", {}).get("url")
            if path is None:
                break
        assert found == expected


def test_pages_of_the_trash_neither_skip_nor_repeat(ada: Owner) -> None:
    """While tasks are restored, removed for good and deleted."""
    api = both_apis(*ada)[1]
    tasks = [api.create(title=str(number)) for number in range(9)]
    for task in tasks:
        delete(api, task)
    answer = api.client.get(api.tasks, params={"status": "trashed", "limit": "3"})
    seen = [answer.json()]
    restore(api, tasks[0]).raise_for_status()
    delete(api, tasks[2], permanent="true")
    delete(api, api.create(title="new"))
    while "next" in answer.links:
        answer = api.client.get(answer.links["next"]["url"])
        seen.append(answer.json())
    titles = [task["title"] for task in itertools.chain(*seen)]
    assert titles == [*map(str, range(9)), "new"]


# Without a trash


@pytest.mark.slow
def test_without_retention_there_is_no_trash(database_url: str, tmp_path: Path) -> None:
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path, DATABASE_URL=url, TRASH_RETENTION_DAYS="0") as service,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        api = both_apis("ada", service.as_user("ada"))[1]
        task, done, kept = api.create(), api.create(completed=True), api.create()
        delete(api, task)
        assert clear(api, status="completed").json() == {"count": 1}
        for gone in (task, done):
            problem(service, restore(api, gone), "task-not-found")
        assert (listed(api), listed(api, status="trashed")) == ([kept], [])
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)
