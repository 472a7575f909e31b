"""Tokens and keys: real keys, a real JWKS server on the loopback interface, a clock moved by hand."""

import asyncio
import gzip
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from handlers.principal import Principal
from server.auth.errors import MAX_TOKEN_BYTES, ExpiredToken, InvalidToken, KeysUnavailable
from server.auth.jwks import MAX_KEY_SET_BYTES, KeySet
from server.auth.tokens import TokenVerifier, issue_token
from tests.hostile.tokens import COOKIES, NONE, OTHER_FORMS, PAYLOADS, TEXTS, UNSENDABLE
from tests.support.issuer import (
    COOKIE,
    ED25519,
    FRONT_END,
    MARKER,
    OTHER_ED25519,
    P256,
    P384,
    RSA,
    SECRET,
    SHORT_RSA,
    Change,
    Issuer,
    Jwk,
    PrivateKey,
    claims,
    forge,
    hs256,
    jwk,
    private_jwk,
    raw_claims,
    running_issuer,
    segment,
    sign,
)

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that only moves when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as served:
        yield served


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
async def key_set(issuer: Issuer, clock: Clock) -> AsyncIterator[KeySet]:
    keys = KeySet(issuer.url, clock=clock)
    yield keys
    await keys.aclose()


def verifier(key_set: KeySet | None = None, **options: Any) -> TokenVerifier:
    secret = None if key_set else SECRET
    return TokenVerifier(**{"secret": secret, "key_set": key_set, "audience": None, "issuer": None} | options)


def uncached(key_set: KeySet) -> TokenVerifier:
    """Return a verifier that asks for the key every time."""
    return verifier(key_set, cache_seconds=0)


async def subject(verifier: TokenVerifier, token: str) -> str:
    return (await verifier.verify(token)).id


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(token)
    return str(refused.value)


# What a good token says.


async def test_a_verified_token_names_its_principal() -> None:
    exp = int(time.time()) + 900
    token = hs256(sub="ada", email="ada@example.org", name="Ada L.", exp=exp)
    assert await verifier().verify(token) == Principal(
        id="ada", email="ada@example.org", name="Ada L.", expires_at=datetime.fromtimestamp(exp, UTC)
    )


async def test_expiry_is_aware_and_in_utc() -> None:
    principal = await verifier().verify(hs256(exp=4_102_444_800.5))
    assert principal.expires_at == datetime(2100, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert principal.expires_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("claim", "value", "seen"),
    [
        pytest.param("email", "a" * 320, "a" * 320, id="longest e-mail"),
        pytest.param("email", "a" * 321, None, id="e-mail too long"),
        pytest.param("email", "", None, id="empty e-mail"),
        pytest.param("email", "a\0b", None, id="NUL in the e-mail"),
        pytest.param("email", {"address": "a"}, None, id="e-mail an object"),
        pytest.param("name", "Ж" * 255, "Ж" * 255, id="longest name"),
        pytest.param("name", "n" * 256, None, id="name too long"),
        pytest.param("name", "\0", None, id="NUL in the name"),
        pytest.param("name", 7, None, id="name a number"),
        pytest.param("name", "🦄", "🦄", id="a surrogate pair is one character"),
    ],
)
async def test_an_unusable_email_or_name_is_left_out(claim: str, value: object, seen: str | None) -> None:
    """They are for show, so that they never cost anybody the access."""
    assert getattr(await verifier().verify(hs256(**{claim: value})), claim) == seen


@pytest.mark.parametrize("name", ["a", "Ж" * 255, " ", "00000000-0000-0000-0000-000000000000"])
async def test_a_subject_is_any_string_of_1_to_255_characters(name: str) -> None:
    assert await subject(verifier(), hs256(sub=name)) == name


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"])
async def test_typ_may_say_that_it_is_a_token(typ: str) -> None:
    assert await subject(verifier(), hs256({"alg": "HS256", "typ": typ})) == "ada"


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param("https://another.example", id="a string"),
        pytest.param(["a", "b"], id="a list"),
        pytest.param(5, id="not an audience at all"),
        pytest.param([], id="empty"),
    ],
)
async def test_the_audience_is_not_read_when_none_is_configured(audience: object) -> None:
    assert await subject(verifier(), hs256(aud=audience)) == "ada"


