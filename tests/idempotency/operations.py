"""The operations that take an `Idempotency-Key` beside create: how to prepare, send and observe each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.idempotency.requests import FIELD
from tests.support.api import TasksApi, clear, complete, create_in_every_state, delete, listed
from tests.support.types import Json

NDJSON = {"content-type": "application/x-ndjson"}
RECORDS = b'{"title":"One"}\n{"title":"Two"}\n'
State = tuple[list[Json], list[Json]]
"""The tasks in the lists, and those in the trash."""


@dataclass(frozen=True)
class KeyedOperation:
    """An operation on the tasks that `create_in_every_state` makes."""

    name: str
    method: str
    path: str
    """Below the path of the tasks; `{}` is the id of the first task in the trash."""
    arguments: Mapping[str, Any]
    """What httpx2 takes beside method and path."""
    result: Mapping[str, Any]
    """Members of the answer."""
    undo: Callable[[TasksApi, str], object]
    """Change the tasks so that a second effect of the operation would show."""

    def build(self, api: TasksApi, task_id: str, key: str | None) -> httpx2.Request:
        headers = {**self.arguments.get("headers", {}), **({} if key is None else {FIELD: key})}
        path = api.tasks + self.path.format(task_id)
        return api.client.build_request(self.method, path, **{**self.arguments, "headers": headers})

    def send(
        self, api: TasksApi, task_id: str, key: str | None, client: httpx2.Client | None = None
    ) -> httpx2.Response:
        return (client or api.client).send(self.build(api, task_id, key))


def _trash_again(api: TasksApi, task_id: str) -> None:
    delete(api, {"id": task_id})


def _create_completed(api: TasksApi, _task_id: str) -> None:
    api.create(title="completed afterwards", completed=True)


def _create_trashed(api: TasksApi, _task_id: str) -> None:
    delete(api, api.create(title="trashed afterwards"))


KEYED = [
    KeyedOperation(
        "import",
        "POST",
        "/import",
        {"content": RECORDS, "headers": NDJSON},
        {"imported": 2, "unchanged": 0},
        lambda api, _: clear(api, status="completed"),
    ),
    KeyedOperation("restore", "POST", "/{}/restore", {}, {"title": "trashed"}, _trash_again),
    KeyedOperation(
        "complete",
        "PATCH",
        "",
        {"json": {"completed": True}},
        {"count": 3},
        lambda api, _: complete(api, completed=False),
    ),
    KeyedOperation(
        "reopen",
        "PATCH",
        "",
        {"json": {"completed": False}},
        {"count": 2},
        lambda api, _: complete(api, completed=True),
    ),
    KeyedOperation("clear", "DELETE", "", {"params": {"status": "completed"}}, {"count": 2}, _create_completed),
    KeyedOperation(
        "clear for good",
        "DELETE",
        "",
        {"params": {"status": "completed", "permanent": "true"}},
        {"count": 2},
        _create_completed,
    ),
    KeyedOperation("empty the trash", "DELETE", "", {"params": {"status": "trashed"}}, {"count": 2}, _create_trashed),
]


def prepare(api: TasksApi) -> str:
    """Create tasks in every state, and return the id of one in the trash."""
    (trashed,) = [task for task in create_in_every_state(api)["trashed"] if task["title"] == "trashed"]
    task_id: str = trashed["id"]
    return task_id


def state(api: TasksApi) -> State:
    return listed(api), listed(api, status="trashed")
