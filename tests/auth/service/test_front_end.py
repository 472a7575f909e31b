"""A service with `BETTER_AUTH_SECRET` and `BETTER_AUTH_URL` takes tokens of the secret, and of the front end's keys."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.issuer import ED25519, Issuer, forge, sign
from tests.support.service import SECRET, Service, running_service

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(4)]

OTHER = "https://other.example"


@pytest.fixture(scope="module")
def service(database_url: str, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings: dict[str, Any] = {"BETTER_AUTH_URL": front_end(issuer), "ENVIRONMENT": "production"}
    with running_service(tmp_path_factory.mktemp("both"), DATABASE_URL=database_url, **settings) as running:
        yield running


def front_end(issuer: Issuer) -> str:
    """The base URL of the Better Auth whose key set the issuer serves."""
    return issuer.url.removesuffix("/api/auth/jwks")


def by_secret(**claims: object) -> str:
    """Return a token `{sub, exp}` and these claims, signed with the shared secret."""
    return forge(
        {"alg": "HS256", "typ": "JWT"}, {"sub": "ada", "exp": int(time.time()) + 900} | claims, SECRET.encode()
    )


def by_key(**claims: Any) -> str:
    return sign(ED25519, **{"aud": None, "iss": None} | claims)


def status(service: Service, token: str) -> int:
    return service.client(authorization=f"Bearer {token}").get("/api/ada/tasks").status_code


RIGHT = "the front end"
BINDINGS = [
    pytest.param({}, (200, 401), id="neither"),
    pytest.param({"aud": RIGHT, "iss": RIGHT}, (200, 200), id="both"),
    pytest.param({"aud": RIGHT}, (200, 401), id="the audience alone"),
    pytest.param({"iss": RIGHT}, (200, 401), id="the issuer alone"),
    pytest.param({"aud": ["x", RIGHT], "iss": RIGHT}, (200, 200), id="a list with the right audience"),
    pytest.param({"aud": OTHER}, (401, 401), id="another audience"),
    pytest.param({"iss": OTHER}, (401, 401), id="another issuer"),
    pytest.param({"aud": OTHER, "iss": RIGHT}, (401, 401), id="another audience of the right issuer"),
    pytest.param({"aud": RIGHT, "iss": OTHER}, (401, 401), id="the right audience of another issuer"),
    pytest.param({"aud": [], "iss": RIGHT}, (401, 401), id="an empty list"),
    pytest.param({"aud": "", "iss": RIGHT}, (401, 401), id="an empty audience"),
    pytest.param({"aud": RIGHT, "iss": ""}, (401, 401), id="an empty issuer"),
]


@pytest.mark.parametrize(("claims", "statuses"), BINDINGS)
def test_the_front_end_binds_the_tokens_of_its_keys(
    service: Service, issuer: Issuer, claims: dict[str, Any], statuses: tuple[int, int]
) -> None:
    """Tokens of the secret may have neither claim; one that they have must be the right one."""
    named = json.loads(json.dumps(claims).replace(RIGHT, front_end(issuer)))
    assert (status(service, by_secret(**named)), status(service, by_key(**named))) == statuses


def test_a_session_cookie_is_refused_beside_the_front_end(service: Service) -> None:
    assert status(service, by_secret(aud="better-auth:session-cache")) == 401


@pytest.mark.parametrize(
    ("setting", "claim"), [("JWT_AUDIENCE", "aud"), ("JWT_ISSUER", "iss")], ids=["audience", "issuer"]
)
def test_a_setting_of_its_own_binds_every_token(
    database_url: str, issuer: Issuer, tmp_path: Path, setting: str, claim: str
) -> None:
    other = {"aud": "iss", "iss": "aud"}[claim]
    settings: dict[str, Any] = {"BETTER_AUTH_URL": front_end(issuer), setting: "tasks"}
    with running_service(tmp_path, DATABASE_URL=database_url, **settings) as service:
        for make in (by_secret, by_key):
            assert status(service, make(**{claim: "tasks", other: front_end(issuer)})) == 200
            assert status(service, make(**{other: front_end(issuer)})) == 401
            assert status(service, make(**{claim: front_end(issuer), other: front_end(issuer)})) == 401
        assert status(service, by_secret(**{claim: "tasks"})) == 200
        assert status(service, by_key(**{claim: "tasks"})) == 401


def test_expiry_is_told_only_if_all_else_is_right(service: Service, issuer: Issuer) -> None:
    """A token of another audience, of a later `nbf` or with a false signature is refused like any other."""
    right = {"aud": front_end(issuer), "iss": front_end(issuer)}
    expired = {"exp": int(time.time()) - 60}
    false_signature = forge({"alg": "HS256"}, {"sub": "ada"} | expired, b"x" * 32)
    codes = {
        token: service.client(authorization=f"Bearer {token}").get("/api/tasks").json()["code"]
        for token in (
            by_secret(**expired),
            by_key(**right | expired),
            by_key(**expired),
            by_secret(aud=OTHER, **expired),
            by_secret(nbf=int(time.time()) + 60, **expired),
            by_secret(sub="", **expired),
            false_signature,
        )
    }
    assert list(codes.values()) == ["token-expired"] * 2 + ["unauthenticated"] * 5
