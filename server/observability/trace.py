"""The trace of a request. Knows nothing of OpenTelemetry's SDK, which is loaded only where traces are on."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from persistence.postgres.database import Attempt


class Trace:
    """The trace that a request belongs to.

    Its id is made when it is first asked for. That is mostly when the completed requests of a batch are logged: while
    a request is processed, the same code costs several times as much, because the processor's caches do not have it.
    """

    __slots__ = ("_id", "_make_id", "parent", "started_at")

    def __init__(self, started_at: float, parent: Any, make_id: Callable[[], int], given: int = 0) -> None:
        """`started_at` is in seconds of `time.perf_counter()`, `given` the caller's trace id, or 0.

        `parent` is the context of the caller's span, or that of none.
        """
        self.started_at = started_at
        self.parent = parent
        self._make_id = make_id
        self._id = given

    @property
    def id(self) -> int:
        """The id (W3C Trace Context, section 3.2.2.3)."""
        if not self._id:
            self._id = self._make_id()
        return self._id

    @property
    def text(self) -> str:
        """The id as 32 hexadecimal digits."""
        return f"{self.id:032x}"


trace_of_request: ContextVar[Trace | None] = ContextVar("trace_of_request", default=None)
"""The trace of the request that the current task processes, for its log lines; None where traces are off."""


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
