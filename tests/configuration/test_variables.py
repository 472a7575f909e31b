"""Variables that were meant as settings and are none."""

import string
from pathlib import Path

import pytest

from server.configuration.variables import names_of, unknown_variables
from server.settings import Settings
from tests.configuration.foreign_variables import FOREIGN
from tests.operations.command import RunCommand
from tests.support.service import running_service

NAMES = [name.upper() for name in names_of(Settings)]
LONG = [name for name in NAMES if len(name) > 6]


def meant(name: str) -> list[str | None]:
    return [variable.meant for variable in unknown_variables([name], {}, NAMES)]


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("BETTER_AUTH_SECRTE", "BETTER_AUTH_SECRET"),
        ("ENVIROMENT", "ENVIRONMENT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("database_ulr", "DATABASE_URL"),
    ],
)
def test_a_near_miss_is_found(name: str, setting: str) -> None:
    assert meant(name) == [setting]


@pytest.mark.parametrize("setting", LONG)
def test_one_wrong_letter_in_any_place_is_found(setting: str) -> None:
    mistyped = {
        *(setting[:place] + setting[place + 1 :] for place in range(len(setting))),
        *(setting[:place] + letter + setting[place:] for place in range(len(setting)) for letter in "XS"),
    }
    missed = [name for name in mistyped - set(NAMES) if meant(name) == []]
    assert missed == []


def test_no_variable_of_other_programs_is_a_near_miss() -> None:
    assert len(FOREIGN) > 300
    assert [(name, meant(name)) for name in FOREIGN if name not in NAMES and meant(name)] == []


def test_no_setting_is_a_near_miss_of_itself() -> None:
    assert unknown_variables([*NAMES, *map(str.lower, NAMES), *string.ascii_uppercase], {}, NAMES) == []


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize(
    ("file", "variable", "sentence"),
    [
        ("", "DATABSE_URL", "DATABSE_URL: no setting has this name; did you mean DATABASE_URL?"),
        ("", "CORS_ORIGIN", "CORS_ORIGIN: no setting has this name; did you mean CORS_ORIGINS?"),
        ("SOMETHING=else\n", "OTHER", "SOMETHING in .env: no setting has this name"),
        (
            "export DATABSE_URL=x\n",
            "OTHER",
            "DATABSE_URL in .env: no setting has this name; did you mean DATABASE_URL?",
        ),
    ],
)
def test_production_does_not_start_with_one(
    file: str, variable: str, sentence: str, environment: str, tasks_api: RunCommand
) -> None:
    Path(".env").write_text(file)
    database = {"DATABASE_URL": "postgresql://localhost/x"}
    result = tasks_api("serve", ENVIRONMENT=environment, **database, **{variable: "x"})
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {sentence}\n")


def test_development_starts_and_warns(database_url: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOMETHING=else\nRATE_LIMIT=off\n")
    with running_service(tmp_path, DATABASE_URL=database_url, CORS_ORIGIN="x", DOCKER_HOST="y") as service:
        warned = [line for line in service.log.read_text().splitlines() if "setting.unknown" in line]
    assert ["SOMETHING in .env" in warned[0], "did you mean CORS_ORIGINS?" in warned[1]] == [True, True]
    assert len(warned) == 2
