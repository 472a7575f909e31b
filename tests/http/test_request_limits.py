"""What a client may take of the service's time and memory, and what the service may take of a request's."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import psycopg
import pytest

from server.event_loop_lag import EventLoopLag
from tests.support.postgres import fresh_database
from tests.support.raw_http import Wire, problem, request
from tests.support.service import Service, running_service, token

_SOON = 15
_MORE_THAN_BUFFERS_TAKE = 50_000_000
_HEAD_SECONDS = 1.0
_BODY_SECONDS = 1.5
_REQUEST_SECONDS = 1.0


def _warm(service: Service) -> None:
    """Have `problem` read the document while the service still shows it."""
    with Wire(service) as wire:
        wire.send(request("GET", "/nowhere"))
        problem(service, wire.read(), "not-found")


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[str]:
    """Of these tests, which lock its tables."""
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture(scope="module")
def hasty(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with little patience."""
    with running_service(
        tmp_path_factory.mktemp("hasty"),
        DATABASE_URL=database,
        HEADER_TIMEOUT_SECONDS=str(_HEAD_SECONDS),
        BODY_TIMEOUT_SECONDS=str(_BODY_SECONDS),
        REQUEST_TIMEOUT_SECONDS=str(_REQUEST_SECONDS),
    ) as service:
        yield service
        _assert_no_defect(service)


def _assert_no_defect(service: Service) -> None:
    log = service.log.read_text()
    assert "unexpected_error" not in log
    assert "Traceback" not in log
    assert "ASGI" not in log


def _until(condition: Callable[[], object]) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < _SOON, f"not within {_SOON} seconds"
        time.sleep(0.05)


def _post(subject: str, length: int | None) -> bytes:
    framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
    fields = [("Authorization", f"Bearer {token(subject)}"), ("Content-Type", "application/json"), framing]
    return request("POST", "/api/tasks", fields)


def _log_line(service: Service, answer: httpx2.Headers) -> str:
    """The one line of the request that has this answer."""
    (line,) = [
        line
        for line in service.read_log().splitlines()
        if answer["x-request-id"] in line and "] request " in line and "status=408" in line
    ]
    return line


class _Trickle:
    """Sends a byte ten times a second, for as long as the block runs and somebody listens."""

    def __init__(self, wire: Wire, byte: bytes) -> None:
        self._wire = wire
        self._byte = byte
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while not self._stopped.wait(0.1):
                self._wire.send(self._byte)


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
    with Wire(hasty) as wire:
        wire.send(first)
        with _Trickle(wire, b"a"):
            if first.startswith(request("GET", "/health")):
                assert wire.read().status_code == 200
            answer = wire.read()
            problem(hasty, answer, "request-timeout")
            assert answer.headers["connection"] == "close"
            assert wire.rest() == b""
    assert _HEAD_SECONDS - 0.1 < time.monotonic() - start < _HEAD_SECONDS + 3
    assert "method='other'" in _log_line(hasty, answer.headers)


@pytest.mark.parametrize(
    ("first", "byte"),
    [
        pytest.param(b"", b"", id="new and silent"),
        pytest.param(b"", b"\r\n", id="new with blank lines"),
        pytest.param(request("GET", "/health"), b"\r\n", id="used with blank lines"),
    ],
)
def test_a_connection_that_begins_no_request_is_closed_without_a_word(
    hasty: Service, first: bytes, byte: bytes
) -> None:
    with Wire(hasty) as wire:
        wire.send(first)
        with _Trickle(wire, byte):
            if first:
                assert wire.read().status_code == 200
            assert wire.rest() == b""


@pytest.mark.parametrize(
    ("length", "byte"), [(1000, b"a"), (None, b"1\r\na\r\n")], ids=["with its length", "in chunks"]
)
def test_a_body_that_trickles_in_is_given_up(hasty: Service, length: int | None, byte: bytes) -> None:
    start = time.monotonic()
    with Wire(hasty) as wire:
        wire.send(_post("ada", length))
        with _Trickle(wire, byte):
            answer = wire.read()
            problem(hasty, answer, "request-timeout")
            assert answer.headers["connection"] == "close"
    assert _BODY_SECONDS - 0.1 < time.monotonic() - start < _BODY_SECONDS + 3
    assert "operation='createMyTask'" in _log_line(hasty, answer.headers)


