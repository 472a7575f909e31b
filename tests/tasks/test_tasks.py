"""Tasks under both of their addresses, the profile of their owner, and the principal that a token gives."""

import itertools
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.support.api import TasksApi, both_apis, updated_at
from tests.support.problems import task_not_found
from tests.support.types import Json, Owner

# Create


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        pytest.param({"title": "t"}, {"title": "t", "description": None, "completed": False}, id="title-only"),
        pytest.param(
            {"title": "t", "description": None},
            {"title": "t", "description": None, "completed": False},
            id="null-description",
        ),
        pytest.param(
            {"title": "t", "description": ""},
            {"title": "t", "description": "", "completed": False},
            id="empty-description",
        ),
        pytest.param(
            {"title": "t", "completed": False},
            {"title": "t", "description": None, "completed": False},
            id="pending",
        ),
        pytest.param(
            {"title": "t", "description": "d", "completed": True},
            {"title": "t", "description": "d", "completed": True},
            id="everything",
        ),
    ],
)
def test_a_created_task_is_found_at_its_location(api: TasksApi, body: Json, kept: Json) -> None:
    before = datetime.now(UTC)
    answer = api.client.post(api.tasks, json=body)
    after = datetime.now(UTC)
    task = api.read(answer)
    assert answer.status_code == 201
    assert task == {
        "id": task["id"],
        "user_id": api.subject,
        **kept,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
    }
    assert before <= datetime.fromisoformat(task["created_at"]) <= after
    assert answer.headers["location"] == f"{api.tasks}/{task['id']}"
    found = api.client.get(answer.headers["location"])
    assert (found.status_code, found.json()) == (200, task)


def test_a_task_is_the_same_under_both_addresses(ada: Owner) -> None:
    by_user_id, by_token = both_apis(*ada)
    first, second = by_user_id.create(title="first"), by_token.create(title="second")
    assert [by_token.fetch(first), by_user_id.fetch(second)] == [first, second]
    assert by_user_id.list() == by_token.list() == [first, second]


def test_ids_are_uuids_of_version_7_in_growing_order(api: TasksApi) -> None:
    start = int(datetime.now(UTC).timestamp() * 1000)
    ids = [UUID(api.create()["id"]) for _ in range(20)]
    end = int(datetime.now(UTC).timestamp() * 1000)
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(set(ids))
    assert all(start <= int.from_bytes(each.bytes[:6]) <= end for each in ids)


def test_two_tasks_with_the_same_members_are_two_tasks(api: TasksApi) -> None:
    first, second = api.create(), api.create()
    assert first["id"] != second["id"]
    assert api.list() == [first, second]


# Update

CHANGES: Json = {"title": "Buy oat milk", "description": "two cartons", "completed": True}
SUBSETS = [
    pytest.param(names, id="+".join(names)) for count in (1, 2, 3) for names in itertools.combinations(CHANGES, count)
]


@pytest.mark.parametrize("names", SUBSETS)
def test_an_update_sets_the_given_members_only(api: TasksApi, names: tuple[str, ...]) -> None:
    task = api.create(description="one carton")
    changes = {name: CHANGES[name] for name in names}
    answer = api.client.put(api.path(task), json=changes)
    changed = api.read(answer)
    assert answer.status_code == 200
    assert changed == {**task, **changes, "updated_at": changed["updated_at"]}
    assert updated_at(changed) > updated_at(task)
    assert api.fetch(task) == changed


@pytest.mark.parametrize("names", SUBSETS)
def test_an_update_that_changes_nothing_leaves_updated_at(api: TasksApi, names: tuple[str, ...]) -> None:
    task = api.create(description="one carton")
    answer = api.client.put(api.path(task), json={name: task[name] for name in names})
    assert (answer.status_code, answer.json()) == (200, task)
    assert api.fetch(task) == task


def test_one_changed_member_is_enough_to_move_updated_at(api: TasksApi) -> None:
    task = api.create(description="one carton")
    changes = {"title": task["title"], "description": task["description"], "completed": True}
    changed = api.client.put(api.path(task), json=changes).json()
    assert changed == {**task, "completed": True, "updated_at": changed["updated_at"]}
    assert updated_at(changed) > updated_at(task)


def test_null_clears_a_description_once(api: TasksApi) -> None:
    task = api.create(description="one carton")
    cleared = api.client.put(api.path(task), json={"description": None}).json()
    assert cleared == {**task, "description": None, "updated_at": cleared["updated_at"]}
    assert updated_at(cleared) > updated_at(task)
    assert api.client.put(api.path(task), json={"description": None}).json() == cleared


def test_an_empty_description_is_not_the_same_as_none(api: TasksApi) -> None:
    task = api.create()
    emptied = api.client.put(api.path(task), json={"description": ""}).json()
    assert emptied == {**task, "description": "", "updated_at": emptied["updated_at"]}
    assert updated_at(emptied) > updated_at(task)


def test_a_change_of_case_alone_is_a_change(api: TasksApi) -> None:
    task = api.create(title="buy milk")
    changed = api.client.put(api.path(task), json={"title": "BUY MILK"}).json()
    assert changed == {**task, "title": "BUY MILK", "updated_at": changed["updated_at"]}
    assert updated_at(changed) > updated_at(task)


# Toggle and delete


def test_a_toggle_flips_completed_and_nothing_else(api: TasksApi) -> None:
    task = api.create(description="one carton")
    path = f"{api.path(task)}/{api.toggle}"
    first, second = api.client.patch(path), api.client.patch(path)
    done, reopened = api.read(first), api.read(second)
    assert [first.status_code, second.status_code] == [200, 200]
    assert done == {**task, "completed": True, "updated_at": done["updated_at"]}
    assert reopened == {**task, "completed": False, "updated_at": reopened["updated_at"]}
    assert updated_at(task) < updated_at(done) < updated_at(reopened)
    assert api.fetch(task) == reopened


def test_a_deleted_task_is_gone_from_everywhere(api: TasksApi) -> None:
    gone, kept = api.create(title="gone"), api.create(title="kept")
    answer = api.client.delete(api.path(gone))
    assert (answer.status_code, answer.content) == (204, b"")
    for every in both_apis(api.subject, api.client):
        path = every.path(gone)
        for method, address, body in [
            ("GET", path, None),
            ("PUT", path, {"title": "back"}),
            ("PATCH", f"{path}/{every.toggle}", None),
            ("DELETE", path, None),
        ]:
            again = api.client.request(method, address, json=body)
            assert (again.status_code, again.json()) == (404, task_not_found(address))
        assert every.list() == [kept]
    assert api.client.get(f"/api/{api.subject}").json()["tasks"] == {"total": 1, "completed": 0, "pending": 1}
