"""The limits of one user. test_admission.py has the limits of all users together."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from server.pipeline.sending import ANSWER_BYTES_PER_USER, EXPORTS_PER_USER
from server.pipeline.uploads import IMPORTS_PER_USER
from tests.faults.slow_clients.clients import (
    authorized,
    import_one,
    insert_long_tasks,
    slow_readers,
    slow_uploads,
    statuses,
)
from tests.import_export.files import NDJSON
from tests.support.raw_http import RawConnection, problem
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service
from tests.support.types import NewUser
from tests.support.waiting import until

MORE_THAN_BUFFERS = 5_000
"""Enough tasks that their export exceeds every buffer of the system."""


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[str]:
    """A database of these tests, which lock its tables."""
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture(scope="module")
def service(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of these tests, which use it up."""
    with running_service(tmp_path_factory.mktemp("admission"), DATABASE_URL=database) as service:
        yield service
        log = service.log.read_text()
        assert "unexpected_error" not in log
        assert "Traceback" not in log


# Imports


def test_a_users_bytes_on_their_way_are_bounded(service: Service, new_user: NewUser) -> None:
    eve, ada = new_user("eve"), service.as_user(new_user("ada"))
    with slow_uploads(service, [eve], 3, sent=8_000_000) as begun:
        until(lambda: statuses(begun)[429] == 1)
        assert statuses(begun) == {0: 2, 429: 1}
        assert import_one(ada).status_code == 200


def test_bytes_of_an_upload_are_given_back(service: Service, new_user: NewUser) -> None:
    """A client that goes away in the middle of its body leaves nothing behind."""
    eve = new_user("eve")
    for _ in range(4):
        with slow_uploads(service, [eve], 2, sent=8_000_000) as begun:
            assert statuses(begun)[0] == 2
    client = service.as_user(eve)
    content = b'{"title":"a"}\n' + (b" " * 9_999 + b"\n") * 1_000

    def imported() -> bool:
        return client.post("/api/tasks/import", content=content, headers={"content-type": NDJSON}).status_code == 200

    until(imported)


def test_a_user_has_four_complete_imports_at_once(service: Service, database: str, new_user: NewUser) -> None:
    """Of six, two get 429 while the others wait for a lock. Another user's import waits too, and is not refused."""
    eve, ada = new_user("eve"), new_user("ada")
    with psycopg.connect(database) as lock, ThreadPoolExecutor(IMPORTS_PER_USER + 3) as threads:
        lock.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        work = [threads.submit(import_one, service.as_user(eve)) for _ in range(IMPORTS_PER_USER + 2)]
        until(lambda: sum(one.done() for one in work) == 2)
        for refused in (one.result() for one in work if one.done()):
            problem(service, refused, "too-many-requests")
        others = threads.submit(import_one, service.as_user(ada))
        lock.rollback()
        assert sorted(one.result().status_code for one in work) == [200] * IMPORTS_PER_USER + [429] * 2
        assert others.result().status_code == 200
    assert import_one(service.as_user(eve)).status_code == 200


# Exports


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_users_fifth_export_at_once_is_refused(
    service: Service, database: str, new_user: NewUser, method: str
) -> None:
    """With 429 and `Retry-After`, until one of the others has ended. Other users have theirs."""
    eve, ada = new_user("eve"), service.as_user(new_user("ada"))
    with psycopg.connect(database, autocommit=True) as connection:
        insert_long_tasks(connection, eve, MORE_THAN_BUFFERS)
    client = service.as_user(eve)
    with steady_readers(service, [eve], EXPORTS_PER_USER):
        answer = client.request(method, "/api/tasks/export")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        if method == "GET":
            problem(service, answer, "too-many-requests")
        assert ada.get("/api/tasks/export").status_code == 200
    until(lambda: client.request(method, "/api/tasks/export").status_code == 200)


RATE = 262_144


@contextlib.contextmanager
def steady_readers(service: Service, users: list[str], count: int) -> Iterator[list[socket.socket]]:
    """Readers of exports that take `RATE` bytes a second: too few to end soon, and enough not to be slow."""
    stopped = threading.Event()
    with slow_readers(service, "/api/tasks/export", users, count) as connections:

        def read() -> None:
            while not stopped.wait(0.05):
                for connection in connections:
                    with contextlib.suppress(OSError):
                        connection.recv(RATE // 20)

        until(lambda: not statuses(connections)[0])
        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield connections
        finally:
            stopped.set()
            thread.join()


# Lists


def test_what_waits_of_a_users_lists_is_bounded(service: Service, database: str, new_user: NewUser) -> None:
    """Lists that their client does not read count by their size. Beyond 8 MiB the next is a 429."""
    eve, ada = new_user("eve"), new_user("ada")
    with psycopg.connect(database, autocommit=True) as connection:
        for user in (eve, ada):
            insert_long_tasks(connection, user, 1_000)
    size = len(service.as_user(ada).get("/api/tasks").content)
    assert size > 1_000_000
    count = 30
    with slow_readers(service, "/api/tasks", [eve], count) as begun:
        until(lambda: statuses(begun)[0] == 0)
        found = statuses(begun)
        assert found[200] * size < ANSWER_BYTES_PER_USER + count * 524_288
        assert found.keys() <= {200, 429}
        assert service.as_user(ada).get("/api/tasks").status_code == 200


def test_a_large_page_is_sent_whole(service: Service) -> None:
    """In pieces, to a client that takes it."""
    path = "/docs/swagger-ui-bundle.js"
    with RawConnection(service) as raw:
        raw.send(authorized("GET", path, "ada"))
        answer = raw.read()
    assert len(answer.content) == int(answer.headers["content-length"]) > 1_000_000
    head = service.client(**{"accept-encoding": "identity"}).head(path)
    assert head.headers["content-length"] == answer.headers["content-length"]