def test_a_body_that_keeps_coming_may_take_its_time(hasty: Service) -> None:
    body = b'{"title": "a"' + b" " * 65_000 + b"}"
    start = time.monotonic()
    with Wire(hasty) as wire:
        wire.send(_post("ada", len(body)))
        for part in range(0, len(body), 8_000):
            wire.send(body[part : part + 8_000])
            time.sleep(0.3)
        assert wire.read().status_code == 201
    assert time.monotonic() - start > _BODY_SECONDS + 0.5


def test_a_refused_request_that_goes_on_sending_loses_its_connection(hasty: Service) -> None:
    with Wire(hasty) as wire:
        wire.send(request("POST", "/api/tasks", [("Content-Length", "1000")]))
        problem(hasty, wire.read(), "unauthenticated")
        with _Trickle(wire, b"a"), contextlib.suppress(ConnectionResetError):
            assert wire.rest() == b""


def test_a_client_that_does_not_take_its_answers_loses_its_connection(hasty: Service) -> None:
    address = ("127.0.0.1", int(hasty.url.rpartition(":")[2]))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(address)
        port = client.getsockname()[1]
        # More than the system's own buffers take.
        client.sendall(request("GET", "/docs/swagger-ui-bundle.js") * 20)
        _until(lambda: _is_connected(hasty, port))
        _until(lambda: not _is_connected(hasty, port))


def _is_connected(service: Service, port: int) -> bool:
    # Reset by the service: not closed and waiting for what the client does not take.
    connections = psutil.Process(service.process.pid).net_connections("tcp")
    return any(one.raddr and one.raddr.port == port for one in connections)


def test_a_client_that_takes_its_answer_slowly_but_steadily_gets_all_of_it(hasty: Service) -> None:
    expected = hasty.client().get("/docs/swagger-ui-bundle.js").content
    received = bytearray()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(hasty.url.rpartition(":")[2])))
        client.sendall(request("GET", "/docs/swagger-ui-bundle.js", [("Connection", "close")]))
        start = time.monotonic()
        while part := client.recv(16_384):
            received += part
            time.sleep(len(part) / 400_000)
    assert received.endswith(expected)
    assert time.monotonic() - start > _BODY_SECONDS + 0.5


@contextlib.contextmanager
def _locked(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database) as connection:
        connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield connection


