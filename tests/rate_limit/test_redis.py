"""Rate limits counted in Redis, by several services and without it."""

import contextlib
import functools
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.rate_limit.policies import forged, metric, standing
from tests.support.api import bearer
from tests.support.concurrency import in_parallel
from tests.support.servers.redis import RedisServer
from tests.support.service import Service, free_port, running_service, token
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(1)

REDIS_TIMEOUT = 0.25


# Redis


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """Redis, running and empty; a test may leave it dead."""
    redis_server.start()
    redis_server.ask("FLUSHALL")
    return redis_server


@contextlib.contextmanager
def sharing(database_url: str, directory: Path, url: str, limit: str, **more: str) -> Iterator[Service]:
    """A service that counts in Redis."""
    directory.mkdir()
    settings = {"DATABASE_URL": database_url, "REDIS_URL": url, "RATE_LIMIT": limit, **more}
    with running_service(directory, ready=True, **settings) as service:
        yield service


def test_all_processes_share_the_budgets_in_redis(
    redis: RedisServer, database_url: str, tmp_path: Path, address: str
) -> None:
    """Three budgets of the same size, and a user whose id is the address that the others count for."""
    limits = {"RATE_LIMIT_ANONYMOUS": "7/minute", "RATE_LIMIT_REFUSED_TOKENS": "7/minute"}
    with (
        sharing(database_url, tmp_path / "one", redis.url, "7/minute", WORKERS="2", **limits) as one,
        sharing(database_url, tmp_path / "two", redis.url, "7/minute", **limits) as two,
    ):

        def ask_all(path: str, credentials: Callable[[], str] | None) -> list[httpx2.Response]:
            headers = [bearer(credentials()) if credentials else {} for _ in range(20)]
            services = itertools.cycle((one, two))
            clients = [next(services).client(**{"x-forwarded-for": address}, **more) for more in headers]
            return in_parallel([functools.partial(client.get, path) for client in clients])

        for path, credentials, status in (
            ("/api/tasks", functools.partial(token, address), 200),
            ("/nothing/here", None, 404),
            ("/api/tasks", forged, 401),
        ):
            answers = ask_all(path, credentials)
            assert Counter(answer.status_code for answer in answers) == {status: 7, 429: 13}
            granted = [answer for answer in answers if answer.status_code == status]
            # The remainder is read after counting: lower where another request was counted meanwhile, never higher.
            left = sorted(standing(answer)[1] for answer in granted)
            assert left[0] == 0
            assert all(remaining <= most for most, remaining in enumerate(left))


def test_the_window_in_redis_moves_and_leaves_nothing_behind(
    redis: RedisServer, database_url: str, tmp_path: Path
) -> None:
    with sharing(database_url, tmp_path / "one", redis.url, "3/2 second", RATE_LIMIT_ANONYMOUS="off") as service:
        client = service.as_user("ada")
        assert [client.get("/api/tasks").status_code for _ in range(4)] == [200, 200, 200, 429]
        began = time.monotonic()
        until(lambda: client.get("/api/tasks").status_code == 200)
        assert 1 < time.monotonic() - began < 3
        assert redis.ask("DBSIZE") != b":0"
        until(lambda: redis.ask("DBSIZE") == b":0")


OUTAGES = {"dead": RedisServer.kill, "hanging": None}


@pytest.mark.parametrize("kill", OUTAGES.values(), ids=OUTAGES)
def test_without_redis_the_service_goes_on_and_finds_it_again(
    kill: Callable[[RedisServer], None] | None,
    redis: RedisServer,
    database_url: str,
    tmp_path: Path,
    new_user: Callable[[str], str],
) -> None:
    with (
        sharing(database_url, tmp_path / "one", redis.url, "30/minute") as one,
        sharing(database_url, tmp_path / "two", redis.url, "30/minute") as two,
    ):
        client = one.as_user(new_user("ada"))
        assert standing(client.get("/api/tasks"))[1] == 29
        assert (metric(one, "rate_limit_redis_down"), metric(one, "rate_limit_redis_outages_total")) == (0, 0)

        with contextlib.ExitStack() as outage:
            if kill is None:
                outage.enter_context(redis.frozen())
            else:
                kill(redis)
            clients = [one.as_user(new_user("eve")) for _ in range(8)]
            answers = in_parallel([functools.partial(eve.get, "/api/tasks") for eve in clients])
            # Those that were under way waited for it once, the others not at all.
            assert {answer.status_code for answer in answers} == {200}
            assert max(answer.elapsed.total_seconds() for answer in answers) < REDIS_TIMEOUT + 0.75
            bob = one.as_user(new_user("bob"))
            began = time.monotonic()
            statuses = Counter(bob.get("/api/tasks").status_code for _ in range(40))
            assert statuses == {200: 30, 429: 10}
            assert time.monotonic() - began < 40 * REDIS_TIMEOUT / 2
            assert (metric(one, "rate_limit_redis_down"), metric(one, "rate_limit_redis_outages_total")) == (1, 1)
            assert one.log.read_text().count("rate_limit.redis_unavailable") == 1

        redis.start()
        until(lambda: metric(one, "rate_limit_redis_down") == 0)
        until(lambda: metric(two, "rate_limit_redis_down") == 0)
        assert one.log.read_text().count("rate_limit.redis_unavailable") == 1
        assert one.log.read_text().count("rate_limit.redis_available") == 1
        assert metric(one, "rate_limit_redis_outages_total") == 1
        subject = new_user("zoe")
        remaining = [standing(service.as_user(subject).get("/api/tasks"))[1] for service in (one, two, one)]
        assert remaining == [29, 28, 27]


def test_a_service_that_starts_before_its_redis_finds_it(
    redis_server: RedisServer, database_url: str, tmp_path: Path
) -> None:
    redis_server.kill()
    with sharing(database_url, tmp_path / "one", redis_server.url, "30/minute") as service:
        assert service.as_user("ada").get("/api/tasks").status_code == 200
        assert service.log.read_text().count("rate_limit.redis_unavailable") == 1
        redis_server.start()
        until(lambda: metric(service, "rate_limit_redis_down") == 0)
        assert standing(service.as_user("ada").get("/api/tasks"))[1] == 29


def test_a_redis_that_refuses_to_count_is_away(redis: RedisServer, database_url: str, tmp_path: Path) -> None:
    """It answers a PING all the same."""

    def is_away() -> bool:
        """A request notices it, unless a slow start had the service count by itself until this moment."""
        assert service.as_user("ada").get("/api/tasks").status_code in (200, 429)
        return metric(service, "rate_limit_redis_down") == 1

    with sharing(database_url, tmp_path / "one", redis.url, "30/minute") as service:
        assert service.as_user("ada").get("/api/tasks").status_code == 200
        redis.ask("CONFIG SET maxmemory 1")
        until(is_away)
        redis.ask("CONFIG SET maxmemory 0")
        until(lambda: metric(service, "rate_limit_redis_down") == 0)


def test_the_password_of_redis_is_not_logged(database_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://:hunter2@127.0.0.1:{deaf.getsockname()[1]}"
        with sharing(database_url, tmp_path / "one", url, "30/minute") as service:
            assert service.as_user("ada").get("/api/tasks").status_code == 200
            log = service.log.read_text()
            assert "rate_limit.redis_unavailable" in log
            assert "hunter2" not in log
