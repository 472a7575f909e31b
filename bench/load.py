"""The load, which h2load makes: one process for each connection.

h2load gives the same addresses in the same order to all connections of one process, which would make parallel writes
meet on the same row again and again. With a process for each connection, each works on rows of its own.
"""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchmarkError

CONNECTIONS = 16
"""More than the ten connections to the database that each contender has, so that none of them is ever idle."""

_OBSERVATION_PAUSE = 0.1
_PATIENCE_SECONDS = 120.0
_SUCCESSES = range(200, 300)


@dataclass(frozen=True, slots=True)
class Work:
    """Requests of one user, the same but for their path."""

    method: str
    token: str
    paths: Sequence[str]
    body: bytes | None = None

    def shares(self, count: int) -> list["Work"]:
        """The work in so many parts, each with paths of its own if there are enough of them."""
        enough = len(self.paths) >= count
        return [replace(self, paths=self.paths[number::count] if enough else self.paths) for number in range(count)]


@dataclass(frozen=True, slots=True)
class Answer:
    """When a request was sent (microseconds since 1970), its status (-1: none), and after how many microseconds."""

    sent: int
    status: int
    duration: int

    @property
    def ended(self) -> int:
        """When the answer was there, in microseconds since 1970."""
        return self.sent + self.duration


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a block of requests."""

    requests: int
    """How many were to be answered."""
    seconds: float
    """From the first one sent to the last one answered."""
    rate: float
    """Answers per second while all connections were busy."""
    durations: list[int]
    """Of each success the time from sending to the end of the answer in microseconds, ascending."""
    statuses: Counter[int]
    """How often each status came."""

    @property
    def errors(self) -> int:
        """How many requests had another answer than a success, or none."""
        return self.requests - len(self.durations)


def h2load_version() -> str:
    """The version of h2load. Raises `BenchmarkError` where there is none."""
    if shutil.which("h2load") is None:
        message = "h2load is missing: install `nghttp2-client` (Debian, Ubuntu) or `nghttp2` (Homebrew)."
        raise BenchmarkError(message)
    printed = subprocess.run(["h2load", "--version"], check=True, capture_output=True, text=True).stdout
    return printed.split("/")[-1].strip()


def send(  # noqa: PLR0913  what is sent, to whom, and how
    base_url: str,
    works: Sequence[Work],
    each: int,
    *,
    rate: float | None = None,
    clients: int = 1,
    observe: Callable[[], object] | None = None,
) -> list[list[Answer]]:
    """Send `each` requests of every work, one at a time over a connection of its own, and return all answers.

    With `rate`, that many requests are sent in a second, over all; without, each connection sends its next request as
    soon as it has the answer to its last. `clients` is how many connections each work has, which share its requests.
    `observe` is called again and again meanwhile.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        pace = f"--rps={rate / len(works) / clients}" if rate else "--rps=0"
        options = ["--h1", f"--clients={clients}", f"--requests={each}", pace, f"--base-uri={base_url}"]
        commands = [
            ["h2load", *options, *_arguments(directory, number, work, each)] for number, work in enumerate(works)
        ]
        # Without a pause all connections would send at the same moments.
        _run_all(commands, pause=clients / rate if rate else 0.0, observe=observe)
        return [_read_log(directory / f"{number}.log") for number in range(len(works))]


def _arguments(directory: Path, number: int, work: Work, requests: int) -> list[str]:
    addresses, body = directory / f"{number}.addresses", directory / f"{number}.body"
    addresses.write_text("".join(f"http://localhost{path}\n" for path in work.paths[:requests]))
    arguments = [f"--input-file={addresses}", f"--log-file={directory / f'{number}.log'}"]
    arguments += [f"--header=:method: {work.method}", f"--header=authorization: Bearer {work.token}"]
    if work.body is not None:
        body.write_bytes(work.body)
        arguments += [f"--data={body}", "--header=content-type: application/json"]
    return arguments


def _run_all(commands: Sequence[Sequence[str]], *, pause: float, observe: Callable[[], object] | None) -> None:
    with contextlib.ExitStack() as stack:
        processes = []
        for command in commands:
            processes.append(stack.enter_context(_started(command)))
            time.sleep(pause)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(process.poll() is None for process in processes):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"Some requests had no answer within {_PATIENCE_SECONDS:.0f} seconds.")
            if observe is not None:
                observe()
            time.sleep(_OBSERVATION_PAUSE)


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_log(path: Path) -> list[Answer]:
    return [Answer(*(int(field) for field in line.split("\t")[:3])) for line in path.read_text().splitlines()]


def outcome(answers: Sequence[Sequence[Answer]], requests: int) -> Outcome:
    """What came of so many requests, from the answers that each connection had."""
    together = [answer for connection in answers for answer in connection]
    if not together:
        raise BenchmarkError("No request had an answer: the server does not take connections.")
    started, ended = min(answer.sent for answer in together), max(answer.ended for answer in together)
    return Outcome(
        requests=requests,
        seconds=(ended - started) / 1e6,
        rate=_rate(answers) or len(together) * 1e6 / (ended - started),
        durations=sorted(answer.duration for answer in together if answer.status in _SUCCESSES),
        statuses=Counter(answer.status for answer in together),
    )


def _rate(answers: Sequence[Sequence[Answer]]) -> float | None:
    """Answers per second from when all connections had sent until the first of them was done, if they overlapped."""
    busy = [connection for connection in answers if connection]
    begin, end = max(connection[0].sent for connection in busy), min(connection[-1].ended for connection in busy)
    count = sum(begin < answer.ended <= end for connection in busy for answer in connection)
    return count * 1e6 / (end - begin) if count else None
