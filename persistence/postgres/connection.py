"""A connection to PostgreSQL that runs prepared statements."""

import asyncio
import select
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection, pq
from psycopg.adapt import Transformer
from psycopg.rows import TupleRow
from psycopg.types.datetime import TimestampBinaryLoader

from persistence.postgres.statement import Row, Statement

# A connection that has been idle for longer may have been lost silently, and is checked with a round trip.
_MAX_UNCHECKED_SECONDS = 30.0
# The errors of a prepared statement after a migration has changed the type of a column ("cached plan must not change
# result type"), or where a pooler has discarded it or has another of that name.
_STALE = (
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
)

# Severities of an error after which the server closes the connection (PostgreSQL's manual, section 54.8).
_ENDS_SESSION = (b"FATAL", b"PANIC")


class Connection(AsyncConnection[TupleRow]):
    """A psycopg connection that runs statements on libpq itself, one at a time.

    psycopg connects, adapts and cancels. Its general-purpose cursor costs three times as much as the rest of a
    statement (docs/decisions.md), so statements use libpq's asynchronous commands (PostgreSQL's manual, chapter
    "Asynchronous Command Processing"): send, and read when the socket is readable. The event loop watches the socket
    for the life of the connection, so a connection that the server closes is known to be lost before its next use.
    """

    seen_at: float = 0.0
    """The time of its last response, in seconds of `time.monotonic()`."""
    checked_out_at: float = 0.0
    """The time of its checkout from psycopg's pool, in the same seconds."""
    _prepared_names: set[bytes] | None
    _pending: asyncio.Future[pq.abc.PGresult] | None = None
    _result: pq.abc.PGresult | None = None
    _attached = False
    _writing = False
    _lost = False
    _abandoned = False

    def attach(self, *, prepares: bool) -> None:
        """Attach the socket to the running event loop. psycopg's own way of waiting must not be used afterwards."""
        self._loop = asyncio.get_running_loop()
        # The binary format of `timestamptz` is that of `timestamp`, in microseconds, and always in UTC.
        self.adapters.register_loader("timestamptz", TimestampBinaryLoader)
        self._adapter = Transformer(self)
        self._columns: dict[bytes, list[str]] = {}
        self._prepared_names = set() if prepares else None
        self._file = self.fileno()
        self.pgconn.nonblocking = 1
        self._socket_errors = select.poll()
        # Only POLLERR and POLLHUP, which are always reported.
        self._socket_errors.register(self._file, 0)
        self._loop.add_reader(self._file, self._read)
        self._attached = True
        self.seen_at = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """True if it can run the next statement."""
        idle = self.pgconn.transaction_status == pq.TransactionStatus.IDLE
        return idle and not self._lost and not self._abandoned

    @property
    def is_alive(self) -> bool:
        """True if it was in use lately and is not known to be lost. Costs one system call."""
        self._read()
        return not self._lost and time.monotonic() - self.seen_at < _MAX_UNCHECKED_SECONDS

    async def run(self, statement: Statement, parameters: Mapping[str, Any], seconds: float) -> list[Row]:
        """Run the statement in its own transaction and return all its rows.

        Raises `psycopg.Error` if the server refuses it, `psycopg.OperationalError` if the connection is lost, and
        `TimeoutError` after `seconds`. After the last two, and after a cancellation, the connection is not idle.
        """
        timer = self._loop.call_later(seconds, self._expire)
        try:
            result = await self._execute_prepared(statement, parameters)
        except (TimeoutError, asyncio.CancelledError):
            # Even if the result arrives now, it is unknown which statements were prepared.
            self._abandoned = True
            raise
        finally:
            timer.cancel()
        self.seen_at = time.monotonic()
        return self._rows(statement, result)

    async def close(self) -> None:
        """Detach the socket from the event loop, and close."""
        self._detach()
        await super().close()

    async def _execute_prepared(self, statement: Statement, parameters: Mapping[str, Any]) -> pq.abc.PGresult:
        try:
            return await self._execute(statement, parameters)
        except _STALE:
            if self._prepared_names is None:
                raise
            # Nothing was executed. Discard all prepared statements, and prepare this one again.
            self._prepared_names.clear()
            self.pgconn.send_query(b"DEALLOCATE ALL")
            await self._receive()
            return await self._execute(statement, parameters)

    async def _execute(self, statement: Statement, parameters: Mapping[str, Any]) -> pq.abc.PGresult:
        try:
            return await self._send(statement, parameters)
        except psycopg.OperationalError as error:
            # libpq has closed the socket where a command could not be sent. The event loop must forget the descriptor
            # before a new connection gets the same number; that connection would never be read otherwise.
            if self.pgconn.status == pq.ConnStatus.BAD:
                self._lose(error)
            raise

    async def _send(self, statement: Statement, parameters: Mapping[str, Any]) -> pq.abc.PGresult:
        values = self._adapter.dump_sequence(statement.values(parameters), statement.formats)
        if self._prepared_names is None:
            self.pgconn.send_query_params(statement.text, values, None, statement.parameter_formats, pq.Format.BINARY)
            return await self._receive()
        if statement.name not in self._prepared_names:
            self.pgconn.send_prepare(statement.name, statement.text)
            await self._receive()
            self._prepared_names.add(statement.name)
        self.pgconn.send_query_prepared(statement.name, values, statement.parameter_formats, pq.Format.BINARY)
        return await self._receive()

    def _receive(self) -> asyncio.Future[pq.abc.PGresult]:
        self._pending = self._loop.create_future()
        self._write()
        return self._pending

    def _rows(self, statement: Statement, result: pq.abc.PGresult) -> list[Row]:
        columns = self._columns.get(statement.name)
        if columns is None:
            names = (result.fname(index) or b"" for index in range(result.nfields))
            columns = self._columns[statement.name] = [name.decode() for name in names]
        self._adapter.set_pgresult(result)
        rows = [dict(zip(columns, row, strict=False)) for row in self._adapter.load_rows(0, result.ntuples, tuple)]
        # Otherwise each connection of the pool keeps its last result, up to megabytes, until its next statement.
        self._adapter.set_pgresult(None)
        return rows

    # Called by the event loop.

    def _write(self) -> None:
        try:
            unsent = self.pgconn.flush() != 0
        except psycopg.OperationalError as error:
            self._lose(error)
            return
        if unsent and not self._writing:
            self._loop.add_writer(self._file, self._write)
        elif self._writing and not unsent:
            self._loop.remove_writer(self._file)
        self._writing = unsent

    def _read(self) -> None:
        try:
            self.pgconn.consume_input()
            # uvloop calls a reader once where the socket has an error, such as a reset. What is left is read now, and
            # its end raises.
            while not self._read_results() and self._socket_errors.poll(0):
                self.pgconn.consume_input()
        except psycopg.OperationalError as error:
            self._lose(error)

    def _read_results(self) -> bool:
        """Take what has arrived. Returns False if more is to come."""
        while not self.pgconn.is_busy():
            result = self.pgconn.get_result()
            if result is None:
                self._settle()
                return True
            self._result = result
            if result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) in _ENDS_SESSION:
                # The last message of the server.
                self._lose(_error(result))
                return True
        return False

    def _settle(self) -> None:
        """Deliver the result of the current statement, if there is one."""
        pending, result = self._pending, self._result
        self._pending = self._result = None
        if pending is None or pending.done() or result is None:
            return
        if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            pending.set_result(result)
        else:
            pending.set_exception(_error(result))

    def _expire(self) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(TimeoutError())

    def _lose(self, error: psycopg.Error) -> None:
        self._detach()
        self._lost = True
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(error)

    def _detach(self) -> None:
        if self._attached:
            self._attached = False
            self._loop.remove_reader(self._file)
            self._loop.remove_writer(self._file)


def _error(result: pq.abc.PGresult) -> psycopg.Error:
    """The server's error. Its text has no detail, which quotes values."""
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"the connection is lost"
    if state is None:
        return psycopg.OperationalError(message.decode(errors="replace"))
    try:
        error = psycopg.errors.lookup(state.decode())(message.decode(errors="replace"), info=result)
    except KeyError:
        error = psycopg.DatabaseError(message.decode(errors="replace"))
    # psycopg has no class for some codes. `sqlstate` is kept for them too.
    error.sqlstate = state.decode()
    return error
