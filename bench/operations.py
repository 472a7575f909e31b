"""What is asked of every contender, each operation of a user of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from bench.load import Work
from bench.tokens import issue

_NEW = {"title": "Buy oat milk", "description": "Two litres, from the shop round the corner."}
_ALL = "/api/{user}/tasks"
_ONE = _ALL + "/{id}"
_FIRST_ID = 0x01900000_0000_7000_8000_000000000000

USER_PREFIX: Final = "bench-"
"""What the ids of the benchmark's users begin with; their number follows."""

IDS_OF_USER_BITS: Final = 24
"""How many bits of an id number the tasks of one user; those before them number the user."""


def user_id(number: int) -> str:
    """The id of the benchmark's user with this number."""
    return f"{USER_PREFIX}{number}"


def task_id(user: int, number: int) -> UUID:
    """The id of a user's task with this number, of version 7 and in the order of numbers."""
    return UUID(int=_FIRST_ID + (user << IDS_OF_USER_BITS) + number)


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request."""

    name: str
    title: str
    method: str
    user: int
    """The number of the user who asks."""
    tasks: int
    """How many tasks the user has before and after a block."""
    path: str
    """Where `{user}` stands for the user's id and `{id}` for that of a task."""
    body: bytes | None = None
    writes: bool = False
    """Whether the user's tasks have to be put back after a block."""
    uses_up: bool = False
    """Whether every request needs a task that no other has had."""

    def work(self, requests: int) -> Work:
        """So many different requests, or as many as there are."""
        return Work(self.method, issue(user_id(self.user)), self._paths(requests), self.body)

    def of(self, user: int, tasks: int) -> "Operation":
        """The same, asked by another user, who has so many tasks."""
        return replace(self, user=user, tasks=tasks, uses_up=False)

    def tasks_for(self, requests: int) -> int:
        """How many tasks the user must have for this many requests."""
        return requests if self.uses_up else self.tasks

    def _paths(self, requests: int) -> Sequence[str]:
        user = user_id(self.user)
        if "{id}" not in self.path:
            return [self.path.format(user=user)]
        ids = (task_id(self.user, number) for number in range(self.tasks_for(requests)))
        return [self.path.format(user=user, id=each) for each in ids]


OPERATIONS: Final = (
    Operation("get", "GET one task", "GET", user=2, tasks=1000, path=_ONE),
    Operation("list_20", "List of 20", "GET", user=1, tasks=500, path=_ALL + "?limit=20"),
    Operation("list_1000", "List of 1,000", "GET", user=0, tasks=1200, path=_ALL + "?limit=1000"),
    Operation("create", "Create", "POST", user=3, tasks=300, path=_ALL, body=json.dumps(_NEW).encode(), writes=True),
    Operation(
        "update",
        "Update",
        "PUT",
        user=4,
        tasks=300,
        path=_ONE,
        body=json.dumps(_NEW).encode(),
        writes=True,
        uses_up=True,
    ),
    Operation("toggle", "Toggle", "PATCH", user=5, tasks=1000, path=_ONE + "/complete", writes=True),
    Operation("delete", "Delete", "DELETE", user=6, tasks=300, path=_ONE, writes=True, uses_up=True),
)
"""All six operations of a task, the list in two lengths."""

TASKS_OF_OTHERS: Final = 300
"""How many tasks each of the other users has."""

USERS: Final = 100
"""How many users there are."""

WITNESS: Final = 1
"""The user whose first task tells that a server is ready."""


def named(name: str) -> Operation:
    """The operation with this name."""
    (found,) = (operation for operation in OPERATIONS if operation.name == name)
    return found
