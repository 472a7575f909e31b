"""`tasks-api token` prints a token that the service of the same directory accepts, or says why there is none."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import MEASURED, ROOT, running_service

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive(2)]

LONGEST = 8185
OTHER_SECRET = "0Zk3vQ9tLr1XbW7mHs5PdYc2JgNf8Ua4E-older-of-two"  # noqa: S105
JWK = '{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}'


def run(directory: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    """Run the command, with no other settings than those of `.env` in the directory."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "server", "token", *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **MEASURED},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SETTINGS = [
    pytest.param({}, id="nothing"),
    pytest.param({"BETTER_AUTH_SECRET": OTHER_SECRET}, id="a secret"),
    pytest.param({"BETTER_AUTH_SECRET": OTHER_SECRET, "BETTER_AUTH_SECRET_PREVIOUS": "x" * 40}, id="two secrets"),
    pytest.param({"BETTER_AUTH_URL": "https://todo.example"}, id="a front end"),
    pytest.param({"BETTER_AUTH_URL": "https://todo.example", "JWT_AUDIENCE": "tasks"}, id="and an audience"),
    pytest.param({"JWT_ISSUER": "me", "JWT_AUDIENCE": "tasks", "JWT_MAX_AGE": "60"}, id="all that a claim must be"),
    pytest.param({"JWT_AUDIENCE": "better-auth:session-cache"}, id="the audience of a session cookie"),
    pytest.param({"JWKS_URL": "http://127.0.0.1:9/jwks", "DATA_DIR": "elsewhere"}, id="a key set that is not there"),
]


@pytest.mark.exhaustive(1)
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.slow
def test_the_service_of_the_directory_accepts_it(database_url: str, tmp_path: Path, settings: dict[str, str]) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    made = run(tmp_path, "ada", "--email", "ada@example.com", "--expires", "86400")
    assert (made.returncode, made.stderr) == (0, "")
    defaults: dict[str, Any] = {"BETTER_AUTH_SECRET": "", "DATA_DIR": settings.get("DATA_DIR", "data")}
    with running_service(tmp_path, DATABASE_URL=database_url, **defaults) as service:
        read = service.client(authorization=f"Bearer {made.stdout.strip()}").post("/api/auth/verify")
    assert (read.status_code, read.json()["email"]) == (200, "ada@example.com")


@pytest.mark.parametrize(
    ("settings", "arguments", "sentence"),
    [
        pytest.param(
            {"ENVIRONMENT": "production", "BETTER_AUTH_SECRET": OTHER_SECRET},
            ["ada"],
            "tokens are made in development only; in production your identity provider issues them",
            id="production",
        ),
        pytest.param(
            {"BETTER_AUTH_SECRET": JWK},
            ["ada"],
            "BETTER_AUTH_SECRET: the secret is an asymmetric key or a JWK",
            id="JWK",
        ),
        pytest.param(
            {},
            ["ada", "--name", "n" * 6100],
            f"the service would refuse the token: it has [0-9]+ bytes, and {LONGEST} are allowed",
            id="a long name",
        ),
        pytest.param(
            {"JWT_AUDIENCE": "a" * 6100},
            ["ada"],
            f"the service would refuse the token: it has [0-9]+ bytes, and {LONGEST} are allowed",
            id="a long audience",
        ),
        pytest.param({}, [b"ad\xff"], "the service would refuse the token: malformed", id="an id that is not text"),
        pytest.param({"DATA_DIR": ".env"}, ["ada"], "DATA_DIR: .env: File exists", id="no place for the secret"),
    ],
)
def test_else_one_sentence_says_why(
    tmp_path: Path, settings: dict[str, str], arguments: list[str | bytes], sentence: str
) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    refused = run(tmp_path, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(f"Error: {sentence}\n", refused.stderr)
