"""Traces, received by a collector: spans of requests and statements, `traceparent`, the log, exemplars."""

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.observability.collector import Collector, attributes, running_collector
from tests.support.service import ROOT, Service, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(5)

OPENMETRICS = {"accept": "application/openmetrics-text;version=1.0.0"}
QUICK = "50"  # the milliseconds that a span waits for others


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(database_url: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that exports what `traceparent` asks for, and nothing else."""
    with running_service(
        tmp_path_factory.mktemp("traced"),
        DATABASE_URL=database_url,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_TRACES_SAMPLER="parentbased_always_off",
        OTEL_BSP_SCHEDULE_DELAY=QUICK,
    ) as running:
        yield running


def parent(*, sampled: bool = True) -> tuple[str, dict[str, str]]:
    """A trace id, and the header field of a caller whose span has it."""
    trace_id = uuid.uuid4().hex
    return trace_id, {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-{'01' if sampled else '00'}"}


def test_a_request_is_a_span_with_a_child_for_each_statement(traced: Service, collector: Collector) -> None:
    client = traced.as_user("ada")
    location = client.post("/api/tasks", json={"title": "t"}).headers["location"]
    trace_id, fields = parent()
    assert client.get(location, headers=fields).status_code == httpx2.codes.OK
    request, statement = collector.wait_for(trace_id, 2)
    assert (request.name, request.kind) == ("GET /api/tasks/{task_id}", request.SPAN_KIND_SERVER)
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert attributes(request) == {
        "http.request.method": "GET",
        "http.route": "/api/tasks/{task_id}",
        "http.response.status_code": 200,
    }
    assert (statement.name, statement.kind) == ("get_task", statement.SPAN_KIND_CLIENT)
    assert statement.parent_span_id == request.span_id
    assert attributes(statement) == {"db.system.name": "postgresql", "db.query.summary": "get_task"}
    moments = (
        request.start_time_unix_nano,
        statement.start_time_unix_nano,
        statement.end_time_unix_nano,
        request.end_time_unix_nano,
    )
    assert list(moments) == sorted(moments)
    assert collector.paths == {"/v1/traces"}


def test_the_resource_is_the_service_and_what_the_variables_say(traced: Service, collector: Collector) -> None:
    trace_id, fields = parent()
    traced.client().get("/health", headers=fields)
    collector.wait_for(trace_id, 1)
    (found,) = {tuple(sorted(attributes(one.resource_spans[0].resource).items())) for one in collector.requests}
    resource = dict(found)
    version = traced.client().get("/openapi.json").json()["info"]["version"]
    assert (resource["service.name"], resource["service.version"]) == ("tasks-api", version)
    assert resource["deployment.environment.name"] == "test"


def test_spans_hold_no_data(traced: Service, collector: Collector) -> None:
    """Neither users, ids, titles, queries nor paths."""
    mark = f"confidential{uuid.uuid4().hex}"
    client = traced.as_user(mark, email=f"{mark}@example.com", name=mark)
    trace_id, fields = parent()
    task = client.post(f"/api/{mark}/tasks", json={"title": mark, "description": mark}, headers=fields).json()
    client.get(f"/api/{mark}/tasks/{task['id']}", headers=fields)
    client.get(f"/api/{mark}/tasks", params={"cursor": mark}, headers=fields)
    client.get(f"/{mark}", headers=fields)
    client.request("PROPFIND", f"/{mark}", headers=fields)
    collector.wait_for(trace_id, 7)
    text = str(collector.trace(trace_id))
    assert [secret for secret in (mark, task["id"]) if secret in text] == []


def test_an_unavailable_service_is_an_error_in_its_span(
    collector: Collector, tmp_path: Path, database_url: str
) -> None:
    """Without `traceparent` the service begins a trace itself, and says its id in the log."""
    with running_service(
        tmp_path,
        ready=False,
        DATABASE_URL=database_url.replace("host=", "host=/nowhere"),
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/v1/traces",
        OTEL_BSP_SCHEDULE_DELAY=QUICK,
    ) as service:
        answer = service.as_user("ada").get("/api/tasks")
        assert answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE
        (line,) = (
            one
            for one in service.read_log().splitlines()
            if "unavailable" in one and "listMyTasks" not in one and answer.headers["x-request-id"] in one
        )
        trace_id = line.partition("trace_id='")[2][:32]
        request = collector.wait_for(trace_id, 2)[0]
    assert request.status.code == request.status.STATUS_CODE_ERROR
    assert attributes(request)["error.type"] == "service-unavailable"


def test_every_line_of_a_request_names_its_trace(traced: Service) -> None:
    trace_id, fields = parent(sampled=False)
    answer = traced.client(authorization="Bearer nonsense").get("/api/tasks", headers=fields)
    lines = [line for line in traced.read_log().splitlines() if answer.headers["x-request-id"] in line]
    assert ["security.token_refused" in lines[0], " request " in lines[1]] == [True, True]
    assert [f"trace_id='{trace_id}'" in line for line in lines] == [True, True]


def test_what_is_not_sampled_is_not_exported(traced: Service, collector: Collector) -> None:
    """Neither where the caller says so, nor where the sampler decides."""
    unsampled, fields = parent(sampled=False)
    traced.client().get("/health", headers=fields)
    alone = traced.client().get("/health")
    last, fields = parent()
    traced.client().get("/health", headers=fields)
    collector.wait_for(last, 1)
    (line,) = (line for line in traced.read_log().splitlines() if alone.headers["x-request-id"] in line)
    assert collector.trace(unsampled) == []
    assert collector.trace(line.partition("trace_id='")[2][:32]) == []


@pytest.mark.parametrize("value", ["nonsense", "00-0-0-01", "", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"])
def test_a_malformed_traceparent_begins_another_trace(traced: Service, value: str) -> None:
    answer = traced.client().get("/health", headers={"traceparent": value})
    assert answer.status_code == httpx2.codes.OK
    (line,) = (line for line in traced.read_log().splitlines() if answer.headers["x-request-id"] in line)
    trace_id = line.partition("trace_id='")[2][:32]
    assert int(trace_id, 16) > 0


def exemplars(service: Service) -> set[str]:
    answer = service.client().get("/metrics", headers=OPENMETRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    return {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_a_recorded_trace_is_an_exemplar_of_its_bucket(traced: Service) -> None:
    unsampled, fields = parent(sampled=False)
    traced.as_user("ada").get("/api/ada", headers=fields)
    trace_id, fields = parent()
    traced.as_user("ada").get("/api/ada", headers=fields)
    assert trace_id in exemplars(traced)
    assert unsampled not in exemplars(traced)


def test_exemplars_of_all_workers_are_shown(database_url: str, collector: Collector, tmp_path: Path) -> None:
    with running_service(
        tmp_path,
        DATABASE_URL=database_url,
        WORKERS="2",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY=QUICK,
    ) as service:
        asked: set[str] = set()

        def is_shown() -> bool:
            trace_id, fields = parent()
            asked.add(trace_id)
            # A new connection each time, so that it reaches any of the workers.
            with httpx2.Client(trust_env=False) as client:
                client.get(f"{service.url}/health", headers=fields)
            return bool(exemplars(service) & asked)

        until(is_shown)


def test_the_last_spans_are_exported_at_the_end(database_url: str, collector: Collector, tmp_path: Path) -> None:
    trace_id, fields = parent()
    with running_service(
        tmp_path, DATABASE_URL=database_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="60000"
    ) as service:
        service.client().get("/health", headers=fields)
        assert collector.trace(trace_id) == []
    assert [span.name for span in collector.trace(trace_id)] == ["GET /health"]


def test_a_collector_that_is_away_changes_no_response(database_url: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path,
        DATABASE_URL=database_url,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_BSP_SCHEDULE_DELAY=QUICK,
    ) as service:
        client = service.client()
        assert {client.get("/health").status_code for _ in range(20)} == {httpx2.codes.OK}
    assert service.process.returncode == 128 + signal.SIGTERM


def test_without_the_variables_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys; from server.app import create_app; create_app(); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    environment = {"PYTHONPATH": str(ROOT), "BETTER_AUTH_SECRET": "u6OjTRHcsBW8Y-6AinwN44DF3BYzcj62s0YY4rjn8pI"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
