"""The way to PostgreSQL: a bounded pool of connections, and statements that are each a transaction of their own."""

import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg
import psycopg_pool
from sqlalchemy import text

from persistence.errors import DatabaseUnavailable, Locked
from persistence.postgres.connection import Connection
from persistence.postgres.encoding import refuse_encoding
from persistence.postgres.pool import Loans
from persistence.postgres.sqlstate import Answer, answer, describe, is_outage
from persistence.postgres.statement import Row, Statement, compile_statement

# Neon puts its compute to sleep after five minutes, and many load balancers forget idle connections about then.
_MAX_LIFETIME = 280.0
_MAX_IDLE = 240.0
_ALIVE: Final = compile_statement(text("SELECT 1"))
_ATTEMPTS = 3
_GRACE = 1.0
# How many times as long as others a statement may take that is about all the tasks of a user.
_MANY = 6


class Database:
    """A pool of connections to one PostgreSQL, each statement in its own transaction.

    Every method raises `DatabaseUnavailable` where the database cannot be reached, has no free connection within
    `wait` seconds, or takes longer than `statement_timeout` seconds from then; it recovers by itself.
    """

    def __init__(
        self, *, size: int = 10, wait: float = 5.0, connect_timeout: int = 10, statement_timeout: float = 5.0
    ) -> None:
        self._size = size
        self._wait = wait
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._pool: psycopg_pool.AsyncConnectionPool[Connection] | None = None
        self._loans: Loans | None = None
        self._drained_at = 0.0
        self._unsuitable: str | None = None

    async def open(self, url: str) -> None:
        """Start connecting in the background. Does not wait, so a service starts before its database."""
        self._pool = psycopg_pool.AsyncConnectionPool(
            url,
            connection_class=Connection,
            kwargs={
                "autocommit": True,
                "connect_timeout": self._connect_timeout,
                "keepalives_idle": 60,
                "application_name": "tasks-api",
                # Roles, databases and the environment can set another one. PgBouncer passes this parameter on.
                "client_encoding": "utf8",
            },
            min_size=1,
            max_size=self._size,
            timeout=self._wait,
            max_lifetime=_MAX_LIFETIME,
            max_idle=_MAX_IDLE,
            # Short, so that the pool's growing pauses between attempts do not outlast an outage: the next
            # request starts a new round.
            reconnect_timeout=max(self._connect_timeout, self._wait),
            configure=self._configure,
            check=self._check,
            open=False,
        )
        await self._pool.open(wait=False)
        self._loans = Loans(self._pool, size=self._size, wait=self._wait, cancel_timeout=self._connect_timeout)

    async def close(self) -> None:
        """Give the connections back, waiting a few seconds for those in use."""
        if self._pool is not None and self._loans is not None:
            await self._loans.close()
            await self._pool.close(timeout=5)

    async def fetch_all(self, statement: Statement, parameters: Mapping[str, Any], *, many: bool = False) -> list[Row]:
        """Run the statement and return all its rows. `many` is about all of a user's: it may take longer.

        Raises `Locked` where the statement itself bounds how long it waits for somebody else's.
        """
        seconds = self._statement_timeout * (_MANY if many else 1)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._execute(statement, parameters, seconds)
            except psycopg.Error as error:
                if answer(error.sqlstate) is not Answer.REPEATED:
                    raise
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailable(describe(error)) from error
        raise AssertionError("unreachable")

    async def fetch_first(self, statement: Statement, parameters: Mapping[str, Any]) -> Row | None:
        """Run the statement and return its first row, or None where there is none."""
        rows = await self.fetch_all(statement, parameters)
        return rows[0] if rows else None

    async def fetch_one(self, statement: Statement, parameters: Mapping[str, Any], *, many: bool = False) -> Row:
        """Run a statement that always gives a row, and return it."""
        (row,) = await self.fetch_all(statement, parameters, many=many)
        return row

    async def _execute(self, statement: Statement, parameters: Mapping[str, Any], seconds: float) -> list[Row]:
        if self._loans is None:
            raise DatabaseUnavailable("not opened yet")
        try:
            connection = await self._loans.take()
            try:
                return await connection.run(statement, parameters, seconds)
            finally:
                self._loans.give(connection)
        except psycopg.errors.LockNotAvailable as error:
            raise Locked(describe(error)) from error
        except (psycopg.Error, TimeoutError) as error:
            if is_outage(error):
                raise DatabaseUnavailable(self._unsuitable or describe(error)) from error
            raise

    async def _check(self, connection: Connection) -> None:
        """Raise `psycopg.OperationalError` for a connection that was lost while it lay in the pool."""
        try:
            if not connection.is_fresh:
                await connection.run(_ALIVE, {}, self._wait)
        except (psycopg.OperationalError, TimeoutError) as error:
            # What ended it has most likely ended the others, and the pool pauses after each that it finds.
            if self._pool is not None and connection.seen_at > self._drained_at:
                self._drained_at = time.monotonic()
                await self._pool.drain()
            raise psycopg.OperationalError("the connection is lost") from error

    async def _configure(self, connection: Connection) -> None:
        """Prepare a new connection for use."""
        cursor = await connection.execute("SELECT pg_backend_pid(), current_setting('server_encoding')")
        process, encoding = await cursor.fetchone() or (None, "")
        self._unsuitable = refuse_encoding(encoding)
        if self._unsuitable is not None:
            raise psycopg.OperationalError(self._unsuitable)
        # A pooler such as PgBouncer makes the process id up that it tells its client. In its transaction mode a
        # prepared statement may be gone, or be someone else's, at the next call (PgBouncer before 1.22).
        is_direct = process == connection.info.backend_pid
        if is_direct:
            # For a statement that this process can no longer cancel. Later than its own limit, which says more. A
            # pooler would give the setting to others.
            milliseconds = round((self._statement_timeout * _MANY + _GRACE) * 1000)
            await connection.execute(f"SET statement_timeout = {milliseconds}".encode())
        connection.watch(prepares=is_direct)
