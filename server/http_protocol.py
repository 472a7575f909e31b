"""uvicorn's protocol, with bounds to what a client may take of time and memory.

What waits for a client, or for the service itself, waits for a bounded time:

    the head of a request           `Limits.head_seconds`; 408, or the end of a connection that said nothing
    its body                        `Limits.body_seconds`, and one more for each 32 KiB that have come; 408
    the beginning of the answer     `Limits.request_seconds` of the service's own time; 503
    the client taking the answer    as for the body, then the connection is cut
    the end of the service          `Limits.shutdown_seconds` from the signal; 503

A request that the stages work on is ended through them: `Interruption` is put into its scope and its task is
cancelled, so that the one answer it gets has its request id, its CORS headers, its log line and its count. What never
becomes a request is answered here, in the contract's shape.
"""

import asyncio
import contextvars
from typing import Any, Final

from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server.connection_limits import Watch
from server.framed_protocol import FramedProtocol
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

_HEAD_BYTES: Final = TARGET_BYTES + HEADER_BYTES + 8_192
"""Of a head that has no end yet. The guard is exact about those that have one."""

_OVERHEAD: Final = 16
"""The most bytes on the wire for one of a body: a chunk of one byte takes six."""

_SLACK: Final = 65_536

_MOST_QUEUED: Final = 100
"""Requests that a client may send ahead of their answers. Thousands fit into what is read at once."""

_FEW_SECONDS: Final = 2.0
"""For a client to read why it was refused: closing at once may take an answer back (RFC 9112, section 9.6)."""

_LINGER: Final = 1.0
"""For a request that was on its way when the service began to end."""


