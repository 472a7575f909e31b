"""Tokens that the service issues for development and tests."""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta

import pytest

from persistence.users import Owner
from server.auth.tokens import issue_token
from tests.auth.verifiers import refusal, verifier
from tests.support.servers.issuer import (
    FRONT_END,
    SECRET,
)

# Issuing.


async def test_an_issued_token_is_verified() -> None:
    token = issue_token(
        SECRET,
        Owner("ada", "ada@example.org", "Ada"),
        expires_in=timedelta(hours=1),
        audience=FRONT_END,
        issuer=FRONT_END,
    )
    principal = await verifier(audience=FRONT_END, issuer=FRONT_END).verify(token)
    left = principal.expires_at - datetime.now(UTC)
    assert (principal.id, principal.email, principal.name) == ("ada", "ada@example.org", "Ada")
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


async def test_an_issued_token_says_only_what_was_asked_for() -> None:
    token = issue_token(SECRET, Owner("ada"), expires_in=timedelta(hours=1))
    header, payload = (json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert sorted(payload) == ["exp", "iat", "sub"]
    assert payload["exp"] - payload["iat"] == 3600


async def test_an_issued_token_expires() -> None:
    token = issue_token(SECRET, Owner("ada"), expires_in=timedelta(seconds=-31))
    assert await refusal(verifier(), token) == "expired"


@pytest.mark.parametrize("name", ["", "a" * 256, "\0"], ids=["empty", "long", "NUL"])
async def test_a_subject_that_would_be_refused_is_not_issued(name: str) -> None:
    with pytest.raises(ValueError, match="a subject is 1-255 characters"):
        issue_token(SECRET, Owner(name), expires_in=timedelta(hours=1))
