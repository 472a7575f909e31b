"""The version of a task, which the document defines by a member of the task."""

from datetime import UTC, datetime, timedelta

from tests.support.api import TasksApi, tag
from tests.support.types import Json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def documented_tag(task: Json) -> str:
    """The tag that the document defines for the task: its `updated_at` in microseconds, in hexadecimal digits."""
    updated = datetime.fromisoformat(task["updated_at"])
    return f'"{(updated - EPOCH) // timedelta(microseconds=1):x}"'


def test_a_task_of_a_list_has_the_documented_version(api: TasksApi) -> None:
    """The description of `ETag` defines it, so that a client needs no request of its own for the version."""
    made = api.client.post(api.tasks, json={"title": "Buy milk"})
    api.client.put(api.path(made.json()), json={"completed": True})
    [listed] = api.client.get(api.tasks).json()
    [exported] = api.client.get(f"{api.tasks}/export", params={"format": "json"}).json()
    current = tag(api, made.json())
    assert [made.headers["etag"], current, current] == [*map(documented_tag, (made.json(), listed, exported))]
    assert documented_tag({"updated_at": "2026-11-20T09:15:00.123456Z"}) == '"660b1adb5ef40"'
