"""The operator's commands on distributed tables."""

import asyncio
import uuid
from pathlib import Path

import pytest

from persistence.admin import backup
from persistence.migrations import runner
from tests.database.purges import purges
from tests.support.servers.citus import execute
from tests.support.types import Connection

_USERS = [f"user-{number}" for number in range(12)]


@pytest.fixture
def filled(coordinator: Connection) -> Connection:
    """Users on all nodes, each with a task, one in the trash for a month, and an expired key."""
    coordinator.execute("DELETE FROM users")
    for user in _USERS:
        coordinator.execute("INSERT INTO users (id) VALUES (%s)", [user])
        for days in (None, 31):
            coordinator.execute(
                "INSERT INTO tasks (user_id, id, title, title_key, deleted_at) "
                "VALUES (%s, %s, 'Milk', 'milk', now() - make_interval(days => %s))",
                [user, uuid.uuid4(), days],
            )
        coordinator.execute(
            "INSERT INTO idempotency_keys VALUES (%s, 'old', sha256('x'), NULL, now() - interval '2 days')", [user]
        )
    return coordinator


def test_purges_at_once_share_the_work_of_all_nodes(distributed: str, filled: Connection) -> None:
    done = asyncio.run(purges(distributed, 3))
    assert (sum(one.tasks for one in done), sum(one.keys for one in done)) == (len(_USERS), len(_USERS))
    assert filled.execute("SELECT count(*), count(deleted_at) FROM tasks").fetchone() == (len(_USERS), 0)
    assert filled.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)


def test_a_backup_is_restored_on_distributed_tables(distributed: str, filled: Connection, tmp_path: Path) -> None:
    made = backup.backup(distributed, tmp_path / "backup")
    assert {table: contents.rows for table, contents in made.tables.items()} == {
        "users": len(_USERS),
        "tasks": 2 * len(_USERS),
        "idempotency_keys": len(_USERS),
        "idempotency_results": 0,
    }
    filled.execute("DELETE FROM users WHERE id = 'user-1'")
    assert backup.restore(distributed, tmp_path / "backup", replace=True) == made
    assert execute(distributed, "SELECT count(*) FROM tasks") == [(2 * len(_USERS),)]
    assert execute(distributed, "SELECT count(*) FROM citus_tables WHERE citus_table_type = 'distributed'") == [(4,)]


def test_migrations_reach_every_shard(distributed: str, filled: Connection) -> None:
    """Down to the revision before the last and up again, with rows in the tables."""
    of_shards = (
        "SELECT DISTINCT success, result FROM run_command_on_shards('tasks', "
        "$$SELECT count(*) FROM pg_index WHERE indrelid = '%s'::regclass$$)"
    )
    assert execute(distributed, of_shards) == [(True, "4")]
    runner.downgrade(distributed, "0004")
    assert execute(distributed, of_shards) == [(True, "9")]
    runner.upgrade(distributed)
    assert execute(distributed, of_shards) == [(True, "4")]
    assert filled.execute("SELECT count(*) FROM tasks").fetchone() == (2 * len(_USERS),)
