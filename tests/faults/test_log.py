"""The log: its buffer, and a disk that is full."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.faults.load import Load
from tests.faults.probes import assert_nothing_unexpected, seconds_to_end
from tests.support.figures import Figures
from tests.support.service import Service, running_service
from tests.support.waiting import until


def test_the_last_log_lines_are_written_before_the_end(database: str, tmp_path: Path) -> None:
    """Lines are written in batches; an orderly end writes the buffered ones."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        answers = [service.client().get("/health") for _ in range(5)]
        seconds_to_end(service)
    log = service.log.read_text()
    assert [log.count(answer.headers["x-request-id"]) for answer in answers] == [1] * 5


def test_the_line_of_a_request_is_written_soon(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        mark = service.client().get("/health").headers["x-request-id"]
        until(lambda: mark in service.log.read_text())


@contextlib.contextmanager
def _full_disk(service: Service) -> Iterator[None]:
    """No file may grow beyond the present size of the log: the same refusals of the kernel, from one process only."""
    process = psutil.Process(service.process.pid)
    unlimited = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (service.log.stat().st_size, unlimited[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, unlimited)


def _refuse_tokens(service: Service) -> None:
    """Each has its own line, which is written while the request is under way."""
    for _ in range(50):
        answer = service.client(authorization="Bearer no.such.token").get("/api/ada/tasks")
        assert answer.status_code == httpx2.codes.UNAUTHORIZED


def test_a_full_disk_costs_lines_and_no_request(database: str, tmp_path: Path, figures: Figures) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = Load(service)
        with load.running():
            load.goes_on()
            with _full_disk(service):
                size = service.log.stat().st_size
                load.goes_on(600)
                _refuse_tokens(service)
                assert service.log.stat().st_size == size
            load.goes_on()
        assert load.count(503) == 0
        load.record(figures, "The disk of the log full")
        assert _failures(service) > 0
        mark = service.client().get("/health").headers["x-request-id"]
        until(lambda: mark in service.log.read_text())
        assert_nothing_unexpected(service)


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_service_starts_although_its_log_has_no_room(
    environment: str, database: str, tmp_path: Path, figures: Figures
) -> None:
    with running_service(tmp_path, output="/dev/full", DATABASE_URL=database, ENVIRONMENT=environment) as service:
        _refuse_tokens(service)
        load = Load(service)
        with load.running():
            load.goes_on()
        assert load.count(503) == 0
        load.record(figures, "The disk of the log full from the start")
        assert _failures(service) > 0


def _failures(service: Service) -> float:
    metrics = service.metrics()
    (line,) = (line for line in metrics.splitlines() if line.startswith("log_failures_total "))
    return float(line.split()[1])
