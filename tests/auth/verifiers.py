"""Token verifiers, and a clock that is moved by hand."""

from dataclasses import fields
from typing import Any

import pytest

from server.auth.claims import ClaimRules
from server.auth.errors import InvalidToken
from server.auth.jwks import KeySet
from server.auth.tokens import TokenVerifier, shared_key
from tests.support.servers.issuer import SECRET


class Clock:
    """A clock that only moves when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


_OF_CLAIMS = {each.name for each in fields(ClaimRules)}


def verifier(key_set: KeySet | None = None, **options: Any) -> TokenVerifier:
    """Return a verifier with the secret of the tests, if it has no key set. The options are those of its parts."""
    rules = ClaimRules(**{name: options.pop(name) for name in _OF_CLAIMS & set(options)})
    secrets = [options.pop("secret", None if key_set else SECRET), options.pop("older_secret", None)]
    keys = [shared_key(secret) for secret in secrets if secret is not None]
    return TokenVerifier(secrets=keys, key_set=key_set, rules=rules, **options)


def uncached(key_set: KeySet) -> TokenVerifier:
    """Return a verifier that asks for the key every time."""
    return verifier(key_set, cache_seconds=0)


async def subject(verifier: TokenVerifier, token: str) -> str:
    return (await verifier.verify(token)).id


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(token)
    return str(refused.value)
