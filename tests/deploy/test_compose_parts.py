"""The parts of compose.yaml, run without an engine: PostgreSQL, PgBouncer, Redis, haproxy and the service.

Each is the real program with the configuration of the file; host names and ports are replaced by those of this machine.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx2
import psycopg
import pytest

from persistence.admin.postgres_programs import program_directories
from tests.deploy.compose import Mappings, compose, required
from tests.operations.command import RunCommand
from tests.support.servers.haproxy import haproxy
from tests.support.servers.pgbouncer import configured_pgbouncer
from tests.support.servers.postgres import Postgres
from tests.support.servers.programs import needed
from tests.support.service import METRICS_TOKEN, ROOT, SECRET, Service, free_port, running_service
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(2)]

FOLDER = ROOT / "deploy" / "compose"
VALUES = {name: f"{name.lower()}-of-the-tests" for name in required()}
VALUES |= {"BETTER_AUTH_SECRET": SECRET, "METRICS_TOKEN": METRICS_TOKEN}
FILE = compose(VALUES)
SERVICES: Mappings = FILE["services"]
CONFIGS: Mappings = FILE["configs"]


class Parts(NamedTuple):
    """The ports of what runs."""

    postgres: int
    pgbouncer: int
    redis: int

    def environment(self, service: str) -> dict[str, str]:
        """The environment of a service of the file, with the addresses of this machine."""
        ports = {"postgres:5432": self.postgres, "pgbouncer:6432": self.pgbouncer, "redis:6379": self.redis}
        values = {name: str(value) for name, value in SERVICES[service]["environment"].items()}
        for address, port in ports.items():
            values = {name: value.replace(f"@{address}", f"@127.0.0.1:{port}") for name, value in values.items()}
        return values


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """The database as its image prepares it, the pooler and Redis."""
    directory = tmp_path_factory.mktemp("compose")
    access = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256"
    postgres = Postgres(directory / "postgres", free_port(), access=access)
    postgres.start()
    try:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE tasks")
        # As the entry point of the image runs what is in /docker-entrypoint-initdb.d.
        subprocess.run(  # noqa: S603
            [
                program_directories()[18] / "psql",
                *("--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1", "--quiet"),
                *(f"--file={FOLDER / 'create-role.sql'}", f"--dbname={postgres.url('tasks')}"),
            ],
            env={"PATH": os.environ["PATH"], **SERVICES["postgres"]["environment"]},
            check=True,
        )
        with pooler(directory, postgres.port) as pgbouncer, redis(directory) as port:
            yield Parts(postgres.port, pgbouncer, port)
    finally:
        postgres.stop()


def pgbouncer_configuration(postgres: int) -> tuple[int, str]:
    """A port, and the configuration of the pooler that listens on it; PostgreSQL listens on `postgres`."""
    port = free_port()
    ini = (FOLDER / "pgbouncer/pgbouncer.ini").read_text()
    for before, after in {
        "host=postgres port=5432": f"host=127.0.0.1 port={postgres}",
        "listen_addr = *": "listen_addr = 127.0.0.1",
        "listen_port = 6432": f"listen_port = {port}",
    }.items():
        assert ini.count(before) == 1
        ini = ini.replace(before, after)
    return port, ini


@contextlib.contextmanager
def pooler(directory: Path, postgres: int) -> Iterator[int]:
    port, ini = pgbouncer_configuration(postgres)
    ini = ini.replace("/etc/pgbouncer/userlist.txt", "/proc/self/cwd/userlist.txt")
    users: str = CONFIGS["pgbouncer-users"]["content"]
    with configured_pgbouncer(directory / "pgbouncer", port, ini, {"userlist.txt": users.encode()}):
        yield port


@contextlib.contextmanager
def redis(directory: Path) -> Iterator[int]:
    port = free_port()
    configuration = directory / "redis.conf"
    configuration.write_text(CONFIGS["redis"]["content"])
    command = [needed("redis-server"), str(configuration), "--bind", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([*command, "--dir", str(directory)], stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        until(lambda: redis_says(port, "PING").startswith("-NOAUTH"))
        yield port
    finally:
        process.terminate()
        process.wait(10)


def redis_says(port: int, *commands: str) -> str:
    """The last of the answers, or nothing while it is away."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
            answers = connection.makefile("r")
            return [answers.readline().strip() for _ in commands][-1]
    except OSError:
        return ""


