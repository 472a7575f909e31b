"""A database that is away: refused at once, and found again within about a second."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psycopg

from tests.faults.probes import assert_nothing_unexpected, assert_unavailable
from tests.support.servers.postgres import Postgres
from tests.support.service import Service, free_port, running_service
from tests.support.waiting import until

AT_ONCE = 0.3
"""In seconds; the wait for a connection would be five."""


def timed(client: httpx2.Client, path: str) -> tuple[float, httpx2.Response]:
    start = time.monotonic()
    answer = client.get(path)
    return time.monotonic() - start, answer


def away(service: Service) -> bool:
    return "database.away" in service.log.read_text()


def test_an_absent_database_is_refused_at_once_and_found(postgres: Postgres, database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        ada = service.as_user("ada")
        assert ada.get("/api/tasks").status_code == httpx2.codes.OK
        postgres.stop()
        with ThreadPoolExecutor(20) as threads:
            first = list(threads.map(lambda _: timed(ada, "/api/tasks"), range(20)))
        assert max(seconds for seconds, _ in first) < 2.5
        until(lambda: away(service))
        for path in ("/api/tasks", "/api/me", "/health/ready"):
            seconds, answer = min((timed(ada, path) for _ in range(5)), key=lambda one: one[0])
            assert_unavailable(answer)
            assert seconds < AT_ONCE
        postgres.start()
        assert until(lambda: ada.get("/api/tasks").status_code == httpx2.codes.OK) < 2.5
        assert ada.get("/health/ready").status_code == httpx2.codes.OK
        assert service.log.read_text().count("database.away") == 1
        until(lambda: "database.back" in service.log.read_text())
        assert_nothing_unexpected(service)


def test_readiness_answers_within_a_second(tmp_path: Path) -> None:
    """Also the first time, of a database that never was there."""
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"
    with running_service(tmp_path, ready=False, DATABASE_URL=url) as service:
        answers = [timed(service.client(), "/health/ready") for _ in range(3)]
        for _, answer in answers:
            assert_unavailable(answer)
        assert min(seconds for seconds, _ in answers) < AT_ONCE
        assert max(seconds for seconds, _ in answers) < 1.5


@contextlib.contextmanager
def refusing() -> Iterator[tuple[int, list[float]]]:
    """A port on which every connection is closed at once, and the times at which they came."""
    times: list[float] = []
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    times.append(time.monotonic())
                    connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], times
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_one_probe_at_a_time_looks_for_the_database(tmp_path: Path) -> None:
    """However many requests come."""
    settings = {"MIGRATE_ON_START": "false", "DATABASE_WAIT_SECONDS": "5"}
    with (
        refusing() as (port, times),
        running_service(
            tmp_path, ready=False, DATABASE_URL=f"postgresql://a@127.0.0.1:{port}/a", **settings
        ) as service,
    ):
        ada = service.as_user("ada")
        assert_unavailable(ada.get("/api/tasks"))
        until(lambda: away(service))
        # The attempts of the start have ended.
        until(lambda: time.monotonic() - times[0] > 3)
        before, start = len(times), time.monotonic()
        with ThreadPoolExecutor(10) as threads:
            statuses = list(threads.map(lambda _: ada.get("/api/tasks").status_code, range(300)))
        seconds, attempts = time.monotonic() - start, len(times) - before
        assert set(statuses) == {503}
        # Each would have waited for five seconds, ten at a time.
        assert seconds < 30
        # A series of three in a second.
        assert attempts <= 4 * (seconds + 1)


def test_no_free_connection_is_not_an_absent_database(database: str, tmp_path: Path) -> None:
    """All connections wait for a lock: other requests wait for one of them, and get it."""
    with running_service(tmp_path, DATABASE_URL=database, DATABASE_POOL_SIZE="2") as service:
        ada = service.as_user("ada")
        assert ada.get("/api/tasks").json() == []
        with ThreadPoolExecutor(6) as threads:
            with psycopg.connect(database) as other:
                other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
                statuses = threads.map(lambda _: ada.get("/api/tasks").status_code, range(6))
                until(lambda: other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None)
                until(lambda: ada.get("/health").status_code == httpx2.codes.OK)
                held_until = time.monotonic() + 1.5
                until(lambda: time.monotonic() > held_until)
            assert set(statuses) == {200}
        assert not away(service)
