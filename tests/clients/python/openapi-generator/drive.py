"""A session with the Python client of openapi-generator, which is built on pydantic."""

import os
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from openapi_client import (
    ApiClient,
    ApiException,
    Configuration,
    ImportRecord,
    MyTasksApi,
    ParameterViolation,
    PreconditionFailedProblem,
    TaskCreate,
    TaskFormat,
    TaskNotFoundProblem,
    TaskPatch,
    TasksApi,
    TaskSort,
    TaskUpdate,
    UnauthenticatedProblem,
    ValidationProblem,
)

URL = os.environ["TASKS_URL"]


def client(token: str) -> ApiClient:
    """Return a client of the token's user."""
    return ApiClient(Configuration(host=URL, access_token=token))


def problem(call: Callable[[], object]) -> object:
    """Return the body of the error of a call that must fail."""
    try:
        call()
    except ApiException as error:
        return error.data
    raise AssertionError("the call did not fail")


mine = MyTasksApi(client(os.environ["TASKS_TOKEN"]))

milk = mine.create_my_task(TaskCreate(title="Buy milk"), idempotency_key="first")
assert (milk.title, milk.description, milk.completed) == ("Buy milk", None, False)
mine.create_my_task(TaskCreate(title="Call the dentist", description="At nine"))
TasksApi(mine.api_client).create_task(os.environ["TASKS_USER"], TaskCreate(title="Water the plants"))

first = mine.list_my_tasks_with_http_info(limit=2, sort=TaskSort.TITLE)
assert [task.title for task in first.data] == ["Buy milk", "Call the dentist"]
assert first.headers is not None
address = first.headers["link"].removeprefix("<").partition(">")[0]
[cursor] = parse_qs(urlsplit(address).query)["cursor"]
second = mine.list_my_tasks_with_http_info(limit=2, sort=TaskSort.TITLE, cursor=cursor)
assert [task.title for task in second.data] == ["Water the plants"]
assert second.headers is not None
assert "link" not in second.headers

found = mine.get_my_task_with_http_info(milk.id)
assert found.headers is not None
version = found.headers["etag"]
updated = mine.update_my_task(milk.id, TaskUpdate(title="Buy oat milk"), if_match=version)
assert updated.title == "Buy oat milk"
stale = problem(lambda: mine.update_my_task(milk.id, TaskUpdate(title="Buy soy milk"), if_match=version))
assert isinstance(stale, PreconditionFailedProblem)
assert (stale.status, stale.code) == (412, "precondition-failed")

assert mine.toggle_my_task(milk.id).completed
assert not mine.patch_my_task(milk.id, TaskPatch(completed=False)).completed
mine.delete_my_task(milk.id)
assert isinstance(problem(lambda: mine.get_my_task(milk.id)), TaskNotFoundProblem)
restored = mine.restore_my_task(milk.id)
assert restored.title == "Buy oat milk"
# A task that was read can be sent back whole.
whole = TaskUpdate(**restored.to_dict() | {"title": "Buy rice milk"})
assert mine.update_my_task(milk.id, whole).title == "Buy rice milk"

records = mine.export_my_tasks(format=TaskFormat.JSON)
assert [record.title for record in records] == ["Buy rice milk", "Call the dentist", "Water the plants"]
imported = mine.import_my_tasks([ImportRecord(**record.to_dict()) for record in records])
assert (imported.imported, imported.unchanged) == (0, 3)

unknown = problem(MyTasksApi(client("no-token")).list_my_tasks)
assert isinstance(unknown, UnauthenticatedProblem)
assert (unknown.status, unknown.code) == (401, "unauthenticated")
# The client checks a title itself. The service alone knows that a cursor is that of no page.
refused = problem(lambda: mine.list_my_tasks(cursor="no-page"))
assert isinstance(refused, ValidationProblem)
assert (refused.status, refused.code) == (422, "validation-failed")
[violation] = refused.errors
assert isinstance(violation.actual_instance, ParameterViolation)
assert violation.actual_instance.parameter == "cursor"
