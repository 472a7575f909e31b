"""Clients that send each request again and again until it is acknowledged, while something fails around them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx2
import psycopg

from tests.idempotency.requests import WAIT_SECONDS, key
from tests.support.api import bearer
from tests.support.service import running_service, token
from tests.support.waiting import until

Send = Callable[[httpx2.Client, str, str], httpx2.Response]
"""Sends a request to the service at a URL with an `Idempotency-Key`."""

_END_CONNECTIONS: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'tasks-api' AND datname = current_database()
"""


class Writers:
    """Clients that send requests with new keys, each until it is acknowledged."""

    def __init__(self, url: str, send: Send, count: int) -> None:
        self.acknowledged: set[str] = set()
        self.unanswered = 0
        self.url = url
        self._send = send
        self._headers = bearer(token("ada"))
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._work = [self._pool.submit(self._write) for _ in range(count)]

    def _write(self) -> None:
        with httpx2.Client(headers=self._headers, timeout=WAIT_SECONDS, trust_env=False) as client:
            while not self._stopping.is_set():
                self._acknowledge(client, key())

    def _acknowledge(self, client: httpx2.Client, name: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = self._send(client, self.url, name)
                last = f"{answer.status_code} {answer.text}"
                if answer.is_success:
                    self.acknowledged.add(name)
                    return
                assert answer.status_code in (409, 503), answer.text
            except httpx2.TransportError as error:
                last = repr(error)
            self.unanswered += 1
            time.sleep(0.01)
        raise AssertionError(f"{name} was never acknowledged: {last}")

    def wait(self, count: int) -> None:
        """Wait until this many more are acknowledged."""
        goal = len(self.acknowledged) + count

        def is_reached() -> bool:
            assert not any(work.done() for work in self._work), [work.exception() for work in self._work if work.done()]
            return len(self.acknowledged) >= goal

        until(is_reached, WAIT_SECONDS)

    def stop(self) -> set[str]:
        """End the clients, and return the keys that were acknowledged. Some must have been repeated for it."""
        self._stopping.set()
        self._pool.shutdown()
        for work in self._work:
            work.result()
        # A request that was answered with 503 has not used its key up either.
        assert self.unanswered > 0
        return self.acknowledged


def while_connections_end(url: str, directory: Path, send: Send, clients: int) -> set[str]:
    """End the service's connections to the database under load, and return the acknowledged keys."""
    with (
        running_service(directory, DATABASE_URL=url) as service,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        writers = Writers(service.url, send, clients)
        ended = 0

        def was_seen() -> bool:
            """Whether connections have ended often enough, and once when the service could not repeat the statement."""
            nonlocal ended
            writers.wait(10)
            connection.execute(_END_CONNECTIONS)
            ended += 1
            return ended >= 8 and writers.unanswered > 0

        until(was_seen, WAIT_SECONDS)
        return writers.stop()


def while_services_are_killed(url: str, directory: Path, send: Send, clients: int) -> set[str]:
    """Kill the service twice under load, start another, and return the acknowledged keys."""
    writers = None
    for _ in range(2):
        with running_service(directory, DATABASE_URL=url) as service:
            writers = writers or Writers(service.url, send, clients)
            writers.url = service.url
            writers.wait(20)
            service.process.kill()
            service.process.wait(WAIT_SECONDS)
    assert writers is not None
    with running_service(directory, DATABASE_URL=url) as service:
        writers.url = service.url
        return writers.stop()


Failure = Callable[[str, Path, Send, int], set[str]]
FAILURES: Final[dict[str, Failure]] = {
    "ended connections": while_connections_end,
    "killed services": while_services_are_killed,
}
