"""Slow clients do not keep other users from exporting or importing."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.pipeline.sending import EXPORTS, EXPORTS_PER_USER
from server.pipeline.uploads import UPLOAD_BYTES, UPLOAD_BYTES_PER_USER
from tests.faults.slow_clients.clients import import_one, insert_long_tasks, slow_readers, slow_uploads, statuses
from tests.support.figures import Figures
from tests.support.raw_http import problem
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service
from tests.support.waiting import until

MOST_SECONDS = 10
"""The longest wait of other users, in seconds: two until a client counts as slow, and the machine's own time."""


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[str]:
    """A database of these tests."""
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    """A service of one test, which uses it up."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        yield service
        log = service.log.read_text()
        assert "unexpected_error" not in log
        assert "Traceback" not in log


@pytest.mark.parametrize("sent", [0, 10_000, 4_500_000], ids=["heads", "a little", "as much as they may"])
def test_slow_uploads_refuse_no_complete_import(service: Service, figures: Figures, sent: int) -> None:
    """Four users send four bodies each, slowly. All of the imports of another user succeed."""
    ada = service.as_user("ada")
    assert import_one(ada).status_code == 200
    tried = 237
    worst, survived = 0.0, 0
    with slow_uploads(service, [f"eve{number}" for number in range(4)], 4, sent=sent) as begun:
        for _ in range(tried):
            start = time.monotonic()
            survived += import_one(ada).status_code == 200
            worst = max(worst, time.monotonic() - start)
        held = statuses(begun)[0]
    figures("Places held: 16 slow uploads", tried, survived, places_held=held, others_wait_seconds=worst)


def test_slow_uploads_give_way_to_complete_ones(service: Service, figures: Figures) -> None:
    """Those that hold most get a 503 when a complete body has no room, however many users they belong to."""
    users = [f"eve{number}" for number in range(UPLOAD_BYTES // UPLOAD_BYTES_PER_USER + 1)]
    ada = service.as_user("ada")
    content = b'{"title":"a"}\n' + (b" " * 9_999 + b"\n") * 100

    def is_imported() -> bool:
        answer = ada.post("/api/tasks/import", content=content, headers={"content-type": "application/x-ndjson"})
        if answer.status_code != 200:
            problem(service, answer, "service-unavailable")
        return answer.status_code == 200

    with slow_uploads(service, users, 2, sent=10_000_000) as begun:
        # All bytes were sent, but the service reads the last of them a little later.
        seconds = until(lambda: is_imported() and statuses(begun)[503] > 0, seconds=MOST_SECONDS)
        found = statuses(begun)
    assert found.keys() <= {0, 503}
    figures("Places held: slow uploads of 96 MiB", len(begun), found.total(), others_wait_seconds=seconds)


def test_slow_exports_give_way_to_others(service: Service, database: str, figures: Figures) -> None:
    """Slow readers hold all places. One of them is cut off, and its answer has no proper end."""
    users = [f"eve{number}" for number in range(EXPORTS // EXPORTS_PER_USER)]
    with psycopg.connect(database, autocommit=True) as connection:
        for user in users:
            insert_long_tasks(connection, user, 1_000)
    ada = service.as_user("ada")
    with slow_readers(service, "/api/tasks/export", users, EXPORTS) as begun:
        until(lambda: statuses(begun)[200] == EXPORTS)
        answer = ada.get("/api/tasks/export")
        problem(service, answer, "service-unavailable")
        seconds = until(lambda: ada.get("/api/tasks/export").status_code == 200, seconds=MOST_SECONDS)
        until(lambda: "interrupted" in service.read_log())
        cut = sum(not ends_properly(one) for one in begun)
    assert 1 <= cut <= 3
    figures("Places held: 32 slow exports", EXPORTS, EXPORTS, places_held=EXPORTS, others_wait_seconds=seconds)


def ends_properly(connection: socket.socket) -> bool:
    """Read a chunked answer, and whether it has its last chunk."""
    connection.settimeout(MOST_SECONDS)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while not received.endswith(b"0\r\n\r\n") and (part := connection.recv(1 << 20)):
            received = received[-10:] + part
    return received.endswith(b"0\r\n\r\n")
