"""The metrics of several worker processes, whichever of them answers."""

import os
import signal
from collections.abc import Iterator

import httpx2
import psutil
import pytest

from tests.observability.scrape import scrape, series, wait_for
from tests.support.service import START_SECONDS, Service, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(1)

REQUESTS = series("http_requests_total", method="GET", operation="getHealth", status="200")


@pytest.fixture(scope="module")
def service(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("workers")
    with running_service(directory, DATABASE_URL=database_url, WORKERS="2", DATABASE_POOL_SIZE="3") as running:
        wait_for(running, "database_pool_size", 6, START_SECONDS)
        yield running


def workers(service: Service) -> list[psutil.Process]:
    children = psutil.Process(service.process.pid).children()
    running = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in running if "spawn_main" in " ".join(child.cmdline())]


def ask(service: Service, times: int) -> None:
    """Each time over a new connection, which any of the workers accepts."""
    for _ in range(times):
        with httpx2.Client(trust_env=False) as client:
            assert client.get(f"{service.url}/health").status_code == httpx2.codes.OK


def test_requests_of_all_workers_are_added(service: Service) -> None:
    before = scrape(service).get(REQUESTS, 0)
    ask(service, 40)
    until(lambda: scrape(service)[REQUESTS] == before + 40, 5)
    assert scrape(service)[series("http_request_duration_seconds_count", operation="getHealth")] == before + 40


def test_a_killed_worker_leaves_its_counts_but_not_its_state(service: Service) -> None:
    ask(service, 4)
    until(lambda: REQUESTS in scrape(service))
    before = scrape(service)
    assert before["database_pool_size"] == 6
    until(lambda: service.log.read_text().count("Application startup complete") == 2)
    killed, _ = workers(service)
    os.kill(killed.pid, signal.SIGKILL)
    # Where its state was still counted, the new worker would make it nine.
    until(lambda: len([one for one in workers(service) if one.pid != killed.pid]) == 2, START_SECONDS)
    until(lambda: service.log.read_text().count("Application startup complete") == 3, START_SECONDS)
    wait_for(service, "database_pool_size", 6)
    until(lambda: scrape(service)["http_connections"] <= 3)
    assert scrape(service)[REQUESTS] >= before[REQUESTS]


def test_one_process_describes_the_build_for_all(service: Service) -> None:
    assert [value for name, value in scrape(service).items() if name.startswith("build_info")] == [1]
