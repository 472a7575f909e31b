"""Programs of this machine that tests run."""

import os
import shutil
import socket

import pytest


def needed(program: str) -> str:
    """The path of the program. Without it the test is skipped, or fails in CI."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        reason = f"{program} is not installed"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def listens(port: int) -> bool:
    """True if a program accepts connections at the port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
