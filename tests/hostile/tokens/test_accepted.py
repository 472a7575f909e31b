"""Unusual tokens that are accepted."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.hostile.tokens.claims import Lines
from tests.hostile.tokens.signers import SIGNERS, good
from tests.hostile.tokens.target import Target, accepts, each, head
from tests.support.raw_http import ask
from tests.support.servers.issuer import (
    FRONT_END,
    claims,
    claims_text,
    hs256,
    seal,
)

# Unusual tokens that are accepted.


BORDERLINE_HEADERS: dict[str, dict[str, object] | bytes] = {
    "typ absent": {"alg": "HS256"},
    "typ in lower case": {"alg": "HS256", "typ": "jwt"},
    "typ of an access token": {"alg": "HS256", "typ": "at+jwt"},
    "typ in full": {"alg": "HS256", "typ": "APPLICATION/AT+JWT"},
    "a kid that nobody knows, with the secret": {"alg": "HS256", "kid": "nobody"},
    "a kid that is a path, with the secret": {"alg": "HS256", "kid": "../../../dev/null"},
    "the kid of a published key, with the secret": {"alg": "HS256", "kid": "rsa"},
    "a member that nobody knows": {"alg": "HS256", "x": {"y": [1, None]}},
    "b64 true": {"alg": "HS256", "b64": True},
    "cty": {"alg": "HS256", "cty": "JWT"},
    "zip": {"alg": "HS256", "zip": "DEF"},
    "jwk": {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}},
    "white space": b' {\n"alg" :\t"HS256"}\r\n',
    "escapes": rb'{"\u0061lg":"\u0048S256"}',
}

BORDERLINE_CLAIMS: dict[str, Callable[[], bytes]] = {
    "exp a fraction": lambda: claims_text(exp=str(time.time() + 900.5)),
    "exp with an exponent": lambda: claims_text(exp="4.1024448e9"),
    "exp in the year 9999": lambda: claims_text(exp="253402300799"),
    "exp 20 s ago": lambda: claims_text(exp=str(time.time() - 20)),
    "nbf in 20 s": lambda: claims_text(nbf=str(time.time() + 20)),
    "nbf long ago": lambda: claims_text(nbf="-" + "9" * 400),
    "nbf a fraction": lambda: claims_text(nbf="0.5"),
    "nbf after exp, both within the leeway": lambda: claims_text(nbf=str(time.time() + 20), exp=str(time.time() - 20)),
    "iat in 20 s": lambda: claims_text(iat=str(time.time() + 20)),
    "iat negative": lambda: claims_text(iat="-1"),
    "iat after exp": lambda: claims_text(iat=str(time.time() + 10), exp=str(time.time() + 5)),
    "jti empty": lambda: claims_text(jti='""'),
    "aud a list with ours": lambda: claims_text(aud=f'["https://other.example","{FRONT_END}"]'),
    "aud a list with ours twice": lambda: claims_text(aud=f'["{FRONT_END}","{FRONT_END}"]'),
    "claims that nobody knows": lambda: claims_text('"admin":true,"role":"root","scope":"*"'),
    "an actor": lambda: claims_text('"act":{"sub":"eve"},"azp":"eve","client_id":"eve"'),
    "an e-mail that is none": lambda: claims_text('"email":{"a":[]},"name":5'),
    "a confirmation key": lambda: claims_text('"cnf":{"jkt":"AAAA"}'),
    "a name in other letters beside it": lambda: claims_text('"Sub":"eve","EXP":1'),
    "nested within bounds": lambda: claims_text('"x":' + "[" * 100 + "]" * 100),
    "white space": lambda: b"\n\t " + claims_text() + b"\r\n",
    "sub in escapes": lambda: claims_text(sub=r'"\u0061\u0064\u0061"'),
}

BORDERLINE_SUBJECTS: dict[str, str] = {
    "a space": " ",
    "a line break": "a\nb",
    "an escape": "\x1b[31m",
    "U+2028": "\u2028",
    "right to left": "\u202eada",
    "a zero-width space": "ada\u200b",
    "a path": "../ada",
    "a pattern": "%",
    "SQL": "' OR '1'='1",
    "an emoji": "\N{UNICORN FACE}",
    "not composed": "e\u0301",
    "U+FFFE": "\ufffe",
    "255 wide characters": "\N{UNICORN FACE}" * 255,
    "null": "null",
    "a number": "0",
}

BORDERLINE_REQUESTS: dict[str, Callable[[bytes], Lines]] = {
    "the scheme in lower case": lambda token: [b"Authorization: bearer " + token],
    "the scheme in upper case": lambda token: [b"Authorization: BEARER " + token],
    "the name in upper case": lambda token: [b"AUTHORIZATION: Bearer " + token],
    "several spaces": lambda token: [b"Authorization: Bearer    " + token],
    "spaces around the value": lambda token: [b"Authorization:   Bearer " + token + b"   "],
    "a tab before the value": lambda token: [b"Authorization:\tBearer " + token],
    "no space after the colon": lambda token: [b"Authorization:Bearer " + token],
    "another token in a cookie": lambda token: [b"Authorization: Bearer " + token, b"Cookie: token=e30.e30.e30"],
}


def whom(target: Target, token: str, lines: Lines | None = None) -> str:
    """Return the user id that the service reads from the token."""
    answer = ask(target.service, head(lines or [f"Authorization: Bearer {token}".encode()], "/api/auth/verify", "POST"))
    assert answer.status_code == 200, answer.content
    name: str = json.loads(answer.content)["user_id"]
    return name


@each(BORDERLINE_HEADERS)
def test_an_accepted_borderline_of_the_header(target: Target, make: object) -> None:
    assert whom(target, hs256(make)) == "ada"


@pytest.mark.parametrize("member", ["jku", "x5u", "x5c", "url"])
def test_an_accepted_borderline_with_an_address_is_not_followed(target: Target, member: str) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        assert whom(target, seal(header | {member: f"{target.canary.url}/jwks"}, claims(), signature)) == "ada"
    assert target.canary.visitors() == 0


@each(BORDERLINE_CLAIMS)
def test_an_accepted_borderline_of_the_claims(target: Target, make: Callable[[], bytes]) -> None:
    for algorithm in target.algorithms:
        header, signature = SIGNERS[algorithm]
        assert whom(target, seal(header, make(), signature)) == "ada"


@pytest.mark.parametrize("subject", [pytest.param(text, id=name) for name, text in BORDERLINE_SUBJECTS.items()])
def test_an_accepted_borderline_of_the_subject(target: Target, subject: str) -> None:
    """An opaque string: whatever is in it, it is taken as it stands."""
    assert whom(target, hs256(sub=subject)) == subject


@each(BORDERLINE_REQUESTS)
def test_an_accepted_borderline_of_the_request(target: Target, make: Callable[[bytes], Lines]) -> None:
    assert whom(target, "", make(hs256().encode())) == "ada"


def test_an_accepted_borderline_of_ecdsa(with_keys: Target) -> None:
    """From one signature, a second, (r, n - s), follows for the same token. A token's text identifies nothing here."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    header, signature = SIGNERS["ES256"]

    def other(text: bytes) -> bytes:
        r_and_s = signature(text)
        return r_and_s[:32] + (order - int.from_bytes(r_and_s[32:], "big")).to_bytes(32, "big")

    assert whom(with_keys, seal(header, claims(), other)) == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "https://other.example"}, id="another audience"),
        pytest.param({"aud": 5}, id="an audience that is none"),
        pytest.param({"iss": "https://other.example"}, id="another issuer"),
        pytest.param({"iss": None, "aud": None}, id="neither"),
    ],
)
def test_an_accepted_borderline_without_configured_audience(with_secret: Target, changes: dict[str, Any]) -> None:
    assert whom(with_secret, hs256(**changes)) == "ada"


def test_a_good_token_is_still_accepted_in_the_end(target: Target) -> None:
    """After all of the above, in the same process."""
    assert target.service.process.poll() is None
    for algorithm in target.algorithms:
        assert accepts(target, good(algorithm))
    assert "unexpected_error" not in target.service.read_log()
    assert target.service.client().get("/health/ready").status_code == httpx2.codes.OK
