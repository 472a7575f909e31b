"""Bulk operations: clearing completed tasks, and completing or reopening all."""

from collections import Counter

import pytest

from tests.database.rows import deadlocks, insert_tasks
from tests.support.api import (
    TasksApi,
    both_apis,
    clear,
    complete,
    counts,
    create_in_every_state,
    delete,
    listed,
    restore,
    updated_at,
)
from tests.support.concurrency import at_once
from tests.support.raw_http import problem, violations
from tests.support.service import Service, token
from tests.support.types import Call, Connection, Json, Owner

MANY = 20_000


def test_completed_tasks_are_cleared_into_the_trash(api: TasksApi, bob: Owner) -> None:
    tasks, others = create_in_every_state(api), both_apis(*bob)[0]
    theirs = others.create(completed=True)
    answer = clear(api, status="completed")
    assert (answer.status_code, answer.json()) == (200, {"count": 2})
    assert listed(api) == tasks["pending"]
    trash = {task["id"]: task for task in listed(api, status="trashed")}
    assert set(trash) == {task["id"] for task in tasks["completed"] + tasks["trashed"]}
    for task in tasks["trashed"]:
        assert trash[task["id"]] == task
    for task in tasks["completed"]:
        now = trash[task["id"]]
        assert now == {**task, "updated_at": now["updated_at"]}
        assert updated_at(now) > updated_at(task)
        assert restore(api, task).json()["completed"] is True
    assert counts(api) == (5, 2, 3)
    assert listed(others) == [theirs]
    assert clear(others, status="completed").json() == {"count": 1}


def test_completed_tasks_are_cleared_for_good(service: Service, api: TasksApi) -> None:
    tasks = create_in_every_state(api)
    assert clear(api, status="completed", permanent="true").json() == {"count": 2}
    assert listed(api) == tasks["pending"]
    # Tasks that are in the trash already are not among the completed tasks of a list.
    assert listed(api, status="trashed") == tasks["trashed"]
    for task in tasks["completed"]:
        problem(service, restore(api, task), "task-not-found")
    assert clear(api, status="completed", permanent="true").json() == {"count": 0}


@pytest.mark.parametrize("query", [{}, {"permanent": "false"}, {"permanent": "true"}], ids=str)
def test_the_trash_is_emptied(service: Service, api: TasksApi, bob: Owner, query: dict[str, str]) -> None:
    """Its tasks are deleted permanently, and no other."""
    tasks, others = create_in_every_state(api), both_apis(*bob)[0]
    theirs = others.create()
    delete(others, theirs)
    answer = clear(api, status="trashed", **query)
    assert (answer.status_code, answer.json()) == (200, {"count": 2})
    assert listed(api, status="trashed") == []
    assert listed(api) == tasks["pending"] + tasks["completed"]
    for task in tasks["trashed"]:
        problem(service, restore(api, task), "task-not-found")
    assert clear(api, status="trashed", **query).json() == {"count": 0}
    assert [task["id"] for task in listed(others, status="trashed")] == [theirs["id"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [("status", "is required")]),
        ({"permanent": "true"}, [("status", "is required")]),
        ({"status": ""}, [("status", 'must be one of "completed", "trashed"')]),
        ({"status": "all"}, [("status", 'must be one of "completed", "trashed"')]),
        ({"status": "pending"}, [("status", 'must be one of "completed", "trashed"')]),
        ({"status": "completed", "x": "1"}, [("x", "is not a known parameter")]),
    ],
    ids=["nothing", "permanent only", "empty", "all", "pending", "unknown"],
)
def test_nothing_is_cleared_by_a_mistake(
    service: Service, api: TasksApi, query: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    task = api.create(completed=True)
    assert violations(service, clear(api, **query)) == expected
    assert listed(api) == [task]


@pytest.mark.parametrize("completed", [True, False], ids=["completed", "reopened"])
def test_all_tasks_are_completed_or_reopened_at_once(api: TasksApi, bob: Owner, *, completed: bool) -> None:
    tasks, others = create_in_every_state(api), both_apis(*bob)[0]
    theirs = [others.create(completed=each) for each in (True, False)]
    changed, same = tasks["pending"], tasks["completed"]
    if not completed:
        changed, same = same, changed
    tags = {task["id"]: api.client.get(api.path(task)).headers["etag"] for task in changed + same}
    answer = complete(api, completed=completed)
    assert (answer.status_code, answer.json()) == (200, {"count": len(changed)})
    for task in changed:
        now = api.fetch(task)
        assert now == {**task, "completed": completed, "updated_at": now["updated_at"]}
        assert updated_at(now) > updated_at(task)
        assert api.client.get(api.path(task)).headers["etag"] != tags[task["id"]]
    for task in same:
        assert api.fetch(task) == task
        assert api.client.get(api.path(task)).headers["etag"] == tags[task["id"]]
    assert listed(api, status="trashed") == tasks["trashed"]
    assert counts(api) == ((5, 5, 0) if completed else (5, 0, 5))
    assert complete(api, completed=completed).json() == {"count": 0}
    assert listed(others) == theirs


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("/completed", "is required")),
        ({"completed": None}, ("/completed", "must be a boolean")),
        ({"completed": "true"}, ("/completed", "must be a boolean")),
        ({"completed": True, "title": "x"}, ("/title", "is not a known member")),
    ],
    ids=["empty", "null", "a string", "another member"],
)
def test_what_to_make_of_all_tasks_must_be_said(
    service: Service, api: TasksApi, body: Json, expected: tuple[str, str]
) -> None:
    task = api.create()
    assert violations(service, api.client.patch(api.tasks, json=body)) == [expected]
    assert listed(api) == [task]


