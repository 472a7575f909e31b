"""Commands: tokens, the document, and the version."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
import yaml

from persistence.users import Owner
from server.auth.tokens import issue_token
from server.contract.document import load_document
from tests.operations.command import RunCommand
from tests.support.document import AUTHORED, DOCUMENT, LONG_TEXT
from tests.support.service import SECRET, Service


def test_in_development_a_secret_is_made_once_and_kept_private(tmp_path: Path, tasks_api: RunCommand) -> None:
    data = tmp_path / "below" / "data"
    tokens = [
        tasks_api("token", subject, BETTER_AUTH_SECRET=None, DATA_DIR=str(data)).stdout.strip()
        for subject in ("ada", "bob")
    ]
    secret = data / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) >= 32
    key = secret.read_text().strip()
    assert [jwt.decode(token, key, algorithms=["HS256"])["sub"] for token in tokens] == ["ada", "bob"]


def test_the_printed_token_works(service: Service, tasks_api: RunCommand) -> None:
    result = tasks_api("token", "ada lovelace", "--email", "ada@example.com", "--name", "Ada", "--expires", "120")
    assert result.exit_code == 0
    client = service.client(authorization=f"Bearer {result.stdout.strip()}")
    info = client.post("/api/auth/verify").json()
    remaining = datetime.fromisoformat(info.pop("expires_at")) - datetime.now(UTC)
    assert timedelta(seconds=60) < remaining <= timedelta(seconds=120)
    assert info == {"user_id": "ada lovelace", "email": "ada@example.com", "name": "Ada"}


def test_the_printed_token_has_the_configured_audience(tasks_api: RunCommand) -> None:
    printed = tasks_api("token", "ada", BETTER_AUTH_URL="https://todo.example").stdout.strip()
    claims = jwt.decode(printed, SECRET, algorithms=["HS256"], audience="https://todo.example")
    assert claims["iss"] == "https://todo.example"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param([""], "a subject is 1-255 characters without NUL", id="empty"),
        pytest.param(["a" * 256], "a subject is 1-255 characters without NUL", id="long"),
        pytest.param(["ada", "--expires", "0"], "0 is not in the range", id="expired"),
        pytest.param(["ada", "--expires", "99999999999999"], "99999999999999 is not in the range", id="for ever"),
    ],
)
def test_a_token_that_would_be_refused_is_not_printed(
    arguments: list[str], sentence: str, tasks_api: RunCommand
) -> None:
    result = tasks_api("token", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_in_production_no_token_is_printed(tasks_api: RunCommand) -> None:
    result = tasks_api("token", "ada", ENVIRONMENT="production")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: tokens are made in development only; in production your identity provider issues them\n"
    )


def test_the_contract_is_printed_as_it_is_served(tasks_api: RunCommand) -> None:
    assert tasks_api("contract", "print").stdout_bytes == AUTHORED.read_bytes()
    assert json.loads(tasks_api("contract", "print", "--json").stdout) == DOCUMENT
    expected = load_document([str(LONG_TEXT)])
    assert expected != DOCUMENT
    assert yaml.safe_load(tasks_api("contract", "print", OPENAPI_OVERLAYS=str(LONG_TEXT)).stdout) == expected
    printed = tasks_api("contract", "print", "--json", OPENAPI_OVERLAYS=str(LONG_TEXT)).stdout
    assert json.loads(printed) == expected


def test_the_command_knows_its_version(tasks_api: RunCommand) -> None:
    assert tasks_api("--version").stdout.strip().endswith(DOCUMENT["info"]["version"])


def test_tokens_of_the_tests_are_those_of_the_command(tasks_api: RunCommand) -> None:
    made = issue_token(SECRET, Owner("ada"), expires_in=timedelta(seconds=60))
    printed = tasks_api("token", "ada", "--expires", "60").stdout.strip()
    first, second = (jwt.decode(item, SECRET, algorithms=["HS256"]) for item in (made, printed))
    assert set(first) == set(second) == {"sub", "iat", "exp"}
