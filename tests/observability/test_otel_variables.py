"""The variables `OTEL_*`: when they turn traces on, and what is refused."""

from pathlib import Path

import pytest

from server.observability.variables import collector
from tests.observability.collector import running_collector
from tests.operations.command import RunCommand
from tests.support.service import running_service

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
URL = "http://collector:4318"


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, None),
        ({ENDPOINT: URL}, URL),
        ({ENDPOINT: ""}, None),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL}, URL),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318"),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: URL}, None),
        ({"OTEL_SDK_DISABLED": "true", ENDPOINT: URL}, None),
        ({ENDPOINT: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, URL),
    ],
    ids=lambda value: "&".join(value) if isinstance(value, dict) else "",
)
def test_an_endpoint_or_an_exporter_turns_traces_on(variables: dict[str, str], address: str | None) -> None:
    assert collector(variables) == address


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: must be `otlp` or `none`"),
        (
            {ENDPOINT: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: must be `http/protobuf`; the port of a collector for it is usually 4318",
        ),
        ({ENDPOINT: "collector:4317"}, f"{ENDPOINT}: must be a URL that begins with http:// or https://"),
    ],
    ids=["exporter", "protocol", "address"],
)
def test_what_cannot_be_done_stops_the_start(variables: dict[str, str], sentence: str, tasks_api: RunCommand) -> None:
    result = tasks_api("serve", **variables)
    assert (result.exit_code, result.stderr) == (2, f"Error: {sentence}\n")


def test_the_variables_may_stand_in_the_file_env(database_url: str, tmp_path: Path) -> None:
    """In production too, where an unknown variable there stops the start."""
    with running_collector() as collector:
        (tmp_path / ".env").write_text(f"{ENDPOINT}={collector.url}\nOTEL_SERVICE_NAME=tasks\n")
        with running_service(tmp_path, DATABASE_URL=database_url, ENVIRONMENT="production") as service:
            service.client().get("/health")
        assert "GET /health" in {span.name for span in collector.spans}
