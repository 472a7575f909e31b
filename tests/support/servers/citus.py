"""PostgreSQL with Citus on ports of the loopback interface: a coordinator and its workers.

`--citus` runs any test against it. The environment variable `CITUS_URL` names the coordinator of another one, whose
nodes no test stops.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil
import psycopg
import pytest

from persistence.admin.distribution import distribute
from persistence.admin.postgres_programs import give, named_user, process_options
from tests.support.service import free_port

MISSING: Final = "Citus is not installed: give its coordinator as CITUS_URL, or install a PostgreSQL with the extension"
_SETTINGS: Final = {
    "shared_preload_libraries": "citus",
    "wal_level": "logical",
    "max_prepared_transactions": "200",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    # No test simulates a power failure.
    "fsync": "off",
    "full_page_writes": "off",
    "citus.enable_statistics_collection": "off",
    # Fewer than the default of 32, so that a node that is added gets its part in seconds.
    "citus.shard_count": "8",
    "citus.node_connection_timeout": "2s",
    "citus.recover_2pc_interval": "1s",
}
# Minor releases of PostgreSQL since 2026 take the plugin of Citus only if it is listed.
_PLUGINS: Final = ("output_plugin_libraries", "pgoutput, citus")


def programs() -> Path | None:
    """The programs of the newest PostgreSQL that has the extension, as Debian installs it."""
    controls = Path("/usr/share/postgresql").glob("*/extension/citus.control")
    versions = [int(control.parents[1].name) for control in controls]
    return Path("/usr/lib/postgresql", str(max(versions)), "bin") if versions else None


class Node:
    """One PostgreSQL of the cluster."""

    def __init__(self, directory: Path, binaries: Path, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        """Make it, with its data in `directory`, and variables of its own; it does not run yet."""
        self.port = free_port()
        self._directory = directory
        self._binaries = binaries
        self._environment = environment
        self._user = named_user("nobody") if os.geteuid() == 0 else None
        directory.mkdir(mode=0o700)
        give(directory, self._user)
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        settings = {**_SETTINGS, "port": str(self.port)}
        if _PLUGINS[0] in self._run("postgres", "--describe-config"):
            settings[_PLUGINS[0]] = _PLUGINS[1]
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        with (directory / "postgresql.conf").open("a") as file:
            file.write("\n".join([*lines, ""]))

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, if it does not run, and wait until it takes connections."""
        if self._postmaster() is None:
            self._run("pg_ctl", "start", "--wait", f"--log={self._directory}/server.log")

    def stop(self, mode: str = "immediate") -> None:
        """Stop, if it runs; `immediate` is a crash."""
        if self._postmaster() is not None:
            self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def kill(self) -> None:
        """Kill all its processes at once, as a machine that goes down does."""
        postmaster = self._postmaster()
        assert postmaster is not None
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

    def _postmaster(self) -> psutil.Process | None:
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            return psutil.Process(int((self._directory / "postmaster.pid").read_text().splitlines()[0]))
        return None

    def _run(self, program: str, *arguments: str) -> str:
        # In a file, because a server that was started would hold a pipe open.
        options = process_options(self._directory, self._user)
        options["env"] |= self._environment
        with tempfile.TemporaryFile() as output:
            data = [] if program == "postgres" else [f"--pgdata={self._directory}"]
            ended = subprocess.run(  # noqa: S603
                [self._binaries / program, *data, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **options,
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        assert ended.returncode == 0, said
        return said


class Citus:
    """A coordinator and its workers."""

    def __init__(self, directory: Path, binaries: Path, *, workers: int = 2) -> None:
        """Make and start them."""
        self._directory = directory
        self._binaries = binaries
        self.nodes: list[Node] = []
        for _ in range(1 + workers):
            self._start_node()
        self.prepare("postgres")

    @property
    def url(self) -> str:
        """The address of the database `postgres` of the coordinator."""
        return self.nodes[0].url()

    @property
    def workers(self) -> list[Node]:
        return self.nodes[1:]

    def prepare(self, database: str) -> None:
        """Make the extension, and the nodes known to the coordinator, in a database that all nodes have."""
        for node in self.nodes:
            execute(node.url(database), "CREATE EXTENSION IF NOT EXISTS citus")
        execute(self.nodes[0].url(database), f"SELECT citus_set_coordinator_host('127.0.0.1', {self.nodes[0].port})")
        for node in self.workers:
            execute(self.nodes[0].url(database), f"SELECT citus_add_node('127.0.0.1', {node.port})")

    def create_database(self, name: str) -> str:
        """The address of a new database that all nodes have, without tables."""
        for node in self.nodes:
            execute(node.url(), f"CREATE DATABASE {name}")
        self.prepare(name)
        return self.nodes[0].url(name)

    def add_worker(self) -> Node:
        """Start one more, and make it known."""
        node = self._start_node()
        self.prepare("postgres")
        return node

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _start_node(self) -> Node:
        node = Node(self._directory / f"node-{len(self.nodes)}", self._binaries)
        node.start()
        self.nodes.append(node)
        return node


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement, and return its rows if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


@contextlib.contextmanager
def running_citus() -> Iterator[Citus]:
    """A cluster of three nodes. Skips where Citus is missing."""
    binaries = programs()
    if binaries is None:
        pytest.skip(MISSING)
    # Not in the directories of pytest, through which nobody but root can pass.
    with tempfile.TemporaryDirectory(prefix="tasks-api-citus-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        cluster = Citus(directory, binaries)
        try:
            yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def distributed_database() -> Iterator[str]:
    """The address of a coordinator whose tables are distributed: that of `CITUS_URL`, or a new one."""
    given = os.environ.get("CITUS_URL")
    if given:
        distribute(given)
        yield given
        return
    with running_citus() as cluster:
        distribute(cluster.url)
        yield cluster.url
