"""Token verifiers, and a clock that is moved by hand."""

from typing import Any

import pytest

from server.auth.errors import InvalidToken
from server.auth.jwks import KeySet
from server.auth.tokens import TokenVerifier
from tests.support.servers.issuer import (
    SECRET,
)


class Clock:
    """A clock that only moves when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


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
