"""What compose.yaml builds and mounts: the image of PgBouncer, and the source of a checkout over that of the image."""

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.deploy.compose import compose, required
from tests.deploy.test_compose_parts import pgbouncer_configuration
from tests.images.buildah import Buildah
from tests.images.container import Mounts, running, started
from tests.support.servers.postgres import Postgres
from tests.support.service import ROOT, SECRET, free_port
from tests.support.waiting import until

FILE = compose({name: f"{name.lower()}-of-the-tests" for name in required()})
PGBOUNCER = "localhost/pgbouncer"


def test_pgbouncer_runs_as_compose_says(buildah: Buildah, tmp_path: Path) -> None:
    """As its own user and without capabilities: the health check turns good, and a role with its password connects."""
    buildah.build(PGBOUNCER, ROOT / FILE["services"]["pgbouncer"]["build"])
    config = buildah.config(PGBOUNCER)
    assert config["User"] == "1000:1000"
    postgres = Postgres(tmp_path / "postgres", free_port(), access="host all all 127.0.0.1/32 trust")
    postgres.start()
    try:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE tasks LOGIN")
            connection.execute("CREATE DATABASE tasks")
        port, ini = pgbouncer_configuration(postgres.port)
        (tmp_path / "pgbouncer.ini").write_text(ini)
        (tmp_path / "userlist.txt").write_text(FILE["configs"]["pgbouncer-users"]["content"])
        files = {f"/etc/pgbouncer/{name}": tmp_path / name for name in ("pgbouncer.ini", "userlist.txt")}
        _, *check = FILE["services"]["pgbouncer"]["healthcheck"]["test"]
        check = [argument.replace("--port=6432", f"--port={port}") for argument in check]
        with started(buildah.mount(PGBOUNCER), config, tmp_path / "bundle", Mounts(files=files)) as (
            container,
            process,
        ):
            until(lambda: container.execute(*check).returncode == 0)
            url = f"postgresql://tasks:database_password-of-the-tests@127.0.0.1:{port}/tasks"
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("tasks",)
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url.replace("-of-the-tests", ""))
            assert container.execute("id", "-u").stdout == "1000\n"
        assert process.returncode == 0
    finally:
        postgres.stop()


def test_a_change_of_the_mounted_source_is_served(
    buildah: Buildah, build: Callable[[str], str], tmp_path: Path
) -> None:
    """The service `dev`: the checkout has precedence over the packages of the image, and a change restarts it."""
    tag = build("service")
    source = tmp_path / "source"
    for package in ("server", "handlers", "persistence", "openapi"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    document = source / "openapi/openapi.yaml"
    settings = {name: FILE["services"]["dev"]["environment"][name] for name in ("ENVIRONMENT", "PYTHONPATH")} | {
        "BETTER_AUTH_SECRET": SECRET
    }
    config = {**buildah.config(tag), "Cmd": FILE["services"]["dev"]["command"]}
    mounts = Mounts(files={settings["PYTHONPATH"]: source})
    with running(buildah.mount(tag), config, tmp_path / "bundle", mounts, **settings) as (service, _):
        client = service.client()
        title = client.get("/openapi.json").json()["info"]["title"]
        document.write_text(document.read_text().replace(f"title: {title}\n", f"title: {title}, changed\n", 1))

        def changed() -> bool:
            try:
                return bool(client.get("/openapi.json").json()["info"]["title"] == f"{title}, changed")
            except httpx2.TransportError:
                return False

        until(changed, 60)
