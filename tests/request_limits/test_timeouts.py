"""Time limits: for the head, the body, a request, and a statement."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx2
import psutil
import pytest

from server.observability.event_loop_lag import EventLoopLag
from tests.request_limits.slow_clients import (
    BODY_SECONDS,
    HEAD_SECONDS,
    REQUEST_SECONDS,
    Trickle,
    locked,
    log_line,
    post_head,
    waits,
)
from tests.support.raw_http import RawConnection, problem, request
from tests.support.service import Service, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(4)

# Time


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"GET /a", id="target"),
        pytest.param(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: a", id="field"),
        pytest.param(request("GET", "/health") + b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: a", id="second request"),
    ],
)
def test_a_head_that_trickles_in_is_given_up(hasty: Service, first: bytes) -> None:
    start = time.monotonic()
    with RawConnection(hasty) as raw:
        raw.send(first)
        with Trickle(raw, b"a"):
            if first.startswith(request("GET", "/health")):
                assert raw.read().status_code == 200
            answer = raw.read()
            problem(hasty, answer, "request-timeout")
            assert answer.headers["connection"] == "close"
            assert raw.rest() == b""
    assert HEAD_SECONDS - 0.1 < time.monotonic() - start < HEAD_SECONDS + 3
    assert "method='other'" in log_line(hasty, answer.headers)


@pytest.mark.parametrize(
    ("first", "byte"),
    [
        pytest.param(b"", b"", id="new and silent"),
        pytest.param(b"", b"\r\n", id="new with blank lines"),
        pytest.param(request("GET", "/health"), b"\r\n", id="used with blank lines"),
    ],
)
def test_a_connection_that_begins_no_request_is_closed_silently(hasty: Service, first: bytes, byte: bytes) -> None:
    with RawConnection(hasty) as raw:
        raw.send(first)
        with Trickle(raw, byte):
            if first:
                assert raw.read().status_code == 200
            assert raw.rest() == b""


@pytest.mark.parametrize(
    ("length", "byte"), [(1000, b"a"), (None, b"1\r\na\r\n")], ids=["with its length", "in chunks"]
)
def test_a_body_that_trickles_in_is_given_up(hasty: Service, length: int | None, byte: bytes) -> None:
    start = time.monotonic()
    with RawConnection(hasty) as raw:
        raw.send(post_head("ada", length))
        with Trickle(raw, byte):
            answer = raw.read()
            problem(hasty, answer, "request-timeout")
            assert answer.headers["connection"] == "close"
    assert BODY_SECONDS - 0.1 < time.monotonic() - start < BODY_SECONDS + 3
    assert "operation='createMyTask'" in log_line(hasty, answer.headers)


def test_a_body_that_keeps_coming_may_take_its_time(hasty: Service) -> None:
    body = b'{"title": "a"' + b" " * 65_000 + b"}"
    start = time.monotonic()
    with RawConnection(hasty) as raw:
        raw.send(post_head("ada", len(body)))
        for part in range(0, len(body), 8_000):
            raw.send(body[part : part + 8_000])
            # The pauses are what is tested: together they last longer than the time for a body that stalls.
            time.sleep(0.3)
        assert raw.read().status_code == 201
    assert time.monotonic() - start > BODY_SECONDS + 0.5


def test_a_refused_request_that_goes_on_sending_is_disconnected(hasty: Service) -> None:
    with RawConnection(hasty) as raw:
        raw.send(request("POST", "/api/tasks", [("Content-Length", "1000")]))
        problem(hasty, raw.read(), "unauthenticated")
        with Trickle(raw, b"a"), contextlib.suppress(ConnectionResetError):
            assert raw.rest() == b""


def test_a_client_that_reads_no_responses_is_disconnected(hasty: Service) -> None:
    address = ("127.0.0.1", int(hasty.url.rpartition(":")[2]))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(address)
        port = client.getsockname()[1]
        # More than the system's own buffers take.
        client.sendall(request("GET", "/docs/swagger-ui-bundle.js") * 20)
        until(lambda: _is_connected(hasty, port))
        until(lambda: not _is_connected(hasty, port))


def _is_connected(service: Service, port: int) -> bool:
    # Reset by the service: not closed while it waits for a client that does not read.
    connections = psutil.Process(service.process.pid).net_connections("tcp")
    return any(one.raddr and one.raddr.port == port for one in connections)


def test_a_slow_but_steady_reader_gets_the_whole_response(hasty: Service) -> None:
    expected = hasty.client().get("/docs/swagger-ui-bundle.js").content
    received = bytearray()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(hasty.url.rpartition(":")[2])))
        client.sendall(request("GET", "/docs/swagger-ui-bundle.js", [("Connection", "close")]))
        start = time.monotonic()
        while part := client.recv(16_384):
            received += part
            # The pace of the reader, which is what is tested.
            time.sleep(len(part) / 400_000)
    assert received.endswith(expected)
    assert time.monotonic() - start > BODY_SECONDS + 0.5


def test_a_request_beyond_its_time_limit_is_unavailable(hasty: Service, database: str) -> None:
    ada = hasty.as_user("ada")
    with locked(database):
        start = time.monotonic()
        answer = ada.get("/api/tasks")
        problem(hasty, answer, "service-unavailable")
        assert REQUEST_SECONDS - 0.1 < time.monotonic() - start < REQUEST_SECONDS + 2
        assert answer.headers["connection"] == "close"
    assert ada.get("/api/tasks").status_code == 200
    assert "interrupted" in hasty.read_log()


@pytest.mark.anyio
async def test_a_long_wait_of_the_event_loop_is_remembered_for_a_while() -> None:
    lag = EventLoopLag(window_seconds=1)
    lag.start()
    try:
        await anyio.sleep(0.3)
        assert lag.seconds < 0.3
        time.sleep(0.6)  # noqa: ASYNC251 - the event loop is blocked on purpose
        await anyio.sleep(0.05)
        assert 0.3 < lag.seconds < 0.9
        with anyio.fail_after(5):
            while lag.seconds > 0.3:  # noqa: ASYNC110 - it tells nobody when it forgets
                await anyio.sleep(0.05)
    finally:
        lag.stop()


def test_the_database_ends_statements_of_a_killed_service(database: str, tmp_path: Path) -> None:
    with (
        running_service(tmp_path, DATABASE_URL=database, DATABASE_STATEMENT_SECONDS="1") as service,
        ThreadPoolExecutor(1) as threads,
        locked(database) as lock,
    ):
        lost = threads.submit(service.as_user("ada").get, "/api/tasks")
        until(lambda: waits(lock))
        service.process.kill()
        assert isinstance(lost.exception(), httpx2.TransportError)
        until(lambda: not waits(lock))


def test_a_statement_that_takes_too_long_is_unavailable(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database, DATABASE_STATEMENT_SECONDS="0.5") as service:
        ada = service.as_user("ada")
        with locked(database):
            start = time.monotonic()
            problem(service, ada.get("/api/tasks"), "service-unavailable")
            assert 0.4 < time.monotonic() - start < 3
        assert ada.get("/api/tasks").status_code == 200
