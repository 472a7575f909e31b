"""Replicas of the service behind haproxy, with PgBouncer, Redis and a PostgreSQL with a synchronous standby."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.faults.replicas.versions import releases
from tests.support.servers.pgbouncer import configured_pgbouncer
from tests.support.servers.postgres import Postgres
from tests.support.servers.redis import RedisServer
from tests.support.service import ROOT, Service, free_port, running_service, wait_for_start
from tests.support.waiting import until

REPLICAS = 3
ANONYMOUS = 60
"""Requests without a token in an hour, from one address, to all replicas together."""
_ACCESS = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust"
_CONFIGURATION = ROOT / "deploy" / "compose" / "haproxy.cfg"
_PGBOUNCER = """\
[databases]
postgres = host=127.0.0.1 port={postgres}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = /proc/self/cwd/users
pool_mode = transaction
default_pool_size = 10
max_client_conn = 200
"""


class Stack:
    """All parts. Each has its port for as long as it lasts, so that it can be started again in the same place."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.first, self.second, self.third = releases(directory / "releases")
        primary, standby = free_port(), free_port()
        self.primary = Postgres(directory / "primary", primary, access=_ACCESS, synchronous_standby_names="*")
        source = f"host=127.0.0.1 port={primary} user=postgres"
        # Both are copies of one cluster that was never used, as by a base backup.
        self.standby = Postgres(directory / "standby", standby, access=_ACCESS, primary_conninfo=source)
        (directory / "standby/data/standby.signal").touch()
        self.redis = RedisServer(directory, free_port())
        self.proxied = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"
        self.direct = (
            f"postgresql://postgres@127.0.0.1:{primary},127.0.0.1:{standby}/postgres?target_session_attrs=read-write"
        )
        self.ports = [free_port() for _ in range(REPLICAS)]
        self._pooler = contextlib.ExitStack()
        self._replicas: dict[int, contextlib.ExitStack] = {}
        self._kinds: dict[int, tuple[Path, str]] = {}
        self.services: dict[int, Service] = {}
        self._starts = 0

    def start(self) -> None:
        """Start the databases, PgBouncer and Redis, and apply the migrations of the first release."""
        for server in (self.primary, self.standby):
            server.start()
        self.redis.start()
        self.start_pooler()
        self.migrate(self.first)

    def stop(self) -> None:
        for stack in (*self._replicas.values(), self._pooler):
            stack.close()
        self.redis.kill()
        for server in (self.primary, self.standby):
            server.stop("immediate")

    # PgBouncer

    def start_pooler(self) -> None:
        self._starts += 1
        port = int(self.proxied.rpartition(":")[2].partition("/")[0])
        ini = _PGBOUNCER.format(postgres=self.primary.port, port=port)
        files = {"users": b'"postgres" ""\n'}
        folder = self.directory / f"pgbouncer-{self._starts}"
        self._pooler.enter_context(configured_pgbouncer(folder, port, ini, files))

    def stop_pooler(self) -> None:
        """End it, and with it every connection through it."""
        self._pooler.close()

    # The service

    def migrate(self, release: Path) -> None:
        """Apply the migrations of a release, as a job of the deployment does."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(release), "DATABASE_URL": self.direct}
        subprocess.run(
            [sys.executable, "-m", "server", "migrate"],
            cwd=self.directory,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def start_replica(self, number: int, release: Path, database: str) -> None:
        """Start a replica in its place, and wait until it is ready."""
        self._starts += 1
        folder = self.directory / f"replica-{number}-{self._starts}"
        folder.mkdir()
        stack = contextlib.ExitStack()
        self.services[number] = stack.enter_context(
            running_service(
                folder,
                PYTHONPATH=str(release),
                PORT=str(self.ports[number]),
                DATABASE_URL=database,
                MIGRATE_ON_START="false",
                REDIS_URL=self.redis.url,
                RATE_LIMIT="1000000/minute",
                RATE_LIMIT_PROBES="off",
                RATE_LIMIT_ANONYMOUS=f"{ANONYMOUS}/hour",
            )
        )
        self._replicas[number] = stack
        self._kinds[number] = (release, database)

    def stop_replica(self, number: int) -> None:
        """Let it end as a deployment does: SIGTERM, and wait."""
        self._replicas.pop(number).close()
        del self.services[number]

    def kill_replica(self, number: int) -> None:
        self.services[number].process.kill()
        self.stop_replica(number)

    def serve(self, release: Path, database: str) -> None:
        """Start the replicas that are missing, and replace those of another release or with another database."""
        for number in tuple(self.services):
            if self._kinds[number] != (release, database):
                self.stop_replica(number)
        missing = [number for number in range(REPLICAS) if number not in self.services]
        with ThreadPoolExecutor(REPLICAS) as threads:
            list(threads.map(lambda number: self.start_replica(number, release, database), missing))

    # The standby

    def promote(self) -> None:
        """Make the standby the primary, as its operator does once the other is lost."""
        until(self._is_promoted)

    def _is_promoted(self) -> bool:
        # What it still replays may cancel the query.
        with (
            contextlib.suppress(psycopg.errors.SerializationFailure),
            psycopg.connect(self.standby.url()) as connection,
        ):
            connection.execute("SELECT pg_promote(wait => false)")
            return True
        return False

    def is_synchronous(self) -> bool:
        """True if a commit waits for the standby."""
        with psycopg.connect(self.primary.url()) as connection:
            states = connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall()
        return states == [("sync",)]

    def forget(self) -> None:
        """Empty the tables, since each load knows all tasks of its users, and the counts of requests."""
        self.redis.ask("FLUSHALL")
        with psycopg.connect(self.direct, autocommit=True) as connection:
            connection.execute("TRUNCATE users CASCADE")


@contextlib.contextmanager
def proxy(stack: Stack) -> Iterator[Service]:
    """The configuration of deploy/compose in haproxy, with the places of the replicas; as the service that it shows."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        reason = "haproxy is not installed"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    port = free_port()
    before, _, after = _CONFIGURATION.read_text().partition("    server-template ")
    servers = [f"    server replica-{number} 127.0.0.1:{place}\n" for number, place in enumerate(stack.ports)]
    text = before + "".join(servers) + after.partition("\n")[2]
    # It looks more often here, since a test waits for it.
    text = text.replace("bind :8002", f"bind 127.0.0.1:{port}").replace("check inter 2s", "check inter 200ms")
    (stack.directory / "haproxy.cfg").write_text(text)
    command = [program, "-db", "-f", str(stack.directory / "haproxy.cfg")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    service = Service(f"http://127.0.0.1:{port}", stack.directory / "haproxy.log", process)
    try:
        with service.clients:
            wait_for_start(service, "/health/ready")
            yield service
    finally:
        process.terminate()
        process.wait(10)


def versions(service: Service, requests: int = 2 * REPLICAS) -> set[str]:
    """Return the versions of the documents that the proxy's replicas serve."""
    client = service.as_user("eve")
    return {client.get("/openapi.json").json()["info"]["version"] for _ in range(requests)}


def until_synchronous(stack: Stack) -> None:
    until(stack.is_synchronous)
