"""One connection to PostgreSQL, and what it takes to run a prepared statement on it."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection, pq
from psycopg.adapt import Transformer
from psycopg.rows import TupleRow
from psycopg.types.datetime import TimestampBinaryLoader

from persistence.postgres.statement import Row, Statement

# Only a connection that has been idle for longer may have been lost without a word, and is worth a round trip.
_SILENCE = 30.0
# What a prepared statement ends with where a migration has changed the type of a column ("cached plan must not change
# result type"), and where a pooler has discarded it or has one of that name.
_STALE = (
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
)


class Connection(AsyncConnection[TupleRow]):
    """A psycopg connection that runs statements on libpq itself, one at a time.

    psycopg makes, adapts and cancels; its cursor, which knows all that a cursor may be asked for, costs three times
    what the rest of a statement does (`docs/decisions.md`). Libpq's way is that of its chapter "Asynchronous Command
    Processing": send, and read when the socket is readable. The event loop watches the socket for as long as the
    connection lives, so one that the server closes is known to be lost before anybody asks for it.
    """

    seen_at: float = 0.0
    """When it was last known to be alive, in seconds of `time.monotonic()`."""
    borrowed_at: float = 0.0
    """When the pool gave it away, in the same seconds."""
    _known: set[bytes] | None
    _answer: asyncio.Future[pq.abc.PGresult] | None = None
    _result: pq.abc.PGresult | None = None
    _watching = False
    _writing = False
    _lost = False
    _abandoned = False

    def watch(self, *, prepares: bool) -> None:
        """Take over from psycopg, whose own ways of waiting must not be used from here on."""
        self._loop = asyncio.get_running_loop()
        # The wire has a `timestamptz` as it has a `timestamp`, in microseconds, and always in UTC.
        self.adapters.register_loader("timestamptz", TimestampBinaryLoader)
        self._adapter = Transformer(self)
        self._columns: dict[bytes, list[str]] = {}
        self._known = set() if prepares else None
        self._file = self.fileno()
        self.pgconn.nonblocking = 1
        self._loop.add_reader(self._file, self._read)
        self._watching = True
        self.seen_at = time.monotonic()

    @property
    def is_free(self) -> bool:
        """Whether it can be given the next statement."""
        idle = self.pgconn.transaction_status == pq.TransactionStatus.IDLE
        return idle and not self._lost and not self._abandoned

    @property
    def is_fresh(self) -> bool:
        """Whether it is as good as known to be alive. Costs one system call."""
        self._read()
        return not self._lost and time.monotonic() - self.seen_at < _SILENCE

    async def run(self, statement: Statement, parameters: Mapping[str, Any], seconds: float) -> list[Row]:
        """All rows of the statement, run in a transaction of its own.

        Raises `psycopg.Error` for what the server refuses, `psycopg.OperationalError` for a connection that is lost
        and `TimeoutError` after `seconds`; after those two, and where it is cancelled, it is not free.
        """
        timer = self._loop.call_later(seconds, self._expire)
        try:
            result = await self._execute_prepared(statement, parameters)
        except (TimeoutError, asyncio.CancelledError):
            # Even where the answer comes now: nobody knows any more what was prepared.
            self._abandoned = True
            raise
        finally:
            timer.cancel()
        self.seen_at = time.monotonic()
        return self._rows(statement, result)

    async def close(self) -> None:
        """Stop watching, and close."""
        self._stop_watching()
        await super().close()

    async def _execute_prepared(self, statement: Statement, parameters: Mapping[str, Any]) -> pq.abc.PGresult:
        try:
            return await self._execute(statement, parameters)
        except _STALE:
            if self._known is None:
                raise
            # Nothing was executed. Whatever the server has prepared by now, begin anew.
            self._known.clear()
            self.pgconn.send_query(b"DEALLOCATE ALL")
            await self._answered()
            return await self._execute(statement, parameters)

    async def _execute(self, statement: Statement, parameters: Mapping[str, Any]) -> pq.abc.PGresult:
        values = self._adapter.dump_sequence(statement.values(parameters), statement.formats)
        if self._known is None:
            self.pgconn.send_query_params(statement.text, values, None, statement.wire_formats, pq.Format.BINARY)
            return await self._answered()
        if statement.name not in self._known:
            self.pgconn.send_prepare(statement.name, statement.text)
            await self._answered()
            self._known.add(statement.name)
        self.pgconn.send_query_prepared(statement.name, values, statement.wire_formats, pq.Format.BINARY)
        return await self._answered()

    def _answered(self) -> asyncio.Future[pq.abc.PGresult]:
        self._answer = self._loop.create_future()
        self._write()
        return self._answer

    def _rows(self, statement: Statement, result: pq.abc.PGresult) -> list[Row]:
        columns = self._columns.get(statement.name)
        if columns is None:
            names = (result.fname(index) or b"" for index in range(result.nfields))
            columns = self._columns[statement.name] = [name.decode() for name in names]
        self._adapter.set_pgresult(result)
        return [dict(zip(columns, row, strict=False)) for row in self._adapter.load_rows(0, result.ntuples, tuple)]

    # What the event loop calls.

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
            while not self.pgconn.is_busy():
                result = self.pgconn.get_result()
                if result is None:
                    self._settle()
                    return
                self._result = result
        except psycopg.OperationalError as error:
            self._lose(error)

    def _settle(self) -> None:
        """The statement under way, if there is one, has ended."""
        answer, result = self._answer, self._result
        self._answer = self._result = None
        if answer is None or answer.done() or result is None:
            return
        if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            answer.set_result(result)
        else:
            answer.set_exception(_error(result))

    def _expire(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())

    def _lose(self, error: psycopg.OperationalError) -> None:
        self._stop_watching()
        self._lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _stop_watching(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._file)
            self._loop.remove_writer(self._file)


def _error(result: pq.abc.PGresult) -> psycopg.Error:
    """What the server said, without its details, which quote values."""
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"the connection is lost"
    if state is None:
        return psycopg.OperationalError(message.decode(errors="replace"))
    try:
        error = psycopg.errors.lookup(state.decode())(message.decode(errors="replace"))
    except KeyError:
        error = psycopg.DatabaseError(message.decode(errors="replace"))
    # psycopg's classes know theirs; a code that it does not know still has a class of its own.
    error.sqlstate = state.decode()
    return error
