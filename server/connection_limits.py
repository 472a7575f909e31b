"""Limits on the time and the number of connections, and the timer that enforces them."""

import asyncio
import heapq
from dataclasses import dataclass
from typing import Any, Final, Protocol

from server.middleware.access_log import CONNECTIONS
from server.request_context import Headers

_TICK: Final = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may take. Times are in seconds, connections those of one process."""

    head_seconds: float = 10
    body_seconds: float = 30
    request_seconds: float = 30
    shutdown_seconds: float = 10
    connections: int = 10_000
    buffered_bytes: int = 40 * 1024 * 1024
    """The bytes of incomplete heads, unread bodies and unsent responses that all connections together may hold."""


class Connection(Protocol):
    """What the timer asks of a connection."""

    connections: set[Any]
    loop: asyncio.AbstractEventLoop
    transport: Any
    waited: float
    """For how many seconds the client has been waited for."""

    @property
    def is_busy(self) -> bool:
        """Whether a request of this connection is being worked on."""

    @property
    def buffered(self) -> int:
        """The bytes that it holds of an incomplete head, an unread body and unsent responses."""

    @property
    def stalled(self) -> float:
        """The seconds for which the client has stalled."""

    def look(self, passed: float) -> None:
        """Count the seconds that have passed."""

    def cut(self) -> None:
        """Close the connection at once, also in the middle of a response."""

    def end(self) -> None:
        """End the connection, for the process ends."""


class Watch:
    """Looks at every connection of a process four times a second.

    A timer of its own would cost each request more than this does, and the time that the event loop itself stood
    still must not be held against a client.
    """

    def __init__(self, limits: Limits, headers: Headers) -> None:
        self.limits = limits
        self.headers = headers
        """What every answer carries."""
        self.draining_since: float | None = None
        """When the service was told to end, in seconds of the event loop's clock."""
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0
        self._made_room = False

    def add(self, connection: Connection) -> bool:
        """Look at this connection from now on. Returns whether there is room for it."""
        if self._timer is None:
            # uvicorn's own set, from which it takes what is closed.
            self._connections = connection.connections
            self._looked_at = connection.loop.time()
            self._timer = connection.loop.call_later(_TICK, self._look, connection.loop)
        return len(self._connections) <= self.limits.connections or self._make_room(connection)

    def drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to count the seconds that are left."""
        if self.draining_since is None:
            self.draining_since = loop.time()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        connections = [*self._connections]
        CONNECTIONS.set(len(connections))
        self._timer = loop.call_later(_TICK, self._look, loop) if connections else None
        self._made_room = False
        now = loop.time()
        passed, self._looked_at = min(now - self._looked_at, 2 * _TICK), now
        is_over = self._is_over(now)
        for connection in connections:
            if is_over:
                connection.end()
            else:
                connection.look(passed)
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
        """Whether the rest of the time to end is needed for the answers that say so."""
        if self.draining_since is None:
            return False
        seconds = self.limits.shutdown_seconds
        return now - self.draining_since > seconds - min(1, seconds / 4) - _TICK

    def _make_room(self, newcomer: Connection) -> bool:
        """End the connections that have waited for a request the longest. Not more than once between two looks."""
        if self._made_room:
            return False
        self._made_room = True
        idle = [one for one in self._connections if one is not newcomer and not one.is_busy]
        for one in heapq.nlargest(max(1, self.limits.connections // 10), idle, key=lambda one: one.waited):
            one.transport.abort()
        return bool(idle)
