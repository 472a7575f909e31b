"""Shutdown: requests under way are answered, and the process ends in time."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.request_limits.slow_clients import locked, post_head, read_document, waits
from tests.support.raw_http import RawConnection, bearer_field, problem, request
from tests.support.service import Service, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(1)

# The end


@contextlib.contextmanager
def _ending(database: str, directory: Path) -> Iterator[tuple[Service, Callable[[], None]]]:
    """A service and a function that tells it to end; it must have ended in time when the block is left."""
    told_at: list[float] = []
    with running_service(directory, DATABASE_URL=database, SHUTDOWN_SECONDS="3") as service:

        def end() -> None:
            told_at.append(time.monotonic())
            service.process.send_signal(signal.SIGTERM)

        read_document(service)
        yield service, end
        service.process.wait(30)
        assert time.monotonic() - told_at[0] < 3 + 1
    log = service.log.read_text()
    assert "unexpected_error" not in log
    assert "Traceback" not in log
    assert "Cancel" not in log


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /health HTTP/1.1\r\nHost:", id="half a head"),
        pytest.param(post_head("ada", 10) + b"{", id="half a body"),
        pytest.param(post_head("ada", None) + b"1\r\n{\r\n", id="half the chunks"),
    ],
)
def test_half_a_request_is_told_that_the_service_ends(database: str, tmp_path: Path, sent: bytes) -> None:
    with _ending(database, tmp_path) as (service, end), RawConnection(service) as raw:
        raw.send(request("GET", "/health"))
        assert raw.read().status_code == 200
        raw.send(sent)
        end()
        answer = raw.read()
        problem(service, answer, "service-unavailable")
        assert (answer.headers["connection"], raw.rest()) == ("close", b"")


def test_a_request_under_way_is_finished_in_shutdown(database: str, tmp_path: Path) -> None:
    fields = [bearer_field("ada")]
    with _ending(database, tmp_path) as (service, end), RawConnection(service) as one:
        with locked(database) as lock:
            one.send(request("GET", "/api/tasks", fields))
            until(lambda: waits(lock))
            end()
            until(lambda: "Shutting down" in service.log.read_text())
        answer = one.read()
        assert (answer.status_code, answer.headers["connection"], one.rest()) == (200, "close", b"")


def test_a_request_that_waits_when_the_time_is_over_is_told_so(database: str, tmp_path: Path) -> None:
    fields = [bearer_field("ada")]
    with _ending(database, tmp_path) as (service, end), RawConnection(service) as raw, locked(database) as lock:
        raw.send(request("GET", "/api/tasks", fields))
        until(lambda: waits(lock))
        end()
        answer = raw.read()
        problem(service, answer, "service-unavailable")
        assert (answer.headers["connection"], raw.rest()) == ("close", b"")


def test_a_request_on_a_kept_connection_is_served_in_shutdown(database: str, tmp_path: Path) -> None:
    with _ending(database, tmp_path) as (service, end), RawConnection(service) as raw:
        raw.send(request("GET", "/health"))
        assert "connection" not in raw.read().headers
        end()
        until(lambda: "Shutting down" in service.log.read_text())
        raw.send(request("GET", "/health"))
        answer = raw.read()
        assert (answer.status_code, answer.headers["connection"], raw.rest()) == (200, "close", b"")


def test_an_answer_that_nobody_takes_does_not_hold_up_the_end(database: str, tmp_path: Path) -> None:
    with _ending(database, tmp_path) as (service, end), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(service.url.rpartition(":")[2])))
        client.sendall(request("GET", "/docs/swagger-ui-bundle.js") * 20)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        end()
