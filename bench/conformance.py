"""A short check that a contender answers right, so that nobody is fast by answering wrong."""

import base64
import contextlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2

_Task = dict[str, Any]

_MOST_TASKS = 1000
_TOGGLES = 10
_RECENT = timedelta(minutes=1)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)")
_MEMBERS: Final[dict[str, tuple[type, ...]]] = {
    "id": (str,),
    "user_id": (str,),
    "title": (str,),
    "description": (str, type(None)),
    "completed": (bool,),
    "created_at": (str,),
    "updated_at": (str,),
}
_INVALID_TITLES: Final = ("", " \t ", "x" * 201)
_LONGEST_TITLE: Final = "\N{MUSICAL SYMBOL G CLEF}" * 200


class ConformanceError(Exception):
    """The contender answers wrong. The message is a sentence that says to what, and how."""


def check(
    base_url: str,
    token: Callable[[str], str],
    *,
    owner: str = "bench-2",
    stranger: str = "bench-3",
    timeout: float = 30,
) -> None:
    """Ask the contender at `base_url` some sixty questions. Raises `ConformanceError` at the first wrong answer.

    `token` makes a valid token of a user. Both users exist, have at most 980 tasks, and nobody else changes these
    meanwhile; in the end they are what they were. `timeout` is in seconds, for each answer.
    """
    with httpx2.Client(base_url=base_url, timeout=timeout, trust_env=False) as client:
        first, second = (_User(client, name, token(name)) for name in (owner, stranger))
        with _unchanged(first), _unchanged(second):
            _check_tokens(first, second)
            _check_forbidden(first, second)
            _check_creation(first)
            _check_invalid(first)
            _check_update(first)
            _check_toggle(first)
            _check_parallel_toggles(first)
            _check_lists(first)
            _check_strangers(first, second)
            _check_deletion(first)


@dataclass(frozen=True, slots=True)
class _User:
    """Someone who asks, and the status that each answer must have."""

    client: httpx2.Client
    name: str
    token: str

    def path(self, task_id: str | None = None, suffix: str = "") -> str:
        return f"/api/{self.name}/tasks" + (f"/{task_id}{suffix}" if task_id else "")

    def ask(self, status: int, method: str, path: str, body: object = None, *, token: str | None = None) -> Any:
        """The content of an answer that has this status. An empty `token` sends none."""
        authorization = self.token if token is None else token
        headers = {"authorization": f"Bearer {authorization}"} if authorization else {}
        question = f"{method} {path}" + (f" with {json.dumps(body)[:80]}" if body is not None else "")
        try:
            response = self.client.request(method, path, json=body, headers=headers)
        except httpx2.TransportError as error:
            raise ConformanceError(f"{question} was not answered: {type(error).__name__}.") from error
        if response.status_code != status:
            raise ConformanceError(
                f"{question} was answered with {response.status_code} {response.text[:200]!r} instead of {status}."
            )
        return _content(question, response)

    def list(self, query: str = "") -> list[_Task]:
        """Their tasks, each of the right form."""
        tasks: list[_Task] = self.ask(200, "GET", self.path() + query)
        for task in tasks:
            _check_form(task, self.name)
        return tasks

    def get(self, task_id: str) -> _Task:
        task: _Task = self.ask(200, "GET", self.path(task_id))
        return task

    def create(self, **members: object) -> _Task:
        task: _Task = self.ask(201, "POST", self.path(), members)
        _check_form(task, self.name)
        return task

    def toggle(self, task_id: str) -> _Task:
        task: _Task = self.ask(200, "PATCH", self.path(task_id, "/complete"))
        return task


def _content(question: str, response: httpx2.Response) -> Any:
    if response.status_code == httpx2.codes.NO_CONTENT:
        _require(not response.content, f"{question} was answered with 204 and a body.")
        return None
    if response.is_success:
        kind = response.headers.get("content-type", "")
        _require(kind.startswith("application/json"), f"{question} was answered with the type {kind!r}.")
        if response.status_code == httpx2.codes.CREATED:
            _check_location(response)
        return response.json()
    return None


def _check_location(response: httpx2.Response) -> None:
    told = str(response.url.join(response.headers.get("location", "")))
    expected = f"{response.url}/{response.json()['id']}"
    _require(told == expected, f"A new task's Location is {told} instead of {expected}.")


def _require(condition: object, sentence: str) -> None:
    if not condition:
        raise ConformanceError(sentence)


