"""The distributed database of compose.yaml, on three real nodes that demand the passwords of the file."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from persistence.admin.postgres_programs import give, named_user, program_directories
from tests.deploy.test_compose_parts import CONFIGS, FOLDER, SERVICES, VALUES
from tests.support.servers.citus import MISSING, Node, execute, programs
from tests.support.service import running_service

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(0)]

NODES = ("citus", "citus-worker-1", "citus-worker-2")


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, Node]]:
    """The nodes by the names of their services, each as its image prepares it."""
    binaries = programs()
    if binaries is None:
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory(prefix="compose-citus-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o711)
        found = {}
        for node in NODES:
            passwords = directory / f"{node}.pgpass"
            passwords.touch(mode=0o600)
            passwords.write_text(CONFIGS["citus-passwords"]["content"])
            give(passwords, named_user("nobody") if os.geteuid() == 0 else None)
            found[node] = Node(directory / node, binaries, {"PGPASSFILE": str(passwords)})
            stack.callback(found[node].stop)
            prepare(found[node], directory / node)
        yield found


def prepare(node: Node, directory: Path) -> None:
    """Do what the entry point of the image does with POSTGRES_DB, POSTGRES_PASSWORD and its scripts."""
    node.start()
    execute(node.url(), "CREATE DATABASE tasks")
    execute(node.url("tasks"), "CREATE EXTENSION citus")
    execute(node.url(), f"ALTER ROLE postgres PASSWORD '{VALUES['POSTGRES_PASSWORD']}'")
    run_script(node.url("tasks"), (FOLDER / "create-role.sql").read_text())
    (directory / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    execute(node.url(), "SELECT pg_reload_conf()")


def run_script(url: str, script: str) -> None:
    """Run it with psql, as the image does."""
    subprocess.run(  # noqa: S603
        [program_directories()[18] / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--quiet", f"--dbname={url}"],
        input=script,
        text=True,
        env={"PATH": os.environ["PATH"], **SERVICES["citus"]["environment"]},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def address(nodes: dict[str, Node], url: str) -> str:
    return url.replace("@citus:5432", f"@127.0.0.1:{nodes['citus'].port}")


def environment(nodes: dict[str, Node], service: str) -> dict[str, str]:
    """The environment of a service of the file, with the addresses of this machine, and without Redis."""
    values = {name: str(value) for name, value in SERVICES[service]["environment"].items()}
    return {name: address(nodes, value) for name, value in values.items()} | {"REDIS_URL": ""}


def test_replicas_serve_from_the_distributed_tables(nodes: dict[str, Node], tmp_path: Path) -> None:
    """The nodes know each other by password, the tables are on both workers, and the service's role may use them."""
    owner = environment(nodes, "citus-migrate")["MIGRATIONS_DATABASE_URL"]
    script = (FOLDER / "citus-nodes.sql").read_text()
    for name in reversed(NODES):
        script = script.replace(f"'{name}', 5432", f"'127.0.0.1', {nodes[name].port}")
    # At every start.
    run_script(owner, script)
    run_script(owner, script)
    command = [Path(sys.executable).with_name("tasks-api"), *SERVICES["citus-migrate"]["command"]]
    variables = {"PATH": os.environ["PATH"], **environment(nodes, "citus-migrate")}
    subprocess.run(command, cwd=tmp_path, env=variables, check=True, capture_output=True)  # noqa: S603
    with running_service(tmp_path, ready=True, output=None, **environment(nodes, "replica")) as service:
        for user in ("ada", "bob", "eve", "mallory"):
            client = service.as_user(user)
            task = client.post("/api/tasks", json={"title": user}).headers["location"]
            assert client.patch(f"{task}/complete").json()["completed"] is True
            assert client.delete(task).status_code == httpx2.codes.NO_CONTENT
            assert client.post(f"{task}/restore").status_code == httpx2.codes.OK
    with psycopg.connect(owner) as connection:
        places = "SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'tasks'::regclass"
        assert connection.execute(places).fetchone() == (2,)
    with psycopg.connect(environment(nodes, "replica")["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_user, count(*) FROM tasks").fetchone() == ("tasks", 4)


@pytest.mark.parametrize("node", NODES)
def test_no_node_takes_a_connection_without_a_password(node: str, nodes: dict[str, Node]) -> None:
    for role in ("postgres", "tasks"):
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(nodes[node].url("tasks").replace("//postgres@", f"//{role}@"))


def test_the_nodes_run_with_the_settings_that_citus_needs() -> None:
    """Those of docs/scaling.md."""
    command = " ".join(SERVICES["citus"]["command"])
    settings = ("--wal-level=logical", "--max-prepared-transactions=200", "--citus.node-connection-timeout=2s")
    assert [setting for setting in settings if setting not in command] == []
