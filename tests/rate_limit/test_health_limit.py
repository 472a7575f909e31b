"""Health checks are limited for each address, apart from all other requests."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import problem
from tests.support.service import Service, free_port, running_service

pytestmark = pytest.mark.exhaustive(2)

PROBES, ANONYMOUS = 60, 5
PATHS = ("/health", "/health/ready")
addresses = (f"192.0.2.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def limited(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that waits for no Redis, although one is configured and away."""
    with running_service(
        tmp_path_factory.mktemp("limited"),
        DATABASE_URL=database_url,
        RATE_LIMIT="1000/minute",
        RATE_LIMIT_ANONYMOUS=f"{ANONYMOUS}/day",
        RATE_LIMIT_PROBES=f"{PROBES}/minute",
        REDIS_URL=f"redis://127.0.0.1:{free_port()}",
    ) as service:
        yield service


def test_health_checks_of_an_address_share_one_budget(limited: Service) -> None:
    client = limited.client(**{"x-forwarded-for": next(addresses)})
    answers = [client.get(PATHS[number % 2]) for number in range(PROBES + 2)]
    assert [answer.status_code for answer in answers] == [200] * PROBES + [429] * 2
    left = [f'"probes";r={count}' for count in (*reversed(range(PROBES)), 0, 0)]
    assert [answer.headers["ratelimit"].rpartition(";")[0] for answer in answers] == left
    for answer in answers[PROBES:]:
        problem(limited, answer, "too-many-requests")


def test_health_checks_of_another_address_go_on(limited: Service) -> None:
    clients = [limited.client(**{"x-forwarded-for": next(addresses)}) for _ in range(2)]
    statuses = Counter(clients[0].get("/health").status_code for _ in range(PROBES + 1))
    assert statuses == {200: PROBES, 429: 1}
    assert clients[1].get("/health").status_code == 200


def test_other_requests_use_up_no_health_check(limited: Service) -> None:
    """A client that shares an address with an orchestrator cannot have the service restarted."""
    client = limited.client(**{"x-forwarded-for": next(addresses)})
    statuses = Counter(client.get("/").status_code for _ in range(PROBES + 2))
    assert statuses == {200: ANONYMOUS, 429: PROBES + 2 - ANONYMOUS}
    assert [client.get(path).status_code for path in PATHS] == [200, 200]


@pytest.mark.parametrize("settings", [{"RATE_LIMIT": "off"}, {"RATE_LIMIT": "9/day", "RATE_LIMIT_PROBES": "off"}])
def test_health_checks_without_a_limit_are_not_counted(
    database_url: str, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with running_service(
        tmp_path, ready=True, DATABASE_URL=database_url, **{"RATE_LIMIT_PROBES": "1/day", **settings}
    ) as service:
        answers = [service.client().get("/health") for _ in range(3)]
    assert [(answer.status_code, "ratelimit" in answer.headers) for answer in answers] == [(200, False)] * 3
