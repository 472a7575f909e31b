"""`If-None-Match: *` on a write: the resource must not exist (RFC 9110, section 13.1.2)."""

import httpx2
import pytest

from server.contract.document import operations
from tests.support.api import ANY_ID, TasksApi
from tests.support.document import DOCUMENT
from tests.support.raw_http import problem, violations
from tests.support.service import Service
from tests.support.types import Json

ANY = {"If-None-Match": "*"}
BODIES: dict[str, Json] = {
    "create": {"json": {"title": "new"}},
    "update": {"json": {"title": "new"}},
    "patch": {"json": {"title": "new"}},
    "completeAll": {"json": {"completed": True}},
    "clear": {"params": {"status": "completed"}},
    "import": {"content": b'{"title":"new"}', "headers": {"content-type": "application/x-ndjson"}},
}
WRITES = [
    pytest.param(method.upper(), path, operation["operationId"], id=operation["operationId"])
    for path, method, operation in operations(DOCUMENT)
    if method != "get" and path.startswith("/api/") and operation["operationId"] != "verifyToken"
]


def write(api: TasksApi, method: str, path: str, operation_id: str, task_id: str) -> httpx2.Response:
    options = next((BODIES[name] for name in BODIES if operation_id.startswith(name)), {})
    options = {**options, "headers": {**options.get("headers", {}), **ANY}}
    return api.client.request(method, path.format(user_id=api.subject, task_id=task_id), **options)


@pytest.mark.parametrize(("method", "path", "operation_id"), WRITES)
def test_a_write_to_what_exists_is_a_412(
    service: Service, ada: tuple[str, httpx2.Client], method: str, path: str, operation_id: str
) -> None:
    """Every operation that writes, and nothing changes."""
    api = TasksApi(*ada, "/api/tasks", "toggle")
    task = api.create(completed=True)
    profile = api.client.get("/api/me").json()
    problem(service, write(api, method, path, operation_id, task["id"]), "precondition-failed")
    assert (api.list(), api.client.get("/api/me").json()) == ([task], profile)


@pytest.mark.parametrize(("method", "suffix"), [("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("PATCH", "/toggle")])
def test_a_missing_task_is_still_a_404(service: Service, api: TasksApi, method: str, suffix: str) -> None:
    body = {} if suffix or method == "DELETE" else {"json": {"title": "new"}}
    answer = api.client.request(method, f"{api.tasks}/{ANY_ID}{suffix}", headers=ANY, **body)  # type: ignore[arg-type]
    problem(service, answer, "task-not-found")


def test_an_invalid_request_is_still_a_422(service: Service, api: TasksApi) -> None:
    answer = api.client.post(api.tasks, json={}, headers=ANY)
    assert violations(service, answer) == [("/title", "is required")]


def test_a_version_that_matches_does_not_help(service: Service, api: TasksApi) -> None:
    task = api.create()
    tag = api.client.get(api.path(task)).headers["etag"]
    answer = api.client.put(api.path(task), json={"title": "new"}, headers={**ANY, "If-Match": tag})
    problem(service, answer, "precondition-failed")
    assert api.fetch(task) == task