@pytest.fixture(scope="module")
def migrated(parts: Parts) -> Parts:
    """After the service `migrate` has ended."""
    command = [Path(sys.executable).with_name("tasks-api"), *SERVICES["migrate"]["command"]]
    environment = {"PATH": os.environ["PATH"], **parts.environment("migrate")}
    subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603
    return parts


@pytest.fixture(scope="module")
def api(migrated: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service `api`, with its environment."""
    with running_service(
        tmp_path_factory.mktemp("api"), ready=True, output=None, **migrated.environment("api")
    ) as service:
        yield service


def test_check_finds_everything_in_order(migrated: Parts, tasks_api: RunCommand) -> None:
    """`tasks-api check` with the environment of the service: the database through the pooler, and Redis."""
    result = tasks_api("check", **migrated.environment("api"))
    assert result.exit_code == 0, result.output
    assert {line.split()[0] for line in result.output.splitlines()} == {"ok"}
    assert re.search(r"^ok +database: PostgreSQL 18 .* has the schema of this release", result.output, re.MULTILINE)
    assert "ok       redis: answers, and counts requests for all processes together\n" in result.output


def test_a_session_passes_through_all_parts(api: Service, migrated: Parts) -> None:
    client = api.as_user("ada")
    created = client.post("/api/tasks", json={"title": "Compose"})
    task = created.headers["location"]
    assert created.status_code == httpx2.codes.CREATED
    assert client.patch(f"{task}/complete").json()["completed"] is True
    assert client.get("/api/tasks?status=completed").json()[0]["title"] == "Compose"
    assert client.delete(task).status_code == httpx2.codes.NO_CONTENT
    assert client.post(f"{task}/restore").status_code == httpx2.codes.OK
    assert api.client().get("/health/ready").status_code == httpx2.codes.OK
    counted = redis_says(migrated.redis, f"AUTH {VALUES['REDIS_PASSWORD']}", "DBSIZE")
    assert int(counted.removeprefix(":")) > 0


def test_the_service_may_change_rows_and_nothing_else(migrated: Parts) -> None:
    url = migrated.environment("api")["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("tasks",)
        for statement in (b"CREATE TABLE mine (id int)", b"DROP TABLE tasks", b"TRUNCATE tasks", b"CREATE ROLE eve"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("part", ["pgbouncer", "postgres"])
def test_a_wrong_password_is_refused(part: str, migrated: Parts) -> None:
    url = f"postgresql://tasks:wrong@127.0.0.1:{migrated._asdict()[part]}/tasks"
    with pytest.raises(psycopg.OperationalError, match=r"password|auth|SASL"):
        psycopg.connect(url)


def test_many_connections_share_those_of_the_pool(migrated: Parts) -> None:
    """Transaction mode: more connections to the pooler than the pool has to PostgreSQL, each with a transaction."""
    url = migrated.environment("api")["DATABASE_URL"]
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(60)]
        assert {connection.execute("SELECT 1").fetchone() for connection in opened} == {(1,)}
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{migrated.postgres}/tasks") as connection:
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'tasks'").fetchone()
    assert row is not None
    assert 1 <= row[0] <= 20


def test_a_dump_is_restored_as_the_guide_says(api: Service, migrated: Parts, tmp_path: Path) -> None:
    """The commands of docs/deployment.md, without the engine that would carry them into the container."""
    lines = (ROOT / "docs" / "deployment.md").read_text().splitlines()
    dump, restore = (
        re.sub(r"^docker compose exec( --no-TTY)? postgres ", "", line) for line in lines if " tasks.dump" in line
    )
    bob = api.as_user("bob")
    kept = bob.post("/api/tasks", json={"title": "Kept"}).json()
    environment = {
        "PATH": f"{program_directories()[18]}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(migrated.postgres),
    }
    for command, title in ((dump, "Later"), (restore, None)):
        subprocess.run(["sh", "-euc", command], cwd=tmp_path, env=environment, check=True)  # noqa: S603, S607
        if title is not None:
            bob.post("/api/tasks", json={"title": title})
    until(lambda: api.client().get("/health/ready").status_code == httpx2.codes.OK)
    assert bob.get("/api/tasks").json() == [kept]
    assert bob.post("/api/tasks", json={"title": "After"}).status_code == httpx2.codes.CREATED


def healthy(service: str, replaced: Mapping[str, str], path: Path) -> int:
    """Run the health check of a service, and return its exit status."""
    kind, *arguments = SERVICES[service]["healthcheck"]["test"]
    for before, after in replaced.items():
        assert before in " ".join(arguments)
        arguments = [argument.replace(before, after) for argument in arguments]
    command = ["sh", "-c", *arguments] if kind == "CMD-SHELL" else arguments
    environment = {"PATH": f"{path}:{os.environ['PATH']}", **SERVICES[service].get("environment", {})}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode  # noqa: S603


def test_health_checks_tell_what_runs_from_what_does_not(migrated: Parts) -> None:
    needed("redis-cli")
    programs = program_directories()[18]
    for port, status in ((str(migrated.pgbouncer), 0), (str(free_port()), 2)):
        assert healthy("pgbouncer", {"--port=6432": f"--port={port}"}, programs) == status
    for port, status in ((str(migrated.postgres), 0), (str(free_port()), 2)):
        assert healthy("postgres", {"--dbname=tasks": f"--dbname=tasks --port={port}".split()[1]}, programs) == status
    for port, status in ((str(migrated.redis), 0), (str(free_port()), 1)):
        assert healthy("redis", {"redis-cli ping": f"redis-cli -p {port} ping"}, programs) == status


def haproxy_configuration(servers: list[str]) -> tuple[int, str]:
    """The configuration of the proxy, with these servers in the places of the replicas."""
    port = free_port()
    text = (FOLDER / "haproxy.cfg").read_text()
    template = re.findall(r"^    server-template .*$", text, re.MULTILINE)
    assert len(template) == text.count("bind :8002") == 1
    lines = "\n".join(f"    server replica-{number} {server}" for number, server in enumerate(servers))
    return port, text.replace(template[0], lines).replace("bind :8002", f"bind 127.0.0.1:{port}")


def test_haproxy_understands_its_configuration(tmp_path: Path) -> None:
    program = needed("haproxy")
    checked = subprocess.run([program, "-c", "-f", FOLDER / "haproxy.cfg"], capture_output=True, check=False)  # noqa: S603
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
    broken = tmp_path / "haproxy.cfg"
    broken.write_text((FOLDER / "haproxy.cfg").read_text().replace("balance leastconn", "balance leastcon"))
    assert subprocess.run([program, "-c", "-f", broken], capture_output=True, check=False).returncode == 1  # noqa: S603


def test_the_proxy_leaves_out_a_replica_that_ends(migrated: Parts, tmp_path: Path) -> None:
    """Two replicas: every request is answered while one of them ends, and no client can choose its address."""
    environment = migrated.environment("api") | {"RATE_LIMIT_ANONYMOUS": "5/hour"}
    with contextlib.ExitStack() as stack:
        replicas = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            replicas.append(
                stack.enter_context(running_service(tmp_path / name, ready=True, output=None, **environment))
            )
        port, text = haproxy_configuration([replica.url.removeprefix("http://") for replica in replicas])
        stack.enter_context(haproxy(tmp_path, port, text))
        bearer = replicas[0].as_user("ada").headers["authorization"]
        client = stack.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))

        def status(path: str = "/api/tasks", **headers: str) -> int:
            try:
                return client.get(path, headers={"authorization": bearer, **headers}).status_code
            except httpx2.TransportError:
                return 0

        until(lambda: status() == httpx2.codes.OK)
        anonymous = [status("/guide", **{"authorization": "", "x-forwarded-for": f"198.51.100.{n}"}) for n in range(12)]
        assert anonymous[-1] == httpx2.codes.TOO_MANY_REQUESTS
        replicas[0].process.terminate()
        statuses = [status() for _ in range(50)]
        replicas[0].process.wait(30)
        statuses += [status() for _ in range(50)]
    assert {*statuses} == {httpx2.codes.OK}
