"""Nodes that fail, join and get shards while clients write: no acknowledged write is lost or made twice."""

import time
from pathlib import Path

from tests.faults.load import CLIENTS, Load
from tests.faults.probes import RECOVERY_SECONDS, assert_nothing_unexpected, is_ready
from tests.support.figures import Figures
from tests.support.servers.citus import Citus, Node, execute
from tests.support.service import running_service
from tests.support.waiting import until

_REBALANCE_SECONDS = 120
_PORT_OF_USER = """
    SELECT nodeport FROM citus_shards
    WHERE table_name = 'users'::regclass AND shardid = get_shard_id_for_distribution_column('users', 'ada-{number}')
"""


def _clients_on(node: Node, url: str) -> set[int]:
    """The clients of the load whose users are on this node."""
    ports = {number: execute(url, _PORT_OF_USER.format(number=number)) for number in range(CLIENTS)}
    return {number for number, port in ports.items() if port == [(node.port,)]}


def _forget_prepared(load: Load, restarted_at: float) -> None:
    """Drop the requests that do not find a task of a create that was acknowledged at the moment of the crash.

    Citus commits in two phases. What the node had prepared is committed, and seen, when it is back and was asked.
    """
    until_moment = restarted_at + RECOVERY_SECONDS
    load.attempts = [one for one in load.attempts if one.status != 404 or one.ended_at > until_moment]


def test_a_killed_worker_disturbs_its_own_users_only(
    citus: Citus, distributed: str, figures: Figures, tmp_path: Path
) -> None:
    worker = citus.workers[0]
    execute(distributed, "DELETE FROM users")
    affected = _clients_on(worker, distributed)
    assert 0 < len(affected) < CLIENTS
    with running_service(tmp_path, DATABASE_URL=distributed) as service:
        load = Load(service)
        try:
            with load.running():
                load.goes_on()
                worker.kill()
                until(lambda: {one.client for one in load.attempts if one.status == 503} >= affected)
                load.goes_on()
                assert is_ready(service)
                worker.start()
                moment = time.monotonic()
                recovery = load.seconds_until_served(moment)
                load.goes_on()
        finally:
            worker.start()
        _forget_prepared(load, moment)
        refused = {one.client for one in load.attempts if one.status == 503}
        assert refused == affected
        assert recovery < RECOVERY_SECONDS
        load.record(figures, "A node of Citus is killed and started", recovery_seconds=round(recovery, 1))
        assert_nothing_unexpected(service)


def test_a_node_is_added_and_shards_move_under_load(
    citus: Citus, distributed: str, figures: Figures, tmp_path: Path
) -> None:
    execute(distributed, "DELETE FROM users")
    with running_service(tmp_path, DATABASE_URL=distributed) as service:
        load = Load(service)
        with load.running():
            load.goes_on()
            added = citus.add_worker()
            execute(distributed, "SELECT citus_rebalance_start()")
            state = "SELECT state::text FROM citus_rebalance_status() ORDER BY job_id DESC LIMIT 1"
            until(lambda: execute(distributed, state) == [("finished",)], _REBALANCE_SECONDS)
            load.goes_on()
        assert (added.port,) in execute(distributed, "SELECT DISTINCT nodeport FROM citus_shards")
        load.record(figures, "A node is added to Citus, and shards move there")
        assert_nothing_unexpected(service)
