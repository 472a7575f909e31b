"""The access log: a request id, one log line for each request, metrics."""

import asyncio
import functools
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from persistence.postgres.database import Measurement, measure_database
from server.logging import access_renderer, output
from server.observability import metrics
from server.observability.process_state import in_progress
from server.observability.trace import CompletedRequest, Tracer
from server.problems import Kind
from server.request_context import Headers, RequestContext, attach, combine_fields, detach, join_vary

# Long enough for a UUID, a ULID or a W3C trace id, without characters that could break a log line or a header.
_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}", re.ASCII)

_CLIENT_GONE = 499
_OTHER_METHOD = "other"
_DELAY = 0.05
_MAX_ENTRIES = 500


class AccessLogMiddleware:
    """The outermost middleware: sees every response, errors too."""

    def __init__(
        self, app: ASGIApp, *, root_path: str, methods: Sequence[str], headers: Headers, tracer: Tracer | None
    ) -> None:
        self.app = app
        self.root_path = root_path
        # A client may send any method, and a label of a metric must not take any value that a client chooses.
        self.methods = frozenset(methods)
        self.headers = headers
        self.tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Create the request context, call the application, and log the request when it has ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            access_log.write()
            return
        started_at = time.perf_counter()
        if scope.get("raw_path") is None:
            # Optional in ASGI ("HTTP Connection Scope").
            scope["raw_path"] = quote(scope["path"]).encode()
        fields = combine_fields(scope["headers"])
        trace = None if self.tracer is None else self.tracer.begin(fields, started_at)
        request_id = _request_id(fields)
        headers = [(b"x-request-id", request_id.encode()), *self.headers]
        request = RequestContext(scope, receive, self.root_path, request_id, fields, headers)
        attach(request)
        statements = measure_database()
        in_progress[id(request)] = request

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = join_vary([*message["headers"], *headers, _server_timing(started_at, statements)])
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        finally:
            del in_progress[id(request)]
            detach(scope)
            access_log.add(
                CompletedRequest(
                    time.time(),
                    time.perf_counter() - started_at,
                    request.request_id,
                    scope["method"] if scope["method"] in self.methods else _OTHER_METHOD,
                    request.operation_id,
                    request.status or _CLIENT_GONE,
                    request.user.id if request.user is not None else None,
                    request.code,
                    request.replayed,
                    statements.attempts,
                    trace,
                )
            )


def _server_timing(started_at: float, statements: Measurement) -> tuple[bytes, bytes]:
    """The header field of the W3C's Server Timing: the milliseconds of the service without the database, and of it."""
    seconds = time.perf_counter() - started_at - statements.seconds
    # Concurrent statements of one request could take longer than the request.
    return b"server-timing", b"app;dur=%.2f, db;dur=%.2f" % (max(seconds, 0) * 1000, statements.seconds * 1000)


class AccessLog:
    """Counts completed requests and writes their log lines in batches.

    Done for each request by itself, this cost more than all of its validation: the code for it is no longer in the
    processor's caches by then, and every line is a system call. A process that is killed loses the lines of its last
    `_DELAY` seconds.
    """

    def __init__(self) -> None:
        self.counts = True
        """Whether requests are counted for the metrics."""
        self.tracer: Tracer | None = None
        """What exports the spans of requests; None where traces are off."""
        self._entries: list[CompletedRequest] = []

    def add(self, entry: CompletedRequest) -> None:
        """Add an entry, to be written within `_DELAY` seconds or with `_MAX_ENTRIES` others."""
        self._entries.append(entry)
        if len(self._entries) == 1:
            asyncio.get_running_loop().call_later(_DELAY, self.write)
        elif len(self._entries) >= _MAX_ENTRIES:
            self.write()

    def add_refusal(self, request_id: str, kind: Kind) -> None:
        """Add the response to a malformed request."""
        self.add(CompletedRequest(time.time(), 0.0, request_id, _OTHER_METHOD, None, kind.status, None, kind.code))

    def write(self) -> None:
        """Count and write the entries."""
        entries, self._entries = self._entries, []
        for entry in entries:
            self._count(entry)
        render = access_renderer()
        if entries and render is not None:
            output.write("".join([render(self._facts(entry)) + "\n" for entry in entries]))
            output.flush()

    def _count(self, entry: CompletedRequest) -> None:
        exemplar = None
        if entry.trace is not None and self.tracer is not None:
            exemplar = self.tracer.end(entry.trace, entry)
        if self.counts:
            _count(entry, exemplar)

    def _facts(self, entry: CompletedRequest) -> dict[str, Any]:
        """The facts of the entry's line, in the order in which it is written."""
        # None for a malformed request: the line must not get the id of the request that happens to write it.
        traced = {} if self.tracer is None else {"trace_id": entry.trace and entry.trace.text}
        return {
            "request_id": entry.request_id,
            "method": entry.method,
            "operation": entry.operation_id,
            "status": entry.status,
            "duration_ms": round(entry.seconds * 1000, 2),
            "user": entry.user,
            **traced,
            "timestamp": f"{_to_second(int(entry.ended_at))}.{int(entry.ended_at % 1 * 1_000_000):06}Z",
        }


access_log = AccessLog()
"""The access log of this process."""


@functools.lru_cache(maxsize=8)
def _to_second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _count(entry: CompletedRequest, exemplar: dict[str, str] | None) -> None:
    operation = entry.operation_id or metrics.NO_OPERATION
    metrics.count_request(entry.method, operation, entry.status, entry.seconds, exemplar)
    metrics.count_statements(entry.attempts)
    if entry.code is not None:
        metrics.count_error(operation, entry.code)
    if entry.replayed:
        metrics.count_replay(operation)


def _request_id(fields: Mapping[bytes, bytes]) -> str:
    given = fields.get(b"x-request-id")
    if given is not None and _SANE_REQUEST_ID.fullmatch(given):
        return given.decode()
    return str(uuid7())
