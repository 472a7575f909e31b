"""`tasks-api distribute`: the tables become distributed while the service runs, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from persistence.admin.distribution import COLUMNS
from persistence.migrations import runner
from persistence.schema import metadata
from tests.faults.load import Load
from tests.support.figures import Figures
from tests.support.servers.citus import Citus, execute
from tests.support.servers.postgres import fresh_database
from tests.support.service import ROOT, SECRET, running_service

_SECONDS = 120
_SHARDS = "SELECT table_name::oid, shardid, nodeport FROM citus_shards ORDER BY 1, 2"


def _distribute(url: str, directory: Path) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "server", "distribute"],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "BETTER_AUTH_SECRET": SECRET, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_tables_are_distributed_under_load(citus: Citus, figures: Figures, tmp_path: Path) -> None:
    url = citus.create_database("online")
    with running_service(tmp_path, DATABASE_URL=url) as service:
        load = Load(service)
        with load.running():
            load.goes_on()
            assert _distribute(url, tmp_path) == (0, f"Distributed {', '.join(COLUMNS)}.\n")
            load.goes_on()
        load.record(figures, "The tables are distributed over nodes of Citus")
        before = execute(url, _SHARDS)
        assert _distribute(url, tmp_path) == (0, "The tables are distributed already.\n")
        assert execute(url, _SHARDS) == before
    assert dict(execute(url, "SELECT table_name::text, distribution_column FROM citus_tables")) == COLUMNS
    assert execute(url, "SELECT count(DISTINCT colocation_id) FROM citus_tables") == [(1,)]
    names = {str(key.name) for table in metadata.sorted_tables for key in table.foreign_key_constraints}
    valid = execute(
        url,
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated "
        "AND connamespace = 'public'::regnamespace",
    )
    assert {name for (name,) in valid} == names
    for node in citus.workers:
        assert execute(node.url("online"), "SHOW lock_timeout") == [("1s",)]


def test_an_interrupted_distribution_goes_on(citus: Citus, tmp_path: Path) -> None:
    """It had distributed one table, and had removed the foreign keys. A user was deleted meanwhile."""
    url = citus.create_database("interrupted")
    runner.upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada'), ('bob')")
        for user in ("ada", "bob"):
            connection.execute(
                "INSERT INTO tasks (user_id, id, title, title_key) VALUES (%s, gen_random_uuid(), 'Milk', 'milk')",
                [user],
            )
        for table in ("tasks", "idempotency_keys", "idempotency_results"):
            reference = "idempotency_keys" if table == "idempotency_results" else "users"
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_user_id_{reference}".encode())
        connection.execute("SELECT create_distributed_table_concurrently('users', 'id')")
        connection.execute("DELETE FROM users WHERE id = 'bob'")
    assert _distribute(url, tmp_path)[0] == 0
    assert dict(execute(url, "SELECT table_name::text, distribution_column FROM citus_tables")) == COLUMNS
    assert execute(url, "SELECT user_id FROM tasks") == [("ada",)]
    execute(url, "DELETE FROM users")
    assert execute(url, "SELECT user_id FROM tasks") == []


def test_a_postgresql_without_citus_is_told(database_url: str, tmp_path: Path) -> None:
    """A new database has no extension, whatever the server has."""
    with fresh_database(database_url) as url:
        assert _distribute(url, tmp_path) == (2, "Error: the database has no extension citus\n")
