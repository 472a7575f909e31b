"""haproxy on this machine, as a proxy in front of services."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers.programs import listens, needed
from tests.support.waiting import until

DEFAULTS = """
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option forwardfor
"""


@contextlib.contextmanager
def haproxy(directory: Path, port: int, configuration: str) -> Iterator[None]:
    """Run it with this configuration, in which it listens on `port`, and wait until it does."""
    program = needed("haproxy")
    path = directory / "haproxy.cfg"
    path.write_text(configuration)
    subprocess.run([program, "-c", "-f", path], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    process = subprocess.Popen([program, "-db", "-f", path], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        until(lambda: listens(port))
        yield
    finally:
        process.terminate()
        process.wait(10)
