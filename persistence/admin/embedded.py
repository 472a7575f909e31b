"""The PostgreSQL that comes with the service, for a fresh checkout, tests and hosts without a database."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog

from persistence.admin.postgres_server import PostgresServer
from persistence.errors import EmbeddedServerError

_log = structlog.get_logger()

_WATCH_PAUSE = 1.0


@contextlib.contextmanager
def embedded_server(directory: Path) -> Iterator[str]:
    """Run a PostgreSQL with its data in `directory`, and yield the address of its database.

    Several processes may use one directory at once: the last to leave stops the server, and where that was killed,
    the last of those that come after it. Raises `EmbeddedServerError`.
    """
    if os.name == "nt":
        raise EmbeddedServerError("Windows has no sockets that PostgreSQL can authenticate by; set DATABASE_URL")
    # Not cheap, and not needed where DATABASE_URL is set.
    import fasteners  # type: ignore[import-untyped]  # noqa: PLC0415

    directory = directory.expanduser().resolve()
    with _explained(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        server = PostgresServer(directory)
        # The operating system releases a lock when the process that holds it ends, however it ends.
        users = fasteners.InterProcessReaderWriterLock(directory.with_suffix(".lock"))
        starting = fasteners.InterProcessLock(directory.with_suffix(".start"))
        users.acquire_read_lock()
    try:
        with _explained(directory), starting:
            server.start()
        with _kept_running(server, starting):
            yield server.url
    finally:
        users.release_read_lock()
        if users.acquire_write_lock(blocking=False):
            with _explained(directory):
                server.stop()
            users.release_write_lock()
        elif users.lockfile is not None:
            # A lock that was not acquired leaves its file open.
            users.lockfile.close()


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Say in one sentence which file the operating system refused, and why."""
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if error.filename else directory
        raise EmbeddedServerError(f"{name}: {error.strerror or error}") from error
    except threading.ThreadError as error:
        # A lock was refused for another reason than that somebody holds it.
        raise EmbeddedServerError(f"{directory}: {error}") from error


@contextlib.contextmanager
def _kept_running(server: PostgresServer, starting: contextlib.AbstractContextManager[object]) -> Iterator[None]:
    """Start the server again, within seconds, when it was killed: nobody else does that for an embedded one."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_WATCH_PAUSE):
            try:
                with _explained(server.directory), starting:
                    if server.postmaster() is None:
                        server.start()
                        _log.warning("database.restarted")
                    server.rotate_log()
            except EmbeddedServerError as error:
                _log.warning("database.restart_failed", reason=str(error))

    watcher = threading.Thread(target=watch, name="embedded-postgres", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
