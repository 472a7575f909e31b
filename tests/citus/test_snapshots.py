"""Each part of a statement has a snapshot of its own, and others write between two of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil
import psycopg
import pytest

from tests.support.servers.citus import execute
from tests.support.service import running_service
from tests.support.types import Connection
from tests.support.waiting import MOST_SECONDS, until

_SHARD = """
    SELECT shard_name, nodeport FROM citus_shards
    WHERE shardid = get_shard_id_for_distribution_column('users', 'ada')
"""
_STATEMENT = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND application_name = 'tasks-api'"
_WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
_HAS_ENDED_PART = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'idle in transaction'"


class _Shard(NamedTuple):
    """The shard of `users` with the user ada, who has no row, and sessions of its node that may change it directly."""

    name: str
    first: Connection
    second: Connection
    observer: Connection

    def waiting(self, count: int) -> list[int]:
        """The processes that wait for a lock of it, when there are so many."""
        until(lambda: len(self.observer.execute(_WAITING, [self.name]).fetchall()) == count)
        return [pid for (pid,) in self.observer.execute(_WAITING, [self.name])]

    def has_ended_part(self, pid: int) -> bool:
        return self.observer.execute(_HAS_ENDED_PART, [pid]).fetchone() is not None


@pytest.fixture
def shard(distributed: str) -> Iterator[_Shard]:
    """Sessions of its node wait for locks as long as the test needs."""
    execute(distributed, "DELETE FROM users WHERE id = 'ada'")
    ((name, port),) = execute(distributed, _SHARD)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    options = "-c citus.enable_manual_changes_to_shards=on"
    limit = "ALTER DATABASE postgres SET lock_timeout = '{}s'"
    execute(url, limit.format(MOST_SECONDS))
    with ExitStack() as opened:
        opened.callback(execute, url, limit.format(1))
        sessions = [opened.enter_context(psycopg.connect(url, autocommit=True, options=options)) for _ in range(3)]
        yield _Shard(name, *sessions)


@pytest.fixture
def ada(distributed: str, tmp_path: Path) -> Iterator[httpx2.Client]:
    with running_service(tmp_path, DATABASE_URL=distributed) as service:
        yield service.as_user("ada")


@contextmanager
def _suspended(pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@pytest.mark.parametrize(("deletions", "status"), [(1, 200), (3, 503)])
def test_a_profile_of_a_user_who_is_deleted_between_the_parts(
    deletions: int, status: int, distributed: str, shard: _Shard, ada: httpx2.Client
) -> None:
    """The first statement does not find the user, the first part of the second one does, and its next part does not."""
    lock = f"BEGIN; LOCK TABLE {shard.name} IN ACCESS EXCLUSIVE MODE"
    with ThreadPoolExecutor(2) as threads:
        shard.first.execute(lock)
        profile = threads.submit(ada.get, "/api/me")
        for _ in range(deletions):
            shard.waiting(1)
            # Granted when the first statement of the request has ended, before the second one.
            locked = threads.submit(shard.second.execute, lock)
            shard.waiting(2)
            shard.first.execute("ROLLBACK")
            locked.result()
            (part,) = shard.waiting(1)
            ((statement,),) = execute(distributed, _STATEMENT)
            with _suspended(statement):
                shard.second.execute(f"INSERT INTO {shard.name} (id) VALUES ('ada'); COMMIT")  # noqa: S608
                until(partial(shard.has_ended_part, part))
                shard.second.execute(f"DELETE FROM {shard.name} WHERE id = 'ada'")  # noqa: S608
                # Granted when the second statement has ended, before the first one of the next attempt.
                locked = threads.submit(shard.first.execute, lock)
                shard.waiting(1)
            locked.result()
        shard.first.execute("ROLLBACK")
        assert profile.result().status_code == status
    found = execute(distributed, "SELECT id FROM users WHERE id = 'ada'")
    assert found == ([("ada",)] if status == httpx2.codes.OK else [])
