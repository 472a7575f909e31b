"""A Redis on a port of the loopback interface that a test can kill, freeze and start again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_START_SECONDS = 15


class RedisServer:
    """It keeps everything in memory, and begins with nothing at every start."""

    def __init__(self, directory: Path, port: int) -> None:
        program = shutil.which("redis-server")
        if program is None:
            reason = "redis-server is not installed"
            if "CI" in os.environ:
                pytest.fail(reason)
            pytest.skip(reason)
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(directory)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, if it does not run, and wait until it answers."""
        if self._process is None:
            self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603
        deadline = time.monotonic() + _START_SECONDS
        while self.ask("PING") != b"+PONG":
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep connections open and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, command: str) -> bytes:
        """Return the first line of its answer, or nothing while it is away."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(command.encode() + b"\r\n")
                return connection.makefile("rb").readline().strip()
        except OSError:
            return b""