def _waits(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


def test_a_request_that_takes_the_service_too_long_is_unavailable(hasty: Service, database: str) -> None:
    ada = hasty.as_user("ada")
    with _locked(database):
        start = time.monotonic()
        answer = ada.get("/api/tasks")
        problem(hasty, answer, "service-unavailable")
        assert _REQUEST_SECONDS - 0.1 < time.monotonic() - start < _REQUEST_SECONDS + 2
        assert answer.headers["connection"] == "close"
    assert ada.get("/api/tasks").status_code == 200
    assert "interrupted" in hasty.read_log()


@pytest.mark.anyio
async def test_a_long_wait_of_the_event_loop_is_remembered_for_a_while() -> None:
    lag = EventLoopLag(remembered_seconds=1)
    lag.start()
    try:
        await anyio.sleep(0.3)
        assert lag.seconds < 0.3
        time.sleep(0.6)  # noqa: ASYNC251 - what nothing should do
        await anyio.sleep(0.05)
        assert 0.3 < lag.seconds < 0.9
        with anyio.fail_after(5):
            while lag.seconds > 0.3:  # noqa: ASYNC110 - it tells nobody when it forgets
                await anyio.sleep(0.05)
    finally:
        lag.stop()


def test_the_database_itself_ends_a_statement_whose_service_was_killed(database: str, tmp_path: Path) -> None:
    with (
        running_service(tmp_path, DATABASE_URL=database, DATABASE_STATEMENT_SECONDS="1") as service,
        ThreadPoolExecutor(1) as threads,
        _locked(database) as lock,
    ):
        lost = threads.submit(service.as_user("ada").get, "/api/tasks")
        _until(lambda: _waits(lock))
        service.process.kill()
        assert isinstance(lost.exception(), httpx2.TransportError)
        _until(lambda: not _waits(lock))


def test_a_statement_that_takes_too_long_is_unavailable(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database, DATABASE_STATEMENT_SECONDS="0.5") as service:
        ada = service.as_user("ada")
        with _locked(database):
            start = time.monotonic()
            problem(service, ada.get("/api/tasks"), "service-unavailable")
            assert 0.4 < time.monotonic() - start < 3
        assert ada.get("/api/tasks").status_code == 200


# Size


@pytest.mark.parametrize(
    ("first", "more", "code"),
    [
        pytest.param(b"GET /", b"a" * 1_000, "uri-too-long", id="target"),
        pytest.param(b"GET /health HTTP/1.1\r\nX", b"a" * 1_000, "header-fields-too-large", id="name"),
        pytest.param(b"GET /health HTTP/1.1\r\nX: ", b"a" * 1_000, "header-fields-too-large", id="value"),
        pytest.param(b"GET /health HTTP/1.1\r\n", b"a:\r\n" * 10, "header-fields-too-large", id="many fields"),
    ],
)
def test_a_head_without_an_end_is_cut_off(service: Service, first: bytes, more: bytes, code: str) -> None:
    with Wire(service) as wire:
        wire.send(first)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 300_000:
                wire.send(more)
                sent += len(more)
        answer = wire.read()
        problem(service, answer, code)
        assert answer.headers["connection"] == "close"


def test_more_than_a_hundred_fields_are_too_large(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(request("GET", "/health", [(f"X-{number}", "a") for number in range(99)]))
        assert wire.read().status_code == 200
        wire.send(request("GET", "/health", [(f"X-{number}", "a") for number in range(100)]))
        problem(service, wire.read(), "header-fields-too-large")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        pytest.param(b"0\r\nX: ", b"a" * 60_000, id="trailer"),
        pytest.param(b"0\r\n", b"a: a\r\n" * 10_000, id="many trailers"),
        pytest.param(b"1;a=", b"a" * 60_000, id="extension"),
    ],
)
def test_what_comes_around_a_body_is_bounded(service: Service, first: bytes, more: bytes) -> None:
    with Wire(service) as wire:
        wire.send(_post("ada", None) + first)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < _MORE_THAN_BUFFERS_TAKE:
                wire.send(more)
                sent += len(more)
        assert sent < _MORE_THAN_BUFFERS_TAKE
        # Closing while more arrives may take the answer back.
        with contextlib.suppress(ConnectionError, IndexError):
            problem(service, wire.read(), "malformed-request")


