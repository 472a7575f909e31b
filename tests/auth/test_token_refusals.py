"""Tokens that are refused, and the reasons given to the log."""

import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.errors import MAX_TOKEN_BYTES, InvalidToken
from tests.auth.verifiers import refusal, subject, verifier
from tests.hostile.tokens.claims import COOKIES, PAYLOADS
from tests.hostile.tokens.texts import NONE, OTHER_FORMS, TEXTS, UNSENDABLE
from tests.support.servers.issuer import (
    ED25519,
    MARKER,
    Change,
    claims,
    forge,
    hs256,
    raw_claims,
    sign,
)

# Tokens that are refused.


def _with_payload(make: Callable[[], bytes]) -> str:
    return forge({"alg": "HS256"}, make())


HOSTILE: dict[str, Callable[[], str]] = {
    **TEXTS,
    **OTHER_FORMS,
    **UNSENDABLE,
    **NONE,
    "alg of an issuer where there is none": lambda: sign(ED25519),
    **{name: partial(_with_payload, make) for name, make in (PAYLOADS | COOKIES).items()},
}


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in HOSTILE.items()])
async def test_a_hostile_token_is_invalid_and_never_quoted(make: Callable[[], str]) -> None:
    """Each ends in the one way, whichever library it upsets; the reason holds nothing of the token."""
    token = make()
    with pytest.raises(InvalidToken) as refused:
        await verifier().verify(token)
    assert 0 < len(str(refused.value)) < 100
    assert MARKER not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize("claim", ["exp", "sub"])
async def test_the_reason_names_a_claim_that_is_missing(claim: str) -> None:
    assert await refusal(verifier(), hs256(**{claim: None})) == f"claim {claim} is missing"


async def test_a_reason_does_not_quote_what_a_parser_quoted() -> None:
    assert await refusal(verifier(), raw_claims(f'"{MARKER}":1,"{MARKER}":2')) == "malformed"


async def test_a_token_of_8192_bytes_is_still_read() -> None:
    room = 3 * (MAX_TOKEN_BYTES - len(hs256(pad=""))) // 4
    tokens = sorted((hs256(pad="a" * (room + more)) for more in range(-4, 4)), key=len)
    fitting = [token for token in tokens if len(token) <= MAX_TOKEN_BYTES]
    assert MAX_TOKEN_BYTES - 2 <= len(fitting[-1]) < len(tokens[-1])
    assert await subject(verifier(), fitting[-1]) == "ada"
    assert "longer than" in await refusal(verifier(), tokens[-1])
    assert "longer than" in await refusal(verifier(), "a" * (MAX_TOKEN_BYTES + 1))


async def test_an_endless_token_is_refused_at_once() -> None:
    """Nothing is hashed or parsed first: 50 MB are refused in the time of a comparison."""
    token = "a" * 50_000_000
    started = time.thread_time()
    assert await refusal(verifier(), token) == "longer than 8192 bytes or not ASCII"
    assert time.thread_time() - started < 0.005


# A few characters, each of which is known to break parsers.
TEXT = st.text("aA1 .:=-_\0é🦄\ud800", max_size=20)


@given(TEXT)
async def test_no_text_upsets_the_verifier(text: str) -> None:
    with pytest.raises(InvalidToken):
        await verifier().verify(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["alg", "typ", "kid", "crit", "b64"], JSON)))
async def test_no_header_upsets_the_verifier(header: Change) -> None:
    with pytest.raises(InvalidToken):
        await verifier().verify(forge(header, claims()))


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["sub", "exp", "nbf", "iat", "aud", "iss", "jti", "email", "name"], JSON)
    )
)
async def test_no_claims_upset_the_verifier(changes: Change) -> None:
    """Any claims signed with the secret give a principal or an invalid token, and no other error."""
    payload = claims() | changes
    try:
        principal = await verifier().verify(forge({"alg": "HS256"}, payload))
    except InvalidToken:
        return
    assert principal.id == payload["sub"]
