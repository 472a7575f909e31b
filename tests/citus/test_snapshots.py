"""Each part of a statement has a snapshot of its own, and others write between two of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

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


@pytest.fixture
def shard(distributed: str) -> tuple[str, int]:
    """The name of the shard of `users` with the user ada, who has no row, and the port of its node."""
    execute(distributed, "DELETE FROM users WHERE id = 'ada'")
    ((name, port),) = execute(distributed, _SHARD)
    return name, port


@pytest.fixture
def connect(shard: tuple[str, int]) -> Iterator[Callable[[], Connection]]:
    """Connects to the node, may change its shards directly, and waits for locks as long as the test needs."""
    url = f"postgresql://postgres@127.0.0.1:{shard[1]}/postgres"
    options = "-c citus.enable_manual_changes_to_shards=on"
    limit = "ALTER DATABASE postgres SET lock_timeout = '{}s'"
    execute(url, limit.format(MOST_SECONDS))
    with ExitStack() as opened:
        opened.callback(execute, url, limit.format(1))
        yield lambda: opened.enter_context(psycopg.connect(url, autocommit=True, options=options))


@contextmanager
def _suspended(pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_a_profile_of_a_user_who_is_deleted_between_the_parts(
    distributed: str, shard: tuple[str, int], connect: Callable[[], Connection], tmp_path: Path
) -> None:
    """The first statement does not find the user, the first part of the second one does, and its next part does not."""
    users = shard[0]
    lock = f"BEGIN; LOCK TABLE {users} IN ACCESS EXCLUSIVE MODE"
    first, second, observer = connect(), connect(), connect()

    def waiting(count: int) -> list[int]:
        until(lambda: len(observer.execute(_WAITING, [users]).fetchall()) == count)
        return [pid for (pid,) in observer.execute(_WAITING, [users])]

    with running_service(tmp_path, DATABASE_URL=distributed) as service, ThreadPoolExecutor(2) as threads:
        first.execute(lock)
        profile = threads.submit(service.as_user("ada").get, "/api/me")
        waiting(1)
        # Granted when the first statement of the request has ended, before the second one.
        locked = threads.submit(second.execute, lock)
        waiting(2)
        first.execute("ROLLBACK")
        locked.result()
        (part,) = waiting(1)
        ((statement,),) = execute(distributed, _STATEMENT)
        with _suspended(statement):
            second.execute(f"INSERT INTO {users} (id) VALUES ('ada'); COMMIT")  # noqa: S608
            until(lambda: observer.execute(_HAS_ENDED_PART, [part]).fetchall())
            second.execute(f"DELETE FROM {users} WHERE id = 'ada'")  # noqa: S608
        assert profile.result().status_code == httpx2.codes.OK
    assert execute(distributed, "SELECT id FROM users WHERE id = 'ada'") == [("ada",)]
