"""Limits on the time and the number of connections, and the timer that enforces them."""

import asyncio
import heapq
from dataclasses import dataclass
from typing import Any, Final, Protocol

from server.observability.metrics import CONNECTIONS
from server.request_context import Headers

_INTERVAL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of time in seconds, and of connections of one process."""

    head_seconds: float = 10
    body_seconds: float = 30
    request_seconds: float = 30
    shutdown_seconds: float = 10
    connections: int = 10_000
    buffered_bytes: int = 40 * 1024 * 1024
    """The bytes of incomplete heads, unread bodies and unsent responses that all connections together may hold."""


class Connection(Protocol):
    """A connection, as the monitor sees it."""

    connections: set[Any]
    loop: asyncio.AbstractEventLoop
    transport: Any
    waited: float
    """The seconds for which the service has waited for the client."""

    @property
    def is_busy(self) -> bool:
        """True while a request of this connection is processed."""

    @property
    def buffered(self) -> int:
        """The bytes that it holds of an incomplete head, an unread body and unsent responses."""

    @property
    def stalled(self) -> float:
        """The seconds for which the client has stalled."""

    def check_deadlines(self, passed: float) -> None:
        """Count the seconds that have passed, and end what exceeds its limit."""

    def cut(self) -> None:
        """Close the connection at once, also in the middle of a response."""

    def end(self) -> None:
        """End the connection, because the process shuts down."""


class ConnectionMonitor:
    """Checks every connection of a process four times a second.

    A timer for each request would cost more. A check counts at most two intervals, so that a delay of the event loop
    does not count against clients.
    """

    def __init__(self, limits: Limits, headers: Headers) -> None:
        self.limits = limits
        self.headers = headers
        """The header fields of every response."""
        self.draining_since: float | None = None
        """The time of the shutdown signal, in seconds of the event loop's clock."""
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._checked_at = 0.0
        self._closed_idle = False

    def add(self, connection: Connection) -> bool:
        """Monitor this connection from now on. Returns False if there are too many."""
        if self._timer is None:
            # uvicorn's own set, from which it removes closed connections.
            self._connections = connection.connections
            self._checked_at = connection.loop.time()
            self._timer = connection.loop.call_later(_INTERVAL_SECONDS, self._check, connection.loop)
        return len(self._connections) <= self.limits.connections or self._close_idle(connection)

    def drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the shutdown."""
        if self.draining_since is None:
            self.draining_since = loop.time()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        connections = [*self._connections]
        CONNECTIONS.set(len(connections))
        self._timer = loop.call_later(_INTERVAL_SECONDS, self._check, loop) if connections else None
        self._closed_idle = False
        now = loop.time()
        passed, self._checked_at = min(now - self._checked_at, 2 * _INTERVAL_SECONDS), now
        is_over = self._is_over(now)
        for connection in connections:
            if is_over:
                connection.end()
            else:
                connection.check_deadlines(passed)
        self._shed(connections)

    def _shed(self, connections: list[Connection]) -> None:
        """Close the connections that have stalled longest until the others are within `buffered_bytes`."""
        excess = sum([one.buffered for one in connections]) - self.limits.buffered_bytes
        if excess <= 0:
            return
        for connection in sorted(connections, key=lambda one: one.stalled, reverse=True):
            if excess <= 0:
                return
            excess -= connection.buffered
            connection.cut()

    def _is_over(self, now: float) -> bool:
        """True if the rest of the time for the shutdown is needed to send the responses."""
        if self.draining_since is None:
            return False
        seconds = self.limits.shutdown_seconds
        return now - self.draining_since > seconds - min(1, seconds / 4) - _INTERVAL_SECONDS

    def _close_idle(self, newcomer: Connection) -> bool:
        """Close the connections that have been idle longest, at most once between two checks."""
        if self._closed_idle:
            return False
        self._closed_idle = True
        idle = [one for one in self._connections if one is not newcomer and not one.is_busy]
        for one in heapq.nlargest(max(1, self.limits.connections // 10), idle, key=lambda one: one.waited):
            one.transport.abort()
        return bool(idle)
