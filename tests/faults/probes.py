"""Checks of the service, its processes and its database that the fault tests share."""

import signal
import time

import httpx2
import psutil
import psycopg

from tests.support.service import Service

RECOVERY_SECONDS = 5
"""The longest time, in seconds, until the service serves again once its dependencies are back."""


def is_ready(service: Service) -> bool:
    return service.client().get("/health/ready").status_code == httpx2.codes.OK


def assert_unavailable(answer: httpx2.Response) -> None:
    assert answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert (answer.json()["status"], answer.json()["code"]) == (503, "service-unavailable")


def assert_nothing_unexpected(service: Service) -> None:
    assert "unexpected_error" not in service.log.read_text()


def answers(database: str) -> bool:
    """Return True if the database accepts connections."""
    try:
        psycopg.connect(database, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def seconds_to_end(service: Service, number: signal.Signals = signal.SIGTERM) -> float:
    start = time.monotonic()
    service.process.send_signal(number)
    service.process.wait(30)
    return time.monotonic() - start


def is_gone(process: psutil.Process) -> bool:
    # Where no process reaps orphans, they stay behind as zombies.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def waiting_for_locks(database: str) -> int:
    """Count the service's statements that wait for a lock."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'tasks-api' AND wait_event_type = 'Lock'"
        ).fetchone()
    assert row is not None
    return int(row[0])