def _check_equal(what: str, answered: object, expected: object) -> None:
    if isinstance(answered, list) and isinstance(expected, list):
        _check_same_length(what, answered, expected)
        for place, (one, other) in enumerate(zip(answered, expected, strict=True)):
            _check_equal(f"{what}, at place {place},", one, other)
    _require(answered == expected, f"{what} is {str(answered)[:300]} instead of {str(expected)[:300]}.")


def _check_same_length(what: str, answered: list[Any], expected: list[Any]) -> None:
    _require(len(answered) == len(expected), f"{what} has {len(answered)} items instead of {len(expected)}.")


def _check_form(task: _Task, owner: str) -> None:
    """All members and no others, each of its type, with a UUID, the owner, and moments of RFC 3339 in UTC."""
    _check_equal("The set of a task's members", sorted(task), sorted(_MEMBERS))
    for name, types in _MEMBERS.items():
        _require(type(task[name]) in types, f"A task's {name} is {task[name]!r}, which is not of its type.")
    _check_equal("A task's owner", task["user_id"], owner)
    _check_equal("A task's id", task["id"], str(uuid.UUID(task["id"])))
    for name in ("created_at", "updated_at"):
        _require(_MOMENT.fullmatch(task[name]), f"A task's {name} is {task[name]!r}, which is no moment in UTC.")


@contextlib.contextmanager
def _unchanged(user: _User) -> Iterator[None]:
    """Remove the tasks that are made meanwhile. Raises `ConformanceError` where the others are not as before."""
    before = user.list()
    _require(len(before) <= _MOST_TASKS - 20, f"{user.name} has too many tasks for this check.")
    known = {task["id"] for task in before}
    try:
        yield
    except ConformanceError:
        # What went wrong first is what has to be told.
        with contextlib.suppress(ConformanceError):
            _remove_others(user, known)
        raise
    _remove_others(user, known)
    _check_equal(f"The list of {user.name} after the check", user.list(), before)


def _remove_others(user: _User, known: set[str]) -> None:
    for task in user.list():
        if task["id"] not in known:
            user.ask(204, "DELETE", user.path(task["id"]))


def _operations(user: _User, task_id: str) -> list[tuple[str, str, object]]:
    """Every operation on the user's tasks: method, path and body."""
    return [
        ("GET", user.path(), None),
        ("POST", user.path(), {"title": "never kept"}),
        ("GET", user.path(task_id), None),
        ("PUT", user.path(task_id), {"title": "never kept"}),
        ("PATCH", user.path(task_id, "/complete"), None),
        ("DELETE", user.path(task_id), None),
    ]


def _check_tokens(owner: _User, stranger: _User) -> None:
    task = owner.create(title="Behind a token")
    for token in ("", "nonsense", *_forged(owner.token, stranger.token)):
        for method, path, body in _operations(owner, task["id"]):
            owner.ask(401, method, path, body, token=token)
    _check_equal("A task that nobody was allowed to change", owner.get(task["id"]), task)


def _forged(token: str, other: str) -> tuple[str, ...]:
    """Tokens that name the owner of `token`, without a signature of theirs."""
    _, claims, signature = token.split(".")
    header, _, other_signature = other.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return (f"{header}.{claims}.{other_signature}", f"{unsigned}.{claims}.", f"{unsigned}.{claims}.{signature}")


def _check_forbidden(owner: _User, stranger: _User) -> None:
    task = owner.create(title="Under another's path")
    before = owner.list()
    for method, path, body in _operations(owner, task["id"]):
        stranger.ask(403, method, path, body)
    _check_equal("The list that a stranger asked for under its owner's path", owner.list(), before)


def _check_strangers(owner: _User, stranger: _User) -> None:
    """Someone else's task and a missing one are both not found."""
    task = owner.create(title="Somebody else's", description="not yours")
    for task_id in (task["id"], str(uuid.uuid4())):
        for method, path, body in _operations(stranger, task_id)[2:]:
            stranger.ask(404, method, path, body)
    _require(all(other["id"] != task["id"] for other in stranger.list()), "A list has somebody else's task.")
    _check_equal("A task that a stranger asked for under his own path", owner.get(task["id"]), task)


