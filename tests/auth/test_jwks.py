"""Fetching the key set of an issuer: once, in time, and again when it is needed."""

import asyncio
import gzip
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from server.auth.errors import InvalidToken, KeysUnavailable
from server.auth.jwks import MAX_KEY_SET_BYTES, FetchPolicy, KeySet
from tests.auth.verifiers import Clock, refusal, subject, uncached, verifier
from tests.support.servers.issuer import (
    ED25519,
    OTHER_ED25519,
    Issuer,
    hs256,
    jwk,
    sign,
)

# Fetching.


async def test_nothing_is_fetched_before_it_is_needed(issuer: Issuer, key_set: KeySet) -> None:
    keys = verifier(key_set)
    others = [{"alg": "ES256K", "kid": "k1"}, {"alg": "EdDSA", "kid": 5}, {"alg": "EdDSA", "crit": ["kid"]}]
    for token in ("", hs256(), "e30.e30.e30", *map(hs256, others)):
        with pytest.raises(InvalidToken):
            await keys.verify(token)
    assert issuer.fetches == 0


async def test_fifty_tokens_at_once_cause_one_fetch(issuer: Issuer, key_set: KeySet) -> None:
    keys = verifier(key_set)
    names = [f"user-{n}" for n in range(50)]
    found = await asyncio.gather(*(subject(keys, sign(ED25519, sub=name)) for name in names))
    assert (found, issuer.fetches) == (names, 1)


async def test_fifty_tokens_at_once_in_an_outage_cause_one_fetch(issuer: Issuer, key_set: KeySet) -> None:
    issuer.status = 503
    keys = verifier(key_set)
    tokens = [sign(ED25519, sub=f"user-{n}") for n in range(50)]
    ends = await asyncio.gather(*map(keys.verify, tokens), return_exceptions=True)
    assert ({type(end) for end in ends}, issuer.fetches) == ({KeysUnavailable}, 1)


async def test_a_waiter_that_leaves_does_not_end_the_fetch(issuer: Issuer, key_set: KeySet) -> None:
    issuer.answering.clear()
    keys = verifier(key_set)
    leaving, staying = (asyncio.create_task(subject(keys, sign(ED25519))) for _ in range(2))
    await issuer.asked()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    issuer.answering.set()
    assert (await staying, issuer.fetches) == ("ada", 1)


async def test_the_event_loop_runs_on_while_the_jwks_hangs(issuer: Issuer, key_set: KeySet) -> None:
    """The issuer answers only after another task has run a thousand times."""
    issuer.answering.clear()
    verified = asyncio.create_task(subject(verifier(key_set), sign(ED25519)))
    await issuer.asked()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not verified.done()
    issuer.answering.set()
    assert await verified == "ada"


async def test_a_jwks_that_hangs_is_given_up(issuer: Issuer) -> None:
    issuer.answering.clear()
    keys = verifier(KeySet(issuer.url, FetchPolicy(timeout=0.2)))
    with pytest.raises(KeysUnavailable) as outage, anyio.fail_after(10):
        await keys.verify(sign(ED25519))
    assert outage.value.retry_after == 3
    await keys.aclose()


async def test_a_jwks_that_drips_is_given_up(issuer: Issuer) -> None:
    """The limit is for the whole fetch: a byte now and then does not prolong it."""
    issuer.headers = {"Content-Length": "100000"}
    issuer.dripping = True
    keys = verifier(KeySet(issuer.url, FetchPolicy(timeout=0.2)))
    with pytest.raises(KeysUnavailable), anyio.fail_after(10):
        await keys.verify(sign(ED25519))
    issuer.dripping = False
    await keys.aclose()


def break_status(issuer: Issuer) -> None:
    issuer.status = 500


def break_with_no_content(issuer: Issuer) -> None:
    issuer.status, issuer.body = 204, b""


def break_with_redirect(issuer: Issuer) -> None:
    issuer.status, issuer.headers = 302, {"Location": issuer.url}


def break_json(issuer: Issuer) -> None:
    issuer.body = b"<html>"


