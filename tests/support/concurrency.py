"""Requests at the same moment, each on a new connection."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.support.service import TLS, Service
from tests.support.types import Call

START_SECONDS = 30


@contextlib.contextmanager
def connected(service: Service, text: str) -> Iterator[httpx2.Client]:
    """A new client that is connected already."""
    headers = {"authorization": f"Bearer {text}"}
    with httpx2.Client(base_url=service.url, headers=headers, timeout=30, trust_env=False, verify=TLS) as client:
        assert client.get("/health").status_code == 200
        yield client


def creation(title: str = "t") -> Call:
    """Return a call that creates a task at `/api/tasks`."""
    return lambda client: client.post("/api/tasks", json={"title": title})


def at_once(service: Service, calls: Sequence[tuple[str, Call]]) -> list[httpx2.Response]:
    """Make every call at the same moment, each with its own token and connection; return the answers in order."""
    start = threading.Barrier(len(calls), timeout=START_SECONDS)

    def make(text: str, call: Call) -> httpx2.Response:
        with connected(service, text) as client:
            start.wait()
            return call(client)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, *zip(*calls, strict=True)))


def in_parallel(calls: list[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
