"""Blocks of requests, and what a server uses for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.database import BenchmarkDatabase
from bench.load import CONNECTIONS, Outcome, outcome, send
from bench.operations import Operation
from bench.processes import ProcessTree, ended_children
from bench.servers import Server

PACED_CONNECTIONS = 8
_LEAST_EACH = 2
_PROBE_SECONDS = 0.3
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """A block of requests with the time that processors spent on it."""

    outcome: Outcome
    cpu_seconds: float
    """Of the server."""
    database_cpu_seconds: float
    load_cpu_seconds: float
    """Of h2load."""
    rss_bytes: int
    """The most that the server had at once."""

    def sample(self) -> dict[str, Any]:
        """What is kept of it: times of processors in microseconds for each request."""
        return {
            **summary(self.outcome),
            "cpu_us": self._each_us(self.cpu_seconds),
            "database_cpu_us": self._each_us(self.database_cpu_seconds),
            "load_cpu_us": self._each_us(self.load_cpu_seconds),
            "rss_bytes": self.rss_bytes,
        }

    def _each_us(self, seconds: float) -> float | None:
        answered = len(self.outcome.durations)
        return round(seconds * 1e6 / answered, 1) if answered else None


def summary(found: Outcome) -> dict[str, Any]:
    """What is kept of an outcome."""
    return {
        "requests": found.requests,
        "errors": found.errors,
        "statuses": {str(status): count for status, count in sorted(found.statuses.items())},
        "seconds": round(found.seconds, 4),
        "rate": round(found.rate, 1),
        **{f"p{percent}_ms": percentile(found.durations, percent) for percent in (50, 95, 99)},
    }


def percentile(durations: list[int], percent: int) -> float | None:
    """The time in milliseconds within which this many per cent of ascending durations in microseconds lie."""
    if not durations:
        return None
    return durations[-(-len(durations) * percent // 100) - 1] / 1000


class Bench:
    """A server and the database that it shares with others, with operations to measure."""

    def __init__(self, server: Server, database: BenchmarkDatabase) -> None:
        self._server = server
        self._database = database

    def capacity(self, operation: Operation) -> float:
        """About how many requests per second it can answer, once warm."""
        requests = CONNECTIONS * _LEAST_EACH
        while (probe := self.saturate(operation, requests).outcome).seconds < _PROBE_SECONDS:
            requests *= _GROWTH
        return self.saturate(operation, round(probe.rate * _PROBE_SECONDS)).outcome.rate

    def saturate(self, operation: Operation, requests: int) -> Measured:
        """All connections busy all the time."""
        return self._block(operation, _each(requests, CONNECTIONS), CONNECTIONS, rate=None)

    def pace(self, operation: Operation, requests: int, rate: float) -> Measured:
        """So many requests per second, whatever the answers take."""
        return self._block(operation, _each(requests, PACED_CONNECTIONS), PACED_CONNECTIONS, rate=rate)

    def _block(self, operation: Operation, requests: int, connections: int, *, rate: float | None) -> Measured:
        if operation.uses_up:
            self._database.fill(operation.user, operation.tasks_for(requests))
        memory = Peak(self._server.processes)
        server, database = Spent(self._server.processes.cpu_seconds), Spent(self._database.processes.cpu_seconds)
        load = Spent(ended_children)
        answers = send(
            self._server.base_url,
            operation.work(requests).shares(connections),
            requests // connections,
            rate=rate,
            observe=memory.look,
        )
        measured = Measured(
            outcome(answers, requests), server.seconds(), database.seconds(), load.seconds(), memory.bytes
        )
        if operation.writes:
            self._database.fill(operation.user, operation.tasks)
        return measured


def _each(requests: float, connections: int) -> int:
    """At least so many requests in all, the same number over each connection."""
    return connections * max(_LEAST_EACH, -(-int(requests) // connections))


class Spent:
    """How much a clock of processor time goes on from now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._before = clock()

    def seconds(self) -> float:
        """How much it is so far."""
        return self._clock() - self._before


class Peak:
    """The most memory that some processes had when we looked."""

    def __init__(self, processes: ProcessTree) -> None:
        self._processes = processes
        self.bytes = processes.rss_bytes()

    def look(self) -> None:
        """Look again."""
        self.bytes = max(self.bytes, self._processes.rss_bytes())
