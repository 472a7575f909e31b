"""Simultaneous requests: each of them takes effect, and none corrupts another."""

from collections import Counter
from collections.abc import Callable, Sequence

import httpx2
import psycopg
import pytest

from tests.support.api import updated_at
from tests.support.concurrency import at_once, creation
from tests.support.service import Service, token
from tests.support.types import Call, Json


def bodies(answers: Sequence[httpx2.Response], status: int) -> list[Json]:
    assert [answer.status_code for answer in answers] == [status] * len(answers)
    return [answer.json() for answer in answers]


def get(path: str) -> Call:
    return lambda client: client.get(path)


def put(path: str, change: Json) -> Call:
    return lambda client: client.put(path, json=change)


def patch(path: str) -> Call:
    return lambda client: client.patch(path)


def delete(path: str) -> Call:
    return lambda client: client.delete(path)


def rows(database_url: str, subject: str) -> list[tuple[str, str | None, str | None]]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT id, email, name FROM users WHERE id = %s", [subject])
        return [(row[0], row[1], row[2]) for row in found]


@pytest.fixture
def subject(new_user: Callable[[str], str]) -> str:
    """A user unknown to the service."""
    return new_user("ada")


@pytest.fixture
def ada(service: Service, subject: str) -> httpx2.Client:
    """A client of the user `subject`."""
    return service.as_user(subject)


@pytest.fixture
def task(ada: httpx2.Client) -> Json:
    """A pending task of the user `subject`."""
    created: Json = creation("Buy milk")(ada).json()
    return created


@pytest.mark.parametrize("count", [40, 41], ids=["even", "odd"])
def test_parallel_toggles_flip_exactly_as_often_as_they_are_made(
    service: Service, subject: str, ada: httpx2.Client, task: Json, count: int
) -> None:
    paths = [f"/api/tasks/{task['id']}/toggle", f"/api/{subject}/tasks/{task['id']}/complete"]
    calls = [(token(subject), patch(paths[number % 2])) for number in range(count)]
    states = sorted(bodies(at_once(service, calls), 200), key=updated_at)
    # In the order in which they happened, each found the opposite of the state that the one before it left.
    assert [state["completed"] for state in states] == [number % 2 == 0 for number in range(count)]
    assert len({state["updated_at"] for state in states}) == count
    assert ada.get(f"/api/tasks/{task['id']}").json() == {**states[-1], "completed": count == 41}


def test_parallel_first_requests_of_a_user_all_succeed(
    service: Service, database_url: str, subject: str, ada: httpx2.Client
) -> None:
    titles = {f"task {number}" for number in range(20)}
    tasks = bodies(at_once(service, [(token(subject), creation(title)) for title in titles]), 201)
    assert {task["title"] for task in tasks} == titles
    assert len({task["id"] for task in tasks}) == 20
    listed = ada.get("/api/tasks").json()
    assert sorted(listed, key=lambda task: str(task["id"])) == sorted(tasks, key=lambda task: str(task["id"]))
    assert rows(database_url, subject) == [(subject, None, None)]


def test_parallel_first_reads_of_a_profile_all_tell_of_one_user(
    service: Service, database_url: str, subject: str
) -> None:
    text = token(subject, email="ada@example.com", name="Ada")
    first, *others = bodies(at_once(service, [(text, get(f"/api/{subject}"))] * 20), 200)
    assert first == {
        "id": subject,
        "email": "ada@example.com",
        "name": "Ada",
        "created_at": first["created_at"],
        "updated_at": first["created_at"],
        "tasks": {"total": 0, "completed": 0, "pending": 0},
    }
    assert others == [first] * 19
    assert rows(database_url, subject) == [(subject, "ada@example.com", "Ada")]


def test_concurrent_claims_leave_those_of_one_token(
    service: Service, database_url: str, subject: str, ada: httpx2.Client
) -> None:
    claims = [(f"ada{number}@example.com", f"Ada {number}") for number in range(20)]
    calls = [(token(subject, email=email, name=name), creation(name)) for email, name in claims]
    for _ in range(2):
        tasks = bodies(at_once(service, calls), 201)
        assert {task["title"] for task in tasks} == {name for _, name in claims}
    ((found, *kept),) = rows(database_url, subject)
    assert found == subject
    assert tuple(kept) in claims
    assert ada.get(f"/api/{subject}").json()["tasks"] == {"total": 40, "completed": 0, "pending": 40}


def test_concurrent_partial_claims_are_all_kept(service: Service, database_url: str, subject: str) -> None:
    texts = [token(subject, email="ada@example.com"), token(subject, name="Ada"), token(subject)]
    bodies(at_once(service, [(texts[number % 3], creation()) for number in range(21)]), 201)
    assert rows(database_url, subject) == [(subject, "ada@example.com", "Ada")]


def test_parallel_updates_of_different_members_all_survive(
    service: Service, subject: str, ada: httpx2.Client, task: Json
) -> None:
    path = f"/api/tasks/{task['id']}"
    changes: list[Json] = [{"title": "Buy oat milk"}, {"description": "two cartons"}, {"completed": True}]
    calls = [(token(subject), put(path, change)) for change in changes * 7]
    states = bodies(at_once(service, calls), 200)
    for change, state in zip(changes * 7, states, strict=True):
        assert state == {**state, **change}
    last = ada.get(path).json()
    merged = {name: value for change in changes for name, value in change.items()}
    assert last == {**task, **merged, "updated_at": max(states, key=updated_at)["updated_at"]}
    # The second request with the same value changed nothing.
    assert len({state["updated_at"] for state in states}) == 3


def test_concurrent_updates_of_the_same_members_leave_one_whole(
    service: Service, subject: str, ada: httpx2.Client, task: Json
) -> None:
    path = f"/api/tasks/{task['id']}"
    changes = [{"title": f"title {number}", "description": f"description {number}"} for number in range(20)]
    calls = [(token(subject), put(path, change)) for change in changes]
    states = bodies(at_once(service, calls), 200)
    assert [{"title": state["title"], "description": state["description"]} for state in states] == changes
    assert ada.get(path).json() == max(states, key=updated_at)


def test_of_parallel_deletes_exactly_one_finds_the_task(
    service: Service, subject: str, ada: httpx2.Client, task: Json
) -> None:
    path = f"/api/tasks/{task['id']}"
    answers = at_once(service, [(token(subject), delete(path))] * 20)
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 19}
    missing = ada.get(path).json()
    found = [answer.json() if answer.content else None for answer in answers]
    assert sorted(found, key=bool) == [None, *[missing] * 19]
    assert ada.get("/api/tasks").json() == []


def test_a_delete_among_toggles_and_updates_leaves_nothing(
    service: Service, subject: str, ada: httpx2.Client, task: Json
) -> None:
    path = f"/api/tasks/{task['id']}"
    others = [patch(f"{path}/toggle"), put(path, {"title": "Buy oat milk"}), get(path)]
    answers = at_once(service, [(token(subject), call) for call in [*others * 6, delete(path)]])
    assert answers[-1].status_code == 204
    assert {answer.status_code for answer in answers[:-1]} <= {200, 404}
    assert ada.get(path).status_code == 404
    assert ada.get("/api/tasks").json() == []
    assert ada.get(f"/api/{subject}").json()["tasks"] == {"total": 0, "completed": 0, "pending": 0}
