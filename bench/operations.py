"""The requests that every contender answers. Each operation has its own user, so that operations do not interfere."""

import json
import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

import jwt

SECRET: Final = "8p_WvTY09ivGlIAQlA6zS45VpAhQvRvnI-aKkbkdslQ"  # noqa: S105
USERS: Final = 100
DEFAULT_TASKS: Final = 300  # of a user, unless an operation says otherwise
READINESS_USER: Final = 1  # whose first task is read to find out whether a server is ready
USER_BITS: Final = 24  # the number of a task in its id, after the number of the user

_FIRST_ID = 0x01900000_0000_7000_8000_000000000000
_BODY: Final = json.dumps({"title": "Buy oat milk", "description": "Two litres, from the shop round the corner."})
_TASKS = "/api/{user}/tasks"
_TASK = _TASKS + "/{id}"


def user_id(number: int) -> str:
    """The id of a user."""
    return f"bench-{number}"


def task_id(user: int, number: int) -> UUID:
    """The id (version 7) of a user's task. Ids have the order of the numbers."""
    return UUID(int=_FIRST_ID + (user << USER_BITS) + number)


def issue(subject: str) -> str:
    """An HS256 token, valid for a day."""
    now = int(time.time())
    return jwt.encode({"sub": subject, "iat": now, "exp": now + 86400}, SECRET, algorithm="HS256")


class Work(NamedTuple):
    """Requests of one user that differ in their paths only."""

    method: str
    token: str
    paths: list[str]
    body: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request."""

    name: str
    title: str
    method: str
    path: str
    """A path with `{user}` for the user's id and `{id}` for the id of a task."""
    user: int
    tasks: int = DEFAULT_TASKS
    """The number of tasks that the user has before a block of requests."""
    body: str | None = None
    writes: bool = field(default=False, kw_only=True)  # the user's tasks have to be restored after a block
    consumes: bool = field(default=False, kw_only=True)  # each request needs a task that no other has used

    def works(self, requests: int, connections: int) -> list[Work]:
        """The work of each connection. Each has its own tasks if there are enough."""
        count = (requests if self.consumes else self.tasks) if "{id}" in self.path else 1
        user = user_id(self.user)
        paths = [self.path.format(user=user, id=task_id(self.user, number)) for number in range(count)]
        shares = [paths[number::connections] if count >= connections else paths for number in range(connections)]
        return [Work(self.method, issue(user), share, self.body) for share in shares]


OPERATIONS: Final = {
    operation.name: operation
    for operation in (
        Operation("get", "GET one task", "GET", _TASK, 2, 1000),
        Operation("list_20", "List of 20", "GET", _TASKS + "?limit=20", 1, 500),
        Operation("list_1000", "List of 1,000", "GET", _TASKS + "?limit=1000", 0, 1200),
        Operation("create", "Create", "POST", _TASKS, 3, body=_BODY, writes=True),
        Operation("update", "Update", "PUT", _TASK, 4, body=_BODY, writes=True, consumes=True),
        Operation("toggle", "Toggle", "PATCH", _TASK + "/complete", 5, 1000, writes=True),
        Operation("delete", "Delete", "DELETE", _TASK, 6, writes=True, consumes=True),
    )
}
"""The six operations on tasks, with lists of two lengths."""
