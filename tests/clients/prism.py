"""Prism, started as a mock of the service or as a proxy in front of it."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.clients import tools
from tests.support.document import AUTHORED
from tests.support.service import ROOT, free_port

START_SECONDS = 60


def running_mock(log: Path) -> contextlib.AbstractContextManager[str]:
    """Run `make mock`, and give its address."""
    tools.npm_program("prism")
    port = free_port()
    return _running(["make", "mock", f"PORT={port}"], port, log)


def running_proxy(service: str, log: Path) -> contextlib.AbstractContextManager[str]:
    """Run a proxy in front of the service with this address, and give its own."""
    port = free_port()
    listen = ("--host", "127.0.0.1", "--port", str(port))
    return _running([tools.npm_program("prism"), "proxy", str(AUTHORED), service, *listen], port, log)


@contextlib.contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[str]:
    """Run a command that starts Prism at this port, and yield its address when it listens."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Prism is listening" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
