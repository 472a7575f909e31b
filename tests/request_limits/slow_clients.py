"""Clients that send slowly, and locks that keep requests waiting."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg

from tests.support.raw_http import RawConnection, bearer_field, problem, request
from tests.support.service import Service

HEAD_SECONDS = 1.0
BODY_SECONDS = 1.5
REQUEST_SECONDS = 1.0


def read_document(service: Service) -> None:
    """Have `problem` read the document while the service still shows it."""
    with RawConnection(service) as raw:
        raw.send(request("GET", "/nowhere"))
        problem(service, raw.read(), "not-found")


def assert_no_defect(service: Service) -> None:
    log = service.log.read_text()
    assert "unexpected_error" not in log
    assert "Traceback" not in log
    assert "ASGI" not in log


def post_head(subject: str, length: int | None) -> bytes:
    framing = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
    fields = [bearer_field(subject), ("Content-Type", "application/json"), framing]
    return request("POST", "/api/tasks", fields)


def log_line(service: Service, answer: httpx2.Headers) -> str:
    """The one line of the request that has this answer."""
    (line,) = [
        line
        for line in service.read_log().splitlines()
        if answer["x-request-id"] in line and "] request " in line and "status=408" in line
    ]
    return line


class Trickle:
    """Sends a byte ten times a second while the block runs and the connection is open."""

    def __init__(self, raw: RawConnection, byte: bytes) -> None:
        self._raw = raw
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
                self._raw.send(self._byte)


@contextlib.contextmanager
def locked(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database) as connection:
        connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield connection


def waits(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None