def toggling_of(api: TasksApi, task: Json) -> Call:
    return lambda client: client.patch(f"{api.path(task)}/toggle")


def restoring_of(api: TasksApi, task: Json) -> Call:
    return lambda client: client.post(f"{api.path(task)}/restore")


def test_completing_all_among_toggles_counts_what_it_changed(service: Service, ada: Owner) -> None:
    api = both_apis(*ada)[1]
    tasks = [api.create(title=str(number)) for number in range(12)]

    def set_all(completed: bool) -> Call:  # noqa: FBT001
        return lambda client: client.patch(api.tasks, json={"completed": completed})

    for number in range(6):
        before = Counter(task["completed"] for task in listed(api))
        calls = [toggling_of(api, task) for task in tasks] + [set_all(number % 2 == 0)] * 3
        answers = at_once(service, [(token(api.subject), call) for call in calls])
        assert [answer.status_code for answer in answers] == [200] * len(calls)
        flips = sum(1 if answer.json()["completed"] else -1 for answer in answers[:12])
        set_by = sum(answer.json()["count"] for answer in answers[12:]) * (1 if number % 2 == 0 else -1)
        assert before[True] + flips + set_by == Counter(task["completed"] for task in listed(api))[True]


def test_clearing_among_restores_and_toggles_loses_nothing(service: Service, ada: Owner) -> None:
    api = both_apis(*ada)[1]
    tasks = [api.create(title=str(number), completed=True) for number in range(10)]
    others = [make(api, task) for make in (restoring_of, toggling_of) for task in tasks]
    clearing: Call = lambda client: client.delete(api.tasks, params={"status": "completed"})  # noqa: E731
    for _ in range(4):
        answers = at_once(service, [(token(api.subject), call) for call in [*others, clearing, clearing]])
        assert {answer.status_code for answer in answers} <= {200, 404}
        found = listed(api) + listed(api, status="trashed")
        assert sorted(task["id"] for task in found) == sorted(task["id"] for task in tasks)


@pytest.mark.slow
def test_bulk_operations_on_20000_tasks_take_less_than_the_limit(ada: Owner, connection: Connection) -> None:
    """Completing, clearing into the trash, and removing for good."""
    api = both_apis(*ada)[1]
    insert_tasks(connection, api.subject, MANY)
    assert complete(api).json() == {"count": MANY}
    assert counts(api) == (MANY, MANY, 0)
    assert clear(api, status="completed").json() == {"count": MANY}
    assert counts(api) == (0, 0, 0)
    assert api.client.delete(f"/api/{api.subject}").status_code == 204
    assert connection.execute("SELECT count(*) FROM tasks WHERE user_id = %s", [api.subject]).fetchone() == (0,)


@pytest.mark.slow
def test_concurrent_bulk_operations_do_not_deadlock(service: Service, ada: Owner, connection: Connection) -> None:
    api = both_apis(*ada)[1]
    calls: list[Call] = [
        lambda client: client.patch(api.tasks, json={"completed": True}),
        lambda client: client.patch(api.tasks, json={"completed": False}),
        lambda client: client.delete(api.tasks, params={"status": "completed"}),
        lambda client: client.delete(api.tasks, params={"status": "trashed"}),
        lambda client: client.delete(f"/api/{api.subject}"),
    ]
    before = deadlocks(connection)
    for _ in range(6):
        insert_tasks(connection, api.subject, 2000)
        # Rows lie in an order that no index has.
        for _ in range(2):
            connection.execute(
                "UPDATE tasks SET completed = NOT completed WHERE user_id = %s AND random() < 0.5", [api.subject]
            )
        answers = at_once(service, [(token(api.subject), call) for call in calls * 3])
        assert {answer.status_code for answer in answers} <= {200, 204}
    assert deadlocks(connection) == before
