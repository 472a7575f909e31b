"""Members that only the service sets, sent back as a client read them."""

from typing import Any

import pytest

from tests.support.api import ANY_ID, TasksApi
from tests.support.document import DOCUMENT
from tests.support.raw_http import violations
from tests.support.service import Service
from tests.support.types import Json

SOMEONE = {"user_id": "someone-else"}
NOT_THE_USER = ("/user_id", "must be the user whom the token names")
NOT_THE_TASK = ("/id", "must be the task_id of the path")
OTHER_SPELLINGS = {"created_at": "2026-11-20T09:15:00+00:00", "updated_at": 1_795_000_000}
"""As clients write moments that they have parsed."""
changes = pytest.mark.parametrize("method", ["PUT", "PATCH"])


def test_a_task_can_be_created_with_the_user_in_the_body(api: TasksApi) -> None:
    task = api.create(title="a", description="b", user_id=api.subject)
    assert (task["user_id"], task["title"], task["description"]) == (api.subject, "a", "b")


def test_a_task_that_was_read_can_be_created_again(api: TasksApi) -> None:
    """It is a copy, with an id and times of its own."""
    task = api.create(title="a", description="b", completed=True)
    copy = api.create(**{**task, **OTHER_SPELLINGS})
    assert copy["id"] != task["id"]
    assert copy["created_at"] > task["created_at"]
    own = {"id", "created_at", "updated_at"}
    assert {name: copy[name] for name in copy.keys() - own} == {name: task[name] for name in task.keys() - own}


def test_a_repeated_create_is_recognised_without_them(api: TasksApi) -> None:
    headers = {"Idempotency-Key": "one"}
    first = api.client.post(api.tasks, json={"title": "a"}, headers=headers)
    again = api.client.post(api.tasks, json={**first.json(), **OTHER_SPELLINGS}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"


@changes
def test_a_whole_task_can_be_read_edited_and_written(api: TasksApi, method: str) -> None:
    task = api.create(description="b")
    for sent in (task, {**task, **OTHER_SPELLINGS}, {**task, "id": task["id"].upper()}):
        answer = api.client.request(method, api.path(task), json={**sent, "title": "edited"})
        assert answer.status_code == 200, answer.text
        edited = api.read(answer)
        assert edited == {**task, "title": "edited", "updated_at": edited["updated_at"]}


@changes
def test_a_path_in_upper_case_is_the_same_task(api: TasksApi, method: str) -> None:
    task = api.create()
    path = f"{api.tasks}/{task['id'].upper()}"
    assert api.client.request(method, path, json={**task, "completed": True}).json()["completed"] is True


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(SOMEONE, [NOT_THE_USER], id="another user"),
        pytest.param({"user_id": None}, [NOT_THE_USER], id="null user"),
        pytest.param({"user_id": 1}, [NOT_THE_USER], id="number"),
        pytest.param({"id": ANY_ID}, [NOT_THE_TASK], id="another task"),
        pytest.param({"id": None}, [NOT_THE_TASK], id="null task"),
        pytest.param({"id": ["x"]}, [NOT_THE_TASK], id="array"),
        pytest.param(
            {"id": "x", **SOMEONE, "completed": 1, "version": 1},
            [("/completed", "must be a boolean"), NOT_THE_TASK, NOT_THE_USER, ("/version", "is not a known member")],
            id="everything at once",
        ),
    ],
)
@changes
def test_another_id_or_user_is_refused(
    service: Service, api: TasksApi, method: str, members: Json, expected: list[tuple[str, str]]
) -> None:
    task = api.create()
    answer = api.client.request(method, api.path(task), json={**task, **members})
    assert violations(service, answer) == expected
    assert api.fetch(task) == task


@pytest.mark.parametrize("user_id", ["someone-else", None, {}], ids=["another user", "null", "object"])
def test_a_create_for_another_user_is_refused(service: Service, api: TasksApi, user_id: Any) -> None:
    answer = api.client.post(api.tasks, json={"title": "a", "user_id": user_id})
    assert violations(service, answer) == [NOT_THE_USER]
    assert api.list() == []


def test_read_only_members_alone_are_no_change_for_put(service: Service, api: TasksApi) -> None:
    task = api.create()
    sent = {name: task[name] for name in ("id", "user_id", "created_at", "updated_at")}
    assert violations(service, api.client.put(api.path(task), json=sent)) == [("", "must have at least 1 member")]


@pytest.mark.parametrize("name", ["TaskCreate", "TaskUpdate", "TaskPatch"])
def test_every_member_of_a_task_can_be_sent_back(name: str) -> None:
    """Those that a request cannot set are `readOnly`, also if the task gets another one."""
    schemas = DOCUMENT["components"]["schemas"]
    sent = schemas[name]["properties"]
    assert sent.keys() == schemas["Task"]["properties"].keys()
    read_only = {
        member
        for member, schema in sent.items()
        if schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("readOnly")
    }
    assert read_only == sent.keys() - {"title", "description", "completed"}
