"""The cost of hostile tokens, and the systems that they reach."""

import socket
import time
from urllib.parse import urlsplit

import psutil
import pytest

from server.auth.jwks import FetchPolicy
from tests.hostile.tokens.claims import PAYLOADS
from tests.hostile.tokens.injections import INJECTIONS
from tests.hostile.tokens.signatures import CONFUSED, SIGNATURES
from tests.hostile.tokens.signers import SIGNERS
from tests.hostile.tokens.target import _CPU_SECONDS, _ROUNDS, Target, accepts, head
from tests.hostile.tokens.texts import NONE, OTHER_FORMS, TEXTS
from tests.support.document import FIELD_BYTES
from tests.support.raw_http import RawConnection
from tests.support.servers.issuer import (
    hs256,
    seal,
)

pytestmark = pytest.mark.exhaustive(1)

# The cost of hostile tokens, and the systems that they reach.


def tokens_of(target: Target) -> dict[str, str]:
    """Every token of these tables, by name."""
    made = {name: make() for table in (TEXTS, OTHER_FORMS, NONE, CONFUSED, SIGNATURES) for name, make in table.items()}
    made |= {name: make(target.canary.url) for name, make in INJECTIONS.items()}
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        made |= {f"{algorithm}: {name}": seal(header, make(), signature) for name, make in PAYLOADS.items()}
    return made


def test_no_token_costs_more_than_a_moment(target: Target) -> None:
    process = psutil.Process(target.service.process.pid)

    def seconds() -> float:
        times = process.cpu_times()
        return times.user + times.system

    costs: dict[str, float] = {}
    tokens = tokens_of(target)
    with RawConnection(target.service) as raw:
        for name, token in tokens.items():
            field = b"Bearer " + token.encode()
            sent = head([b"Authorization: " + field])
            before = seconds()
            for _ in range(_ROUNDS):
                raw.send(sent)
                # A token of an unknown key may be that of one to come.
                statuses = {401, 503} if target.issuer else {401}
                assert raw.read().status_code in (statuses if len(field) <= FIELD_BYTES else {431}), name
            costs[name] = (seconds() - before) / _ROUNDS
    worst = max(costs, key=lambda name: costs[name])
    assert costs[worst] < _CPU_SECONDS, worst
    assert sum(costs.values()) / len(costs) < _CPU_SECONDS / 5


def test_nobody_is_called_but_the_issuer_at_its_address(target: Target) -> None:
    """Each unknown `kid` asks for the keys once more, and yet no more fetches are made than the policy allows."""
    policy = FetchPolicy()
    started = time.monotonic()
    before = target.issuer.fetches if target.issuer else 0
    for make in INJECTIONS.values():
        assert not accepts(target, make(target.canary.url))
    assert target.canary.visitors() == 0
    if target.issuer:
        assert target.issuer.paths == {urlsplit(target.issuer.url).path}
        assert target.issuer.fetches - before <= policy.burst + (time.monotonic() - started) / policy.interval


def test_the_watchers_would_notice(target: Target) -> None:
    """The canary and the relay do notice connections, so the tests above can fail."""
    address = urlsplit(target.canary.url)
    socket.create_connection((str(address.hostname), address.port or 0)).close()
    assert target.canary.visitors() == 1
    before = target.relay.seen
    assert accepts(target, hs256())
    assert target.relay.seen > before
