"""The memory of the service and of the kernel that slow clients occupy, and the rest of it after they have gone."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil
import psycopg
import pytest

from tests.faults.slow_clients.clients import connect, insert_long_tasks, slow_readers, statuses
from tests.support.figures import Figures
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service
from tests.support.waiting import until

MEBIBYTE = 1 << 20
MOST_ABOVE = 100
"""The most that a thousand slow clients may add to the memory of the service, in MiB."""
MOST_LEFT = 30
"""The most of that memory that may remain a minute after they have gone, in MiB."""
KERNEL_BYTES = 524_288
"""The most bytes that the kernel may buffer of one answer: twice the send buffer that is set, as Linux counts it."""
USERS = [f"eve{number}" for number in range(12)]
TASKS = 1_000

pytestmark = [pytest.mark.usefixtures("many_files"), pytest.mark.exhaustive(0)]


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[str]:
    """A database in which each user has so many tasks that no buffer of the kernel takes them all."""
    with fresh_database(database_url) as url:
        yield url


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    """A service that has served each kind of request before it is measured."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        with psycopg.connect(database, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM users").fetchone()
            if row == (0,):
                for user in USERS:
                    insert_long_tasks(connection, user, TASKS)
        for path in ("/api/tasks", "/api/tasks/export"):
            assert service.as_user(USERS[0]).get(path).status_code == 200
        yield service
        assert "unexpected_error" not in service.log.read_text()


def resident(service: Service) -> float:
    """The service's resident set size in MiB."""
    return psutil.Process(service.process.pid).memory_info().rss / MEBIBYTE


def unsent(service: Service) -> list[int]:
    """Return the number of bytes that the kernel buffers for each of the service's connections."""
    port = f":{urlsplit(service.url).port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(fields[4].partition(":")[0], 16) for fields in lines if fields[1].endswith(port)]


class Watched:
    """The growth of the service's memory since this object was made: its peak, and its return to the former level."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.before = resident(service)
        self.most = 0.0

    def look(self) -> float:
        above = resident(self.service) - self.before
        self.most = max(self.most, above)
        return above

    def settle(self, connections: list[socket.socket], seconds: float) -> None:
        """Look until all are answered, and the memory has not grown for a second."""
        start = time.monotonic()
        grown_at, most = start, 0.0
        while statuses(connections)[0] or time.monotonic() - grown_at < 1:
            assert time.monotonic() - start < seconds, statuses(connections)
            if self.look() > most:
                grown_at, most = time.monotonic(), self.most
            time.sleep(0.05)


@pytest.mark.parametrize(("kind", "count"), [("exports", 1000), ("lists", 900)], ids=["exports", "lists"])
@pytest.mark.parametrize("users", [USERS[:1], USERS], ids=["one user", "many users"])
def test_slow_readers_hold_little_memory(
    service: Service, figures: Figures, users: list[str], kind: str, count: int
) -> None:
    """At most 100 MiB while they are there, and 30 a minute after; and other users are served meanwhile."""
    watched = Watched(service)
    path = {"exports": "/api/tasks/export", "lists": "/api/tasks"}[kind]
    with slow_readers(service, path, users, count) as connections:
        watched.settle(connections, seconds=60)
        found = statuses(connections)
        assert found.keys() <= {200, 429, 503}
        if Path("/proc/net/tcp").exists():
            assert max(unsent(service)) <= KERNEL_BYTES
        waited = max(seconds_for(service.as_user("ada"), one) for one in ("/api/tasks", "/api/tasks/export"))
    until(lambda: watched.look() < MOST_LEFT, seconds=60)
    figures(
        f"Memory held: {count:,} slow readers of {kind}, users: {len(users)}",
        count,
        count if watched.most < MOST_ABOVE else 0,
        memory_held_mib=watched.most,
        memory_left_mib=watched.look(),
        others_wait_seconds=waited,
        admitted=found[200],
    )


def seconds_for(client: httpx2.Client, path: str) -> float:
    """Return the seconds until a user is answered who retries after `Retry-After`."""
    return until(lambda: client.get(path).status_code == 200)


def test_heads_without_an_end_hold_little_memory(service: Service, figures: Figures) -> None:
    """Of 3,000 connections without a token, those are cut that have held their bytes the longest."""
    watched = Watched(service)
    head = b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 3_000) for n in range(9))
    count = 3_000
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(service)) for _ in range(count)]
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(head)
            watched.look()
        assert len(head) * count > 80_000_000
        waited = until(lambda: service.client().get("/health").status_code == 200)
    until(lambda: watched.look() < MOST_LEFT, seconds=60)
    figures(
        f"Memory held: {count:,} heads without an end",
        count,
        count if watched.most < MOST_ABOVE else 0,
        memory_held_mib=watched.most,
        memory_left_mib=watched.look(),
        others_wait_seconds=waited,
    )
