"""haproxy on this machine, as a proxy in front of services."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import until

DEFAULTS = """
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option forwardfor
"""


def haproxy_program() -> str:
    """The program. In CI there has to be one."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if "CI" in os.environ:
            pytest.fail("haproxy is not installed")
        pytest.skip("haproxy is not installed")
    return program


@contextlib.contextmanager
def haproxy(directory: Path, port: int, configuration: str) -> Iterator[None]:
    """Run it with this configuration, in which it listens on `port`, and wait until it does."""
    program = haproxy_program()
    path = directory / "haproxy.cfg"
    path.write_text(configuration)
    subprocess.run([program, "-c", "-f", path], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    process = subprocess.Popen([program, "-db", "-f", path], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        until(lambda: _listens(port))
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