@pytest.mark.parametrize("audience", [FRONT_END, ["other", FRONT_END]], ids=["string", "list"])
async def test_the_configured_audience_and_issuer_are_found(audience: object) -> None:
    checked = verifier(audience=FRONT_END, issuer=FRONT_END)
    assert await subject(checked, hs256(aud=audience, iss=FRONT_END)) == "ada"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"aud": None}, 'Token is missing the "aud" claim', id="no audience"),
        pytest.param({"aud": "other"}, "InvalidAudienceError", id="another audience"),
        pytest.param({"aud": []}, 'Token is missing the "aud" claim', id="empty list"),
        pytest.param({"aud": [FRONT_END, 5]}, "InvalidAudienceError", id="a list with a number"),
        pytest.param({"aud": 5}, "InvalidAudienceError", id="a number"),
        pytest.param({"aud": {FRONT_END: 1}}, "InvalidAudienceError", id="an object"),
        pytest.param({"aud": FRONT_END + "/"}, "InvalidAudienceError", id="nearly the same"),
        pytest.param({"iss": None}, 'Token is missing the "iss" claim', id="no issuer"),
        pytest.param({"iss": "other"}, "InvalidIssuerError", id="another issuer"),
        pytest.param({"iss": [FRONT_END]}, "InvalidIssuerError", id="issuer a list"),
        pytest.param(
            {"aud": [FRONT_END, COOKIE]},
            "a session cookie is not an access token",
            id="also a session cookie",
        ),
    ],
)
async def test_configured_audience_and_issuer_bind_every_token(changes: Change, reason: str) -> None:
    checked = verifier(audience=FRONT_END, issuer=FRONT_END)
    token = hs256(**{"aud": FRONT_END, "iss": FRONT_END} | changes)
    assert await refusal(checked, token) == reason


async def test_a_session_cookie_passes_only_where_it_is_the_configured_audience() -> None:
    assert await subject(verifier(audience=COOKIE), hs256(aud=COOKIE)) == "ada"


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"exp": -20}, id="just expired"),
        pytest.param({"nbf": 20}, id="not valid yet, nearly"),
        pytest.param({"iat": 20}, id="issued by a clock that is ahead"),
    ],
)
async def test_clocks_may_differ_by_half_a_minute(times: dict[str, int]) -> None:
    near = {claim: time.time() + seconds for claim, seconds in times.items()}
    assert await subject(verifier(), hs256(**near)) == "ada"
    with pytest.raises(InvalidToken):
        await verifier(leeway=10).verify(hs256(**near))


# What is refused.


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
    assert await refusal(verifier(), hs256(**{claim: None})) == f'Token is missing the "{claim}" claim'


async def test_a_reason_does_not_quote_what_a_parser_quoted() -> None:
    assert await refusal(verifier(), raw_claims(f'"{MARKER}":1,"{MARKER}":2')) == "ValueError"


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
    started = time.perf_counter()
    assert await refusal(verifier(), token) == "longer than 8192 bytes or not ASCII"
    assert time.perf_counter() - started < 0.005


# Few characters, each of which has upset somebody before.
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
    """Whatever somebody with the secret signs, it is a principal or invalid."""
    payload = claims() | changes
    try:
        principal = await verifier().verify(forge({"alg": "HS256"}, payload))
    except InvalidToken:
        return
    assert principal.id == payload["sub"]


# Keys and algorithms.


@pytest.mark.parametrize("secret", ["", "a" * 31, "é" * 15], ids=["empty", "31 bytes", "30 bytes"])
async def test_a_short_secret_is_refused_at_construction(secret: str) -> None:
    with pytest.raises(ValueError, match="the secret is shorter than 32 bytes"):
        verifier(secret=secret)
    with pytest.raises(ValueError, match="shorter"):
        issue_token(secret, "ada", expires_in=timedelta(minutes=1))


async def test_32_bytes_are_long_enough() -> None:
    secret = "é" * 16
    assert await subject(verifier(secret=secret), forge({"alg": "HS256"}, claims(), secret.encode())) == "ada"


