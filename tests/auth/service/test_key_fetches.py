"""A token bucket bounds the fetches for keys that are not known, and a set judges only tokens that came before it."""

import asyncio
from collections.abc import Iterator

import pytest

from server.auth.errors import InvalidToken, KeysUnavailable
from server.auth.jwks import KeySet
from tests.auth.verifiers import Clock, subject, uncached
from tests.support.servers.issuer import ED25519, OTHER_ED25519, Issuer, jwk, running_issuer, sign


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as served:
        yield served


async def outcome(key_set: KeySet, token: str) -> str | int:
    """Return the user of the token, or `refused`, or the seconds until it can be judged."""
    try:
        return await subject(uncached(key_set), token)
    except InvalidToken:
        return "refused"
    except KeysUnavailable as unavailable:
        return unavailable.retry_after


async def test_four_rotations_in_a_row_are_followed_at_once(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    """The fifth is followed when the bucket has a permit again, ten seconds after the first fetch."""
    for number in range(4):
        issuer.publish(jwk(ED25519, f"k{number}"))
        assert await outcome(key_set, sign(ED25519, f"k{number}")) == "ada"
        clock.now += 0.5
    issuer.publish(jwk(ED25519, "k4"))
    assert [await outcome(key_set, sign(ED25519, "k4")) for _ in range(3)] == [8, 8, 8]
    clock.now += 7.5
    assert await outcome(key_set, sign(ED25519, "k4")) == 1
    assert issuer.fetches == 4
    clock.now += 0.5
    assert (await outcome(key_set, sign(ED25519, "k4")), issuer.fetches) == ("ada", 5)


async def test_a_flood_of_unknown_ids_is_bounded(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    """One fetch in ten seconds, after four at once. Known keys are used meanwhile, and a new one is found by them."""
    assert await outcome(key_set, sign(ED25519)) == "ada"
    outcomes = []
    for number in range(1000):
        clock.now += 0.1
        outcomes.append(await outcome(key_set, sign(ED25519, f"x{number}")))
        assert await outcome(key_set, sign(ED25519)) == "ada"
    assert issuer.fetches == outcomes.count("refused") + 1
    assert 13 <= issuer.fetches <= 14
    assert {each for each in outcomes if each != "refused"} <= set(range(1, 11))
    issuer.publish(jwk(OTHER_ED25519, "k2"))
    clock.now += 10
    assert await outcome(key_set, sign(ED25519, "x1000")) == "refused"
    assert await outcome(key_set, sign(OTHER_ED25519, "k2")) == "ada"


async def test_the_bucket_holds_no_more_than_four(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    """An idle hour saves nothing up. The clock moves between the calls, as it does for real ones."""
    clock.now += 3600
    outcomes = []
    for number in range(6):
        clock.now += 0.001
        outcomes.append(await outcome(key_set, sign(ED25519, f"x{number}")))
    assert (outcomes, issuer.fetches) == (["refused"] * 4 + [10, 10], 4)


async def test_failed_fetches_take_no_permits(issuer: Issuer, key_set: KeySet, clock: Clock) -> None:
    """After an outage, the next attempt is due when the pause of three seconds is over."""
    issuer.status = 500
    for _ in range(20):
        assert await outcome(key_set, sign(ED25519)) == 3
        clock.now += 3
    issuer.status = 200
    assert (await outcome(key_set, sign(ED25519)), issuer.fetches) == ("ada", 21)


async def test_a_fetch_begun_before_a_token_came_does_not_refuse_it(
    issuer: Issuer, key_set: KeySet, clock: Clock
) -> None:
    """The issuer may have made its response before it made the key."""
    issuer.answering.clear()
    first = asyncio.create_task(outcome(key_set, sign(ED25519, "x")))
    await issuer.asked()
    clock.now += 1
    second = asyncio.create_task(outcome(key_set, sign(ED25519, "y")))
    await asyncio.sleep(0)
    issuer.answering.set()
    assert (await first, await second, issuer.fetches) == ("refused", "refused", 2)
