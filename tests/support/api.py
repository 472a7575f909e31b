"""The task operations of one user, through either family of paths."""

import re
from dataclasses import dataclass
from datetime import datetime

import httpx2

from tests.support.types import Json

SORTS = ["created", "-created", "title", "-title", "updated", "-updated"]
STATUSES = ["all", "pending", "completed", "trashed"]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", re.ASCII)
"""An RFC 3339 date-time in UTC, with microseconds or without a fraction."""
ANY_ID = "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"
"""A UUID of no task."""


def bearer(credentials: str) -> dict[str, str]:
    """Return the header fields of a request with this token (RFC 6750)."""
    return {"authorization": f"Bearer {credentials}"}


def create_task(client: httpx2.Client, title: str = "Buy milk", **members: object) -> Json:
    """Create a task at `/api/tasks` and return it."""
    answer = client.post("/api/tasks", json={"title": title, **members})
    assert answer.status_code == 201
    task: Json = answer.json()
    return task


def updated_at(task: Json) -> datetime:
    return datetime.fromisoformat(task["updated_at"])


@dataclass(frozen=True)
class TasksApi:
    """The task operations of one user, through one of the two families of paths."""

    subject: str
    client: httpx2.Client
    tasks: str
    """The path of the list."""
    toggle: str
    """The last segment of the path that toggles a task."""

    def path(self, task: Json) -> str:
        return f"{self.tasks}/{task['id']}"

    def create(self, **members: object) -> Json:
        answer = self.client.post(self.tasks, json={"title": "Buy milk", **members})
        assert answer.status_code == 201
        return self.read(answer)

    def fetch(self, task: Json) -> Json:
        answer = self.client.get(self.path(task))
        assert answer.status_code == 200
        return self.read(answer)

    def list(self) -> list[Json]:
        tasks: list[Json] = self.client.get(self.tasks).json()
        return tasks

    @staticmethod
    def read(answer: httpx2.Response) -> Json:
        """Return the task in an answer, whose moments have the documented form."""
        assert answer.headers["content-type"] == "application/json"
        task: Json = answer.json()
        assert MOMENT.fullmatch(task["created_at"])
        assert MOMENT.fullmatch(task["updated_at"])
        return task


def both_apis(subject: str, client: httpx2.Client) -> list[TasksApi]:
    """Return the operations below `/api/{user_id}`, then those below `/api/tasks`."""
    return [
        TasksApi(subject, client, f"/api/{subject}/tasks", "complete"),
        TasksApi(subject, client, "/api/tasks", "toggle"),
    ]


def delete(api: TasksApi, task: Json, **query: str) -> None:
    answer = api.client.delete(api.path(task), params=query)
    assert (answer.status_code, answer.content) == (204, b"")


def clear(api: TasksApi, **query: str) -> httpx2.Response:
    return api.client.delete(api.tasks, params=query)


def complete(api: TasksApi, *, completed: bool = True) -> httpx2.Response:
    return api.client.patch(api.tasks, json={"completed": completed})


def restore(api: TasksApi, task: Json) -> httpx2.Response:
    return api.client.post(f"{api.path(task)}/restore")


def listed(api: TasksApi, **query: str) -> list[Json]:
    """Return the first page of the list."""
    found: list[Json] = api.client.get(api.tasks, params=query).json()
    return found


def counts(api: TasksApi) -> tuple[int, int, int]:
    """Return how many tasks the profile counts: in total, completed and pending."""
    tasks = api.client.get(f"/api/{api.subject}").json()["tasks"]
    return tasks["total"], tasks["completed"], tasks["pending"]


def tag(api: TasksApi, task: Json) -> str:
    """Return the entity tag of a task."""
    found: str = api.client.get(api.path(task)).headers["etag"]
    return found


def create_in_every_state(api: TasksApi) -> dict[str, list[Json]]:
    """Create three pending tasks, two completed ones, and one of each in the trash; return them by status."""
    tasks = {
        "pending": [api.create(title=f"pending {number}") for number in range(3)],
        "completed": [api.create(title=f"completed {number}", completed=True) for number in range(2)],
        "trashed": [api.create(title="trashed"), api.create(title="trashed and completed", completed=True)],
    }
    for task in tasks["trashed"]:
        delete(api, task)
    tasks["trashed"] = listed(api, status="trashed")
    return tasks
