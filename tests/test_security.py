"""Tokens and keys: real keys, a real JWKS server on the loopback interface, a clock moved by hand."""

import asyncio
import gzip
import hmac
import json
import math
import re
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from handlers.security import (
    MAX_KEY_SET_BYTES,
    MAX_TOKEN_BYTES,
    ExpiredToken,
    InvalidToken,
    KeySet,
    KeysUnavailable,
    Principal,
    TokenVerifier,
    issue_token,
)

pytestmark = pytest.mark.anyio

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
Jwk = dict[str, Any]
Change = dict[str, Any]

SECRET = "correct horse battery staple, twice over"  # noqa: S105 - of these tests only
FRONT_END = "https://todo.example"
COOKIE = "better-auth:session-cache"
MARKER = "only-the-client-knows-this"

ED25519 = Ed25519PrivateKey.generate()
OTHER_ED25519 = Ed25519PrivateKey.generate()
P256 = generate_ec_key(SECP256R1())
P384 = generate_ec_key(SECP384R1())
RSA = generate_rsa_key(65537, 2048)
SHORT_RSA = generate_rsa_key(65537, 1024)  # noqa: S505 - to be refused


def algorithm_of(key: PrivateKey) -> str:
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    return "ES256" if isinstance(key, EllipticCurvePrivateKey) else "RS256"


def jwk(key: PrivateKey, kid: str | None = "k1", **members: object) -> Jwk:
    """Return the public half, as an issuer publishes it; a member given as None is left out."""
    public = jwt.get_algorithm_by_name(algorithm_of(key)).to_jwk(key.public_key(), as_dict=True)
    chosen = {"kid": kid, "alg": algorithm_of(key), "use": "sig"} | members
    return {"kty": public["kty"]} | public | {name: v for name, v in chosen.items() if v is not None}


def private_jwk(key: PrivateKey, kid: str = "k1") -> Jwk:
    private = jwt.get_algorithm_by_name(algorithm_of(key)).to_jwk(key, as_dict=True)
    return {**private, "kid": kid, "key_ops": ["verify"]}


def claims(**changes: object) -> Change:
    """Return the claims of a good token; a claim given as None is left out."""
    good = {"sub": "ada", "exp": int(time.time()) + 900, "note": MARKER}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(key: PrivateKey, kid: str | None = "k1", algorithm: str | None = None, **changes: object) -> str:
    """Sign with an issuer's key, as Better Auth does: no `typ`."""
    headers: dict[str, Any] = {"typ": None} if kid is None else {"typ": None, "kid": kid}
    return jwt.encode(claims(**changes), key, algorithm or algorithm_of(key), headers=headers)


def segment(part: object) -> str:
    """Encode raw bytes as they are and anything else as JSON."""
    octets = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def forge(header: object, payload: object, key: bytes = SECRET.encode()) -> str:
    """Put a token together by hand, with a true HS256 signature over whatever is in it."""
    signed = f"{segment(header)}.{segment(payload)}"
    return f"{signed}.{segment(hmac.digest(key, signed.encode(), 'sha256'))}"


def hs256(header: object = None, **changes: object) -> str:
    return forge({"alg": "HS256"} if header is None else header, claims(**changes))


def raw_claims(json_text: str) -> str:
    """Sign claims that are given as text, after `sub` and `exp`."""
    return forge({"alg": "HS256"}, f'{{"sub":"ada","exp":{int(time.time()) + 900},{json_text}}}'.encode())


class Clock:
    """A clock that only moves when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Issuer:
    """A JWKS over HTTP whose misbehaviour is set from the test."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/auth/jwks"
        self.fetches = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.dripping = False
        self.answering = threading.Event()
        self.answering.set()

    def publish(self, *keys: object) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    async def asked(self, times: int = 1) -> None:
        with anyio.fail_after(10):
            # Counted by the thread of the server, which cannot set an event of the loop.
            while self.fetches < times:  # noqa: ASYNC110
                await anyio.sleep(0.001)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.fetches += 1
        self.answering.wait()
        request.send_response(self.status)
        for name, value in ({"Content-Length": str(len(self.body))} | self.headers).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(self.body)
        while self.dripping:
            request.wfile.write(b" ")
            time.sleep(0.02)


