"""Connections on loan from psycopg's pool, handed from one statement to the next."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import psycopg
import psycopg_pool

from persistence.errors import DatabaseUnavailable
from persistence.postgres.connection import Connection

# The pool looks after what is in it: it replaces connections that are old, and closes those that are not needed. So
# it gets each back now and then.
_LOAN = 5.0
# Room for every client of a busy service at once. Beyond that, most waits would only end in the same refusal later.
_MOST_WAITING_FOR_EACH = 500


class Loans:
    """Lends each connection to one statement at a time; those that wait for one are served in their order.

    psycopg's pool opens, configures, checks and replaces the connections. Asking it for every statement would cost
    more than running the statement (`docs/decisions.md`), so what it gave stays here for some seconds.
    """

    def __init__(
        self, pool: psycopg_pool.AsyncConnectionPool[Connection], *, size: int, wait: float, cancel_timeout: float
    ) -> None:
        self._pool = pool
        self._size = size
        self._wait = wait
        self._cancel_timeout = cancel_timeout
        self._free: list[Connection] = []
        self._borrowed = 0
        self._line: deque[asyncio.Future[Connection]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self) -> Connection:
        """A connection for one statement, to be given back.

        Raises `psycopg_pool.PoolTimeout` where none is free within `wait` seconds, and `DatabaseUnavailable` where so
        many wait already that there would be none.
        """
        while self._free:
            connection = self._free.pop()
            if connection.is_fresh:
                return connection
            await self._return(connection)
        if self._borrowed < self._size:
            return await self._borrow()
        return await self._stand_in_line()

    def give(self, connection: Connection) -> None:
        """Take a connection back, whatever became of it. Never waits."""
        if not connection.is_free:
            # A statement that nobody waits for any more may still be running.
            self._start(self._end(connection))
        elif time.monotonic() - connection.borrowed_at > _LOAN:
            self._start(self._return(connection))
        else:
            self._pass_on(connection)

    async def close(self) -> None:
        """Return what is free, and wait a few seconds for what is under way."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._sweep()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _borrow(self) -> Connection:
        self._borrowed += 1
        try:
            connection = await self._pool.getconn()
        except BaseException:
            self._borrowed -= 1
            raise
        connection.borrowed_at = time.monotonic()
        return connection

    async def _stand_in_line(self) -> Connection:
        if len(self._line) >= self._size * _MOST_WAITING_FOR_EACH:
            raise DatabaseUnavailable("too many wait for a connection")
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Connection] = loop.create_future()
        timer = loop.call_later(self._wait, _refuse, place)
        self._line.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.give(place.result())
            raise
        finally:
            timer.cancel()

    def _pass_on(self, connection: Connection) -> None:
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(connection)
                return
        self._free.append(connection)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(_LOAN, self._sweep)

    def _sweep(self) -> None:
        """Return what is free, so that the pool may close or replace it."""
        self._sweeping = None
        while self._free:
            self._start(self._return(self._free.pop()))

    async def _end(self, connection: Connection) -> None:
        with contextlib.suppress(psycopg.Error, OSError):
            await connection.cancel_safe(timeout=self._cancel_timeout)
        await connection.close()
        await self._return(connection)

    async def _return(self, connection: Connection) -> None:
        self._borrowed -= 1
        await self._pool.putconn(connection)
        if self._line:
            self._start(self._serve())

    async def _serve(self) -> None:
        """Borrow for those who stand in line, who have nobody left to get a connection from."""
        with contextlib.suppress(psycopg.OperationalError):
            if self._line and self._borrowed < self._size:
                self.give(await self._borrow())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(place: asyncio.Future[Connection]) -> None:
    if not place.done():
        place.set_exception(psycopg_pool.PoolTimeout("no connection was free in time"))
