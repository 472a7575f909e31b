"""A client that has sent its request and closes its sending side gets its answer, and the connection then ends."""

import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterator

import httpx2
import psutil
import psycopg
import pytest

from tests.support.api import bearer
from tests.support.raw_http import RawConnection, bearer_field, create_request, problem, request
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service, token
from tests.support.waiting import until

SECONDS = 15
TASKS = 2_000


def connections(service: Service) -> int:
    """Count the connections of clients that the service has open."""
    port = int(service.url.rpartition(":")[2])
    open_now = psutil.Process(service.process.pid).net_connections("tcp")
    return sum(one.laddr.port == port and one.status != psutil.CONN_LISTEN for one in open_now)


def until_no_connections(service: Service) -> None:
    """Wait until no client is connected, long before any time limit of the service would see to it."""
    until(lambda: not connections(service), 5)


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[str]:
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture(scope="module")
def quiet(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that no other test uses, so that its connections can be counted."""
    with running_service(
        tmp_path_factory.mktemp("quiet"), DATABASE_URL=database, REQUEST_TIMEOUT_SECONDS="60"
    ) as service:
        service.clients.close()
        yield service


_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@contextlib.contextmanager
def locked(database: str) -> Iterator[Callable[[], bool]]:
    """The table of tasks is locked. Yields a function that says whether a request waits for it."""
    with psycopg.connect(database) as connection:
        connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield lambda: connection.execute(_WAITS).fetchone() == (1,)


ANSWERED = {
    "without a token": (request("GET", "/health"), [200]),
    "HEAD": (request("HEAD", "/health"), [200]),
    "from the database": (request("GET", "/api/tasks", [bearer_field("half")]), [200]),
    "with a body": (create_request("half", "a"), [201]),
    "pipelined": (create_request("half", "b") * 3 + request("GET", "/nowhere"), [201, 201, 201, 404]),
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", [200]),
}


@pytest.mark.parametrize(("sent", "statuses"), ANSWERED.values(), ids=ANSWERED)
def test_a_complete_request_is_answered(quiet: Service, sent: bytes, statuses: list[int]) -> None:
    with RawConnection(quiet) as raw:
        raw.send(sent)
        raw.stop()
        answers = [raw.read(head=sent.startswith(b"HEAD")) for _ in statuses]
        assert raw.rest() == b""
    assert [answer.status_code for answer in answers] == statuses
    until_no_connections(quiet)


def test_a_slow_answer_reaches_a_half_closed_client(quiet: Service, database: str) -> None:
    """The client has closed its side long before the database answers."""
    with RawConnection(quiet) as raw:
        with locked(database) as is_waiting:
            raw.send(create_request("half", "slow"))
            raw.stop()
            until(is_waiting)
            assert connections(quiet) == 1
            assert raw.received() == b""
        raw._socket.settimeout(SECONDS)  # noqa: SLF001  `received` has made it non-blocking
        answer = raw.read()
        assert (answer.status_code, answer.headers["connection"]) == (201, "close")
        assert raw.rest() == b""


CUT = {
    "in its fields": b"GET /health HTTP/1.1\r\nHost: tasks.test\r\n",
    "in its line": b"GET /hea",
    "in its body": create_request("half", "cut")[:-1],
    "in its chunks": request(
        "POST",
        "/api/tasks",
        [bearer_field("half"), ("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")],
    )
    + b"d\r\n{}",
}


@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
def test_a_request_that_ended_early_is_a_400(quiet: Service, sent: bytes) -> None:
    with RawConnection(quiet) as raw:
        raw.send(sent)
        raw.stop()
        answer = raw.read()
        assert raw.rest() == b""
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")
    assert json.loads(answer.content)["detail"] == "The request ended early."
    until_no_connections(quiet)


@pytest.mark.parametrize("sent", [b"", b"\r\n"], ids=["nothing", "an empty line"])
def test_a_half_closed_connection_without_a_request_ends(quiet: Service, sent: bytes) -> None:
    with RawConnection(quiet) as raw:
        raw.send(sent)
        raw.stop()
        assert raw.rest() == b""


def test_a_reset_behind_a_half_close_is_noticed(quiet: Service, database: str) -> None:
    """The event loop does not read from such a connection any more. It is gone before its request has ended."""
    with locked(database) as is_waiting:
        with RawConnection(quiet) as raw:
            raw.send(request("GET", "/api/tasks", [bearer_field("half")]))
            raw.stop()
            until(is_waiting)
            assert connections(quiet) == 1
            raw._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # noqa: SLF001
        until_no_connections(quiet)


def test_an_export_to_a_client_that_has_gone_ends(quiet: Service, database: str) -> None:
    """A client that closes both sides looks like one that closes one side, until the service sends something."""
    with httpx2.Client(base_url=quiet.url, headers=bearer(token("far")), trust_env=False) as client:
        lines = "".join(json.dumps({"title": "t" * 200, "description": "d" * 1_000}) + "\n" for _ in range(TASKS))
        imported = client.post(
            "/api/tasks/import", content=lines, headers={"content-type": "application/x-ndjson"}, timeout=60
        )
        assert imported.status_code == 200, imported.text
    with RawConnection(quiet) as raw:
        raw.send(request("GET", "/api/tasks/export", [bearer_field("far")]))
        raw.stop()
        assert raw.read().status_code == 200
    with locked(database), RawConnection(quiet) as raw:
        raw.send(request("GET", "/api/tasks/export", [bearer_field("far")]))
    until_no_connections(quiet)


# Many requests ahead of their answers.


def drained(raw: RawConnection) -> list[int]:
    """Read answers up to the one that ends the connection. Returns their statuses."""
    answers = [raw.read()]
    while answers[-1].headers.get("connection") != "close":
        answers.append(raw.read())
    return [answer.status_code for answer in answers]


PIPELINED = {
    "in one packet": (create_request("ahead", "a"), 1),
    "in many packets": (create_request("ahead", "b"), 20),
    "that are cheap": (request("GET", "/health"), 1),
    "that are refused": (request("GET", "/api/tasks"), 5),
}


@pytest.mark.parametrize(("sent", "packets"), PIPELINED.values(), ids=PIPELINED)
def test_the_last_of_too_many_requests_ahead_says_close(quiet: Service, sent: bytes, packets: int) -> None:
    """At most a hundred wait for their answers. Later ones are not read, and no answer is lost."""
    with RawConnection(quiet) as raw:
        for _ in range(packets):
            raw.send(sent * (400 // packets))
        statuses = drained(raw)
        assert len(set(statuses)) == 1
        assert 100 <= len(statuses) <= 400
        assert raw.rest() == b""
    until_no_connections(quiet)


def test_a_hundred_requests_ahead_keep_their_connection(quiet: Service) -> None:
    with RawConnection(quiet) as raw:
        raw.send(request("GET", "/health") * 100)
        answers = [raw.read() for _ in range(100)]
        assert {(answer.status_code, answer.headers.get("connection")) for answer in answers} == {(200, None)}
        raw.send(request("GET", "/nowhere"))
        problem(quiet, raw.read(), "not-found")
