"""The number of connections: slow clients, idle ones, and the bound."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.request_limits.slow_clients import assert_no_defect, locked, post_head, read_document
from tests.support.raw_http import RawConnection, problem
from tests.support.service import running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(1)

# Many of them


def test_a_thousand_slow_clients_take_nothing_from_the_others(database: str, tmp_path: Path, many_files: None) -> None:
    """Three of every four go on sending; each is let go in the end."""
    del many_files
    with (
        running_service(
            tmp_path, DATABASE_URL=database, HEADER_TIMEOUT_SECONDS="3", BODY_TIMEOUT_SECONDS="3"
        ) as service,
        contextlib.ExitStack() as slow,
    ):
        ada = service.as_user("ada")
        body = post_head("eve", 10_000)
        head = b"GET /health HTTP/1.1\r\nHost: a\r\nX: "
        connections = [slow.enter_context(RawConnection(service)) for _ in range(1000)]
        for number, raw in enumerate(connections):
            raw.send((b"", head, body, b"\r\n")[number % 4])
        taken = []
        start = time.monotonic()
        while time.monotonic() - start < 2:
            asked = time.monotonic()
            assert ada.post("/api/tasks", json={"title": "Buy milk"}).status_code == 201
            taken.append(time.monotonic() - asked)
            for number in range(len(taken) % 50, 1000, 50):
                with contextlib.suppress(OSError):
                    connections[number].send((b"", b"a", b"a", b"\r\n")[number % 4])
        assert max(taken) < 1
        answers = [raw.rest() for raw in connections]
        expected = [b"", b"HTTP/1.1 408 ", b"HTTP/1.1 408 ", b""]
        assert [answer[:13] for answer in answers] == expected * 250
        assert ada.get("/api/tasks").status_code == 200
        assert_no_defect(service)


def test_beyond_the_bound_idle_connections_make_room(database: str, tmp_path: Path) -> None:
    with (
        running_service(tmp_path, DATABASE_URL=database, MAX_CONNECTIONS="20") as service,
        contextlib.ExitStack() as idle,
    ):
        connections = [idle.enter_context(RawConnection(service)) for _ in range(40)]
        for raw in connections:
            with contextlib.suppress(OSError):
                raw.send(b"GET ")
        until(lambda: httpx2.get(f"{service.url}/health", trust_env=False).status_code == 200)
        assert_no_defect(service)


def test_a_connection_beyond_the_bound_gets_a_503(database: str, tmp_path: Path) -> None:
    """All other connections are at work; an idle one would be closed to make room."""
    with (
        running_service(tmp_path, DATABASE_URL=database, MAX_CONNECTIONS="10") as service,
        ThreadPoolExecutor(10) as threads,
    ):
        read_document(service)
        with locked(database) as lock:
            work = [threads.submit(service.as_user(name).get, "/api/tasks") for name in "abcdefghij"]
            until(lambda: _how_many_wait(lock) == 10)
            with RawConnection(service) as raw:
                problem(service, raw.read(), "service-unavailable")
                assert raw.rest() == b""
        assert [one.result().status_code for one in work] == [200] * 10


def _how_many_wait(connection: psycopg.Connection[Any]) -> int:
    return len(connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())
