"""Limits: who may ask how often, seen through HTTP, with a real Redis where one is shared."""

import contextlib
import functools
import itertools
import re
import socket
import time
import tracemalloc
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond, WindowStats
from limits.strategies import MovingWindowRateLimiter

from server.rate_limit.memory import WindowStorage, standing_of
from server.rate_limit.policies import read_rate
from server.settings import SettingsError, load_settings
from tests.support.raw_http import problem
from tests.support.redis_server import RedisServer
from tests.support.service import SECRET, Service, free_port, running_service, token

USER, ANONYMOUS, REFUSED = 5, 6, 3
# More than are sent while a service starts.
PROBES = 60
TASK = "/api/tasks/01890a5d-ac96-774b-bcce-b302099a8057"
RECOVERY_SECONDS = 15
REDIS_TIMEOUT = 0.25
_addresses = (f"198.51.{third}.{fourth}" for third, fourth in itertools.product(range(256), range(256)))


@pytest.fixture(scope="module")
def limited(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with small budgets. It believes what comes from 127.0.0.1, so that each test has its own address."""
    with running_service(
        tmp_path_factory.mktemp("limited"),
        DATABASE_URL=database_url,
        RATE_LIMIT=f"{USER}/minute",
        RATE_LIMIT_ANONYMOUS=f"{ANONYMOUS}/minute",
        RATE_LIMIT_REFUSED_TOKENS=f"{REFUSED}/minute",
        RATE_LIMIT_PROBES=f"{PROBES}/minute",
        # Nobody listens there: the keys of asymmetric tokens cannot be had.
        JWKS_URL=f"http://127.0.0.1:{free_port()}/jwks",
    ) as service:
        yield service


@pytest.fixture
def address() -> str:
    """An address that nobody has used."""
    return next(_addresses)


def standing(answer: httpx2.Response) -> tuple[str, int, int]:
    """Which policy an answer was counted by, what is left, and for how many seconds; held against the contract."""
    policy = re.fullmatch(r'"([0-9A-Za-z_-]+)";q=([0-9]+);w=([0-9]+)', answer.headers["ratelimit-policy"])
    left = re.fullmatch(r'"([0-9A-Za-z_-]+)";r=([0-9]+);t=([0-9]+)', answer.headers["ratelimit"])
    assert policy is not None
    assert left is not None
    assert policy[1] == left[1]
    assert int(left[2]) < int(policy[2])
    assert 1 <= int(left[3]) <= int(policy[3])
    return left[1], int(left[2]), int(left[3])


def assert_refused(service: Service, answer: httpx2.Response, policy: str) -> None:
    """Assert that an answer is a 429 of this policy."""
    problem(service, answer, "too-many-requests")
    name, remaining, seconds = standing(answer)
    assert (name, remaining) == (policy, 0)
    assert answer.headers["retry-after"] == str(seconds)


def in_parallel(calls: list[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def expired() -> str:
    return jwt.encode({"sub": "ada", "exp": datetime.now(UTC) - timedelta(hours=1)}, SECRET, "HS256")


def forged() -> str:
    """A token that looks right until its signature is verified, and that nobody has sent before."""
    return jwt.encode(
        {"sub": uuid.uuid4().hex, "exp": datetime.now(UTC) + timedelta(hours=1)}, "another secret".ljust(32), "HS256"
    )


def keyless() -> str:
    """A token whose key cannot be had at the moment."""
    head, _, tail = forged().partition(".")
    assert head
    return f"eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIn0.{tail}"


def bearer(credentials: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credentials}"}


JSON = {"content-type": "application/json"}
# What is asked, with which headers, and by which status and policy it is answered. `None` has no token at all.
ANSWERS: dict[str, tuple[str, str, Callable[[str], str] | None, dict[str, Any], int, str]] = {
    "200": ("GET", "/api/tasks", token, {}, 200, "user"),
    "200 to HEAD": ("HEAD", "/api/tasks", token, {}, 200, "user"),
    "201": ("POST", "/api/tasks", token, {"json": {"title": "Buy milk"}}, 201, "user"),
    "400": (
        "POST",
        "/api/tasks",
        token,
        {"content": b"{", "headers": {"content-type": "application/json"}},
        400,
        "user",
    ),
    "403": ("GET", "/api/somebody-else/tasks", token, {}, 403, "user"),
    "404 for a task": ("GET", TASK, token, {}, 404, "user"),
    "406": ("GET", "/api/tasks", token, {"headers": {"accept": "text/html"}}, 406, "user"),
    "415": ("POST", "/api/tasks", token, {"content": b"title=Buy+milk"}, 415, "user"),
    "422": ("GET", "/api/tasks?limit=0", token, {}, 422, "user"),
    "401 without a token": ("GET", "/api/tasks", None, {}, 401, "anonymous"),
    "401 with a password": ("GET", "/api/tasks", None, {"auth": ("ada", "secret")}, 401, "anonymous"),
    "401 for an expired token": ("GET", "/api/tasks", lambda _: expired(), {}, 401, "anonymous"),
    "401 for a forged token": ("GET", "/api/tasks", lambda _: forged(), {}, 401, "refused-tokens"),
    "401 for no token at all": ("GET", "/api/tasks", lambda _: "x" * 8000, {}, 401, "refused-tokens"),
    "liveness": ("GET", "/health", None, {}, 200, "probes"),
    "readiness": ("GET", "/health/ready", token, {}, 200, "probes"),
    "406 of a probe": ("GET", "/health", None, {"headers": {"accept": "text/html"}}, 406, "probes"),
    "503 for a key that cannot be had": ("GET", "/api/tasks", lambda _: keyless(), {}, 503, "anonymous"),
    "404 for a path": ("GET", "/nothing/here", None, {}, 404, "anonymous"),
    "404 for a path, with a token": ("GET", "/nothing/here", token, {}, 404, "anonymous"),
    "405": ("PUT", "/api/tasks", token, {}, 405, "anonymous"),
    "a page": ("GET", "/", None, {}, 200, "anonymous"),
    "HEAD of a page": ("HEAD", "/docs", None, {}, 200, "anonymous"),
    "the document": ("GET", "/openapi.json", None, {}, 200, "anonymous"),
    "the metrics": ("GET", "/metrics", None, {}, 200, "anonymous"),
}


@pytest.mark.parametrize(("method", "path", "credentials", "more", "status", "policy"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_that_was_counted_says_so(  # noqa: PLR0913, PLR0917  the columns of the table
    method: str,
    path: str,
    credentials: Callable[[str], str] | None,
    more: dict[str, Any],
    status: int,
    policy: str,
    limited: Service,
    address: str,
    new_user: Callable[[str], str],
) -> None:
    headers = bearer(credentials(new_user("ada"))) if credentials else {}
    client = limited.client(**{"x-forwarded-for": address}, **headers)
    answer = client.request(method, path, **more)
    most = {"user": USER, "anonymous": ANONYMOUS, "refused-tokens": REFUSED, "probes": PROBES}[policy]
    assert (answer.status_code, answer.headers["ratelimit-policy"]) == (status, f'"{policy}";q={most};w=60')
    assert answer.headers["ratelimit"] == f'"{policy}";r={most - 1};t=60'


def test_a_preflight_is_not_counted_and_never_refused(limited: Service, address: str) -> None:
    client = limited.client(**{"x-forwarded-for": address})
    for _ in range(ANONYMOUS):
        client.get("/")
    assert_refused(limited, client.get("/"), "anonymous")
    for _ in range(ANONYMOUS + 1):
        answer = client.request("OPTIONS", "/api/tasks")
        assert (answer.status_code, "ratelimit" in answer.headers) == (204, False)


def test_of_parallel_requests_of_a_user_exactly_as_many_as_the_limit_says_are_answered(
    limited: Service, new_user: Callable[[str], str]
) -> None:
    subject = new_user("ada")
    clients = [limited.as_user(subject) for _ in range(4 * USER)]
    answers = in_parallel([functools.partial(client.get, "/api/tasks") for client in clients])
    granted = [answer for answer in answers if answer.status_code == 200]
    assert sorted(standing(answer)[1] for answer in granted) == list(range(USER))
    for answer in answers:
        if answer not in granted:
            assert_refused(limited, answer, "user")


def test_users_have_budgets_of_their_own(limited: Service, new_user: Callable[[str], str]) -> None:
    ada, bob = limited.as_user(new_user("ada")), limited.as_user(new_user("bob"))
    for _ in range(USER):
        ada.get("/api/tasks")
    assert_refused(limited, ada.get("/api/tasks"), "user")
    assert standing(bob.get("/api/tasks"))[:2] == ("user", USER - 1)


def test_a_user_has_one_budget_for_all_tokens_addresses_and_operations(
    limited: Service, new_user: Callable[[str], str]
) -> None:
    subject = new_user("ada")
    for number in range(USER):
        client = limited.as_user(subject, name=f"Ada the {number}.")
        client.headers["x-forwarded-for"] = next(_addresses)
        assert standing(client.get(f"/api/{subject}" if number % 2 else "/api/tasks"))[:2] == (
            "user",
            USER - 1 - number,
        )
    assert_refused(limited, limited.as_user(subject).post("/api/auth/verify"), "user")


def test_a_request_that_is_refused_makes_no_query(limited: Service, new_user: Callable[[str], str]) -> None:
    client = limited.as_user(new_user("ada"))
    ids = [client.post("/api/tasks", json={"title": "Buy milk"}).json()["id"] for _ in range(USER - 1)]
    assert len(client.get("/api/tasks").json()) == len(ids)
    assert_refused(limited, client.delete(f"/api/tasks/{ids[0]}"), "user")
    assert_refused(limited, client.post("/api/tasks", content=b"not even JSON"), "user")


def test_the_window_moves(database_url: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database_url, RATE_LIMIT="3/2 second") as service:
        client = service.as_user("ada")
        granted: list[tuple[float, float]] = []
        began = time.monotonic()
        while len(granted) < 7:
            before = time.monotonic()
            answer = client.get("/api/tasks")
            if answer.status_code == 200:
                granted.append((before, time.monotonic()))
            else:
                assert_refused(service, answer, "user")
                time.sleep(0.02)
        # Four of them, from the first one's beginning to the last one's end, take more than a window.
        assert min(last[1] - first[0] for first, last in zip(granted, granted[3:], strict=False)) > 2
        # Nobody waits for longer than the window takes, however often they asked meanwhile.
        assert time.monotonic() - began < 2 * 2 + 2


def test_an_address_that_a_client_makes_up_gives_no_budget(limited: Service, address: str) -> None:
    """A proxy puts the address that it sees behind those that it was sent."""
    for number in range(ANONYMOUS):
        answer = limited.client(**{"x-forwarded-for": f"203.0.113.{number}, {address}"}).get("/")
        assert standing(answer)[:2] == ("anonymous", ANONYMOUS - 1 - number)
    answer = limited.client(**{"x-forwarded-for": f"203.0.113.99, {address}"}).get("/nothing/here")
    assert_refused(limited, answer, "anonymous")


def test_only_trusted_proxies_say_who_their_client_is(database_url: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path,
        DATABASE_URL=database_url,
        FORWARDED_ALLOW_IPS="10.0.0.0/8,192.0.2.7",
        RATE_LIMIT="1/minute",
        RATE_LIMIT_ANONYMOUS="40/minute",
    ) as service:
        statuses = [
            service.client(**{"x-forwarded-for": f"10.0.0.{number}, 198.51.100.{number}"}).get("/").status_code
            for number in range(41)
        ]
        # Some were taken by whoever waited for the service and by the document that answers are held against.
        assert Counter(statuses).keys() == {200, 429}
        assert statuses == sorted(statuses)
        # That may be a mistake, which the operator hears of, once.
        assert service.log.read_text().count("rate_limit.proxy_not_trusted") == 1


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("2001:db8:0:{n}::1", "2001:db8:0:{n}:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:{n}::1", "2001:db8:2:{n}::1", False),
        ("::ffff:203.0.113.{n}", "203.0.113.{n}", True),
        ("192.0.2.{n}", "192.0.2.1{n}", False),
        ("[2001:db8:3:{n}::1]:4711", "2001:db8:3:{n}::2", True),
    ],
    ids=["a /64", "two /64s", "IPv4 in IPv6", "two IPv4 addresses", "with a port"],
)
def test_an_ipv6_client_is_its_64(one: str, other: str, *, shared: bool, limited: Service) -> None:
    remaining = [
        standing(limited.client(**{"x-forwarded-for": address.format(n=9)}).get("/"))[1] for address in (one, other)
    ]
    assert remaining == [ANONYMOUS - 1, ANONYMOUS - 2 if shared else ANONYMOUS - 1]


def test_an_address_that_is_none_counts_all_the_same(limited: Service) -> None:
    remaining = [
        standing(limited.client(**{"x-forwarded-for": address}).get("/"))[1] for address in ("_hidden", "x" * 999)
    ]
    assert remaining == [ANONYMOUS - 1, ANONYMOUS - 2]


def test_after_too_many_refused_tokens_no_unknown_token_of_the_address_is_looked_at(
    limited: Service, address: str, new_user: Callable[[str], str]
) -> None:
    neighbour = limited.client(**bearer(token(new_user("bob"))), **{"x-forwarded-for": address})
    assert neighbour.get("/api/tasks").status_code == 200
    refusals = limited.log.read_text().count("security.token_refused")

    for number in range(REFUSED):
        answer = limited.client(**bearer(forged()), **{"x-forwarded-for": address}).get("/api/tasks")
        problem(limited, answer, "unauthenticated")
        assert standing(answer)[:2] == ("refused-tokens", REFUSED - 1 - number)
    for _ in range(3):
        answer = limited.client(**bearer(forged()), **{"x-forwarded-for": address}).get("/api/tasks")
        assert_refused(limited, answer, "refused-tokens")
    assert limited.log.read_text().count("security.token_refused") == refusals + REFUSED

    # Whose token is known goes on; a new one waits; without one the other budget counts.
    assert standing(neighbour.get("/api/tasks"))[:2] == ("user", USER - 2)
    newcomer = limited.client(**bearer(token(new_user("eve"))), **{"x-forwarded-for": address})
    assert_refused(limited, newcomer.get("/api/tasks"), "refused-tokens")
    nobody = limited.client(**{"x-forwarded-for": address})
    assert nobody.get("/api/tasks").status_code == 401
    newcomer.headers["x-forwarded-for"] = next(_addresses)
    assert newcomer.get("/api/tasks").status_code == 200


def test_of_parallel_forged_tokens_exactly_as_many_as_the_limit_says_are_refused_with_401(
    limited: Service, address: str
) -> None:
    clients = [limited.client(**bearer(forged()), **{"x-forwarded-for": address}) for _ in range(4 * REFUSED)]
    answers = in_parallel([functools.partial(client.get, "/api/tasks") for client in clients])
    assert Counter(answer.status_code for answer in answers) == {401: REFUSED, 429: 3 * REFUSED}


def test_an_operation_that_needs_no_token_counts_for_the_address(database_url: str, tmp_path: Path) -> None:
    """The contract has none but the probes. An overlay makes one, which then has nobody to tell of."""
    overlay = tmp_path / "public.yaml"
    overlay.write_text(
        "overlay: 1.0.0\n"
        "info: {title: A public operation, version: 1.0.0}\n"
        "actions: [{target: '$.paths[\"/api/auth/verify\"].post', update: {security: []}}]\n"
    )
    settings = {"DATABASE_URL": database_url, "OPENAPI_OVERLAYS": str(overlay), "RATE_LIMIT_ANONYMOUS": "3/minute"}
    with running_service(tmp_path, ready=True, RATE_LIMIT="1/minute", **settings) as service:
        client = service.client(**{"x-forwarded-for": next(_addresses)})
        answers = [client.post("/api/auth/verify") for _ in range(4)]
        assert [standing(answer)[:2] for answer in answers[:3]] == [
            ("anonymous", 2),
            ("anonymous", 1),
            ("anonymous", 0),
        ]
        assert_refused(service, answers[3], "anonymous")


def test_a_page_may_read_what_is_left(limited: Service, address: str) -> None:
    client = limited.client(origin="http://localhost:3000", **{"x-forwarded-for": address})
    exposed = client.get("/").headers["access-control-expose-headers"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed.split(", "))


def test_refusals_are_counted(limited: Service, address: str) -> None:
    client = limited.client(**{"x-forwarded-for": address})
    before = metric(limited, 'rate_limit_refusals_total{policy="anonymous"}')
    statuses = [client.get("/").status_code for _ in range(ANONYMOUS + 2)]
    assert Counter(statuses) == {200: ANONYMOUS, 429: 2}
    assert metric(limited, 'rate_limit_refusals_total{policy="anonymous"}') == before + 2


def test_off_turns_all_limits_off(database_url: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path,
        DATABASE_URL=database_url,
        RATE_LIMIT="Off",
        RATE_LIMIT_ANONYMOUS="1/day",
        RATE_LIMIT_REFUSED_TOKENS="1/day",
    ) as service:
        for client in (service.as_user("ada"), service.client(), service.client(**bearer(forged()))):
            for path in ("/api/tasks", "/", "/nothing"):
                answers = [client.get(path) for _ in range(3)]
                assert [answer.status_code for answer in answers].count(429) == 0
                assert not any("ratelimit" in answer.headers for answer in answers)


def test_each_limit_can_be_off_by_itself(database_url: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path,
        DATABASE_URL=database_url,
        RATE_LIMIT="2/day",
        RATE_LIMIT_ANONYMOUS="off",
        RATE_LIMIT_REFUSED_TOKENS="off",
    ) as service:
        for client in (service.client(), service.client(**bearer(forged()))):
            assert [client.get("/api/tasks").status_code for _ in range(4)] == [401] * 4
        ada = service.as_user("ada")
        assert [ada.get("/api/tasks").status_code for _ in range(3)] == [200, 200, 429]


WRONG = {
    "no number": ("RATE_LIMIT", "many/minute", "must be `off`, or"),
    "no unit": ("RATE_LIMIT", "1000", "must be `off`, or"),
    "an unknown unit": ("RATE_LIMIT", "5/fortnight", "must be `off`, or"),
    "two limits": ("RATE_LIMIT", "5/second;1000/minute", "must be `off`, or"),
    "no time": ("RATE_LIMIT_ANONYMOUS", "5/0 second", "must be `off`, or"),
    "nothing": ("RATE_LIMIT_REFUSED_TOKENS", "0/minute", "must be a number of requests from 1 to 1000000"),
    "too many": ("RATE_LIMIT", "1000001/minute", "must be a number of requests from 1 to 1000000"),
    "too long": ("RATE_LIMIT", "5/month", "must be a time of one day at most"),
    "another database": ("REDIS_URL", "https://cache.example", "URL scheme should be 'redis' or 'rediss'"),
    "no host": ("REDIS_URL", "redis://", "Input should be a valid URL, empty host"),
    "a bad port": (
        "REDIS_URL",
        "redis://:hunter2@cache.example:port",
        "Input should be a valid URL, invalid port number",
    ),
    "a name": ("FORWARDED_ALLOW_IPS", "10.0.0.1,proxy.example", "'proxy.example' is not a valid IPv4 or IPv6 network"),
    "half a network": ("FORWARDED_ALLOW_IPS", "10.0.0.1/8", "'10.0.0.1/8' is not a valid IPv4 or IPv6 network"),
    "everybody and more": ("FORWARDED_ALLOW_IPS", "*,10.0.0.1", "'*' is not a valid IPv4 or IPv6 network"),
}


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(f"{name}: {sentence}")
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", ["20/2 second", "20 per 2 seconds", " 20 / 2 SECOND "])
def test_a_rate_is_read_in_the_notation_of_the_library(text: str) -> None:
    rate = read_rate(text)
    assert rate is not None
    assert (rate.amount, rate.get_expiry()) == (20, 2)


# The storage of the windows, through the library, by a clock moved by hand.


class Clock:
    """A clock that only moves when told, in whole nanoseconds."""

    now = 0

    def __call__(self) -> int:
        return self.now


MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
_MOMENTS = st.integers(0, 15_000) | st.sampled_from([0, 100, 1000, 9_999, 10_000])


@given(amount=st.integers(1, 8), steps=st.lists(st.tuples(_MOMENTS, st.integers(1, 3)), max_size=80))
def test_a_window_grants_exactly_what_was_not_used_within_it(amount: int, steps: list[tuple[int, int]]) -> None:
    """Held against the definition: the moments of all requests that were granted."""
    clock = Clock()
    rate = RateLimitItemPerSecond(amount, 10)
    windows = MovingWindowRateLimiter(WindowStorage(clock=clock))
    granted: list[int] = []
    for milliseconds, cost in steps:
        clock.now += milliseconds * MILLISECOND
        in_window = [moment for moment in granted if moment > clock.now - 10 * SECOND]
        has_room = len(in_window) + cost <= amount
        assert windows.test(rate, "ada", cost=cost) == has_room
        assert windows.hit(rate, "ada", cost=cost) == has_room
        if has_room:
            granted += [clock.now] * cost
            in_window += [clock.now] * cost
        stats = windows.get_window_stats(rate, "ada")
        assert stats.remaining == amount - len(in_window)
        ends = (in_window[0] - clock.now) / SECOND + 10 if in_window else 10
        assert stats.reset_time - time.time() == pytest.approx(ends, abs=0.5)


@given(
    reset=st.floats(-100, 100),
    remaining=st.integers(0, 5),
    granted=st.none() | st.booleans(),
)
def test_a_client_waits_for_a_second_at_least_and_for_a_window_at_most(
    reset: float, remaining: int, *, granted: bool | None
) -> None:
    """The clocks of two replicas may differ."""
    rate = RateLimitItemPerSecond(5, 60)
    left = standing_of(rate, WindowStats(time.time() + reset, remaining), granted=granted)
    assert 1 <= left.seconds <= 60
    assert left.seconds == pytest.approx(min(60, max(1, reset)), abs=1)
    assert left.granted == (remaining > 0 if granted is None else granted)
    assert left.remaining == (remaining if left.granted else 0)


def test_a_million_clients_take_no_more_room_than_the_most_that_are_kept() -> None:
    rate = RateLimitItemPerMinute(300)
    storage = WindowStorage(most=1000)
    windows = MovingWindowRateLimiter(storage)
    granted = 0
    for number in range(1_000_000 // 50):
        windows.hit(rate, str(number))
        granted += windows.hit(rate, "busy")
        assert len(storage) <= 1000
    assert windows.get_window_stats(rate, "19999").remaining == 299
    assert windows.get_window_stats(rate, "0").remaining == 300
    # Whoever goes on asking is not forgotten, though refused.
    assert granted == 300


def test_whoever_was_quiet_for_a_window_is_forgotten() -> None:
    clock = Clock()
    rate = RateLimitItemPerMinute(300)
    storage = WindowStorage(clock=clock)
    windows = MovingWindowRateLimiter(storage)
    for number in range(100):
        windows.hit(rate, str(number))
    clock.now += 61 * SECOND
    for _ in range(50):
        windows.hit(rate, uuid.uuid4().hex)
    assert len(storage) == 50


def test_a_busy_client_takes_eight_bytes_for_each_request_that_counts() -> None:
    clock = Clock()
    rate = RateLimitItemPerSecond(1000, 10)
    tracemalloc.start()
    try:
        windows = MovingWindowRateLimiter(WindowStorage(clock=clock))
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20_000):
            clock.now += MILLISECOND
            windows.hit(rate, "ada")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert windows.get_window_stats(rate, "ada").remaining == 0
    assert after - before < 1000 * 8 * 1.25 + 1000


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


def until(condition: Callable[[], object]) -> None:
    """Poll until the condition holds, which it must soon."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {RECOVERY_SECONDS} seconds"
        time.sleep(0.05)


def metric(service: Service, name: str) -> float:
    text = service.client(**{"x-forwarded-for": next(_addresses)}).get("/metrics").text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE) or ["0"]
    return float(value)