def handler_of(issuer: Callable[[], Issuer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A client that has given up is part of the tests.
            try:
                issuer().answer(self)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(lambda: served)) as server:
        served = Issuer(server.server_port)
        served.publish(jwk(ED25519))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.answering.set()
        server.shutdown()
        thread.join()


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
    return (await verifier.verify(token)).subject


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(token)
    return str(refused.value)


# What a good token says.


async def test_a_verified_token_names_its_principal() -> None:
    exp = int(time.time()) + 900
    token = hs256(sub="ada", email="ada@example.org", name="Ada L.", exp=exp)
    assert await verifier().verify(token) == Principal(
        subject="ada", email="ada@example.org", name="Ada L.", expires_at=datetime.fromtimestamp(exp, UTC)
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

HOSTILE: dict[str, Callable[[], str]] = {
    # the text
    "empty": lambda: "",
    "dots": lambda: "..",
    "two parts": lambda: hs256().rpartition(".")[0],
    "four parts": lambda: hs256() + ".e30",
    "five parts, encrypted": lambda: "e30.e30.e30.e30.e30",
    "no signature": lambda: hs256().rpartition(".")[0] + ".",
    "detached payload": lambda: re.sub(r"\..*\.", "..", hs256()),
    "line break at the end": lambda: hs256() + "\n",
    "space before": lambda: " " + hs256(),
    "padded signature": lambda: hs256() + "=",
    "padded header": lambda: hs256().replace(".", "=.", 1),
    "impossible length": lambda: "a" + hs256(),
    "standard base64": lambda: hs256().rpartition(".")[0] + "." + "+/" * 21 + "A",
    "other bits in the last character": lambda: hs256()[:-1] + chr(ord(hs256()[-1]) ^ 1),
    "not ASCII": lambda: hs256() + "é",
    "lone surrogate": lambda: hs256() + "\ud800",
    "NUL": lambda: hs256() + "\0",
    "too long": lambda: hs256(pad="a" * MAX_TOKEN_BYTES),
    # the header
    "header not JSON": lambda: hs256(b"alg"),
    "header not UTF-8": lambda: hs256(b'{"alg":"HS256","kid":"\xff"}'),
    "header in UTF-16": lambda: hs256('{"alg":"HS256"}'.encode("utf-16")),
    "header with a byte order mark": lambda: hs256(b'\xef\xbb\xbf{"alg":"HS256"}'),
    "header a list": lambda: hs256([{"alg": "HS256"}]),
    "header a string": lambda: hs256("HS256"),
    "header null": lambda: hs256(b"null"),
    "header empty": lambda: hs256({}),
    "header nested deeply": lambda: hs256(b'{"alg":' * 900),
    "header with alg twice": lambda: hs256(b'{"alg":"none","alg":"HS256"}'),
    "header with alg twice, escaped": lambda: hs256(rb'{"\u0061lg":"none","alg":"HS256"}'),
    "alg none": lambda: hs256({"alg": "none"}),
    "alg None": lambda: hs256({"alg": "None"}),
    "alg in lower case": lambda: hs256({"alg": "hs256"}),
    "alg HS512": lambda: hs256({"alg": "HS512"}),
    "alg HS384": lambda: hs256({"alg": "HS384"}),
    "alg ES256K": lambda: hs256({"alg": "ES256K"}),
    "alg a list": lambda: hs256({"alg": ["HS256"]}),
    "alg null": lambda: hs256({"alg": None}),
    "alg a number": lambda: hs256({"alg": 256}),
    "alg of an issuer where there is none": lambda: sign(ED25519),
    "crit with b64": lambda: hs256({"alg": "HS256", "crit": ["b64"], "b64": True}),
    "crit empty": lambda: hs256({"alg": "HS256", "crit": []}),
    "crit null": lambda: hs256({"alg": "HS256", "crit": None}),
    "b64 false": lambda: hs256({"alg": "HS256", "b64": False}),
    "typ of another token": lambda: hs256({"alg": "HS256", "typ": "dpop+jwt"}),
    "typ twice prefixed": lambda: hs256({"alg": "HS256", "typ": "application/application/jwt"}),
    "typ empty": lambda: hs256({"alg": "HS256", "typ": ""}),
    "typ null": lambda: hs256({"alg": "HS256", "typ": None}),
    "typ a list": lambda: hs256({"alg": "HS256", "typ": ["JWT"]}),
    "kid a number": lambda: hs256({"alg": "HS256", "kid": 1}),
    "kid an object": lambda: hs256({"alg": "HS256", "kid": {}}),
    # the signature
    "signed with another secret": lambda: forge({"alg": "HS256"}, claims(), b"another secret" * 4),
    "signed with nothing": lambda: forge({"alg": "HS256"}, claims(), b""),
    "signature cut": lambda: hs256()[:-4],
    "payload of another token": lambda: ".".join(
        [hs256().split(".")[0], segment(claims(sub="eve")), hs256().split(".")[2]]
    ),
    # the payload
    "payload not JSON": lambda: forge({"alg": "HS256"}, b"sub"),
    "payload a list": lambda: forge({"alg": "HS256"}, [claims()]),
    "payload a string": lambda: forge({"alg": "HS256"}, "ada"),
    "payload null": lambda: forge({"alg": "HS256"}, b"null"),
    "payload empty": lambda: forge({"alg": "HS256"}, {}),
    "payload nested deeply": lambda: raw_claims('"x":' + "[" * 4000 + "]" * 1000),
    "payload nested deeply and complete": lambda: raw_claims('"x":' + "[" * 1500 + "]" * 1500),
    "payload not UTF-8": lambda: forge({"alg": "HS256"}, b'{"sub":"\xff","exp":4102444800}'),
    "payload in UTF-16": lambda: forge({"alg": "HS256"}, json.dumps(claims()).encode("utf-16")),
    "payload cut": lambda: forge({"alg": "HS256"}, json.dumps(claims()).encode()[:-1]),
    "payload with more after it": lambda: forge({"alg": "HS256"}, json.dumps(claims()).encode() + b"{}"),
    "sub twice": lambda: raw_claims('"sub":"eve"'),
    "exp twice": lambda: raw_claims('"exp":4102444800'),
    "a claim inside twice": lambda: raw_claims('"user":{"id":1,"id":2}'),
    "NaN": lambda: raw_claims('"x":NaN'),
    "Infinity": lambda: raw_claims('"x":-Infinity'),
    "number of 5000 digits": lambda: raw_claims('"nbf":' + "9" * 5000),
    "lone surrogate in a claim": lambda: raw_claims(r'"email":"\ud800"'),
    # sub
    "no sub": lambda: hs256(sub=None),
    "sub null": lambda: forge({"alg": "HS256"}, {"sub": None, "exp": time.time() + 900}),
    "sub empty": lambda: hs256(sub=""),
    "sub of 256 characters": lambda: hs256(sub="a" * 256),
    "sub with NUL": lambda: hs256(sub="ada\0"),
    "sub a number": lambda: hs256(sub=5),
    "sub a list": lambda: hs256(sub=["ada"]),
    "sub true": lambda: hs256(sub=True),
    "sub a lone surrogate": lambda: hs256(sub="\ud800"),
    # times
    "no exp": lambda: hs256(exp=None),
    "exp null": lambda: forge({"alg": "HS256"}, {"sub": "ada", "exp": None}),
    "exp past": lambda: hs256(exp=time.time() - 31),
    "exp zero": lambda: hs256(exp=0),
    "exp negative": lambda: hs256(exp=-1),
    "exp text": lambda: hs256(exp=str(int(time.time()) + 900)),
    "exp text in other digits": lambda: hs256(exp="٤١٠٢٤٤٤٨٠٠"),
    "exp true": lambda: hs256(exp=True),
    "exp a list": lambda: hs256(exp=[4_102_444_800]),
    "exp 1e308": lambda: hs256(exp=1e308),
    "exp beyond floats": lambda: forge({"alg": "HS256"}, b'{"sub":"ada","exp":1e999}'),
    "exp infinite": lambda: hs256(exp=math.inf),
    "exp of 4000 digits": lambda: forge({"alg": "HS256"}, b'{"sub":"ada","exp":' + b"9" * 4000 + b"}"),
    "exp in the year 10000": lambda: hs256(exp=253_402_300_800),
    "exp that rounds into the year 10000": lambda: hs256(exp=253_402_300_799.9999999),
    "nbf in the future": lambda: hs256(nbf=time.time() + 60),
    "nbf text": lambda: hs256(nbf="0"),
    "nbf true": lambda: hs256(nbf=True),
    "nbf null": lambda: raw_claims('"nbf":null'),
    "nbf 1e308": lambda: hs256(nbf=1e308),
    "nbf infinite": lambda: raw_claims('"nbf":1e999'),
    "iat in the future": lambda: hs256(iat=time.time() + 60),
    "iat text": lambda: hs256(iat="0"),
    "iat a list": lambda: hs256(iat=[]),
    "iat false": lambda: hs256(iat=False),
    "iat 1e308": lambda: hs256(iat=1e308),
    "jti a number": lambda: hs256(jti=5),
    # audience
    "session cookie": lambda: hs256(aud=COOKIE),
    "session cookie in a list": lambda: hs256(aud=["a", COOKIE]),
    "another cookie of the front end": lambda: hs256(aud="better-auth:"),
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
    assert principal.subject == payload["sub"]


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
    assert outage.value.retry_after == 10
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
    assert unavailable.value.retry_after == 10
    vars(issuer).update(good, fetches=1)
    clock.now += 7.5
    with pytest.raises(KeysUnavailable) as unavailable:
        await keys.verify(sign(ED25519))
    assert (unavailable.value.retry_after, issuer.fetches) == (3, 1)
    clock.now += 2.5
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
    clock = Clock(time.time())
    tokens = verifier(clock=clock)
    token = hs256(exp=int(clock.now) + 900)
    assert (tokens.remembered(token), tokens.was_verified(token)) == (None, False)
    principal = await tokens.verify(token)
    assert (tokens.remembered(token), tokens.was_verified(token)) == (principal, True)
    clock.now += 61
    assert (tokens.remembered(token), tokens.was_verified(token)) == (None, True)
    clock.now += 840
    assert (tokens.remembered(token), tokens.was_verified(token)) == (None, False)


async def test_that_a_token_was_refused_is_not_known() -> None:
    tokens = verifier()
    with pytest.raises(InvalidToken):
        await tokens.verify(hs256(exp=1))
    assert not tokens.was_verified(hs256(exp=1))


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
    assert (principal.subject, principal.email, principal.name) == ("ada", "ada@example.org", "Ada")
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
