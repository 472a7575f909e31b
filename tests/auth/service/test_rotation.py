"""Rotation of keys while the service runs: the issuer's, and the shared secret."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.operations.command import serve
from tests.support.raw_http import problem
from tests.support.servers.issuer import ED25519, OTHER_ED25519, P384, P521, RSA, Issuer, PrivateKey, forge, jwk, sign
from tests.support.service import SECRET, Service, running_service
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(1)]

OLDER = "0Zk3vQ9tLr1XbW7mHs5PdYc2JgNf8Ua4E-older-of-two"


@pytest.fixture
def service(database_url: str, issuer: Issuer, tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path, DATABASE_URL=database_url, JWKS_URL=issuer.url) as running:
        yield running


def ask(service: Service, token: str) -> httpx2.Response:
    return service.client(authorization=f"Bearer {token}").get("/api/tasks")


def test_no_client_is_signed_out_by_rotations_in_a_row(service: Service, issuer: Issuer) -> None:
    """Four fetches are made at once. The fifth has to wait, and the client is told how long; then its token is good."""
    keys: dict[str, PrivateKey] = {"k1": ED25519, "k2": OTHER_ED25519, "k3": P384, "k4": P521}
    for kid, key in keys.items():
        issuer.publish(jwk(key, kid))
        assert ask(service, sign(key, kid)).status_code == 200
    issuer.publish(jwk(RSA, "k5"))
    refused = ask(service, sign(RSA, "k5"))
    problem(service, refused, "service-unavailable")
    seconds = int(refused.headers["retry-after"])
    assert 1 <= seconds <= 10
    assert issuer.fetches == len(keys)
    until(lambda: ask(service, sign(RSA, "k5")).status_code == 200, seconds + 5)
    assert issuer.fetches == len(keys) + 1
    assert "the token's key is not in the key set, next attempt in" in service.read_log()


def by_secret(secret: str, **claims: object) -> str:
    return forge({"alg": "HS256"}, {"sub": "ada", "exp": int(time.time()) + 900} | claims, secret.encode())


def test_tokens_of_an_older_secret_are_accepted(database_url: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path, DATABASE_URL=database_url, BETTER_AUTH_SECRET_PREVIOUS=OLDER, WORKERS="2"
    ) as service:
        for _ in range(10):
            assert [ask(service, by_secret(secret)).status_code for secret in (SECRET, OLDER, "x" * 32)] == [
                200,
                200,
                401,
            ]
        expired = ask(service, by_secret(OLDER, exp=1))
        problem(service, expired, "token-expired")


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param(
            {"BETTER_AUTH_SECRET_PREVIOUS": "short"},
            "BETTER_AUTH_SECRET_PREVIOUS: must be at least 32 bytes long (try: openssl rand -base64 32)",
            id="short",
        ),
        pytest.param(
            {"BETTER_AUTH_SECRET_PREVIOUS": "x" * 40, "ENVIRONMENT": "production"},
            "BETTER_AUTH_SECRET_PREVIOUS: in production, must be neither an example nor a pattern "
            "(try: openssl rand -base64 32)",
            id="a pattern in production",
        ),
        pytest.param(
            {"BETTER_AUTH_SECRET_PREVIOUS": OLDER, "BETTER_AUTH_SECRET": ""},
            "BETTER_AUTH_SECRET_PREVIOUS: needs BETTER_AUTH_SECRET, the current secret, beside it",
            id="alone",
        ),
        pytest.param(
            {"BETTER_AUTH_SECRET_PREVIOUS": '{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}'},
            "BETTER_AUTH_SECRET_PREVIOUS: the secret is an asymmetric key or a JWK",
            id="a JWK",
        ),
    ],
)
def test_an_older_secret_has_the_rules_of_the_current_one(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    ended = serve(tmp_path, **{"BETTER_AUTH_SECRET": SECRET, **environment})
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"Error: {sentence}\n")
