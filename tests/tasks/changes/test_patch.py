"""PATCH on one task: a JSON Merge Patch (RFC 7396)."""

from typing import Any

import pytest

from tests.support.api import ANY_ID, TasksApi, tag
from tests.support.concurrency import at_once
from tests.support.raw_http import problem, violations
from tests.support.service import Service, token
from tests.support.types import Call, Json, Owner

MERGE_PATCH = "application/merge-patch+json"
both_types = pytest.mark.parametrize("media_type", [MERGE_PATCH, "application/json"])


def send(path: str, change: Json) -> Call:
    return lambda client: client.patch(path, json=change)


def patch(api: TasksApi, task: Json, change: Any, media_type: str = MERGE_PATCH, **fields: str) -> Any:
    headers = {"content-type": media_type, **fields}
    return api.client.patch(api.path(task), headers=headers, json=change)


@both_types
@pytest.mark.parametrize(
    ("change", "changed"),
    [
        pytest.param({"title": "Buy oat milk"}, {"title": "Buy oat milk"}, id="title"),
        pytest.param({"completed": True}, {"completed": True}, id="completed"),
        pytest.param({"description": "Two"}, {"description": "Two"}, id="description"),
        pytest.param({"description": None}, {"description": None}, id="null removes the description"),
        pytest.param(
            {"title": "a", "description": None, "completed": True},
            {"title": "a", "description": None, "completed": True},
            id="all",
        ),
    ],
)
def test_a_patch_changes_its_members_only(api: TasksApi, media_type: str, change: Json, changed: Json) -> None:
    task = api.create(description="One")
    answer = patch(api, task, change, media_type)
    assert answer.status_code == 200
    patched = api.read(answer)
    assert patched == {**task, **changed, "updated_at": patched["updated_at"]}
    assert patched["updated_at"] > task["updated_at"]
    assert patched == api.fetch(task)
    assert answer.headers["etag"] == tag(api, task)


@pytest.mark.parametrize(
    "change", [{}, {"title": "Buy milk"}, {"created_at": None}], ids=["empty", "same value", "read-only"]
)
def test_a_patch_without_a_change_keeps_the_version(api: TasksApi, change: Json) -> None:
    task = api.create()
    own = tag(api, task)
    for answer in (patch(api, task, change), patch(api, task, change, **{"If-Match": own})):
        assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, task, own)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"title": None}, [("/title", "must be a string")], id="no title"),
        pytest.param({"completed": None}, [("/completed", "must be a boolean")], id="neither completed nor not"),
        pytest.param({"done": True}, [("/done", "is not a known member")], id="unknown member"),
        pytest.param({"done": None}, [("/done", "is not a known member")], id="unknown member removed"),
        pytest.param({"id": None}, [("/id", "must be the task_id of the path")], id="no id"),
        pytest.param({"user_id": None}, [("/user_id", "must be the user whom the token names")], id="no user"),
        pytest.param([{"op": "remove", "path": "/title"}], [("", "must be an object")], id="JSON Patch (RFC 6902)"),
        pytest.param(None, [("", "must be an object")], id="null"),
    ],
)
def test_what_a_patch_cannot_do_is_refused(
    service: Service, api: TasksApi, change: Any, expected: list[tuple[str, str]]
) -> None:
    task = api.create(description="One")
    for media_type in (MERGE_PATCH, "application/json"):
        # A client of httpx sends no body for None.
        content = {"content": b"null"} if change is None else {"json": change}
        answer = api.client.patch(api.path(task), headers={"content-type": media_type}, **content)
        assert violations(service, answer) == expected
    assert api.fetch(task) == task


@pytest.mark.parametrize("change", [{"title": "new"}, {}], ids=["change", "no change"])
def test_if_match_and_404_hold_for_a_patch(service: Service, api: TasksApi, bob: Owner, change: Json) -> None:
    task = api.create()
    answer = patch(api, task, change, **{"If-Match": '"0"'})
    problem(service, answer, "precondition-failed")
    assert api.fetch(task) == task
    assert patch(api, task, change, **{"If-Match": tag(api, task)}).status_code == 200
    problem(service, patch(api, {"id": ANY_ID}, change), "task-not-found")
    problem(service, patch(api, {"id": ANY_ID}, change, **{"If-Match": '"0"'}), "task-not-found")
    theirs = bob[1].patch(f"/api/tasks/{task['id']}", json=change)
    problem(service, theirs, "task-not-found")


def test_parallel_patches_of_different_members_are_all_kept(service: Service, api: TasksApi) -> None:
    """Each is one statement: none writes back what it has read."""
    task = api.create()
    changes: list[Json] = [{"title": "new"}, {"description": "new"}, {"completed": True}]
    answers = at_once(service, [(token(api.subject), send(api.path(task), change)) for change in changes])
    assert [answer.status_code for answer in answers] == [200] * 3
    assert api.fetch(task) | {"updated_at": ""} == {
        **task,
        "title": "new",
        "description": "new",
        "completed": True,
        "updated_at": "",
    }
