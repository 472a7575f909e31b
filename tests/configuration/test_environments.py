"""The rules of production, which are those of staging, and the embedded database in it."""

from pathlib import Path

import pytest

from tests.operations.command import RunCommand
from tests.support.service import running_service

pytestmark = pytest.mark.exhaustive(5)

SENTENCE = "Error: in production, set DATABASE_URL, or EMBEDDED_DATABASE=true for a database in DATA_DIR\n"


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("purge",), ("backup", "file")], ids=" ".join)
def test_an_embedded_database_must_be_allowed(
    command: tuple[str, ...], environment: str, tasks_api: RunCommand, tmp_path: Path
) -> None:
    result = tasks_api(*command, ENVIRONMENT=environment)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", SENTENCE)
    assert not (tmp_path / "data").exists()


def test_an_embedded_database_that_is_allowed_serves(tmp_path: Path) -> None:
    with running_service(tmp_path, ENVIRONMENT="staging", EMBEDDED_DATABASE="true") as service:
        client = service.as_user("ada")
        assert client.get("/api/tasks").json() == []
        assert "strict-transport-security" in client.get("/").headers
        assert service.read_log().startswith("{")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"BETTER_AUTH_SECRET": None}, "in production, set BETTER_AUTH_SECRET"),
        ({"BETTER_AUTH_SECRET": "x" * 40}, "BETTER_AUTH_SECRET: in production, must be neither"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS: in production, must name the origins"),
        ({"LOG_LEVEL": "debug"}, "LOG_LEVEL: in production, must not be `debug`"),
        ({"RELOAD": "true"}, "RELOAD: works in development and with WORKERS=1 only"),
    ],
)
def test_staging_has_the_rules_of_production(
    variables: dict[str, str | None], sentence: str, tasks_api: RunCommand
) -> None:
    result = tasks_api("serve", ENVIRONMENT="staging", **variables)
    assert (result.exit_code, result.stderr[:7]) == (2, "Error: ")
    assert result.stderr.removeprefix("Error: ").startswith(sentence)


def test_staging_prints_no_token(tasks_api: RunCommand) -> None:
    assert tasks_api("token", "ada", ENVIRONMENT="staging").exit_code == 2
