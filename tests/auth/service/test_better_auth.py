"""Tokens and key sets of a real Better Auth.

`better_auth.json` has, for each algorithm of its JWT plug-in, the key set and a token of a user who signed up. It was
made on 21 November 2026 by better-auth 1.7.1 with `jwt({jwks: {keyPairConfig: {alg}}})` and `https://todo.example` as
its `baseURL`. The clock of the tests is that of the tokens.
"""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from server.auth.errors import ExpiredToken
from server.auth.jwks import KeySet
from tests.auth.verifiers import Clock, refusal, verifier
from tests.support.servers.issuer import FRONT_END, Issuer

CAPTURED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("better_auth.json").read_text())


@pytest.mark.parametrize("algorithm", CAPTURED)
async def test_a_token_of_better_auth_is_accepted(issuer: Issuer, key_set: KeySet, algorithm: str) -> None:
    captured = CAPTURED[algorithm]
    claims = jwt.decode(captured["token"], options={"verify_signature": False})
    issuer.body = json.dumps(captured["jwks"]).encode()
    clock = Clock(claims["iat"])
    tokens = verifier(key_set, front_end=FRONT_END, clock=clock, cache_seconds=0)
    principal = await tokens.verify(captured["token"])
    assert (principal.id, principal.email, principal.name) == (claims["sub"], "ada@example.com", "Ada Lovelace")
    assert principal.issued_at is not None
    assert (principal.issued_at.timestamp(), principal.expires_at.timestamp()) == (claims["iat"], claims["exp"])
    assert jwt.get_unverified_header(captured["token"]) == {"alg": algorithm, "kid": captured["jwks"]["keys"][0]["kid"]}
    elsewhere = verifier(key_set, front_end="https://other.example", clock=clock)
    assert await refusal(elsewhere, captured["token"]) == "another audience"
    clock.now = claims["exp"] + 31
    with pytest.raises(ExpiredToken):
        await tokens.verify(captured["token"])
