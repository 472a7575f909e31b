"""Who may read /metrics, and the service without /docs."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.operations.command import serve
from tests.support.service import METRICS_TOKEN, Service, running_service

pytestmark = pytest.mark.exhaustive(2)

TOKEN = "another-token-of-32-characters-xx"  # noqa: S105


def status(service: Service, *authorization: str) -> int:
    client = service.client(**({"authorization": authorization[0]} if authorization else {}))
    return client.get("/metrics").status_code


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("environment", ["development", "staging"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_token_is_demanded_where_one_is_set(
    environment: str, workers: str, database_url: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"ENVIRONMENT": environment, "METRICS_TOKEN": TOKEN, "WORKERS": workers}
    with running_service(tmp_path, DATABASE_URL=database_url, **settings) as service:
        assert [status(service, f"{scheme} {TOKEN}") for scheme in ("Bearer", "bearer", "BEARER")] == [200, 200, 200]
        refused = ["", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {METRICS_TOKEN}"]
        assert {status(service, value) for value in refused} == {status(service)} == {401}
        answer = service.client().get("/metrics")
        assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
        assert (answer.json()["code"], "http_requests" in answer.text) == ("unauthenticated", False)


def test_production_shows_no_metrics_without_a_token(database_url: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"ENVIRONMENT": "production", "METRICS_TOKEN": ""}
    with running_service(tmp_path, DATABASE_URL=database_url, **settings) as service:
        client = service.client()
        assert client.get("/metrics").status_code == httpx2.codes.NOT_FOUND
        assert "metrics" not in client.get("/").text


def test_the_reference_can_be_turned_off(database_url: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database_url, DOCS_ENABLED="false") as service:
        client = service.client()
        paths = ("/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/demo-token")
        assert {client.get(path).status_code for path in paths} == {404}
        assert 'href="docs"' not in client.get("/").text
        assert [client.get(path).status_code for path in ("/", "/guide", "/openapi.json", "/metrics")] == [200] * 4
        assert "/docs" not in service.log.read_text().partition("Token of the user")[0]


@pytest.mark.parametrize("token", ["short", "with a space in its middle", "x" * 15])
def test_a_token_that_cannot_be_sent_is_refused(token: str, tmp_path: Path) -> None:
    assert serve(tmp_path, METRICS_TOKEN=token).stderr.startswith(
        "Error: METRICS_TOKEN: must be at least 16 characters"
    )
