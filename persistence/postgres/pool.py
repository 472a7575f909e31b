"""A pool of connections that stay checked out of psycopg's pool and are handed from one statement to the next."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, NamedTuple

import psycopg
import psycopg_pool

from persistence.errors import DatabaseUnavailable
from persistence.postgres.breaker import Breaker
from persistence.postgres.connection import Connection

# psycopg's pool replaces old connections and closes idle ones, but only those that are checked in.
_CHECKOUT_SECONDS = 5.0
# Enough for every client of a busy service. Beyond that, most waits would end in a timeout anyway.
_MAX_WAITERS_PER_CONNECTION = 500
# The share of the time that a statement may wait, and the least number of seconds, in which a connection must be made.
_PATIENCE_SHARE = 0.16
_PATIENCE_SECONDS = 0.8
# psycopg's pool goes on with its attempts meanwhile, and the next call gets the connection.
_PROBE_SECONDS = 0.6


class PoolState(NamedTuple):
    """The state of the connections of a process."""

    size: int
    """The maximum number of connections."""
    in_use: int
    """Connections that run a statement, are being made, or are being closed."""
    idle: int
    """Connections that are checked out and wait for a statement."""
    waiting: int
    """Statements that wait for a connection."""
    is_away: bool
    """True while no connection can be made, and statements are refused at once."""


class CheckoutPool:
    """Gives each connection to one statement at a time, and to waiters in their order.

    psycopg's pool opens, configures, checks and replaces the connections. A checkout for every statement costs more
    than the statement (docs/decisions.md), so a checkout lasts for some seconds here.

    When there is no connection, and none can be made in a sixth of `timeout` (0.8 seconds at least), the database is
    away: statements are refused at once until a probe has made one. While there are connections this costs nothing.
    """

    def __init__(
        self, pool: psycopg_pool.AsyncConnectionPool[Connection], *, size: int, timeout: float, cancel_timeout: float
    ) -> None:
        self._pool = pool
        self._size = size
        self._timeout = timeout
        self._patience = min(timeout, max(_PATIENCE_SECONDS, timeout * _PATIENCE_SHARE))
        self._breaker = Breaker(self._probe)
        self._cancel_timeout = cancel_timeout
        self._idle: list[Connection] = []
        self._checked_out = 0
        self._connecting = 0
        self._discarding = 0
        self._waiters: deque[asyncio.Future[Connection]] = deque()
        self._check_in_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> PoolState:
        """The state at this moment."""
        idle = len(self._idle)
        return PoolState(
            self._size,
            self._checked_out - idle,
            idle,
            sum(not one.done() for one in self._waiters),
            self._breaker.is_open,
        )

    async def acquire(self) -> Connection:
        """Return an idle connection for one statement; `release` it afterwards.

        Raises `psycopg_pool.PoolTimeout` if none is idle within `timeout` seconds, and `DatabaseUnavailable` if too
        many wait already, or the database is away.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.is_alive:
                return connection
            await self._check_in(connection)
        if self._breaker.is_open:
            raise DatabaseUnavailable("the database is away")
        if self._checked_out >= self._size:
            return await self._wait(self._timeout)
        try:
            return await self._check_out(self._patience)
        except psycopg_pool.PoolTimeout:
            self.notice_outage()
            if self._breaker.is_open:
                raise
            # The database is there: it may be slow to connect to, or allow no more connections.
            if self._idle:
                return self._idle.pop()
            seconds = self._timeout - self._patience
            self._start(self._serve_waiters(seconds))
            return await self._wait(seconds)

    def release(self, connection: Connection) -> None:
        """Take a connection back, in any state. Never waits."""
        if not connection.is_idle:
            # A statement that was abandoned may still be running.
            self._start(self._discard(connection))
        elif time.monotonic() - connection.checked_out_at > _CHECKOUT_SECONDS:
            self._start(self._check_in(connection))
        else:
            self._hand_over(connection)

    async def close(self) -> None:
        """Check the idle connections in, and wait up to five seconds for the others."""
        await self._breaker.close()
        if self._check_in_timer is not None:
            self._check_in_timer.cancel()
        self._check_in_idle()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _check_out(self, seconds: float) -> Connection:
        self._checked_out += 1
        self._connecting += 1
        try:
            connection = await self._pool.getconn(seconds)
        except BaseException:
            self._checked_out -= 1
            raise
        finally:
            self._connecting -= 1
        connection.checked_out_at = time.monotonic()
        return connection

    async def _probe(self) -> None:
        self.release(await self._check_out(_PROBE_SECONDS))

    def notice_outage(self) -> None:
        """Refuse all statements until a probe finds the database, unless there are connections to it."""
        if self._checked_out > self._connecting + self._discarding:
            return
        self._breaker.open()
        while self._waiters:
            _refuse(self._waiters.popleft())

    async def _wait(self, seconds: float) -> Connection:
        if len(self._waiters) >= self._size * _MAX_WAITERS_PER_CONNECTION:
            raise DatabaseUnavailable("too many requests wait for a connection")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection] = loop.create_future()
        timer = loop.call_later(seconds, _refuse, waiter)
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.release(waiter.result())
            raise
        finally:
            timer.cancel()

    def _hand_over(self, connection: Connection) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)
        if self._check_in_timer is None:
            self._check_in_timer = asyncio.get_running_loop().call_later(_CHECKOUT_SECONDS, self._check_in_idle)

    def _check_in_idle(self) -> None:
        """Check the idle connections in, so that psycopg's pool can close or replace them."""
        self._check_in_timer = None
        while self._idle:
            self._start(self._check_in(self._idle.pop()))

    async def _discard(self, connection: Connection) -> None:
        self._discarding += 1
        with contextlib.suppress(psycopg.Error, OSError):
            await connection.cancel_safe(timeout=self._cancel_timeout)
        await connection.close()
        self._discarding -= 1
        await self._check_in(connection)

    async def _check_in(self, connection: Connection) -> None:
        self._checked_out -= 1
        await self._pool.putconn(connection)
        if self._waiters:
            # No statement may be left that could hand one over.
            self._start(self._serve_waiters(self._patience))

    async def _serve_waiters(self, seconds: float) -> None:
        """Check a connection out for the waiters."""
        try:
            if self._waiters and self._checked_out < self._size:
                self.release(await self._check_out(seconds))
        except psycopg.OperationalError:
            self.notice_outage()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(waiter: asyncio.Future[Connection]) -> None:
    if not waiter.done():
        waiter.set_exception(psycopg_pool.PoolTimeout("no connection was idle in time"))
