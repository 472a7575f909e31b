"""`tasks-api migrate --down-to`, which removes data, and Alembic's own command."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from persistence import migrations
from persistence.migrations import runner
from tests.operations.command import RunCommand
from tests.support.servers.pgbouncer import pgbouncer
from tests.support.servers.postgres import Postgres, fresh_database
from tests.support.service import MEASURED, ROOT, SECRET, running_service
from tests.support.waiting import until


@pytest.fixture
def database(database_url: str) -> Iterator[str]:
    with fresh_database(database_url) as url:
        runner.upgrade(url)
        yield url


def revision(url: str) -> str | None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()
    return None if row is None else row[0]


def test_it_needs_a_yes_where_nobody_can_be_asked(tasks_api: RunCommand, database: str) -> None:
    result = tasks_api("migrate", "--down-to", "base", DATABASE_URL=database)
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --down-to removes data: nobody can be asked here, so confirm it with --yes\n",
    )
    assert revision(database) == migrations.head()
    assert tasks_api("migrate", "--down-to", "base", "--yes", DATABASE_URL=database).exit_code == 0
    assert revision(database) is None


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(("answer", "status", "is_left"), [(b"n\n", 1, True), (b"\n", 1, True), (b"y\n", 0, False)])
def test_it_asks_at_a_terminal(answer: bytes, status: int, is_left: bool, database: str, tmp_path: Path) -> None:  # noqa: FBT001
    terminal, its_input = os.openpty()
    os.write(terminal, answer)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "server", "migrate", "--down-to", "base"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "BETTER_AUTH_SECRET": SECRET, "DATABASE_URL": database, **MEASURED},
            stdin=its_input,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(its_input)
    assert "Remove what was added after the revision base, with its data? [y/N]" in done.stdout
    assert (done.returncode, revision(database) is not None) == (status, is_left)


def test_it_refuses_while_the_service_runs(tasks_api: RunCommand, database: str, tmp_path: Path) -> None:
    """Also a role that may not see what other roles' sessions do."""
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("CREATE ROLE migrator LOGIN")
    other_role = database.replace("postgres@", "migrator@")
    try:
        with running_service(tmp_path, DATABASE_URL=database):
            for url in (database, other_role):
                result = tasks_api("migrate", "--down-to", "base", "--yes", DATABASE_URL=url)
                assert result.exit_code == 2
                assert "Error: the service uses this database (" in result.stderr
            assert revision(database) == migrations.head()
        assert tasks_api("migrate", "--down-to", "base", "--yes", DATABASE_URL=database).exit_code == 0
    finally:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("DROP ROLE migrator")


@pytest.mark.exhaustive(0)
@pytest.mark.slow
def test_it_sees_a_service_behind_a_pooler(tasks_api: RunCommand, cluster: Postgres, tmp_path: Path) -> None:
    cluster.start()
    with fresh_database(cluster.url()) as direct, pgbouncer(tmp_path / "pooler", direct, cluster.port) as pooled:
        runner.upgrade(direct)
        arguments = ("migrate", "--down-to", "base", "--yes")
        urls: dict[str, Any] = {"DATABASE_URL": pooled, "MIGRATIONS_DATABASE_URL": direct}
        with running_service(tmp_path, **urls) as service:
            assert service.as_user("ada").get("/api/tasks").json() == []
            result = tasks_api(*arguments, **urls)
            assert (result.exit_code, "the service uses this database" in result.stderr) == (2, True)
        assert revision(direct) == migrations.head()
        # The pooler keeps its connections; the sentence says so, and that they can be ended.
        with psycopg.connect(direct, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert tasks_api(*arguments, **urls).exit_code == 0


def alembic(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [Path(sys.executable).with_name("alembic"), *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "BETTER_AUTH_SECRET": SECRET, **MEASURED, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.exhaustive(0)
def test_alembic_works_in_a_checkout(database_url: str) -> None:
    with fresh_database(database_url) as url:
        assert alembic("current", DATABASE_URL=url).stdout == ""
        assert alembic("upgrade", "0001", DATABASE_URL=url).returncode == 0
        assert (
            alembic("current", DATABASE_URL="postgresql://127.0.0.1:1/x", MIGRATIONS_DATABASE_URL=url).stdout
            == "0001\n"
        )
        assert alembic("upgrade", "head", DATABASE_URL=url).returncode == 0
        until(lambda: revision(url) == migrations.head())
    assert alembic("heads").stdout == f"{migrations.head()} (head)\n"
    assert "0001 -> 0002" in alembic("history").stdout
    written = alembic("upgrade", "head", "--sql").stdout
    assert "CREATE TABLE tasks" in written
    assert written.rstrip().endswith("COMMIT;")
