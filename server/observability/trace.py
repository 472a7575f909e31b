"""The trace of a request. Knows nothing of OpenTelemetry's SDK, which is loaded only where traces are on."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from persistence.postgres.database import Attempt

trace_id_of_request: ContextVar[str | None] = ContextVar("trace_id_of_request", default=None)
"""The trace id of the request that the current task processes, for its log lines; None where traces are off."""


class Trace(NamedTuple):
    """The trace that a request belongs to."""

    id: int
    text: str
    """The id as 32 hexadecimal digits (W3C Trace Context, section 3.2.2.3)."""
    started_at: float
    """Seconds of `time.perf_counter()`."""
    parent: Any
    """The context of the caller's span, or that of none."""


class CompletedRequest(NamedTuple):
    """The facts of a completed request, for its log line, the metrics and its trace."""

    ended_at: float
    """Seconds since 1970."""
    seconds: float
    request_id: str
    method: str
    operation_id: str | None
    status: int
    user: str | None
    code: str | None
    """The code of the problem that was the response, or that ended it."""
    replayed: bool = False
    attempts: Sequence[Attempt] = ()
    trace: Trace | None = None


class Tracer(Protocol):
    """Makes the traces of requests."""

    def begin(self, fields: Mapping[bytes, bytes], started_at: float) -> Trace:
        """The trace of a request, which goes on with that of `traceparent` (W3C Trace Context)."""

    def end(self, trace: Trace, request: CompletedRequest) -> dict[str, str] | None:
        """Export the spans of a completed request in the background, if its trace is recorded.

        Returns the labels of an exemplar, or None for a trace that is not recorded.
        """

    def close(self) -> None:
        """Export what is left, for two seconds at most."""
