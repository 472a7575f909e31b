"""uvicorn's HTTP protocol, with limits on the time and the memory of a connection.

Every wait is bounded:

    the head of a request           `Limits.head_seconds`; 408, or the end of a silent connection
    its body                        `Limits.body_seconds`, plus one for each 32 KiB received; 408
    the beginning of the response   `Limits.request_seconds` of the service's own time; 503
    the client reading a response   as for the body, then the connection is closed
    the shutdown                    `Limits.shutdown_seconds` from the signal; 503

A request that is being processed is ended through the stages: an `Interruption` is put into its scope and its task is
cancelled, so that its response has a request id, CORS header fields, a log line and a count. What never becomes a
request is answered here with the same problem documents.
"""

import asyncio
import contextvars
from typing import Any, Final

from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server.middleware.access_log import access_log
from server.middleware.request_limits import BYTES_PER_SECOND, HEADER_BYTES, HEADER_FIELDS
from server.problems import (
    CUT,
    HEADERS_TOO_LARGE,
    INTERRUPTION,
    MALFORMED_REQUEST,
    REQUEST_TIMEOUT,
    SERVICE_UNAVAILABLE,
    URI_TOO_LONG,
    Interruption,
    Problem,
)
from server.request_context import TARGET_BYTES, Headers
from server.transport.connection_limits import ConnectionMonitor
from server.transport.framed_protocol import FramedProtocol

_HEAD_BYTES: Final = TARGET_BYTES + HEADER_BYTES + 8_192
"""The limit of an incomplete head. The request limits check a complete one exactly."""

_MAX_OVERHEAD: Final = 16
"""The maximum number of received bytes for one of a body: a chunk of one byte takes six."""

_FREE_OVERHEAD_BYTES: Final = 65_536

_MAX_PIPELINED: Final = 100
"""The maximum number of pipelined requests. One read can contain thousands."""

_LINGER_SECONDS: Final = 2.0
"""The time for a client to read a refusal: an immediate close may discard it (RFC 9112, section 9.6)."""

_SHUTDOWN_GRACE_SECONDS: Final = 1.0
"""The time for a request that was sent when the shutdown began."""