PEM = ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        pytest.param(PEM.decode(), "an asymmetric key or a JWK", id="a public key"),
        pytest.param(json.dumps(jwk(RSA)), "an asymmetric key or a JWK", id="a JWK"),
        pytest.param("a" * 40 + "\udcff", "not text", id="bytes that are not UTF-8"),
    ],
)
async def test_a_secret_that_is_none_is_refused_without_being_shown(secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^the secret is {reason}$") as refused:
        verifier(secret=secret)
    assert refused.value.__suppress_context__


async def test_a_verifier_without_any_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs a secret or a key set"):
        verifier(secret=None)


@pytest.mark.parametrize(
    ("key", "members", "algorithm"),
    [
        pytest.param(ED25519, {}, "EdDSA", id="EdDSA"),
        pytest.param(ED25519, {"alg": None, "use": None}, "EdDSA", id="EdDSA, as older Better Auth has it"),
        pytest.param(P256, {}, "ES256", id="ES256"),
        pytest.param(P256, {"alg": None}, "ES256", id="ES256 by its curve"),
        pytest.param(RSA, {}, "RS256", id="RS256"),
        pytest.param(RSA, {"alg": None}, "RS256", id="RS256 by default"),
        pytest.param(RSA, {"alg": "PS256"}, "PS256", id="PS256"),
    ],
)
async def test_a_published_key_verifies_its_algorithm(
    issuer: Issuer, key_set: KeySet, key: PrivateKey, members: Jwk, algorithm: str
) -> None:
    issuer.publish(jwk(OTHER_ED25519, "other"), jwk(key, **members))
    assert await subject(verifier(key_set), sign(key, algorithm=algorithm)) == "ada"


@pytest.mark.parametrize(
    ("members", "algorithm"),
    [
        pytest.param({}, "PS256", id="PS256 with a key for RS256"),
        pytest.param({"alg": None}, "PS256", id="PS256 with a key that says nothing"),
        pytest.param({"alg": "PS256"}, "RS256", id="RS256 with a key for PS256"),
        pytest.param({}, "RS512", id="RS512"),
    ],
)
async def test_a_key_verifies_no_other_algorithm(issuer: Issuer, key_set: KeySet, members: Jwk, algorithm: str) -> None:
    """A true signature of the very key does not help (RFC 8725, section 3.1)."""
    issuer.publish(jwk(RSA, **members))
    with pytest.raises(InvalidToken, match="alg"):
        await verifier(key_set).verify(sign(RSA, algorithm=algorithm))


@pytest.mark.parametrize(
    "public",
    [
        pytest.param(PEM, id="PEM"),
        pytest.param(PEM.strip(), id="PEM without its line break"),
        pytest.param(ED25519.public_key().public_bytes_raw(), id="raw"),
        pytest.param(ED25519.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), id="DER"),
        pytest.param(jwk(ED25519)["x"].encode(), id="as published"),
        pytest.param(json.dumps(jwk(ED25519)).encode(), id="the JWK"),
    ],
)
@pytest.mark.parametrize("secret", [None, SECRET], ids=["keys only", "keys and a secret"])
async def test_a_public_key_is_no_secret(key_set: KeySet, secret: str | None, public: bytes) -> None:
    """The classic confusion: HS256 with the public key, which anybody has, as its secret."""
    both = verifier(key_set, secret=secret)
    assert await subject(both, sign(ED25519)) == "ada"
    with pytest.raises(InvalidToken):
        await both.verify(forge({"alg": "HS256", "kid": "k1"}, claims(), public))


async def test_secret_and_key_set_work_side_by_side(key_set: KeySet) -> None:
    both = verifier(key_set, secret=SECRET)
    assert [await subject(both, token) for token in (hs256(sub="a"), sign(ED25519, sub="b"))] == ["a", "b"]


async def test_hs256_needs_no_key_set(issuer: Issuer, key_set: KeySet) -> None:
    issuer.status = 500
    assert await subject(verifier(key_set, secret=SECRET), hs256()) == "ada"
    assert issuer.fetches == 0


UNUSABLE: dict[str, object] = {
    "symmetric": {"kty": "oct", "kid": "k1", "k": segment(SECRET.encode())},
    "symmetric, for HS256": {"kty": "oct", "kid": "k1", "alg": "HS256", "k": segment(SECRET.encode())},
    "for encryption": jwk(ED25519, use="enc"),
    "for other operations": jwk(ED25519, use=None, key_ops=["encrypt"]),
    "operations that are none": jwk(ED25519, key_ops={"verify": 1}),
    "private": private_jwk(ED25519),
    "private RSA": private_jwk(RSA),
    "RSA of 1024 bits": jwk(SHORT_RSA),
    "RSA without its exponent": {**jwk(RSA), "e": None},
    "RSA for HS256": jwk(RSA, alg="HS256"),
    "RSA for RS512": jwk(RSA, alg="RS512"),
    "RSA for EdDSA": jwk(RSA, alg="EdDSA"),
    "RSA of nothing": {"kty": "RSA", "kid": "k1", "n": "", "e": ""},
    "P-384": {**jwk(P384), "alg": "ES384"},
    "P-384 for ES256": jwk(P384),
    "a point that is not on the curve": {**jwk(P256), "y": jwk(P256)["x"]},
    "Ed448": jwt.get_algorithm_by_name("EdDSA").to_jwk(Ed448PrivateKey.generate().public_key(), as_dict=True),
    "too short for Ed25519": {**jwk(ED25519), "x": "AAAA"},
    "coordinate a number": {**jwk(ED25519), "x": 5},
    "coordinate not base64": {**jwk(ED25519), "x": "A"},
    "alg a list": jwk(ED25519, alg=["EdDSA"]),
    "alg an object": jwk(ED25519, alg={"a": 1}),
    "alg none": jwk(ED25519, alg="none"),
    "no kty": {"kid": "k1"},
    "kty a list": {"kid": "k1", "kty": []},
    "kty unknown": {"kid": "k1", "kty": "AKP", "alg": "ML-DSA-44"},
    "null": None,
    "text": "k1",
    "list": [jwk(ED25519)],
    "empty": {},
}


