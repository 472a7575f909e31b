"""Access to PostgreSQL: a bounded pool of connections, and one transaction for each statement."""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Final, NamedTuple

import psycopg
import psycopg_pool
from sqlalchemy import text

from persistence.errors import DatabaseUnavailable, Locked
from persistence.postgres.connection import Connection
from persistence.postgres.encoding import refuse_encoding
from persistence.postgres.pool import CheckoutPool, PoolState
from persistence.postgres.sqlstate import Answer, answer, describe, is_outage
from persistence.postgres.statement import Row, Statement, compile_statement

# Neon suspends its compute after five minutes, and many load balancers drop idle connections about then.
_MAX_LIFETIME = 280.0
_MAX_IDLE = 240.0
_ALIVE: Final = compile_statement(text("SELECT 1"), "check_connection")
_RECONNECT_SECONDS = 1.0
_ATTEMPTS = 3
_GRACE = 1.0
# A bulk operation may take this many times as long as another statement.
_BULK_FACTOR = 6


class Outcome(StrEnum):
    """The end of an attempt to run a statement."""

    DONE = "done"
    REPEATED = "repeated"
    """PostgreSQL rolled it back, and it was run again."""
    FAILED = "failed"


class Attempt(NamedTuple):
    """An attempt to run a statement. Its time includes the wait for a connection."""

    label: str
    """The label of the statement."""
    started_at: float
    """Seconds of `time.perf_counter()`."""
    seconds: float
    outcome: Outcome


class Measurement:
    """The statements that one task has run, and the time that they have taken in seconds."""

    __slots__ = ("attempts", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.attempts: list[Attempt] = []

    def add(self, label: str, started_at: float, outcome: Outcome) -> None:
        """Add an attempt that ends now."""
        seconds = time.perf_counter() - started_at
        self.seconds += seconds
        self.attempts.append(Attempt(label, started_at, seconds, outcome))


_measurement: ContextVar[Measurement | None] = ContextVar("measurement", default=None)


def measure_database() -> Measurement:
    """Begin to measure the statements of the current task and of those that it starts."""
    measurement = Measurement()
    _measurement.set(measurement)
    return measurement


class Database:
    """A pool of connections to one PostgreSQL, each statement in its own transaction.

    Every method raises `DatabaseUnavailable` if the database cannot be reached, no connection is idle within `wait`
    seconds, or the statement then takes longer than `statement_timeout` seconds. It recovers by itself.
    """

    def __init__(
        self, *, size: int = 10, wait: float = 5.0, connect_timeout: int = 10, statement_timeout: float = 5.0
    ) -> None:
        self._size = size
        self._wait = wait
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._pool: psycopg_pool.AsyncConnectionPool[Connection] | None = None
        self._checkouts: CheckoutPool | None = None
        self._drained_at = 0.0
        self._unsuitable: str | None = None

    async def open(self, url: str) -> None:
        """Begin to connect in the background. It does not wait, so the service can start before its database."""
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
            # Short, so that attempts are a second apart at most, without exponential back-off: the next request, or the
            # probe of the circuit breaker, begins a new series of them.
            reconnect_timeout=_RECONNECT_SECONDS,
            reconnect_failed=self._notice_outage,
            configure=self._configure,
            check=self._check,
            open=False,
        )
        await self._pool.open(wait=False)
        self._checkouts = CheckoutPool(
            self._pool, size=self._size, timeout=self._wait, cancel_timeout=self._connect_timeout
        )

    async def close(self) -> None:
        """Close the connections, waiting a few seconds for those in use."""
        if self._pool is not None and self._checkouts is not None:
            await self._checkouts.close()
            await self._pool.close(timeout=5)

    @property
    def pool_state(self) -> PoolState | None:
        """The state of the connections; None before `open`."""
        return None if self._checkouts is None else self._checkouts.state

    async def fetch_all(
        self, statement: Statement, parameters: Mapping[str, Any], *, bulk: bool = False, waits_once_for: str = ""
    ) -> list[Row]:
        """Run the statement and return all its rows. A bulk operation (`bulk`) may take longer.

        Raises `Locked` if it waits for a lock longer than `lock_timeout`. Before, it is run again, unless it waited for
        a row or a key of the table `waits_once_for`.
        """
        seconds = self._statement_timeout * (_BULK_FACTOR if bulk else 1)
        # With a `lock_timeout` of a second, a statement waits as long as without.
        waits = round(seconds)
        deadline = time.perf_counter() + seconds
        attempts = _ATTEMPTS
        while True:
            outcome = Outcome.FAILED
            started_at = time.perf_counter()
            try:
                rows = await self._execute(statement, parameters, seconds)
            except Locked as error:
                waits -= 1
                is_late = waits <= 0 or time.perf_counter() >= deadline
                if is_late or (waits_once_for and error.concerns(waits_once_for)):
                    raise
                outcome = Outcome.REPEATED
            except psycopg.Error as error:
                if answer(error.sqlstate) is not Answer.REPEATED:
                    raise
                attempts -= 1
                if attempts == 0:
                    raise DatabaseUnavailable(describe(error)) from error
                outcome = Outcome.REPEATED
            else:
                outcome = Outcome.DONE
                return rows
            finally:
                measurement = _measurement.get()
                if measurement is not None:
                    measurement.add(statement.label, started_at, outcome)

    async def fetch_first(self, statement: Statement, parameters: Mapping[str, Any]) -> Row | None:
        """Run the statement and return its first row, or None if it returns none."""
        rows = await self.fetch_all(statement, parameters)
        return rows[0] if rows else None

    async def fetch_one(self, statement: Statement, parameters: Mapping[str, Any], *, bulk: bool = False) -> Row:
        """Run a statement that always returns one row, and return it."""
        (row,) = await self.fetch_all(statement, parameters, bulk=bulk)
        return row

    async def _execute(self, statement: Statement, parameters: Mapping[str, Any], seconds: float) -> list[Row]:
        if self._checkouts is None:
            raise DatabaseUnavailable("not opened yet")
        try:
            connection = await self._checkouts.acquire()
            try:
                return await connection.run(statement, parameters, seconds)
            finally:
                self._checkouts.release(connection)
        except psycopg.errors.LockNotAvailable as error:
            raise Locked(describe(error), error.diag.context) from error
        except (psycopg.Error, TimeoutError) as error:
            if is_outage(error):
                raise DatabaseUnavailable(self._unsuitable or describe(error)) from error
            raise
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(self._unsuitable or str(error)) from error

    def _notice_outage(self, _pool: object) -> None:
        """The pool has given up: only the probe tries on, also where no request comes."""
        if self._checkouts is not None:
            self._checkouts.notice_outage()

    async def _check(self, connection: Connection) -> None:
        """Raise `psycopg.OperationalError` for a connection that was lost while it was in the pool."""
        try:
            if not connection.is_alive:
                await connection.run(_ALIVE, {}, self._wait)
        except (psycopg.OperationalError, TimeoutError) as error:
            # The others are most likely lost too, and psycopg's pool pauses after each that it finds.
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
        # A pooler such as PgBouncer tells its client a made-up process id. In its transaction mode a prepared
        # statement may be gone, or belong to another client, at the next call (PgBouncer before 1.22).
        is_direct = process == connection.info.backend_pid
        if is_direct:
            # For a statement that this process can no longer cancel. It is longer than the limit of the service, whose
            # error says more. A pooler would pass the setting on to other clients.
            milliseconds = round((self._statement_timeout * _BULK_FACTOR + _GRACE) * 1000)
            await connection.execute(f"SET statement_timeout = {milliseconds}".encode())
        connection.attach(prepares=is_direct)