def test_a_client_may_not_send_thousands_of_requests_ahead(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(request("GET", "/health") * 1000)
        answers = [wire.read()]
        while answers[-1].headers.get("connection") != "close":
            answers.append(wire.read())
        assert {answer.status_code for answer in answers} == {200}
        assert 100 <= len(answers) < 200
        with contextlib.suppress(ConnectionResetError):
            assert wire.rest() == b""


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
        body = _post("eve", 10_000)
        head = b"GET /health HTTP/1.1\r\nHost: a\r\nX: "
        wires = [slow.enter_context(Wire(service)) for _ in range(1000)]
        for number, wire in enumerate(wires):
            wire.send((b"", head, body, b"\r\n")[number % 4])
        taken = []
        start = time.monotonic()
        while time.monotonic() - start < 2:
            asked = time.monotonic()
            assert ada.post("/api/tasks", json={"title": "Buy milk"}).status_code == 201
            taken.append(time.monotonic() - asked)
            for number in range(len(taken) % 50, 1000, 50):
                with contextlib.suppress(OSError):
                    wires[number].send((b"", b"a", b"a", b"\r\n")[number % 4])
        assert max(taken) < 1
        answers = [wire.rest() for wire in wires]
        expected = [b"", b"HTTP/1.1 408 ", b"HTTP/1.1 408 ", b""]
        assert [answer[:13] for answer in answers] == expected * 250
        assert ada.get("/api/tasks").status_code == 200
        _assert_no_defect(service)


def test_beyond_the_bound_idle_connections_make_room(database: str, tmp_path: Path) -> None:
    with (
        running_service(tmp_path, DATABASE_URL=database, MAX_CONNECTIONS="20") as service,
        contextlib.ExitStack() as idle,
    ):
        wires = [idle.enter_context(Wire(service)) for _ in range(40)]
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.send(b"GET ")
        _until(lambda: httpx2.get(f"{service.url}/health", trust_env=False).status_code == 200)
        _assert_no_defect(service)


def test_a_connection_beyond_the_bound_is_told_so_where_all_others_are_at_work(database: str, tmp_path: Path) -> None:
    with (
        running_service(tmp_path, DATABASE_URL=database, MAX_CONNECTIONS="10") as service,
        ThreadPoolExecutor(10) as threads,
    ):
        _warm(service)
        with _locked(database) as lock:
            work = [threads.submit(service.as_user(name).get, "/api/tasks") for name in "abcdefghij"]
            _until(lambda: _how_many_wait(lock) == 10)
            with Wire(service) as wire:
                problem(service, wire.read(), "service-unavailable")
                assert wire.rest() == b""
        assert [one.result().status_code for one in work] == [200] * 10


def _how_many_wait(connection: psycopg.Connection[Any]) -> int:
    return len(connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())


# The end


@contextlib.contextmanager
def _ending(database: str, directory: Path) -> Iterator[tuple[Service, Callable[[], None]]]:
    """A service, and what tells it to end; it must have ended in time when the block is left."""
    told_at: list[float] = []
    with running_service(directory, DATABASE_URL=database, SHUTDOWN_SECONDS="3") as service:

        def end() -> None:
            told_at.append(time.monotonic())
            service.process.send_signal(signal.SIGTERM)

        _warm(service)
        yield service, end
        service.process.wait(30)
        assert time.monotonic() - told_at[0] < 3 + 1
    log = service.log.read_text()
    assert "unexpected_error" not in log
    assert "Traceback" not in log
    assert "Cancel" not in log


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /health HTTP/1.1\r\nHost:", id="half a head"),
        pytest.param(_post("ada", 10) + b"{", id="half a body"),
        pytest.param(_post("ada", None) + b"1\r\n{\r\n", id="half the chunks"),
    ],
)
def test_half_a_request_is_told_that_the_service_ends(database: str, tmp_path: Path, sent: bytes) -> None:
    with _ending(database, tmp_path) as (service, end), Wire(service) as wire:
        wire.send(request("GET", "/health"))
        assert wire.read().status_code == 200
        wire.send(sent)
        end()
        answer = wire.read()
        problem(service, answer, "service-unavailable")
        assert (answer.headers["connection"], wire.rest()) == ("close", b"")


def test_a_request_under_way_is_finished_or_told_that_the_service_ends(database: str, tmp_path: Path) -> None:
    fields = [("Authorization", f"Bearer {token('ada')}")]
    with _ending(database, tmp_path) as (service, end), Wire(service) as one:
        with _locked(database) as lock:
            one.send(request("GET", "/api/tasks", fields))
            _until(lambda: _waits(lock))
            end()
            _until(lambda: "Shutting down" in service.log.read_text())
        answer = one.read()
        assert (answer.status_code, answer.headers["connection"], one.rest()) == (200, "close", b"")


def test_a_request_that_waits_when_the_time_is_over_is_told_so(database: str, tmp_path: Path) -> None:
    fields = [("Authorization", f"Bearer {token('ada')}")]
    with _ending(database, tmp_path) as (service, end), Wire(service) as wire, _locked(database) as lock:
        wire.send(request("GET", "/api/tasks", fields))
        _until(lambda: _waits(lock))
        end()
        answer = wire.read()
        problem(service, answer, "service-unavailable")
        assert (answer.headers["connection"], wire.rest()) == ("close", b"")


def test_a_request_on_a_kept_connection_is_answered_though_the_service_ends(database: str, tmp_path: Path) -> None:
    with _ending(database, tmp_path) as (service, end), Wire(service) as wire:
        wire.send(request("GET", "/health"))
        assert "connection" not in wire.read().headers
        end()
        _until(lambda: "Shutting down" in service.log.read_text())
        wire.send(request("GET", "/health"))
        answer = wire.read()
        assert (answer.status_code, answer.headers["connection"], wire.rest()) == (200, "close", b"")


def test_an_answer_that_nobody_takes_does_not_hold_up_the_end(database: str, tmp_path: Path) -> None:
    with _ending(database, tmp_path) as (service, end), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(service.url.rpartition(":")[2])))
        client.sendall(request("GET", "/docs/swagger-ui-bundle.js") * 20)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        end()
