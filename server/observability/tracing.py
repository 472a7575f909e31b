"""OpenTelemetry: a span for each request, with a child for each statement, exported with OTLP over HTTP."""

import threading
from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from persistence.postgres.database import Attempt, Outcome
from server.observability.trace import CompletedRequest, Trace, trace_of_request

_NO_CONTEXT: Final = Context()
_NANOSECONDS: Final = 1_000_000_000
_MOST_STATEMENTS: Final = 100
"""A long export runs thousands, and all of its spans would wait in memory."""
_CLOSE_SECONDS: Final = 2.0
_SERVER_ERROR: Final = 500


class _Ids(RandomIdGenerator):
    """Gives the next span the trace id with which the sampler has decided."""

    chosen: int | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.chosen is None else self.chosen


class OpenTelemetryTracer:
    """A `Tracer`. The standard variables `OTEL_*` choose collector, sampler, resource and limits of the SDK.

    The SDK takes longer to make a span that is not recorded than to decide that it is not, so the sampler is asked
    first: most requests of a service with sampling are not recorded.
    """

    def __init__(self, routes: Mapping[str, str], version: str) -> None:
        """`routes` has the path template of each operation. The exporter starts its thread here."""
        self._routes = routes
        self._ids = _Ids()
        given = OTELResourceDetector().detect().attributes
        resource = Resource.create({"service.name": "tasks-api", "service.version": version, **given})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tasks-api", version)
        self._sampler = self._provider.sampler
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, fields: Mapping[bytes, bytes], started_at: float) -> Trace:
        """The trace of a request, which goes on with that of `traceparent` (W3C Trace Context)."""
        context, given = _NO_CONTEXT, 0
        if b"traceparent" in fields:
            carrier = {name: fields.get(name.encode(), b"").decode("latin-1") for name in self._propagator.fields}
            context = self._propagator.extract(carrier, _NO_CONTEXT)
            given = get_current_span(context).get_span_context().trace_id
        trace = Trace(started_at, context, self._ids.generate_trace_id, given)
        trace_of_request.set(trace)
        return trace

    def end(self, trace: Trace, request: CompletedRequest) -> dict[str, str] | None:
        """Export the spans of a completed request in the background, if its trace is recorded.

        Returns the labels of an exemplar, or None for a trace that is not recorded. The sampler is asked here and not
        at the beginning, because completed requests come in batches, in which the same code costs less.
        """
        decision = self._sampler.should_sample(trace.parent, trace.id, request.method, SpanKind.SERVER).decision
        if decision is not Decision.RECORD_AND_SAMPLE:
            return None
        # The clock of statements has another beginning.
        epoch = request.ended_at - trace.started_at - request.seconds
        self._ids.chosen = trace.id
        try:
            begin = _nanoseconds(epoch + trace.started_at)
            span = self._tracer.start_span(request.method, trace.parent, SpanKind.SERVER, start_time=begin)
        finally:
            self._ids.chosen = None
        self._describe(span, request)
        context = set_span_in_context(span, _NO_CONTEXT)
        for attempt in request.attempts[:_MOST_STATEMENTS]:
            self._add_statement(attempt, context, epoch)
        span.end(_nanoseconds(request.ended_at))
        return {"trace_id": trace.text, "span_id": f"{span.get_span_context().span_id:016x}"}

    def _describe(self, span: Span, request: CompletedRequest) -> None:
        """No path, parameter or user: these are data."""
        span.set_attributes({"http.request.method": request.method, "http.response.status_code": request.status})
        route = self._routes.get(request.operation_id or "")
        if route is not None:
            span.update_name(f"{request.method} {route}")
            span.set_attribute("http.route", route)
        if request.status >= _SERVER_ERROR:
            span.set_attribute("error.type", request.code or str(request.status))
            span.set_status(StatusCode.ERROR)

    def _add_statement(self, attempt: Attempt, parent: Context, epoch: float) -> None:
        attributes = {"db.system.name": "postgresql", "db.query.summary": attempt.label}
        begin = epoch + attempt.started_at
        span = self._tracer.start_span(
            attempt.label, parent, SpanKind.CLIENT, attributes, start_time=_nanoseconds(begin)
        )
        if attempt.outcome is not Outcome.DONE:
            span.set_status(StatusCode.ERROR, attempt.outcome)
        span.end(_nanoseconds(begin + attempt.seconds))

    def close(self) -> None:
        """Export what is left, for two seconds at most."""
        # The exporter tries again for longer where no collector answers, and the process has to end.
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(_CLOSE_SECONDS)


def _nanoseconds(moment: float) -> int:
    return int(moment * _NANOSECONDS)
