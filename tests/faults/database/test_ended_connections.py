"""Connections that the server ends while statements are sent: each statement is answered or fails at once."""

import asyncio
import contextlib
import select
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
import uvloop
from sqlalchemy import text

from persistence.errors import DatabaseUnavailable
from persistence.postgres.database import Database
from persistence.postgres.statement import compile_statement
from tests.support.raw_http import reset
from tests.support.servers.postgres import Postgres
from tests.support.servers.threaded import serving
from tests.support.waiting import until

SECONDS = 6
LONGEST = 15
"""Half the time after which a bulk operation expires, in seconds."""
_ONE = compile_statement(text("SELECT 1"), "one")
_LONG = compile_statement(text("SELECT repeat('x', 100000) AS x"), "long")
_SLEEP = compile_statement(text("SELECT pg_sleep(4)"), "sleep")
DELAY = 1.5
"""The seconds until a connection can be made: longer than the pool waits for it at first."""
WAIT_SECONDS = 15
_SLEEPERS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tasks-api'"


@pytest.mark.slow
def test_no_statement_waits_for_a_connection_that_has_ended(database_url: str) -> None:
    """On the event loop of the service, uvloop, and on a Unix socket."""
    assert uvloop.run(_longest(database_url)) < LONGEST


async def _longest(url: str) -> float:
    """The longest time of a statement in seconds."""
    database = Database()
    await database.open(url)
    end = time.monotonic() + SECONDS

    async def fetch() -> float:
        longest = 0.0
        while (begin := time.monotonic()) < end:
            try:
                await database.fetch_all(_ONE, {}, bulk=True)
            except DatabaseUnavailable:
                await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begin)
        return longest

    with psycopg.connect(url, autocommit=True) as connection:

        async def end_connections() -> float:
            while time.monotonic() < end:
                await asyncio.to_thread(connection.execute, _END)
                await asyncio.sleep(0.03)
            return 0.0

        times = await asyncio.gather(end_connections(), *(fetch() for _ in range(8)))
    await database.close()
    return max(times)


def test_a_response_that_is_cut_short_fails_at_once(cluster: Postgres) -> None:
    """Its end arrives together with the reset of the connection, of which uvloop tells once."""
    with _relay_to(cluster) as relay:
        assert uvloop.run(_time_of_cut(relay)) < 1


def test_a_connection_that_is_late_serves_those_who_wait(cluster: Postgres) -> None:
    """They do not wait for the end of another statement."""
    with _relay_to(cluster) as relay:
        assert uvloop.run(_time_beside_another(relay)) < DELAY + 1


async def _time_beside_another(relay: "_Relay") -> float:
    """The seconds of a statement for which a connection is made while all others have a longer one."""
    database = Database(size=5)
    await database.open(relay.url)
    assert await database.fetch_all(_ONE, {})
    others = []
    # The pool begins with one connection or two.
    for number in (1, 2):
        others.append(asyncio.create_task(database.fetch_all(_SLEEP, {}, bulk=True)))
        await asyncio.to_thread(_wait_for_sleepers, relay.url, number)
    relay.opens.clear()
    asyncio.get_running_loop().call_later(DELAY, relay.opens.set)
    begin = time.monotonic()
    assert await database.fetch_all(_ONE, {})
    seconds = time.monotonic() - begin
    assert not any(other.done() for other in others)
    await asyncio.gather(*others)
    await database.close()
    return seconds


def _wait_for_sleepers(url: str, number: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        until(lambda: connection.execute(_SLEEPERS).fetchone() == (number,))


async def _time_of_cut(relay: "_Relay") -> float:
    """The seconds until the failure is told. The next statement has a new connection."""
    database = Database(size=1)
    await database.open(relay.url)
    assert len((await database.fetch_one(_LONG, {}))["x"]) == 100_000
    relay.cuts = True
    begin = time.monotonic()
    # The event loop is busy until both have arrived.
    asyncio.get_running_loop().call_soon(relay.has_cut.wait, WAIT_SECONDS)
    with pytest.raises(DatabaseUnavailable):
        await database.fetch_all(_LONG, {})
    seconds = time.monotonic() - begin
    relay.cuts = False
    assert relay.has_cut.is_set()
    assert await database.fetch_all(_ONE, {})
    await database.close()
    return seconds


class _Relay(socketserver.ThreadingTCPServer):
    """A port that passes connections on to another, late if it has to, or cuts them after a response's first bytes."""

    daemon_threads = True
    cuts = False

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target = target
        self.opens = threading.Event()
        self.opens.set()
        self.has_cut = threading.Event()
        self.url = f"postgresql://postgres@127.0.0.1:{self.server_address[1]}/postgres"


class _Passing(socketserver.BaseRequestHandler):
    server: _Relay
    request: socket.socket

    def handle(self) -> None:
        client = self.request
        self.server.opens.wait(WAIT_SECONDS)
        with socket.create_connection(("127.0.0.1", self.server.target)) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65_536)
                    if not data:
                        return
                    if source is server and self.server.cuts:
                        client.send(data[:100])
                        reset(client)
                        self.server.has_cut.set()
                        return
                    (client if source is server else server).sendall(data)


@contextlib.contextmanager
def _relay_to(cluster: Postgres) -> Iterator[_Relay]:
    cluster.start()
    relay = _Relay(cluster.port)
    with serving(relay):
        yield relay
