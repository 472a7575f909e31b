"""The purge of tasks that were in the trash for too long, and of old idempotency keys."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from persistence.migrations import runner
from persistence.retention import Purged
from tests.database.purges import purges
from tests.database.rows import insert_tasks
from tests.support.api import both_apis, delete, listed
from tests.support.concurrency import at_once
from tests.support.servers.postgres import fresh_database
from tests.support.service import ROOT, Service, token
from tests.support.types import Connection, Owner
from tests.tasks.test_bulk import restoring_of

# The purge


@pytest.fixture
def fresh(database_url: str, tmp_path: Path) -> Iterator[tuple[str, Connection, Path]]:
    """A separate database with the tables in it."""
    with fresh_database(database_url) as url, psycopg.connect(url, autocommit=True) as connection:
        runner.upgrade(url)
        yield url, connection, tmp_path


def purge_by_hand(url: str, directory: Path, **settings: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": url, **settings}
    done = subprocess.run(
        [sys.executable, "-m", "server", "purge"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def keep_key(connection: Connection, subject: str, age: str) -> None:
    connection.execute(
        "INSERT INTO idempotency_keys VALUES (%s, %s, sha256('x'), gen_random_uuid(), now() - %s::interval)",
        [subject, uuid.uuid4().hex, age],
    )


def remaining(connection: Connection) -> tuple[int, int, int]:
    """Return the number of tasks in lists, of tasks in the trash, and of keys."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(deleted_at), "
        "(SELECT count(*) FROM idempotency_keys) FROM tasks"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def test_the_purge_removes_what_is_too_old_and_nothing_else(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, directory = fresh
    for subject in ("ada", "bob"):
        insert_tasks(connection, subject, 3)
        insert_tasks(connection, subject, 4, trashed_days=29)
        insert_tasks(connection, subject, 5, trashed_days=30)
        keep_key(connection, subject, "23 hours 59 minutes")
        keep_key(connection, subject, "24 hours")
    assert "Removed 10 tasks and 2 idempotency keys." in purge_by_hand(url, directory)
    assert remaining(connection) == (6, 8, 2)
    assert "Removed 0 tasks and 0 idempotency keys." in purge_by_hand(url, directory)
    assert "Removed 8 tasks" in purge_by_hand(url, directory, TRASH_RETENTION_DAYS="29")
    assert remaining(connection) == (6, 0, 2)


def test_a_purge_without_retention_empties_the_trash(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, directory = fresh
    insert_tasks(connection, "ada", 2)
    insert_tasks(connection, "ada", 2, trashed_days=0)
    assert "Removed 2 tasks" in purge_by_hand(url, directory, TRASH_RETENTION_DAYS="0")
    assert remaining(connection) == (2, 0, 0)


def test_purges_at_once_share_the_work(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, _ = fresh
    insert_tasks(connection, "ada", 10)
    for subject in ("ada", "bob", "cleo"):
        insert_tasks(connection, subject, 3500, trashed_days=31)
    for _ in range(50):
        keep_key(connection, "bob", "2 days")
    before = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    done = asyncio.run(purges(url, 6))
    assert (sum(each.tasks for each in done), sum(each.keys for each in done)) == (10_500, 50)
    # No process waited for another to purge everything.
    assert sum(each.tasks > 0 for each in done) > 1
    assert remaining(connection) == (10, 0, 0)
    assert (
        before
        == connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    )


def test_a_purge_passes_by_what_is_held_by_somebody_else(fresh: tuple[str, Connection, Path]) -> None:
    url, connection, _ = fresh
    insert_tasks(connection, "ada", 5, trashed_days=31)
    with psycopg.connect(url) as other:
        row = other.execute("SELECT id FROM tasks LIMIT 1 FOR UPDATE").fetchone()
        assert asyncio.run(purges(url, 1)) == [Purged(4, 0)]
        # It is restored while the purge is at work.
        assert row is not None
        other.execute("UPDATE tasks SET deleted_at = NULL WHERE id = %s", row)
    assert asyncio.run(purges(url, 1)) == [Purged(0, 0)]
    assert remaining(connection) == (1, 0, 0)


def test_a_restore_during_the_purge_is_all_or_nothing(
    service: Service, database_url: str, connection: Connection, ada: Owner
) -> None:
    api = both_apis(*ada)[1]
    won: Counter[int] = Counter()
    for _ in range(5):
        tasks = [api.create(title=str(number)) for number in range(8)]
        for task in tasks:
            delete(api, task)
        connection.execute("UPDATE tasks SET deleted_at = now() - interval '31 days' WHERE user_id = %s", [api.subject])
        restoring = [restoring_of(api, task) for task in tasks]
        with ThreadPoolExecutor(1) as pool:
            purging = pool.submit(asyncio.run, purges(database_url, 2))
            answers = at_once(service, [(token(api.subject), call) for call in restoring])
            purging.result(30)
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {200, 404}
        won.update(statuses)
        for task, status in zip(tasks, statuses, strict=True):
            assert api.client.get(api.path(task)).status_code == status
        assert listed(api, status="trashed") == []
        for task in listed(api):
            delete(api, task, permanent="true")
    assert won.total() == 40
