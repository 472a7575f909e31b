"""Clients that write and read during a fault, and the check that no acknowledged write is lost or made twice.

Each client is a separate user and knows its tasks. It does not know the outcome of a write
that was answered with a 503, or not at all: such a task may be as before or as asked for, and no later
request changes it. Only a create is sent again, with the same `Idempotency-Key`, until it is acknowledged.
"""

import contextlib
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2

from tests.faults.probes import assert_unavailable
from tests.support.figures import Figures
from tests.support.service import Service, token
from tests.support.waiting import until

CLIENTS = 6
# Between two requests of a client, for on two cores the service and the database need their part; after a refusal a
# longer one, so that an outage is no race of refusals.
_PACE_SECONDS = 0.005
_PAUSE_SECONDS = 0.02
_SLOW_SECONDS = 30
_MOST_REQUESTS_OF_EACH = 10_000
_OPERATIONS = ("create", "create", "read", "read", "list", "update", "update", "toggle", "delete")
_SUCCESS = {200, 201, 204}


class Version(NamedTuple):
    """The visible state of a task."""

    title: str
    completed: bool


State = Version | None
"""None stands for a deleted task."""


class Attempt(NamedTuple):
    """One request and its answer. Moments are those of `time.monotonic()`."""

    client: int
    operation: str
    started_at: float
    ended_at: float
    status: int | None
    """None if the connection broke instead."""

    @property
    def is_success(self) -> bool:
        return self.status in _SUCCESS

    @property
    def is_survived(self) -> bool:
        """A success, or an answer that the document allows while the database is away or a create is under way."""
        return self.is_success or self.status == 503 or (self.status, self.operation) == (409, "create")


@dataclass
class Promise:
    """The acknowledged state of one task."""

    key: str
    """Its idempotency key, with which its titles start."""
    states: set[State]
    """The possible states: one, or two where the outcome of a write is unknown."""


@dataclass
class Ledger:
    """All writes that were acknowledged to one client."""

    promises: dict[str, Promise] = field(default_factory=dict)
    """By the task's id."""
    acknowledged: int = 0
    contradictions: list[str] = field(default_factory=list)
    """Answers that contradict an earlier acknowledgement."""

    def lost(self, found: Mapping[str, Version]) -> list[str]:
        """Describe the tasks that differ from the acknowledged state; `found` are the client's tasks in the end."""
        return self.contradictions + [
            f"{task} is {found.get(task)} and not one of {promise.states}"
            for task, promise in self.promises.items()
            if found.get(task) not in promise.states
        ]

    def duplicates(self, found: Mapping[str, Version]) -> list[str]:
        """The keys that made more than one task."""
        made = {(task, version.title.partition(" ")[0]) for task, version in found.items()}
        made |= {(task, promise.key) for task, promise in self.promises.items()}
        return [key for key, count in Counter(key for _, key in made).items() if count > 1]