class ProblemProtocol(FramedProtocol):
    """Ends connections that exceed their limits, and answers malformed requests."""

    waited = 0.0
    """The seconds for which the service has waited for the client."""
    _worked = 0.0
    _stalled = 0.0
    _unsent = 0
    _waiting_for: object = None
    _working_on: object = None
    _counted: object = None
    _head_bytes = 0
    _body_bytes = 0
    _received_bytes: int | None = None
    _running: RequestResponseCycle | None = None
    _task: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, monitor: ConnectionMonitor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._monitor = monitor

    @property
    def is_busy(self) -> bool:
        """True while a request of this connection is processed."""
        return self._running is not None and not self._running.response_complete

    @property
    def buffered(self) -> int:
        """The bytes that it holds of an incomplete head, an unread body and unsent responses."""
        head = self._head_bytes if self._has_incomplete_head() else 0
        return head + self._unsent + (len(self.cycle.body) if self.cycle is not None else 0)

    @property
    def stalled(self) -> float:
        """The seconds for which the client has stalled."""
        return max(self._stalled, 0.0 if self.is_busy else self.waited)

    # Called by the event loop and the parser.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, unless there are too many."""
        super().connection_made(transport)
        if not self._monitor.add(self):
            self._refuse(Problem(SERVICE_UNAVAILABLE))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the current request, which need not be the last one received."""
        if self.is_busy and self._running is not None:
            self._running.disconnected = True
        super().connection_lost(exc)

    def part_received(self, data: bytes) -> None:
        """Parse received data, and bound what is kept of it."""
        super().part_received(data)
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            self._bound_head(len(data))
        elif cycle.more_body:
            self._bound_body(len(data))

    def on_headers_complete(self) -> None:
        """Begin the request."""
        super().on_headers_complete()
        # Trailer fields must not become header fields (RFC 9110, section 6.5.1).
        self.headers = []
        self._body_bytes = 0
        self._received_bytes = None
        # Data after a request for another protocol may belong to that protocol.
        if self._monitor.draining_since is not None or self.parser.should_upgrade():
            self.cycle.keep_alive = False
        if len(self.pipeline) >= _MAX_PIPELINED:
            self.cycle.keep_alive = False
            self.cycle.transport = _LingeringTransport(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, which extends its deadline."""
        super().on_body(body)
        if not self.cycle.response_complete:
            self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        """End the body, unless its trailers exceed the limit of header fields."""
        if self.headers and sum([len(name) + len(value) for name, value in self.headers]) > HEADER_BYTES:
            raise BufferError("the trailers are too long")
        super().on_message_complete()

    def resume_writing(self) -> None:
        """Continue, because the client reads its response."""
        super().resume_writing()
        self._stalled = 0.0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # As in the overridden method.
        context = contextvars.Context() if self.config.reset_contextvars else None
        task = self.loop.create_task(cycle.run_asgi(app), context=context)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self._running, self._task = cycle, task
        if INTERRUPTION in cycle.scope:
            self.loop.call_soon(task.cancel)

    # Malformed requests.

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, and read no more: the start of the next request is unknown."""
        # The parser does not read a target beyond 65,535 bytes.
        too_long = len(self.url) > TARGET_BYTES
        self.give_up(Problem(URI_TOO_LONG) if too_long else Problem(MALFORMED_REQUEST, self.fault or msg))

    def give_up(self, problem: Problem) -> None:
        """End with the problem, unless the response to an earlier request is due."""
        self.is_deaf = True
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and cycle.more_body:
            # The fault is in the body of a request.
            if cycle.response_complete:
                self.transport.close()
            elif not cycle.response_started:
                self._interrupt(cycle, problem)
            cycle.keep_alive = False
        elif self.is_busy:
            cycle.keep_alive = False
        else:
            self._refuse(problem)

    def _refuse(self, problem: Problem) -> None:
        """Answer without the stages, and close the connection."""
        self.is_deaf = True
        if self.transport.is_closing():
            return
        request_id = str(uuid7())
        self.transport.write(_as_bytes(problem, request_id, self._monitor.headers))
        access_log.add_refusal(request_id, problem.kind)
        self.close_gently()

    def close_gently(self) -> None:
        """Close the connection once the client has read its responses, or after a time (RFC 9112, section 9.6)."""
        if self._monitor.draining_since is not None or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _bound_head(self, received: int) -> None:
        if self.scope is None or self.is_deaf:
            return
        many = len(self.headers) > HEADER_FIELDS
        if self._counted is not self.scope:
            # Data received with it may belong to the previous request.
            self._counted = self.scope
            received = len(self.url) + (0 if many else sum([len(name) + len(value) for name, value in self.headers]))
            self._head_bytes = 0
        self._head_bytes += received
        if many or self._head_bytes > _HEAD_BYTES:
            self.give_up(Problem(URI_TOO_LONG if len(self.url) > TARGET_BYTES else HEADERS_TOO_LARGE))

    def _bound_body(self, received: int) -> None:
        # The first part was received with the head.
        self._received_bytes = 0 if self._received_bytes is None else self._received_bytes + received
        if self.is_deaf or (len(self.headers) <= HEADER_FIELDS and not self._is_padded()):
            return
        self.give_up(Problem(MALFORMED_REQUEST, "The chunked body has much more framing than content."))

    def _is_padded(self) -> bool:
        answered = self.cycle.response_complete
        return not answered and (self._received_bytes or 0) > _MAX_OVERHEAD * self._body_bytes + _FREE_OVERHEAD_BYTES

    # Deadlines.

    def check_deadlines(self, passed: float) -> None:
        """Count the seconds that have passed, and end what exceeds its limit."""
        running = self._running
        if self._reads_nothing(passed) or self.is_abandoned():
            self.cut()
        elif running is None or running.response_complete:
            self._check_client(passed)
        elif CUT in running.scope:
            self.cut()
        elif self._can_be_answered(running):
            self._check_request(running, passed)

    def end(self) -> None:
        """The process shuts down: send a 503 to a waiting client, and close the connection."""
        running = self._running
        if running is not None and not running.response_complete:
            if self._can_be_answered(running):
                self._interrupt(running, Problem(SERVICE_UNAVAILABLE))
            else:
                self.cut()
        elif self._has_incomplete_head() and not self.is_deaf:
            self._refuse(Problem(SERVICE_UNAVAILABLE))
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Answer the requests that were sent, and accept no more."""
        self._monitor.drain(self.loop)
        if self.is_busy:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_SHUTDOWN_GRACE_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self.is_busy and not self._has_incomplete_head():
            self.transport.close()

    def _has_incomplete_head(self) -> bool:
        """True if there is an incomplete head."""
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _can_be_answered(self, cycle: RequestResponseCycle) -> bool:
        """True if a problem can still be sent, and the client reads its responses."""
        return not cycle.response_started and INTERRUPTION not in cycle.scope and not self.flow.write_paused

    def _check_client(self, passed: float) -> None:
        cycle, limits = self.cycle, self._monitor.limits
        if self.is_deaf or self.transport.is_closing():
            return
        if cycle is not None and cycle.scope is self.scope and cycle.more_body:
            # The request is answered, and the client still sends its body.
            if self._wait(cycle, passed) > limits.body_seconds:
                self.transport.close()
        elif self.idle is not None:
            if self._wait(self.idle, passed) > self.timeout_keep_alive:
                self.transport.close()
        elif self._wait(self.scope, passed) > limits.head_seconds:
            if self._has_incomplete_head():
                self._refuse(Problem(REQUEST_TIMEOUT))
            else:
                self.transport.close()

    def _check_request(self, cycle: RequestResponseCycle, passed: float) -> None:
        limits = self._monitor.limits
        if cycle.more_body and not cycle.body and not self.flow.read_paused and not self.is_deaf:
            if self._wait(cycle, passed) > limits.body_seconds + self._body_bytes / BYTES_PER_SECOND:
                self._interrupt(cycle, Problem(REQUEST_TIMEOUT))
            return
        if self._working_on is not cycle:
            self._working_on, self._worked = cycle, 0.0
            return
        self._worked += passed
        if self._worked > limits.request_seconds:
            self._interrupt(cycle, Problem(SERVICE_UNAVAILABLE))

    def _wait(self, what: object, passed: float) -> float:
        """The seconds of waiting for the client because of `what`. The first check counts nothing."""
        self.waited = self.waited + passed if self._waiting_for is what else 0.0
        self._waiting_for = what
        return self.waited

    def _reads_nothing(self, passed: float) -> bool:
        """True if the client has not read its responses for too long."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._stalled = 0.0
        elif self._unsent:
            taken = max(0, self._unsent - unsent)
            self._stalled = max(0.0, self._stalled + passed - taken / BYTES_PER_SECOND)
        self._unsent = unsent
        return self._stalled > self._monitor.limits.body_seconds

    def _interrupt(self, cycle: RequestResponseCycle, problem: Problem | None) -> None:
        cycle.keep_alive = False
        cycle.scope[INTERRUPTION] = Interruption(problem)  # type: ignore[typeddict-unknown-key]
        if cycle is self._running and self._task is not None:
            # After the task has begun, or nothing would answer.
            self.loop.call_soon(self._task.cancel)

    def cut(self) -> None:
        """Close the connection at once, also in the middle of a response."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            if INTERRUPTION not in self._running.scope:
                self._interrupt(self._running, None)
        self.transport.abort()


class _LingeringTransport:
    """The transport of the last response to a client that still sends. `RequestResponseCycle` uses these methods."""

    def __init__(self, connection: ProblemProtocol) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.close_gently


def _as_bytes(problem: Problem, request_id: str, headers: Headers) -> bytes:
    fields, content = problem.render("/")
    fields += [(b"vary", b"Origin"), (b"x-request-id", request_id.encode()), *headers, (b"connection", b"close")]
    lines = [b"HTTP/1.1 %d %s" % (problem.kind.status, problem.kind.title.encode())]
    lines += [b"%s: %s" % field for field in fields]
    return b"\r\n".join([*lines, b"", content])
