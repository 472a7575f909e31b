"""`make scale-demo`: more than one machine. What fails, or is replaced, under load costs no acknowledged write.

The tests follow each other: replicas come and go, their release changes, and in the end the standby is the primary.
"""

import time
from collections import Counter
from collections.abc import Iterator

import httpx2
import psycopg
import pytest

from tests.faults.load import CLIENTS, Load
from tests.faults.probes import RECOVERY_SECONDS
from tests.faults.replicas.stack import ANONYMOUS, REPLICAS, Stack, proxy, until_synchronous, versions
from tests.support.figures import Figures
from tests.support.service import TLS, Service
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(2)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("scale"))
    try:
        made.start()
        until_synchronous(made)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def front(stack: Stack) -> Iterator[Service]:
    """The proxy in front of three replicas of the first release, which use PgBouncer."""
    stack.serve(stack.first, stack.proxied)
    with proxy(stack) as service:
        yield service


@pytest.fixture
def load(stack: Stack, front: Service) -> Load:
    stack.forget()
    return Load(front)


def finish(load: Load, stack: Stack, figures: Figures, what: str, recovery: float) -> None:
    # The proxy closes the connection of a client whose request a killed replica may have carried out.
    may_be_cut = CLIENTS if "one killed" in what else 0
    load.record(figures, f"Three replicas: {what}", recovery_seconds=recovery, may_be_cut=may_be_cut)
    for service in stack.services.values():
        assert "unexpected_error" not in service.log.read_text()


def test_a_killed_replica_is_left_out(stack: Stack, load: Load, figures: Figures) -> None:
    with load.running():
        load.goes_on()
        killed_at = time.monotonic()
        stack.kill_replica(0)
        recovery = load.seconds_until_served(killed_at)
        load.goes_on()
    assert recovery < RECOVERY_SECONDS
    finish(load, stack, figures, "one killed", recovery)


def test_an_added_replica_takes_its_part(stack: Stack, load: Load, figures: Figures) -> None:
    """It has answered requests of the clients by the end, and no request failed for it."""
    if 1 in stack.services:
        stack.stop_replica(1)
    with load.running():
        load.goes_on()
        stack.serve(stack.first, stack.proxied)
        added_at = time.monotonic()
        recovery = load.seconds_until_served(added_at)
        until(lambda: "createTask" in stack.services[1].log.read_text())
        load.goes_on()
    assert load.count(503) == 0
    finish(load, stack, figures, "one added", recovery)


def test_a_restart_of_pgbouncer_is_a_moment_of_503(stack: Stack, load: Load, figures: Figures) -> None:
    with load.running():
        load.goes_on()
        stopped_at = time.monotonic()
        stack.stop_pooler()
        until(lambda: load.count(503) > 0)
        stack.start_pooler()
        started_at = time.monotonic()
        recovery = load.seconds_until_served(started_at)
        load.goes_on()
    assert recovery < RECOVERY_SECONDS
    finish(load, stack, figures, "PgBouncer ended and started again", started_at - stopped_at + recovery)


def test_limits_hold_across_replicas(stack: Stack, front: Service) -> None:
    """Requests without a token, each on a new connection, so that they reach all replicas."""
    stack.forget()
    statuses: Counter[int] = Counter()
    for _ in range(2 * ANONYMOUS):
        with httpx2.Client(trust_env=False, verify=TLS) as client:
            statuses[client.get(f"{front.url}/nothing/here").status_code] += 1
    assert statuses == {404: ANONYMOUS, 429: ANONYMOUS}
    counted = [service.read_log().count("status=404") for service in stack.services.values()]
    assert min(counted) > 0


def test_a_new_release_is_rolled_out_under_load(stack: Stack, front: Service, load: Load, figures: Figures) -> None:
    """Expand, replace one replica after the other, contract. The new ones connect to the databases directly."""
    stack.serve(stack.first, stack.proxied)
    assert versions(front) == {"1.0.0"}
    recoveries = []
    with load.running():
        load.goes_on()
        stack.migrate(stack.second)
        for number in range(REPLICAS):
            moment = time.monotonic()
            stack.stop_replica(number)
            recoveries.append(load.seconds_until_served(moment))
            stack.start_replica(number, stack.second, stack.direct)
            load.goes_on(20)
        until(lambda: versions(front) == {"2.0.0"})
        stack.migrate(stack.third)
        load.goes_on()
    with psycopg.connect(stack.direct) as connection:
        columns = connection.execute("SELECT * FROM tasks LIMIT 0").description
    assert {"priority", "colour"} & {column.name for column in columns or ()} == {"priority"}
    assert load.count(503) == 0
    finish(load, stack, figures, "rolled to a new release with migrations", max(recoveries))


def test_the_standby_takes_over_without_a_loss(stack: Stack, load: Load, figures: Figures) -> None:
    """The replicas know both databases, and look for the one that takes writes."""
    stack.migrate(stack.second)
    stack.serve(stack.second, stack.direct)
    with load.running():
        load.goes_on()
        assert stack.is_synchronous()
        killed_at = time.monotonic()
        stack.primary.kill()
        until(lambda: load.count(503) > 0)
        promoted_at = time.monotonic()
        stack.promote()
        recovery = load.seconds_until_served(promoted_at)
        load.goes_on()
    assert recovery < RECOVERY_SECONDS
    finish(load, stack, figures, "primary killed, standby promoted", promoted_at - killed_at + recovery)
