"""A session with the client of openapi-python-client. `mypy --strict` checks it with the generated code."""

import os
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from tasks_api_client import AuthenticatedClient
from tasks_api_client.api.my_tasks import (
    create_my_task,
    delete_my_task,
    export_my_tasks,
    get_my_task,
    import_my_tasks,
    list_my_tasks,
    patch_my_task,
    restore_my_task,
    toggle_my_task,
    update_my_task,
)
from tasks_api_client.api.tasks import create_task
from tasks_api_client.models import (
    BodyViolation,
    ImportRecord,
    ImportResult,
    PreconditionFailedProblem,
    Task,
    TaskCreate,
    TaskNotFoundProblem,
    TaskPatch,
    TaskSort,
    TaskUpdate,
    UnauthenticatedProblem,
    ValidationProblem,
)

URL = os.environ["TASKS_URL"]
client = AuthenticatedClient(base_url=URL, token=os.environ["TASKS_TOKEN"])


def titles(page: object) -> list[str]:
    assert isinstance(page, list)
    return [task.title for task in page if isinstance(task, Task)]


milk = create_my_task.sync(client=client, body=TaskCreate(title="Buy milk"), idempotency_key="first")
assert isinstance(milk, Task)
assert (milk.title, milk.description, milk.completed) == ("Buy milk", None, False)
create_my_task.sync(client=client, body=TaskCreate(title="Call the dentist", description="At nine"))
create_task.sync(os.environ["TASKS_USER"], client=client, body=TaskCreate(title="Water the plants"))

first = list_my_tasks.sync_detailed(client=client, limit=2, sort=TaskSort.TITLE)
assert titles(first.parsed) == ["Buy milk", "Call the dentist"]
address = first.headers["link"].removeprefix("<").partition(">")[0]
[cursor] = parse_qs(urlsplit(address).query)["cursor"]
second = list_my_tasks.sync_detailed(client=client, limit=2, sort=TaskSort.TITLE, cursor=cursor)
assert titles(second.parsed) == ["Water the plants"]
assert "link" not in second.headers

task_id: UUID = milk.id
version = get_my_task.sync_detailed(task_id, client=client).headers["etag"]
updated = update_my_task.sync(task_id, client=client, body=TaskUpdate(title="Buy oat milk"), if_match=version)
assert isinstance(updated, Task)
assert updated.title == "Buy oat milk"
stale = update_my_task.sync(task_id, client=client, body=TaskUpdate(title="Buy soy milk"), if_match=version)
assert isinstance(stale, PreconditionFailedProblem), stale
assert (stale.status, stale.code) == (412, "precondition-failed")

toggled = toggle_my_task.sync(task_id, client=client)
assert isinstance(toggled, Task)
assert toggled.completed
patched = patch_my_task.sync(task_id, client=client, body=TaskPatch(completed=False))
assert isinstance(patched, Task), patched
assert not patched.completed
assert delete_my_task.sync_detailed(task_id, client=client).status_code == 204
assert isinstance(get_my_task.sync(task_id, client=client), TaskNotFoundProblem)
restored = restore_my_task.sync(task_id, client=client)
assert isinstance(restored, Task)
assert restored.title == "Buy oat milk"
# A task that was read can be sent back whole.
whole = TaskUpdate.from_dict(restored.to_dict() | {"title": "Buy rice milk"})
edited = update_my_task.sync(task_id, client=client, body=whole)
assert isinstance(edited, Task), edited
assert edited.title == "Buy rice milk"

records = export_my_tasks.sync(client=client)
assert len(titles(records)) == 3
assert isinstance(records, list)
body = [ImportRecord.from_dict(record.to_dict()) for record in records if isinstance(record, Task)]
imported = import_my_tasks.sync(client=client, body=body)
assert isinstance(imported, ImportResult)
assert (imported.imported, imported.unchanged) == (0, 3)

stranger = AuthenticatedClient(base_url=URL, token="no-token")  # noqa: S106
unknown = list_my_tasks.sync(client=stranger)
assert isinstance(unknown, UnauthenticatedProblem), unknown
assert (unknown.status, unknown.code) == (401, "unauthenticated")
refused = update_my_task.sync(task_id, client=client, body=TaskUpdate(title=""))
assert isinstance(refused, ValidationProblem), refused
assert (refused.status, refused.code) == (422, "validation-failed")
[violation] = refused.errors
assert isinstance(violation, BodyViolation)
assert violation.pointer == "/title"
