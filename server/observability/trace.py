"""The trace of a request. Knows nothing of OpenTelemetry's SDK, which is loaded only where traces are on."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from persistence.postgres.database import Attempt

trace_id_of_request: ContextVar[str | None] = ContextVar("trace_id_of_request", default=None)
"""The trace id of the request that the current task processes, for its log lines; None where traces are off."""


class Ended(NamedTuple):
    """What a trace tells of a completed request. No path, parameter or user: these are data."""

    method: str
    operation_id: str | None
    status: int
    code: str | None
    ended_at: float
    """Seconds since 1970."""
    seconds: float
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that a request belongs to."""

    id: str
    """32 hexadecimal digits (W3C Trace Context, section 3.2.2.3)."""
    started_at: float
    """Seconds of `time.perf_counter()`."""
    span: Any = None
    """The span of the request; None where this trace is not recorded."""
    span_id: str | None = None

    @property
    def exemplar(self) -> dict[str, str] | None:
        """The labels of an exemplar; None where this trace is not recorded."""
        return None if self.span_id is None else {"trace_id": self.id, "span_id": self.span_id}


class Tracer(Protocol):
    """Makes the traces of requests."""

    def begin(self, method: str, fields: Mapping[bytes, bytes], started_at: float) -> Trace:
        """The trace of a request, which goes on with that of `traceparent` (W3C Trace Context)."""

    def end(self, trace: Trace, request: Ended) -> None:
        """Export the span of a completed request and those of its statements, in the background."""

    def close(self) -> None:
        """Export what is left, for two seconds at most."""
