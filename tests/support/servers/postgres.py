"""A PostgreSQL on a port of the loopback interface that a test can stop, freeze and start again."""

import atexit
import contextlib
import functools
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg

from persistence.admin.postgres_server import PostgresServer


@functools.cache
def _template() -> Path:
    """A cluster that does not wait for the disk: no test simulates a power failure.

    Commits are written before they are acknowledged, as in production: tests kill processes of the server.
    """
    directory = Path(tempfile.mkdtemp(prefix="tasks-api-template-"))
    atexit.register(shutil.rmtree, directory)
    server = PostgresServer(directory / "data")
    server.start()
    server.stop()
    with (server.directory / "postgresql.conf").open("a") as settings:
        settings.writelines(f"{name} = off\n" for name in ("fsync", "full_page_writes"))
    return server.directory


def make_cluster(directory: Path) -> None:
    """Copy a new cluster to `directory`: initdb would take seconds each time."""
    shutil.copytree(_template(), directory)


class Postgres:
    """One cluster with its data in `directory`, not running yet."""

    def __init__(
        self, directory: Path, port: int, *, access: str = "host all all 127.0.0.1/32 trust", **more: str
    ) -> None:
        self.port = port
        make_cluster(directory / "data")
        settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", **more}
        self._server = PostgresServer(directory / "data", settings=settings, access=access)
        self.access_rules = directory / "data/pg_hba.conf"

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, if it does not run, and wait until it takes connections."""
        self._server.start()

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is a crash."""
        self._server.stop(mode)

    def kill(self) -> None:
        """Kill the postmaster, as the kernel does when memory runs out. The other processes notice, and end."""
        postmaster = self._postmaster()
        others = postmaster.children()
        postmaster.kill()
        _, alive = psutil.wait_procs(others, timeout=10)
        assert alive == []

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep connections open and answer nothing, like a network that drops every packet."""
        postmaster = self._postmaster()
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

    def _postmaster(self) -> psutil.Process:
        postmaster = self._server.postmaster()
        assert postmaster is not None
        return postmaster


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