@contextlib.contextmanager
def sharing(database_url: str, directory: Path, url: str, limit: str, **more: str) -> Iterator[Service]:
    """A service that counts in Redis."""
    directory.mkdir()
    settings = {"DATABASE_URL": database_url, "REDIS_URL": url, "RATE_LIMIT": limit, **more}
    with running_service(directory, ready=True, **settings) as service:
        yield service


def test_all_processes_of_all_services_share_the_budgets_in_redis(
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
            # What is left is asked after counting: less, where somebody else was counted meanwhile, and never more.
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
def test_without_redis_the_service_goes_on_and_finds_it_again_by_itself(
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
            assert one.log.read_text().count("rate_limit.redis_lost") == 1

        redis.start()
        until(lambda: metric(one, "rate_limit_redis_down") == 0)
        until(lambda: metric(two, "rate_limit_redis_down") == 0)
        assert one.log.read_text().count("rate_limit.redis_lost") == 1
        assert one.log.read_text().count("rate_limit.redis_found") == 1
        assert metric(one, "rate_limit_redis_outages_total") == 1
        subject = new_user("zoe")
        remaining = [standing(service.as_user(subject).get("/api/tasks"))[1] for service in (one, two, one)]
        assert remaining == [29, 28, 27]


def test_the_service_starts_without_its_redis_and_finds_it_by_itself(
    redis_server: RedisServer, database_url: str, tmp_path: Path
) -> None:
    redis_server.kill()
    with sharing(database_url, tmp_path / "one", redis_server.url, "30/minute") as service:
        assert service.as_user("ada").get("/api/tasks").status_code == 200
        assert service.log.read_text().count("rate_limit.redis_lost") == 1
        redis_server.start()
        until(lambda: metric(service, "rate_limit_redis_down") == 0)
        assert standing(service.as_user("ada").get("/api/tasks"))[1] == 29


def test_a_redis_that_refuses_to_count_is_away(redis: RedisServer, database_url: str, tmp_path: Path) -> None:
    """It answers a PING all the same."""
    with sharing(database_url, tmp_path / "one", redis.url, "30/minute") as service:
        assert service.as_user("ada").get("/api/tasks").status_code == 200
        redis.ask("CONFIG SET maxmemory 1")
        assert service.as_user("ada").get("/api/tasks").status_code == 200
        assert metric(service, "rate_limit_redis_down") == 1
        redis.ask("CONFIG SET maxmemory 0")
        until(lambda: metric(service, "rate_limit_redis_down") == 0)


def test_the_password_of_redis_is_not_logged(database_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://:hunter2@127.0.0.1:{deaf.getsockname()[1]}"
        with sharing(database_url, tmp_path / "one", url, "30/minute") as service:
            assert service.as_user("ada").get("/api/tasks").status_code == 200
            log = service.log.read_text()
            assert "rate_limit.redis_lost" in log
            assert "hunter2" not in log