def _check_creation(owner: _User) -> None:
    full = {
        "title": 'Éclairs, "fresh" \\ 9 \N{EURO SIGN}',
        "description": "Line 1\nline 2 \N{CLINKING BEER MUGS}",
        "completed": True,
    }
    for given in (full, {"title": "Only a title"}, {"title": _LONGEST_TITLE, "description": None}):
        task = owner.create(**given)
        expected = {"description": None, "completed": False, **given}
        _check_equal("A new task", {name: task[name] for name in expected}, expected)
        _require(abs(_moment(task, "created_at") - datetime.now(UTC)) < _RECENT, "A new task is not from now.")
        _check_equal("A task that was just made", owner.get(task["id"]), task)


def _moment(task: _Task, name: str) -> datetime:
    return datetime.fromisoformat(task[name])


def _check_invalid(owner: _User) -> None:
    task = owner.create(title="Valid")
    before = owner.list()
    owner.ask(422, "POST", owner.path(), {"description": "without a title"})
    for title in _INVALID_TITLES:
        owner.ask(422, "POST", owner.path(), {"title": title})
        owner.ask(422, "PUT", owner.path(task["id"]), {"title": title})
    for limit in (0, _MOST_TASKS + 1):
        owner.ask(422, "GET", owner.path() + f"?limit={limit}")
    _check_equal("The list after invalid requests", owner.list(), before)


def _check_update(owner: _User) -> None:
    """Only what is given changes, in the answer and in what is kept."""
    others = owner.list()
    task = owner.create(title="Before", description="stays")
    for changes in (
        {"title": "After"},
        {"completed": True},
        {"description": "new"},
        {"description": None},
        {"title": "Last", "description": "again", "completed": False},
    ):
        changed = owner.ask(200, "PUT", owner.path(task["id"]), changes)
        _check_changed(owner, task, changed, changes)
        task = changed
    _check_equal("The list of the tasks that were not updated", owner.list()[:-1], others)


def _check_changed(owner: _User, task: _Task, changed: _Task, changes: _Task) -> None:
    _check_equal("A changed task", changed, {**task, **changes, "updated_at": changed.get("updated_at")})
    _check_form(changed, owner.name)
    later = _moment(changed, "updated_at") > _moment(task, "updated_at")
    _require(later, "A changed task's updated_at is not later than before.")
    _check_equal("A task that was just changed", owner.get(task["id"]), changed)


def _check_toggle(owner: _User) -> None:
    others = owner.list()
    task = owner.create(title="To and fro", description="stays")
    for completed in (True, False):
        toggled = owner.toggle(task["id"])
        _check_changed(owner, task, toggled, {"completed": completed})
        task = toggled
    _check_equal("The list of the tasks that were not toggled", owner.list()[:-1], others)


def _check_parallel_toggles(owner: _User) -> None:
    """Each flips what the one before left, so half of the answers say completed."""
    task = owner.create(title="Many at once")
    with ThreadPoolExecutor(_TOGGLES) as pool:
        answers = pool.map(lambda _: owner.toggle(task["id"])["completed"], range(_TOGGLES))
        half = _TOGGLES // 2
        _check_equal("What parallel toggles say", Counter(answers), Counter({True: half, False: half}))
    _check_equal("What an even number of toggles leaves", owner.get(task["id"])["completed"], task["completed"])


def _check_lists(owner: _User) -> None:
    tasks = [owner.create(title=f"In a list {number}", completed=number == 1) for number in range(3)]
    every = owner.list()
    _check_equal("The end of the list", every[-len(tasks) :], tasks)
    _check_equal(
        "The order of the list", every, sorted(every, key=lambda task: (_moment(task, "created_at"), task["id"]))
    )
    for limit in (1, len(every) - 1, _MOST_TASKS):
        _check_equal(f"The list of at most {limit}", owner.list(f"?limit={limit}"), every[:limit])
    _check_equal("The list of all", owner.list("?status=all"), every)
    for status in ("pending", "completed"):
        expected = [task for task in every if task["completed"] == (status == "completed")]
        _check_equal(f"The list of the {status}", owner.list(f"?status={status}"), expected)
        _check_equal(f"The first {status}", owner.list(f"?status={status}&limit=1"), expected[:1])


def _check_deletion(owner: _User) -> None:
    before = owner.list()
    task = owner.create(title="Soon gone")
    owner.ask(204, "DELETE", owner.path(task["id"]))
    for method, path, body in _operations(owner, task["id"])[2:]:
        owner.ask(404, method, path, body)
    _check_equal("The list after a task is deleted", owner.list(), before)