def break_encoding(issuer: Issuer) -> None:
    issuer.headers = {"Content-Encoding": "gzip"}


def break_packed_size(issuer: Issuer) -> None:
    issuer.headers = {"Content-Encoding": "gzip"}
    issuer.body = gzip.compress(issuer.body + b" " * MAX_KEY_SET_BYTES)


def break_nesting(issuer: Issuer) -> None:
    issuer.body = b"[" * 100_000


def break_shape(issuer: Issuer) -> None:
    issuer.body = json.dumps([jwk(ED25519)]).encode()


def break_keys(issuer: Issuer) -> None:
    issuer.body = json.dumps({"keys": {"k1": jwk(ED25519)}}).encode()


def break_no_keys(issuer: Issuer) -> None:
    issuer.body = b"{}"


def break_size(issuer: Issuer) -> None:
    issuer.body = issuer.body + b" " * MAX_KEY_SET_BYTES


def break_off(issuer: Issuer) -> None:
    issuer.headers = {"Content-Length": str(len(issuer.body) + 1)}


OUTAGES = [
    pytest.param(break_status, id="500"),
    pytest.param(break_with_no_content, id="204"),
    pytest.param(break_with_redirect, id="a redirect"),
    pytest.param(break_json, id="not JSON"),
    pytest.param(break_encoding, id="not what its encoding says"),
    pytest.param(break_nesting, id="nested deeply"),
    pytest.param(break_shape, id="a list"),
    pytest.param(break_keys, id="keys not a list"),
    pytest.param(break_no_keys, id="no keys"),
    pytest.param(break_size, id="more than a megabyte"),
    pytest.param(break_packed_size, id="more than a megabyte when unpacked"),
    pytest.param(break_off, id="cut short"),
]


@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_is_not_the_tokens_fault_and_passes(
    issuer: Issuer, key_set: KeySet, clock: Clock, outage: Callable[[Issuer], None]
) -> None:
    good = vars(issuer).copy()
    outage(issuer)
    keys = verifier(key_set)
    with pytest.raises(KeysUnavailable) as unavailable:
        await keys.verify(sign(ED25519))
    assert unavailable.value.retry_after == 3
    vars(issuer).update(good, fetches=1)
    clock.now += 1.5
    with pytest.raises(KeysUnavailable) as unavailable:
        await keys.verify(sign(ED25519))
    assert (unavailable.value.retry_after, issuer.fetches) == (2, 1)
    clock.now += 1.5
    assert (await subject(keys, sign(ED25519)), issuer.fetches) == ("ada", 2)


async def test_a_packed_set_is_read(issuer: Issuer, key_set: KeySet) -> None:
    """No client asks for it, but files that are stored compressed are sent so regardless."""
    issuer.headers, issuer.body = {"Content-Encoding": "gzip"}, gzip.compress(issuer.body)
    assert await subject(verifier(key_set), sign(ED25519)) == "ada"


async def test_an_issuer_that_is_not_there_is_an_outage(clock: Clock) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    keys = verifier(KeySet(f"http://127.0.0.1:{port}/jwks", clock=clock))
    with pytest.raises(KeysUnavailable):
        await keys.verify(sign(ED25519))
    await keys.aclose()


@pytest.mark.parametrize("url", ["", "jwks", "ftp://127.0.0.1/jwks", "http://[", "http://127.0.0.1:99999/"])
async def test_an_address_that_is_none_is_an_outage(url: str) -> None:
    keys = verifier(KeySet(url))
    with pytest.raises(KeysUnavailable):
        await keys.verify(sign(ED25519))
    await keys.aclose()


