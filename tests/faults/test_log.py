"""The log: what is kept for it, and a disk that is full."""

from pathlib import Path

from tests.conftest import running_service
from tests.faults.probes import seconds_to_end, until


def test_the_lines_of_the_last_requests_are_written_before_the_end(database: str, tmp_path: Path) -> None:
    """Lines are written some at a time; an orderly end writes what is kept."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        answers = [service.client().get("/health") for _ in range(5)]
        seconds_to_end(service)
    log = service.log.read_text()
    assert [log.count(answer.headers["x-request-id"]) for answer in answers] == [1] * 5


def test_the_line_of_a_request_is_written_soon(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        mark = service.client().get("/health").headers["x-request-id"]
        until(lambda: mark in service.log.read_text())
