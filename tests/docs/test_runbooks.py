"""The runbooks of docs/operations.md: their commands do what they say."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from persistence import migrations
from persistence.migrations import runner
from server.settings import Settings
from tests.backup.commands import use
from tests.docs.first_session import blocks
from tests.support.servers.postgres import Postgres, fresh_database
from tests.support.service import ROOT, SECRET, Service, running_service

TEXT = (ROOT / "docs" / "operations.md").read_text()


def section(title: str) -> str:
    """The section below a heading of any level, down to the next heading."""
    return re.split(r"\n#+ ", TEXT.split(f"# {title}\n")[1])[0]


@pytest.mark.exhaustive(0)
@pytest.mark.slow
def test_the_drill_restores_what_was_backed_up(database_url: str, tmp_path: Path) -> None:
    (commands,) = blocks(section("Drill"), "sh")
    with fresh_database(database_url) as url, fresh_database(database_url) as drill:
        with running_service(tmp_path, DATABASE_URL=url) as service:
            use(service)
        ran = subprocess.run(  # noqa: S603
            ["sh", "-euc", commands],  # noqa: S607
            cwd=tmp_path,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "DATABASE_URL": url,
                "DRILL_URL": drill,
                "BETTER_AUTH_SECRET": SECRET,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert f"has the schema of this release (revision {migrations.head()})" in ran.stdout
        tasks = "SELECT * FROM tasks ORDER BY user_id, id"
        with psycopg.connect(url) as before, psycopg.connect(drill) as after:
            kept = before.execute(tasks).fetchall()
            assert after.execute(tasks).fetchall() == kept != []


def test_queries_of_the_section_on_capacity_run(service: Service, database_url: str) -> None:
    (queries,) = blocks(section("Capacity"), "sql")
    sizes, connections = queries.strip().splitlines()
    assert service.client().get("/health/ready").status_code == 200
    with psycopg.connect(database_url) as connection:
        tables = {row[0] for row in connection.execute(sizes.encode())}
        used, allowed = connection.execute(connections.encode()).fetchone() or (0, 0)
    assert {"users", "tasks"} <= tables
    assert 0 < used <= int(allowed)


@pytest.mark.parametrize("title", ["Capacity", "Upgrade and roll back"])
def test_metrics_and_settings_of_a_section_exist(title: str) -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", section(title))) - {"max_connections", "unexpected_error"}
    described = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", section("Metrics")))
    assert named <= described
    settings = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", section(title)))
    assert {name.lower() for name in settings} <= set(Settings.model_fields)


@pytest.fixture
def database(cluster: Postgres) -> Iterator[str]:
    """A migrated database with the role `tasks` of docs/operations.md; roles are those of the whole cluster."""
    cluster.start()
    with fresh_database(cluster.url()) as url:
        runner.upgrade(url)
        (grants,) = blocks(section("Readiness"), "sql")
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("CREATE ROLE tasks LOGIN")
            owner.execute(grants.replace("tasks_app", "tasks").encode())
        yield url
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("DROP OWNED BY tasks CASCADE")
            owner.execute("DROP ROLE IF EXISTS tasks_2, tasks")


@pytest.mark.exhaustive(0)
@pytest.mark.slow
def test_the_password_of_the_database_is_rotated(database: str, tmp_path: Path) -> None:
    """Both roles serve at the same time; afterwards only the second one can log in."""
    (statement,) = blocks(section("Rotate other secrets"), "sql")
    first, second = (database.replace("//postgres@", f"//{role}@") for role in ("tasks", "tasks_2"))
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(statement.encode())
        for directory in ("first", "second"):
            (tmp_path / directory).mkdir()
        with (
            running_service(tmp_path / "first", DATABASE_URL=first, MIGRATE_ON_START="false") as before,
            running_service(tmp_path / "second", DATABASE_URL=second, MIGRATE_ON_START="false") as after,
        ):
            task = before.as_user("ada").post("/api/tasks", json={"title": "Rotate"}).headers["location"]
            assert after.as_user("ada").patch(f"{task}/complete").json()["completed"] is True
        (after_that,) = re.findall(r"`(ALTER ROLE .*)`", section("Rotate other secrets"))
        owner.execute(after_that.encode())
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(first)
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)
