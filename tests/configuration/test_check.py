"""`tasks-api check`: one line for each thing that the service needs, and what to do."""

import re
from pathlib import Path

import pytest
from click.testing import Result

from persistence.migrations import runner
from tests.operations.command import RunCommand
from tests.support.servers.issuer import running_issuer
from tests.support.servers.postgres import fresh_database
from tests.support.service import free_port

NOWHERE = "postgresql://ada:its-password@127.0.0.1:1/tasks"


def lines(result: Result) -> dict[str, str]:
    """The last word on each subject: its state and text."""
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return {
        found[2]: f"{found[1]} {found[3]}"
        for found in re.finditer(r"^(\w+) +(\w+): (.*)$", result.stdout, re.MULTILINE)
    }


def test_all_is_well(tasks_api: RunCommand, database_url: str) -> None:
    with fresh_database(database_url) as url:
        runner.upgrade(url)
        result = tasks_api("check", DATABASE_URL=url, ENVIRONMENT="production", METRICS_TOKEN="x" * 20)
    assert (result.exit_code, [line.split()[0] for line in result.stdout.splitlines()]) == (0, ["ok"] * 4)
    said = lines(result)
    assert said["mode"] == "ok production: the rules of production apply"
    assert re.fullmatch(r"ok PostgreSQL 18 .*, has the schema of this release \(revision \d{4}\)", said["database"])
    assert said["issuer"] == "ok tokens are signed with BETTER_AUTH_SECRET (HS256); there is no key set"


def test_what_cannot_be_reached_is_said(tasks_api: RunCommand) -> None:
    port = free_port()
    result = tasks_api(
        "check",
        DATABASE_URL=NOWHERE,
        MIGRATIONS_DATABASE_URL=NOWHERE,
        BETTER_AUTH_URL=f"http://127.0.0.1:{port}",
        REDIS_URL=f"redis://:its-password@127.0.0.1:{port}",
    )
    assert result.exit_code == 1
    said = lines(result)
    assert {name: text.split()[0] for name, text in said.items()} == {
        "mode": "ok",
        "metrics": "ok",
        "database": "error",
        "migrations": "error",
        "issuer": "error",
        "redis": "error",
    }
    assert "see DATABASE_URL" in said["database"]
    assert "see MIGRATIONS_DATABASE_URL" in said["migrations"]
    assert "see BETTER_AUTH_URL" in said["issuer"]
    assert "see REDIS_URL" in said["redis"]
    assert "its-password" not in result.output


@pytest.mark.parametrize(("migrates", "state", "todo"), [("true", "warning", "serve"), ("false", "error", "migrate")])
def test_an_empty_database_is_told(
    migrates: str, state: str, todo: str, tasks_api: RunCommand, database_url: str
) -> None:
    with fresh_database(database_url) as url:
        result = tasks_api("check", DATABASE_URL=url, MIGRATE_ON_START=migrates)
    assert result.exit_code == (state == "error")
    assert lines(result)["database"].startswith(state)
    assert todo in lines(result)["database"].rpartition(": ")[2]


def test_the_keys_of_the_issuer_are_counted(tasks_api: RunCommand, database_url: str) -> None:
    with running_issuer() as issuer:
        result = tasks_api("check", DATABASE_URL=database_url, JWKS_URL=issuer.url)
    assert re.fullmatch(r"ok the key set has \d+ usable keys", lines(result)["issuer"])


def test_wrong_settings_are_lines_of_their_own(tasks_api: RunCommand) -> None:
    result = tasks_api("check", ENVIRONMENT="production", DATABSE_URL=NOWHERE, LOG_LEVEL="debug")
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert "LOG_LEVEL: in production" in result.stdout
    assert "did you mean DATABASE_URL?" in result.stdout
    alone = tasks_api("check", ENVIRONMENT="production")
    assert (alone.exit_code, "EMBEDDED_DATABASE=true" in alone.stdout) == (1, True)


def test_mistakes_of_development_are_warnings(tasks_api: RunCommand, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOMETHING=else\n")
    result = tasks_api("check", DATABASE_URL="postgresql://192.0.2.1:1/tasks?connect_timeout=2", CORS_ORIGIN="x")
    assert result.exit_code == 1
    for warned in (
        "SOMETHING in .env",
        "did you mean CORS_ORIGINS?",
        "DATABASE_URL does not make sure of TLS to 192.0",
    ):
        assert [line.split()[0] for line in result.stdout.splitlines() if warned in line] == ["warning"]
