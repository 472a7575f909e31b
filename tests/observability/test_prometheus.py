"""A real Prometheus scrapes the service with the configuration of deploy/observability."""

import uuid
from collections.abc import Iterator

import pytest

from tests.observability.collector import running_collector
from tests.observability.rules import RULES, concrete, expressions
from tests.support.servers.prometheus import Prometheus, scraping
from tests.support.service import Service, running_service
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(2)]


@pytest.fixture(scope="module")
def production(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service as in production, whose Redis does not answer."""
    with (
        running_collector() as collector,
        running_service(
            tmp_path_factory.mktemp("production"),
            DATABASE_URL=database_url,
            ENVIRONMENT="production",
            RATE_LIMIT="100000/minute",
            REDIS_URL="redis://127.0.0.1:1/0",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        ) as service,
    ):
        yield service


@pytest.fixture(scope="module")
def prometheus(production: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with scraping(production, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def test_prometheus_scrapes_the_service_with_its_token(prometheus: Prometheus, production: Service) -> None:
    client = production.client()
    for _ in range(5):
        client.get("/health")
    until(lambda: prometheus.value('up{job="tasks-api"}') == 1)
    until(lambda: (prometheus.value('http_requests_total{operation="getHealth", status="200"}') or 0) >= 5)
    assert prometheus.value('count(build_info{job="tasks-api"})') == 1


@pytest.mark.parametrize("of", expressions())
def test_prometheus_evaluates_every_query(of: str, prometheus: Prometheus) -> None:
    assert prometheus.ask("/query", query=concrete(expressions()[of]))["resultType"] == "vector"


def test_the_alert_of_what_is_wrong_is_raised(prometheus: Prometheus) -> None:
    """It is pending, because Redis has to be away for minutes."""

    def states() -> dict[str, str]:
        groups = prometheus.ask("/rules")["groups"]
        return {rule["name"]: rule["state"] for group in groups for rule in group["rules"] if rule["health"] == "ok"}

    until(lambda: len(states()) == len(RULES) and states()["TasksApiRedisDown"] == "pending")
    assert states()["TasksApiDown"] == "inactive"


def test_prometheus_keeps_the_trace_of_a_bucket(prometheus: Prometheus, production: Service) -> None:
    trace_id = uuid.uuid4().hex
    production.client().get("/health", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})

    def kept() -> set[str]:
        query = 'http_request_duration_seconds_bucket{operation="getHealth"}'
        # From the beginning of 2026, because a range has to have ends.
        found = prometheus.ask("/query_exemplars", query=query, start="1767225600", end="4102444800")
        return {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    until(lambda: trace_id in kept())
