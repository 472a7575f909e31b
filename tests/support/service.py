"""A running service for the tests, and tokens that it accepts."""

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from persistence.users import Owner
from server.auth.tokens import issue_token
from tests.support.conformance import Conformance

ROOT = Path(__file__).parent.parent.parent
SECRET = "u6OjTRHcsBW8Y-6AinwN44DF3BYzcj62s0YY4rjn8pI"  # noqa: S105
METRICS_TOKEN = "the-token-of-the-metrics-of-the-tests"  # noqa: S105
START_SECONDS = 60
DAY = 86_400
"""Seconds of validity. Some tokens are made when the tests are collected, which is long before the last test."""
# `make coverage` also measures the processes that the tests start; their environment tells them so.
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
# A client would make its own context, which takes longer than a test.
TLS = ssl.create_default_context()


@dataclass
class Service:
    """A running `tasks-api serve`."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]
    clients: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self._conformance = Conformance(self.url)

    def client(self, **headers: str) -> httpx2.Client:
        """A client with these headers. It raises for no status, and for every answer that breaks the contract."""
        hooks = {"response": [self._conformance.check]}
        client = httpx2.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=TLS, event_hooks=hooks
        )
        return self.clients.enter_context(client)

    def as_user(self, subject: str, *, email: str | None = None, name: str | None = None) -> httpx2.Client:
        """A client with a token for this user."""
        return self.client(authorization=f"Bearer {token(subject, email=email, name=name)}")

    def read_log(self) -> str:
        """Return the log. The request for the metrics makes the service log and count all ended requests."""
        self.metrics()
        return self.log.read_text()

    def metrics(self) -> str:
        """Return the metrics, also those of a service in production."""
        with httpx2.Client(trust_env=False, verify=TLS) as client:
            return client.get(f"{self.url}/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"}).text


def token(subject: str, *, email: str | None = None, name: str | None = None, seconds: int = DAY) -> str:
    """A token that the services of the tests accept."""
    return issue_token(SECRET, Owner(subject, email, name), expires_in=timedelta(seconds=seconds))


def free_port() -> int:
    """A port of the loopback interface on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running_service(
    directory: Path, *, ready: bool = True, output: str | None = None, **environment: str
) -> Iterator[Service]:
    """Run `tasks-api serve` in `directory` with these settings, and wait until it answers.

    It writes to `service.log` there, if not to `output`. It listens on a free port, unless they have a `PORT`.
    """
    port = int(environment.get("PORT") or free_port())
    log = directory / "service.log"
    settings = {
        "DATA_DIR": str(directory / "data"),
        "BETTER_AUTH_SECRET": SECRET,
        "PORT": str(port),
        # A test that asks often is no attack.
        "RATE_LIMIT": "off",
        # Production shows its metrics to nobody without it.
        "METRICS_TOKEN": "" if environment.get("ENVIRONMENT", "development") == "development" else METRICS_TOKEN,
        **environment,
    }
    log.touch()
    with Path(output or log).open("wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve"],
            cwd=directory,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **MEASURED, **settings},
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )
    service = Service(f"http://127.0.0.1:{port}", log, process)
    try:
        with service.clients:
            wait_for_start(service, "/health/ready" if ready else "/health")
            yield service
    finally:
        process.terminate()
        process.wait(30)


def wait_for_start(service: Service, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    client = service.client()
    while time.monotonic() < deadline and service.process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if client.get(path).status_code == httpx2.codes.OK:
                return
        time.sleep(0.02)
    pytest.fail(f"the service did not start:\n{service.log.read_text()}")
