"""The operation that inverts `completed`, at each of its addresses."""

import pytest

from tests.support.api import ANY_ID, TasksApi, tag
from tests.support.document import DOCUMENT


@pytest.mark.parametrize("name", ["toggle", "complete"])
def test_both_names_work_under_both_families(api: TasksApi, name: str) -> None:
    """Both invert, change the version, take `If-Match` and find no task that does not exist."""
    task = api.create()
    path = f"{api.path(task)}/{name}"
    first = tag(api, task)
    done = api.client.patch(path, headers={"If-Match": first})
    assert (done.status_code, done.json()["completed"]) == (200, True)
    assert done.headers["etag"] == tag(api, task) != first
    assert api.client.patch(path, headers={"If-Match": first}).status_code == 412
    reopened = api.read(api.client.patch(path))
    assert reopened == {**task, "updated_at": reopened["updated_at"]}
    assert api.client.patch(f"{api.tasks}/{ANY_ID}/{name}").status_code == 404
    assert api.client.post(path).headers["allow"] == "OPTIONS, PATCH"


def test_each_address_is_documented_once() -> None:
    names = {
        path: sorted(item.keys() - {"parameters"})
        for path, item in DOCUMENT["paths"].items()
        if path.endswith(("/toggle", "/complete"))
    }
    assert names == {
        f"/api/{family}/{{task_id}}/{name}": ["patch"]
        for family in ("tasks", "{user_id}/tasks")
        for name in ("toggle", "complete")
    }
