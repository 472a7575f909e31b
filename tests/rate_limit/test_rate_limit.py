"""Limits on the rate of requests, seen through HTTP, with a real Redis if one is shared."""

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rate_limit.policies import addresses, assert_refused, expired, forged, keyless, metric, standing
from tests.support.api import bearer
from tests.support.concurrency import in_parallel
from tests.support.raw_http import problem
from tests.support.service import Service, free_port, running_service, token

USER, ANONYMOUS, REFUSED = 5, 6, 3
# More requests than are sent while a service starts.
PROBES = 60
TASK = "/api/tasks/01890a5d-ac96-774b-bcce-b302099a8057"


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
        # Nothing listens there: the keys of asymmetric tokens cannot be fetched.
        JWKS_URL=f"http://127.0.0.1:{free_port()}/jwks",
    ) as service:
        yield service


JSON = {"content-type": "application/json"}
# The requests, with their headers, and the status and policy of the answer. `None` has no token at all.
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


def test_concurrent_requests_of_a_user_are_counted_exactly(limited: Service, new_user: Callable[[str], str]) -> None:
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


def test_a_user_has_one_budget(limited: Service, new_user: Callable[[str], str]) -> None:
    """For all tokens, addresses and operations together."""
    subject = new_user("ada")
    for number in range(USER):
        client = limited.as_user(subject, name=f"Ada the {number}.")
        client.headers["x-forwarded-for"] = next(addresses)
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
        # No client waits for longer than the window takes, however often it asked meanwhile.
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
        # The wait for the service and the download of its document took some requests of the budget.
        assert Counter(statuses).keys() == {200, 429}
        assert statuses == sorted(statuses)
        # This may be a mistake, so the log warns the operator, once.
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


def test_too_many_refused_tokens_block_unknown_tokens(
    limited: Service, address: str, new_user: Callable[[str], str]
) -> None:
    """Of the same address. Tokens that were verified before go on, and so do requests without one."""
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

    # A client with a known token goes on; a new token waits; without one the other budget counts.
    assert standing(neighbour.get("/api/tasks"))[:2] == ("user", USER - 2)
    newcomer = limited.client(**bearer(token(new_user("eve"))), **{"x-forwarded-for": address})
    assert_refused(limited, newcomer.get("/api/tasks"), "refused-tokens")
    nobody = limited.client(**{"x-forwarded-for": address})
    assert nobody.get("/api/tasks").status_code == 401
    newcomer.headers["x-forwarded-for"] = next(addresses)
    assert newcomer.get("/api/tasks").status_code == 200


def test_concurrent_forged_tokens_are_counted_exactly(limited: Service, address: str) -> None:
    """As many as the limit says are refused with 401, all others with 429."""
    clients = [limited.client(**bearer(forged()), **{"x-forwarded-for": address}) for _ in range(4 * REFUSED)]
    answers = in_parallel([functools.partial(client.get, "/api/tasks") for client in clients])
    assert Counter(answer.status_code for answer in answers) == {401: REFUSED, 429: 3 * REFUSED}


def test_an_operation_that_needs_no_token_counts_for_the_address(database_url: str, tmp_path: Path) -> None:
    """The contract has none but the probes. An overlay adds one, which then has no user."""
    overlay = tmp_path / "public.yaml"
    overlay.write_text(
        "overlay: 1.0.0\n"
        "info: {title: A public operation, version: 1.0.0}\n"
        "actions: [{target: '$.paths[\"/api/auth/verify\"].post', update: {security: []}}]\n"
    )
    settings = {"DATABASE_URL": database_url, "OPENAPI_OVERLAYS": str(overlay), "RATE_LIMIT_ANONYMOUS": "3/minute"}
    with running_service(tmp_path, ready=True, RATE_LIMIT="1/minute", **settings) as service:
        client = service.client(**{"x-forwarded-for": next(addresses)})
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