# The weak key is the point here: PyJWT warns when one signs with it.
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("member", [pytest.param(member, id=name) for name, member in UNUSABLE.items()])
async def test_an_unusable_key_is_passed_over(issuer: Issuer, key_set: KeySet, member: object) -> None:
    """It verifies nothing itself and does not disturb its neighbours."""
    issuer.publish(member, jwk(OTHER_ED25519, "k2"))
    keys = uncached(key_set)
    assert await subject(keys, sign(OTHER_ED25519, "k2")) == "ada"
    for key in (ED25519, P256, RSA, SHORT_RSA):
        assert await refusal(keys, sign(key)) == "no key of the set has this id"
    assert "no key is configured" in await refusal(keys, hs256({"alg": "HS256", "kid": "k1"}))


async def test_without_kid_the_only_key_is_meant(issuer: Issuer, key_set: KeySet) -> None:
    issuer.publish(jwk(ED25519), {"kty": "oct", "k": "AAAA"})
    assert await subject(verifier(key_set), sign(ED25519, kid=None)) == "ada"


async def test_without_kid_two_keys_are_too_many(issuer: Issuer, key_set: KeySet) -> None:
    issuer.publish(jwk(ED25519), jwk(P256, "k2"))
    assert await refusal(verifier(key_set), sign(ED25519, kid=None)) == "no key of the set has this id"


async def test_a_set_without_keys_is_an_answer(issuer: Issuer, key_set: KeySet) -> None:
    issuer.publish()
    assert await refusal(verifier(key_set), sign(ED25519)) == "no key of the set has this id"


async def test_a_signature_by_another_key_of_the_same_id_is_refused(key_set: KeySet) -> None:
    assert await refusal(verifier(key_set), sign(OTHER_ED25519)) == "InvalidSignatureError"


# Fetching.


async def test_nothing_is_fetched_before_it_is_needed(issuer: Issuer, key_set: KeySet) -> None:
    keys = verifier(key_set)
    others = [{"alg": "ES384", "kid": "k1"}, {"alg": "EdDSA", "kid": 5}, {"alg": "EdDSA", "crit": ["kid"]}]
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
    """The issuer answers only after another task has had its turn a thousand times."""
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
    keys = verifier(KeySet(issuer.url, timeout=0.2))
    with pytest.raises(KeysUnavailable) as outage, anyio.fail_after(10):
        await keys.verify(sign(ED25519))
    assert outage.value.retry_after == 3
    await keys.aclose()


async def test_a_jwks_that_drips_is_given_up(issuer: Issuer) -> None:
    """The limit is for the whole fetch: a byte now and then does not prolong it."""
    issuer.headers = {"Content-Length": "100000"}
    issuer.dripping = True
    keys = verifier(KeySet(issuer.url, timeout=0.2))
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
    """Nobody asks for it, but files that are stored packed are sent so regardless."""
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
    """It may be the newest key; the known ones still work."""
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
    """Nobody waits: while the issuer is silent, one request is out and the old key is good."""
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


# Remembering. Withdrawing the key shows whether a token was remembered or verified again.


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
    """What `admit` raises comes first: even a token that would be refused is not looked at."""

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


# Issuing.


async def test_an_issued_token_is_verified() -> None:
    token = issue_token(
        SECRET,
        "ada",
        email="ada@example.org",
        name="Ada",
        expires_in=timedelta(hours=1),
        audience=FRONT_END,
        issuer=FRONT_END,
    )
    principal = await verifier(audience=FRONT_END, issuer=FRONT_END).verify(token)
    left = principal.expires_at - datetime.now(UTC)
    assert (principal.id, principal.email, principal.name) == ("ada", "ada@example.org", "Ada")
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


async def test_an_issued_token_says_only_what_was_asked_for() -> None:
    token = issue_token(SECRET, "ada", expires_in=timedelta(hours=1))
    header, payload = (json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert sorted(payload) == ["exp", "iat", "sub"]
    assert payload["exp"] - payload["iat"] == 3600


async def test_an_issued_token_expires() -> None:
    token = issue_token(SECRET, "ada", expires_in=timedelta(seconds=-31))
    assert await refusal(verifier(), token) == "ExpiredSignatureError"


@pytest.mark.parametrize("name", ["", "a" * 256, "\0"], ids=["empty", "long", "NUL"])
async def test_a_subject_that_would_be_refused_is_not_issued(name: str) -> None:
    with pytest.raises(ValueError, match="a subject is 1-255 characters"):
        issue_token(SECRET, name, expires_in=timedelta(hours=1))