class ProblemProtocol(FramedProtocol):
    """Ends what takes too long or too much, and answers what never becomes a request that the stages could see."""

    waited = 0.0
    """For how many seconds the client has been waited for."""
    _worked = 0.0
    _stalled = 0.0
    _unsent = 0
    _waits_for: object = None
    _works_on: object = None
    _counted: object = None
    _head_bytes = 0
    _body_bytes = 0
    _wire_bytes: int | None = None
    _running: RequestResponseCycle | None = None
    _task: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, watch: Watch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch = watch

    @property
    def is_busy(self) -> bool:
        """Whether the stages work on a request of this connection."""
        return self._running is not None and not self._running.response_complete

    @property
    def buffered(self) -> int:
        """The bytes that it holds of an incomplete head, an unread body and unsent responses."""
        head = self._head_bytes if self._has_begun() else 0
        return head + self._unsent + (len(self.cycle.body) if self.cycle is not None else 0)

    @property
    def stalled(self) -> float:
        """The seconds for which the client has stalled."""
        return max(self._stalled, 0.0 if self.is_busy else self.waited)

    # What the event loop and the parser call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, if there is room."""
        super().connection_made(transport)
        if not self._watch.add(self):
            self._refuse(Problem(SERVICE_UNAVAILABLE))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request under way know, which need not be the last that came."""
        if self.is_busy and self._running is not None:
            self._running.disconnected = True
        super().connection_lost(exc)
        # uvicorn's keep-alive timer would keep the protocol of a reset connection in memory until it fires.
        self._unset_keepalive_if_required()

    def part_received(self, data: bytes) -> None:
        """Parse what has come, and see that what is kept of it does not grow without end."""
        super().part_received(data)
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            self._bound_head(len(data))
        elif cycle.more_body:
            self._bound_body(len(data))

    def on_headers_complete(self) -> None:
        """Begin the request."""
        super().on_headers_complete()
        # Fields that come behind the body must not be taken for those of the head (RFC 9110, section 6.5.1).
        self.headers = []
        self._body_bytes = 0
        self._wire_bytes = None
        # What comes behind a request for another protocol may be of that one, and would be read as HTTP.
        if self._watch.draining_since is not None or self.parser.should_upgrade():
            self.cycle.keep_alive = False
        if len(self.pipeline) >= _MOST_QUEUED:
            self.cycle.keep_alive = False
            self.cycle.transport = _GentlyClosed(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, which earns its sender more time."""
        super().on_body(body)
        if not self.cycle.response_complete:
            self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        """End the body, unless more fields come behind it than a head may have."""
        if self.headers and sum([len(name) + len(value) for name, value in self.headers]) > HEADER_BYTES:
            raise BufferError("the trailers are too long")
        super().on_message_complete()

    def resume_writing(self) -> None:
        """Go on, for the client takes its answer."""
        super().resume_writing()
        self._stalled = 0.0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # As in the method that this one replaces.
        context = contextvars.Context() if self.config.reset_contextvars else None
        task = self.loop.create_task(cycle.run_asgi(app), context=context)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self._running, self._task = cycle, task
        if INTERRUPTION in cycle.scope:
            self.loop.call_soon(task.cancel)

    # What came is not a request.

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, and listen no more: where a next request starts is unknown."""
        # A target beyond 65,535 bytes is one of the things that it does not read.
        too_long = len(self.url) > TARGET_BYTES
        self.give_up(Problem(URI_TOO_LONG) if too_long else Problem(MALFORMED_REQUEST, self.fault or msg))

    def give_up(self, problem: Problem) -> None:
        """End with the problem, unless an answer is due or has been given to what came before."""
        self.is_deaf = True
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and cycle.more_body:
            # It is in the body of a request.
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
        """Answer in the stages' place, and close the connection."""
        self.is_deaf = True
        if self.transport.is_closing():
            return
        request_id = str(uuid7())
        self.transport.write(_as_bytes(problem, request_id, self._watch.headers))
        access_log.add_refused(request_id, problem.kind.status)
        self.close_gently()

    def close_gently(self) -> None:
        """Close the connection once the client has read its answers, or a moment later (RFC 9112, section 9.6)."""
        if self._watch.draining_since is not None or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.loop.call_later(_FEW_SECONDS, self.transport.close)

    def _bound_head(self, received: int) -> None:
        if self.scope is None or self.is_deaf:
            return
        many = len(self.headers) > HEADER_FIELDS
        if self._counted is not self.scope:
            # What came with it may belong to the request before.
            self._counted = self.scope
            received = len(self.url) + (0 if many else sum([len(name) + len(value) for name, value in self.headers]))
            self._head_bytes = 0
        self._head_bytes += received
        if many or self._head_bytes > _HEAD_BYTES:
            self.give_up(Problem(URI_TOO_LONG if len(self.url) > TARGET_BYTES else HEADERS_TOO_LARGE))

    def _bound_body(self, received: int) -> None:
        # The first part came with the head.
        self._wire_bytes = 0 if self._wire_bytes is None else self._wire_bytes + received
        if self.is_deaf or (len(self.headers) <= HEADER_FIELDS and not self._is_padded()):
            return
        self.give_up(Problem(MALFORMED_REQUEST, "The chunked body has much more framing than content."))

    def _is_padded(self) -> bool:
        answered = self.cycle.response_complete
        return not answered and (self._wire_bytes or 0) > _OVERHEAD * self._body_bytes + _SLACK

    # What takes too long.

    def look(self, passed: float) -> None:
        """Hold the seconds that have passed against whoever is waited for."""
        running = self._running
        if self._takes_nothing(passed) or self.is_abandoned():
            self.cut()
        elif running is None or running.response_complete:
            self._look_at_client(passed)
        elif CUT in running.scope:
            self.cut()
        elif self._can_be_answered(running):
            self._look_at_request(running, passed)

    def end(self) -> None:
        """The service ends: say so to whoever waits for an answer, and leave the others."""
        running = self._running
        if running is not None and not running.response_complete:
            if self._can_be_answered(running):
                self._interrupt(running, Problem(SERVICE_UNAVAILABLE))
            else:
                self.cut()
        elif self._has_begun() and not self.is_deaf:
            self._refuse(Problem(SERVICE_UNAVAILABLE))
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Answer what has come, and what is still on its way, for the last time."""
        self._watch.drain(self.loop)
        if self.is_busy:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_LINGER, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self.is_busy and not self._has_begun():
            self.transport.close()

    def _has_begun(self) -> bool:
        """Whether there is a head that has no end yet."""
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _can_be_answered(self, cycle: RequestResponseCycle) -> bool:
        """Whether a problem can still be the answer, and would not stand in line behind those that nobody takes."""
        return not cycle.response_started and INTERRUPTION not in cycle.scope and not self.flow.write_paused

    def _look_at_client(self, passed: float) -> None:
        cycle, limits = self.cycle, self._watch.limits
        if self.is_deaf or self.transport.is_closing():
            return
        if cycle is not None and cycle.scope is self.scope and cycle.more_body:
            # It has been answered, and goes on sending.
            if self._has_waited(cycle, passed) > limits.body_seconds:
                self.transport.close()
        elif self.timeout_keep_alive_task is not None:
            self._has_waited(self.timeout_keep_alive_task, passed)
        elif self._has_waited(self.scope, passed) > limits.head_seconds:
            if self._has_begun():
                self._refuse(Problem(REQUEST_TIMEOUT))
            else:
                self.transport.close()

    def _look_at_request(self, cycle: RequestResponseCycle, passed: float) -> None:
        limits = self._watch.limits
        if cycle.more_body and not cycle.body and not self.flow.read_paused and not self.is_deaf:
            if self._has_waited(cycle, passed) > limits.body_seconds + self._body_bytes / BYTES_PER_SECOND:
                self._interrupt(cycle, Problem(REQUEST_TIMEOUT))
            return
        if self._works_on is not cycle:
            self._works_on, self._worked = cycle, 0.0
            return
        self._worked += passed
        if self._worked > limits.request_seconds:
            self._interrupt(cycle, Problem(SERVICE_UNAVAILABLE))

    def _has_waited(self, what: object, passed: float) -> float:
        """For how long the client has been waited for because of this. Nothing at first sight, which is late."""
        self.waited = self.waited + passed if self._waits_for is what else 0.0
        self._waits_for = what
        return self.waited

    def _takes_nothing(self, passed: float) -> bool:
        """Whether the client leaves its answers lying for too long."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._stalled = 0.0
        elif self._unsent:
            taken = max(0, self._unsent - unsent)
            self._stalled = max(0.0, self._stalled + passed - taken / BYTES_PER_SECOND)
        self._unsent = unsent
        return self._stalled > self._watch.limits.body_seconds

    def _interrupt(self, cycle: RequestResponseCycle, problem: Problem | None) -> None:
        cycle.keep_alive = False
        cycle.scope[INTERRUPTION] = Interruption(problem)  # type: ignore[typeddict-unknown-key]
        if cycle is self._running and self._task is not None:
            # Not before the task has begun, or nothing would answer.
            self.loop.call_soon(self._task.cancel)

    def cut(self) -> None:
        """End the connection in the middle of an answer, or with one that nobody takes."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            if INTERRUPTION not in self._running.scope:
                self._interrupt(self._running, None)
        self.transport.abort()


class _GentlyClosed:
    """What `RequestResponseCycle` uses of a transport, for the last answer to a client that goes on sending."""

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
