"""The socket that the service listens on."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from server.commands.errors import OperatorError
from server.settings import Settings

_SEND_BUFFER_BYTES = 262_144
_POLL_SECONDS = 0.02


def bound(settings: Settings) -> socket.socket:
    """A socket that is bound and does not listen yet, so that clients are refused. Raises `OperatorError`."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}"
        raise OperatorError(f"HOST, PORT: {reason}") from error
    # Accepted connections inherit this. Without it the kernel buffers up to 4 MB of a response that nobody reads.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # For worker processes.
    listener.set_inheritable(True)
    return listener


@contextlib.contextmanager
def once_listening(listener: socket.socket, call: Callable[[], None]) -> Iterator[None]:
    """Call the function as soon as a process listens on the socket: this one, or the first worker that has started."""
    ended = threading.Event()

    def watch() -> None:
        with contextlib.suppress(OSError):  # of a socket that was closed meanwhile
            while not ended.wait(_POLL_SECONDS):
                if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    call()
                    return

    watcher = threading.Thread(target=watch, name="listening", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
