"""The cache of verified tokens."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from server.auth.errors import ExpiredToken, InvalidToken
from server.auth.jwks import KeySet
from tests.auth.verifiers import Clock, refusal, subject, verifier
from tests.support.servers.issuer import (
    ED25519,
    OTHER_ED25519,
    P256,
    Issuer,
    hs256,
    jwk,
    sign,
)

# The cache. Withdrawing the key shows whether a token was cached or is verified again.


class Withdrawn:
    """A verifier whose only key is withdrawn after `token` was verified once."""

    def __init__(self, issuer: Issuer, **options: Any) -> None:
        self.issuer = issuer
        self.keys_clock = Clock(0)
        self.clock = Clock(time.time())
        self.verifier = verifier(KeySet(issuer.url, clock=self.keys_clock), clock=self.clock, **options)

    async def remember(self, *tokens: str) -> None:
        for token in tokens:
            assert await subject(self.verifier, token) == "ada"

    async def withdraw(self) -> None:
        self.issuer.publish(jwk(OTHER_ED25519, "k2"))
        self.keys_clock.now += 10_000
        with pytest.raises(InvalidToken):
            await self.verifier.verify(sign(ED25519, jti="never seen"))

    async def remembers(self, token: str) -> bool:
        try:
            return await subject(self.verifier, token) == "ada"
        except InvalidToken:
            return False


@pytest.fixture
async def withdrawn(issuer: Issuer) -> AsyncIterator[Callable[..., Withdrawn]]:
    made: list[Withdrawn] = []

    def make(**options: Any) -> Withdrawn:
        made.append(Withdrawn(issuer, **options))
        return made[-1]

    yield make
    for one in made:
        await one.verifier.aclose()


async def test_a_token_is_remembered_for_a_minute(withdrawn: Callable[..., Withdrawn]) -> None:
    case, token = withdrawn(), sign(ED25519)
    await case.remember(token)
    await case.withdraw()
    case.clock.now += 59.9
    assert await case.remembers(token)
    case.clock.now += 0.2
    assert not await case.remembers(token)


async def test_being_used_does_not_prolong_memory(withdrawn: Callable[..., Withdrawn]) -> None:
    case, token = withdrawn(), sign(ED25519)
    await case.remember(token)
    await case.withdraw()
    seen = []
    for _ in range(7):
        case.clock.now += 9.9
        seen.append(await case.remembers(token))
    assert seen == [True] * 6 + [False]


async def test_a_token_is_not_remembered_beyond_its_expiry(withdrawn: Callable[..., Withdrawn]) -> None:
    """Leeway allows a late token to be verified, never to be remembered."""
    case = withdrawn()
    token = sign(ED25519, exp=case.clock.now + 20)
    await case.remember(token)
    await case.withdraw()
    case.clock.now += 19.9
    assert await case.remembers(token)
    case.clock.now += 0.2
    assert not await case.remembers(token)


async def test_a_late_token_is_not_remembered_at_all(withdrawn: Callable[..., Withdrawn]) -> None:
    case = withdrawn()
    token = sign(ED25519, exp=case.clock.now - 5)
    await case.remember(token)
    await case.withdraw()
    assert not await case.remembers(token)


async def test_that_a_token_was_verified_is_known_until_it_expires() -> None:
    """`admit` is asked once for a token while it is valid, and anew when it has expired."""
    clock = Clock(time.time())
    tokens = verifier(clock=clock)
    token = hs256(exp=int(clock.now) + 900)
    asked = 0

    async def admit() -> None:
        nonlocal asked
        asked += 1

    await tokens.verify(token, admit=admit)
    await tokens.verify(token, admit=admit)
    assert asked == 1
    clock.now += 61
    await tokens.verify(token, admit=admit)
    assert asked == 1
    clock.now += 840
    await tokens.verify(token, admit=admit)  # within the leeway
    assert asked == 2


async def test_a_token_that_is_not_admitted_is_not_verified() -> None:
    """`admit` raises before the token is verified, even if the token would be refused."""

    async def refuse() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await verifier().verify(hs256(exp=1), admit=refuse)


async def test_that_a_token_was_refused_is_not_known() -> None:
    tokens = verifier()
    asked = 0

    async def admit() -> None:
        nonlocal asked
        asked += 1

    for _ in range(2):
        with pytest.raises(InvalidToken):
            await tokens.verify(hs256(exp=1), admit=admit)
    assert asked == 2


@pytest.mark.parametrize(
    ("token", "refusal"),
    [(hs256(exp=1), ExpiredToken), (hs256(exp=1)[:-3] + "abc", InvalidToken)],
    ids=["too old", "too old and forged"],
)
async def test_a_token_that_is_only_too_old_is_told_from_a_forged_one(token: str, refusal: type[InvalidToken]) -> None:
    with pytest.raises(InvalidToken) as raised:
        await verifier().verify(token)
    assert raised.type is refusal


async def test_the_least_recently_used_token_is_forgotten_first(withdrawn: Callable[..., Withdrawn]) -> None:
    case = withdrawn(cache_size=3)
    first, second, third, fourth = (sign(ED25519, jti=str(n)) for n in range(4))
    await case.remember(first, second, third, first, fourth)
    await case.withdraw()
    assert [await case.remembers(t) for t in (first, second, third, fourth)] == [True, False, True, True]


async def test_a_flood_of_tokens_is_remembered_within_bounds(withdrawn: Callable[..., Withdrawn]) -> None:
    case = withdrawn(cache_size=10)
    tokens = [sign(ED25519, jti=str(n)) for n in range(100)]
    await case.remember(*tokens)
    await case.withdraw()
    assert [await case.remembers(token) for token in tokens] == [False] * 90 + [True] * 10


async def test_a_refusal_is_not_remembered(issuer: Issuer, withdrawn: Callable[..., Withdrawn]) -> None:
    case = withdrawn()
    token = sign(P256, "k3")
    assert await refusal(case.verifier, token) == "no key of the set has this id"
    issuer.publish(jwk(P256, "k3"))
    case.keys_clock.now += 10
    assert await subject(case.verifier, token) == "ada"


async def test_a_changed_signature_is_not_the_remembered_token() -> None:
    remembering = verifier()
    token = hs256()
    await remembering.verify(token)
    swapped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    with pytest.raises(InvalidToken):
        await remembering.verify(swapped)