class Load:
    """A few clients at once; `authorize` makes the Authorization field of each from its user."""

    def __init__(
        self, service: Service, authorize: Callable[[str], str] = lambda user: f"Bearer {token(user)}"
    ) -> None:
        self._service = service
        self._authorize = authorize
        self._stopping = threading.Event()
        self._started_at = time.monotonic()
        self._ledgers = [Ledger() for _ in range(CLIENTS)]
        self.attempts: list[Attempt] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keep the clients busy while the block runs. Errors in answers are raised at its end."""
        clients = [_Client(self, number, ledger) for number, ledger in enumerate(self._ledgers)]
        with ThreadPoolExecutor(CLIENTS) as threads:
            work = [threads.submit(client.work) for client in clients]
            try:
                yield
            finally:
                self._stopping.set()
            for one in work:
                one.result()

    def client(self, number: int) -> httpx2.Client:
        return self._service.client(authorization=self._authorize(_user(number)))

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def is_over(self) -> bool:
        """True once even a create without an answer is given up."""
        return self.is_stopping and self._service.process.poll() is not None

    def forget_cut_after(self, moment: float) -> None:
        """Drop the unanswered requests that were sent after that moment, when the service had been told to end."""
        self.attempts = [one for one in self.attempts if one.status is not None or one.started_at < moment]

    @property
    def acknowledged(self) -> int:
        return sum(ledger.acknowledged for ledger in self._ledgers)

    @property
    def cut(self) -> list[Attempt]:
        """The requests whose connection broke."""
        return [attempt for attempt in self.attempts if attempt.status is None]

    def count(self, status: int) -> int:
        return sum(attempt.status == status for attempt in self.attempts)

    def goes_on(self, writes: int = 60) -> None:
        """Wait until that many more writes are acknowledged."""
        goal = self.acknowledged + writes
        until(lambda: self.acknowledged >= goal)

    def seconds_until_served(self, moment: float) -> float:
        """Return the seconds after the moment until every client has had a success that it asked for since then."""
        until(lambda: len(self._served_since(moment)) == CLIENTS)
        return max(self._served_since(moment).values()) - moment

    def _served_since(self, moment: float) -> dict[int, float]:
        first: dict[int, float] = {}
        for attempt in tuple(self.attempts):
            if attempt.is_success and attempt.ended_at >= moment:
                first.setdefault(attempt.client, attempt.ended_at)
        return first

    def record(
        self, figures: Figures, group: str, *, on: Service | None = None, may_be_cut: int = 0, **more: float
    ) -> None:
        """Look for lost and duplicated writes, record them in the table, and fail if there are any.

        Of the connections that broke, `may_be_cut` have to be expected and are not among what was tried.
        """
        lost, duplicates = self.verdict(on or self._service)
        counted = [attempt for attempt in self.attempts if attempt.status is not None or not may_be_cut]
        unexpected = Counter((one.operation, one.status) for one in counted if not one.is_survived)
        survived = len(counted) - unexpected.total()
        if may_be_cut:
            more["cut"] = len(self.cut)
        assert not unexpected, f"{group}: {dict(unexpected)}"
        assert len(self.cut) <= may_be_cut, f"{group}: {len(self.cut)} connections broke"
        figures(
            group,
            len(counted),
            survived,
            acknowledged=self.acknowledged,
            lost=len(lost),
            duplicates=len(duplicates),
            **more,
        )
        assert (lost, duplicates) == ([], [])

    def verdict(self, service: Service) -> tuple[list[str], list[str]]:
        """Return the lost and the duplicated writes of all clients."""
        lost: list[str] = []
        duplicates: list[str] = []
        for number, ledger in enumerate(self._ledgers):
            client = service.client(authorization=self._authorize(_user(number)))
            found = _everything(client, _user(number))
            lost += ledger.lost(found)
            duplicates += ledger.duplicates(found)
        return lost, duplicates


class _Client:
    """One of the clients, in its own thread."""

    def __init__(self, load: Load, number: int, ledger: Ledger) -> None:
        self._load = load
        self._number = number
        self._ledger = ledger
        self._http = load.client(number)
        self._tasks = f"/api/{_user(number)}/tasks"
        self._random = random.Random(number)  # noqa: S311 - the same mixture each time
        self._alive: list[str] = []
        self._sent = 0

    def work(self) -> None:
        while not self._load.is_stopping and self._sent < _MOST_REQUESTS_OF_EACH:
            operation = self._random.choice(_OPERATIONS) if self._alive else "create"
            getattr(self, f"_{operation}")()
            time.sleep(_PACE_SECONDS)

    def _ask(self, operation: str, method: str, path: str, **how: Any) -> httpx2.Response | None:
        """Return the answer if it is a success, else None; every answer is recorded in `attempts`."""
        self._sent += 1
        started_at = time.monotonic()
        answer = None
        with contextlib.suppress(httpx2.TransportError):
            answer = self._http.request(method, path, **how)
        status = None if answer is None else answer.status_code
        attempt = Attempt(self._number, operation, started_at, time.monotonic(), status)
        self._load.attempts.append(attempt)
        if status == 503 and answer is not None:
            assert_unavailable(answer)
        if attempt.is_success:
            self._ledger.acknowledged += operation in ("create", "update", "toggle", "delete")
            return answer
        time.sleep(_PAUSE_SECONDS)
        return None

    def _create(self) -> None:
        key = uuid.uuid4().hex
        body = {"title": f"{key} 0"}
        deadline = time.monotonic() + _SLOW_SECONDS
        answer = None
        while answer is None:
            answer = self._ask("create", "POST", self._tasks, json=body, headers={"Idempotency-Key": key})
            if answer is None and self._load.is_over:
                return
            assert time.monotonic() < deadline, f"not created within {_SLOW_SECONDS} seconds"
        task = answer.json()["id"]
        self._ledger.promises[task] = Promise(key, {_seen(answer.json())})
        self._alive.append(task)

    def _read(self) -> None:
        task = self._random.choice(self._alive)
        answer = self._ask("read", "GET", f"{self._tasks}/{task}")
        if answer is not None:
            self._compare(answer.json())

    def _list(self) -> None:
        answer = self._ask("list", "GET", f"{self._tasks}?limit=20&sort=-updated")
        for task in answer.json() if answer is not None else ():
            self._compare(task)

    def _update(self) -> None:
        task = self._random.choice(self._alive)
        title = f"{self._ledger.promises[task].key} {self._sent}"
        answer = self._ask("update", "PUT", f"{self._tasks}/{task}", json={"title": title})
        self._settle(task, answer, lambda before: before._replace(title=title))

    def _toggle(self) -> None:
        task = self._random.choice(self._alive)
        answer = self._ask("toggle", "PATCH", f"{self._tasks}/{task}/complete")
        self._settle(task, answer, lambda before: before._replace(completed=not before.completed))

    def _delete(self) -> None:
        task = self._random.choice(self._alive)
        answer = self._ask("delete", "DELETE", f"{self._tasks}/{task}")
        self._settle(task, answer, lambda _: None)

    def _settle(self, task: str, answer: httpx2.Response | None, change: Callable[[Version], State]) -> None:
        """Record the state of the task after a write, or its possible states."""
        promise = self._ledger.promises[task]
        (before,) = promise.states
        assert before is not None
        after = change(before)
        promise.states = {after} if answer is not None else {before, after}
        if answer is None or after is None:
            self._alive.remove(task)
        if answer is not None and after is not None:
            self._compare(answer.json())

    def _compare(self, task: dict[str, Any]) -> None:
        promise = self._ledger.promises.get(task["id"])
        if promise is None or _seen(task) not in promise.states:
            self._ledger.contradictions.append(f"{task} was answered, acknowledged was {promise}")


def _user(number: int) -> str:
    return f"ada-{number}"


def _seen(task: dict[str, Any]) -> Version:
    return Version(task["title"], task["completed"])


def _everything(client: httpx2.Client, user: str) -> dict[str, Version]:
    """All tasks of the user, page by page."""
    found: dict[str, Version] = {}
    path: str | None = f"/api/{user}/tasks?limit=1000"
    while path is not None:
        page = client.get(path)
        assert page.status_code == httpx2.codes.OK, page.text
        found |= {task["id"]: _seen(task) for task in page.json()}
        path = page.links.get("next", {}).get("url")
    return found
