"""Servers of the standard library that run in a thread of the tests."""

import contextlib
import threading
from collections.abc import Iterator
from socketserver import BaseServer

_POLL_SECONDS = 0.05


@contextlib.contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Let it serve, and close it at the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