async def test_a_new_key_is_found_at_once(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    keys = uncached(key_set)
    assert await subject(keys, sign(ED25519)) == "ada"
    issuer.publish(jwk(OTHER_ED25519, "k2"))
    clock.now += 10
    assert (await subject(keys, sign(OTHER_ED25519, "k2")), issuer.fetches) == ("ada", 2)
    assert await refusal(keys, sign(ED25519)) == "no key of the set has this id"


async def test_unknown_ids_cause_one_fetch_per_cooldown(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    keys = verifier(key_set)
    for kid in range(20):
        assert await refusal(keys, sign(ED25519, f"x{kid}")) == "no key of the set has this id"
    assert issuer.fetches == 1
    clock.now += 10
    for kid in range(20):
        assert await refusal(keys, sign(ED25519, f"x{kid}")) == "no key of the set has this id"
    assert issuer.fetches == 2


async def test_an_unknown_id_cannot_be_judged_in_an_outage(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    """The unknown key may be the newest one; the known ones still work."""
    keys = uncached(key_set)
    assert await subject(keys, sign(ED25519)) == "ada"
    issuer.status = 500
    clock.now += 10
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await keys.verify(sign(OTHER_ED25519, "k2"))
        assert await subject(keys, sign(ED25519)) == "ada"
    assert issuer.fetches == 2


async def test_keys_are_fresh_for_five_minutes(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    keys = uncached(key_set)
    await keys.verify(sign(ED25519))
    clock.now += 299.9
    tasks = asyncio.all_tasks()
    await keys.verify(sign(ED25519))
    assert (asyncio.all_tasks(), issuer.fetches) == (tasks, 1)


async def test_stale_keys_are_refreshed_behind_the_scenes(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    """No request waits: while the issuer is silent, one fetch is under way and the old key is good."""
    keys = uncached(key_set)
    await keys.verify(sign(ED25519))
    issuer.publish(jwk(OTHER_ED25519, "k2"))
    issuer.answering.clear()
    clock.now += 300
    assert [await subject(keys, sign(ED25519)) for _ in range(20)] == ["ada"] * 20
    await issuer.asked(2)
    issuer.answering.set()
    assert await subject(keys, sign(OTHER_ED25519, "k2")) == "ada"
    assert await refusal(keys, sign(ED25519)) == "no key of the set has this id"
    assert issuer.fetches == 2


async def test_stale_keys_are_used_for_an_hour_at_most(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    keys = uncached(key_set)
    await keys.verify(sign(ED25519))
    issuer.status = 500
    clock.now += 3599.9
    assert await subject(keys, sign(ED25519)) == "ada"
    await issuer.asked(2)
    clock.now += 10.1
    with pytest.raises(KeysUnavailable):
        await keys.verify(sign(ED25519))
    issuer.status = 200
    clock.now += 10
    assert await subject(keys, sign(ED25519)) == "ada"


async def test_a_key_that_is_too_old_is_fetched_before_it_is_used(
    issuer: Issuer, key_set: KeySet, clock: Clock
) -> None:
    """After an idle hour the first token waits for the new set: a withdrawn key gets no last use."""
    keys = uncached(key_set)
    await keys.verify(sign(ED25519))
    issuer.publish(jwk(OTHER_ED25519, "k2"))
    clock.now += 3600
    assert await refusal(keys, sign(ED25519)) == "no key of the set has this id"


async def test_closing_ends_a_running_fetch(issuer: Issuer, key_set: KeySet) -> None:
    issuer.answering.clear()
    keys = verifier(key_set)
    waiting = asyncio.create_task(keys.verify(sign(ED25519)))
    await issuer.asked()
    await keys.aclose()
    with pytest.raises(KeysUnavailable):
        await waiting


async def test_closing_before_a_fetch_has_begun_is_an_outage_too(key_set: KeySet) -> None:
    keys = verifier(key_set)
    waiting = asyncio.create_task(keys.verify(sign(ED25519)))
    await asyncio.sleep(0)
    await keys.aclose()
    with pytest.raises(KeysUnavailable) as outage:
        await waiting
    assert outage.value.retry_after >= 1


async def test_closing_is_possible_without_any_use() -> None:
    await verifier().aclose()
    await verifier(KeySet("http://127.0.0.1:1/")).aclose()


async def test_the_environment_does_not_redirect_the_fetch(
    issuer: Issuer, key_set: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert (await subject(verifier(key_set), sign(ED25519)), issuer.fetches) == ("ada", 1)
