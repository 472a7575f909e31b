"""Secrets of the environment and of libraries never reach the log."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.hostile.logs.service import MARK, MODES, SECRET, TITLE, UNREACHABLE, Mode, Told, token, told, unforeseen
from tests.support.figures import Figures
from tests.support.servers.postgres import Postgres, fresh_database
from tests.support.service import ROOT, free_port, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(3)

LIBRARIES = """
import asyncio, logging, sys
from server.logging import configure_logging
configure_logging(level="debug", json=sys.argv[1] == "production")
try:
    raise ValueError("{mark}\\n2026-11-21T00:00:00.000000Z [info     ] forged")
except ValueError as error:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=error)
    logging.getLogger("uvicorn.error").exception("once more")

async def main():
    async def fail():
        raise ValueError("{mark}\\n{mark}")
    task = asyncio.create_task(fail())
    await asyncio.wait({{task}})
    del task

asyncio.run(main())
logging.getLogger("any").warning("\\x1b[31mred\\u2028blue")
logging.getLogger("any").warning("")
"""


@pytest.mark.parametrize("environment", ["development", "production"])
def test_of_an_exception_only_kind_and_place_are_logged(environment: str, tmp_path: Path) -> None:
    said = run([sys.executable, "-c", LIBRARIES.format(mark=MARK), environment], tmp_path)
    assert said.count("ValueError") == 3
    assert MARK not in said
    assert len(said.splitlines()) == 6
    assert "\x1b" not in said
    assert ("Exception in ASGI application" in said, "Task exception was never retrieved" in said) == (True, True)


def run(command: list[str], directory: Path, **environment: str) -> str:
    """All output of a command, on standard output and standard error."""
    ended = subprocess.run(  # noqa: S603
        command,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.stdout + ended.stderr


# Secrets of the environment.


def _passwords(port: int) -> dict[str, str]:
    """Addresses whose password has unencoded reserved characters, and some that lead nowhere."""
    return {
        "nobody listens": f"postgresql://ada:{MARK}@127.0.0.1:1/tasks",
        "an unknown host": f"postgresql://ada:{MARK}@nowhere.invalid/tasks",
        "another database": f"postgresql://postgres:{MARK}@127.0.0.1:{port}/nowhere",
        "another user": f"postgresql://nobody:{MARK}@127.0.0.1:{port}/postgres",
        "@ in the password": f"postgresql://ada:pass@{MARK}@127.0.0.1:{port}/postgres",
        "/ in the password": f"postgresql://ada:{MARK}/word@127.0.0.1:{port}/postgres",
        "/ after digits": f"postgresql://ada:5432/{MARK}@127.0.0.1:{port}/postgres",
        "@ and / in the password": f"postgresql://ada:a@b/{MARK}@127.0.0.1:{port}/postgres",
        "? in the password": f"postgresql://ada:pass?{MARK}@127.0.0.1:{port}/postgres",
        "? and @ in the password": f"postgresql://ada:pass?a@{MARK}@127.0.0.1:{port}/postgres",
        "# in the password": f"postgresql://ada:pass#{MARK}@127.0.0.1:{port}/postgres",
        "% in the password": f"postgresql://ada:%zz{MARK}@127.0.0.1:{port}/postgres",
        "a space in the password": f"postgresql://ada:pass {MARK}@127.0.0.1:{port}/postgres",
        ": in the password": f"postgresql://ada:pass:{MARK}@127.0.0.1:{port}/postgres",
        "the password as an option": f"postgresql://127.0.0.1:{port}/postgres?user=nobody&password={MARK}",
        "an option that is none": f"postgresql://127.0.0.1:{port}/postgres?pasword={MARK}",
        "an option of an option": f"postgresql://ada:{MARK}@127.0.0.1:{port}/postgres?sslmode=no",
        "another scheme": f"mysql://root:{MARK}@127.0.0.1/tasks",
        "the words of psql": f"host=127.0.0.1 password={MARK}",
    }


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that asks for passwords and accepts none of the tests' passwords."""
    access = "host all all 127.0.0.1/32 scram-sha-256"
    postgres = Postgres(tmp_path_factory.mktemp("locked"), free_port(), access=access)
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop("immediate")


@pytest.mark.parametrize("name", _passwords(0))
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_password_is_not_logged_in_an_outage_of_the_database(
    figures: Figures, name: str, environment: str, locked: Postgres, tmp_path: Path
) -> None:
    """`migrate` ends with the same message as the service's attempts."""
    said = run(
        [sys.executable, "-m", "server", "migrate"],
        tmp_path,
        DATABASE_URL=_passwords(locked.port)[name],
        BETTER_AUTH_SECRET=SECRET,
        ENVIRONMENT=environment,
    )
    assert said.startswith("Error: ")
    assert MARK not in said
    assert "Traceback" not in said
    figures("Secrets of the environment that must not be logged", 1, 1)


@pytest.mark.parametrize("mode", MODES)
def test_a_service_without_its_database_hides_the_password(mode: Mode, locked: Postgres, tmp_path: Path) -> None:
    url = f"postgresql://postgres:{MARK}@127.0.0.1:{locked.port}/postgres"
    environment, level = mode
    settings: dict[str, Any] = {"ENVIRONMENT": environment, "LOG_LEVEL": level, "REDIS_URL": UNREACHABLE}
    with running_service(
        tmp_path, ready=False, DATABASE_URL=url, DATABASE_WAIT_SECONDS="1", BETTER_AUTH_SECRET=SECRET, **settings
    ) as service:
        watched = Told(service, environment == "production")
        watched.ask("GET", "/api/tasks", headers={"Authorization": f"Bearer {token()}"})
        watched.ask("GET", "/health/ready")
        assert watched.statuses == {503}
        until(lambda: "migrations.postponed" in watched.log())
        watched.assert_says_nothing()


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"BETTER_AUTH_SECRET": MARK}, id="a short secret"),
        pytest.param({"BETTER_AUTH_SECRET": json.dumps({"kty": "oct", "k": MARK * 3})}, id="a secret that is a JWK"),
        pytest.param({"BETTER_AUTH_SECRET": f"ssh-ed25519 {MARK * 4}"}, id="a secret that is a public key"),
        pytest.param({"JWKS_URL": f"ftp://ada:{MARK}@127.0.0.1/jwks"}, id="the keys at another kind of address"),
        pytest.param({"BETTER_AUTH_URL": f"https://ada:{MARK}@127.0.0.1/path"}, id="a front end with a path"),
        pytest.param({"MIGRATIONS_DATABASE_URL": f"postgresql://a:p@{MARK}@h/d"}, id="migrations go elsewhere"),
        pytest.param({"NEON_DB_URL": f"postgresql://a:p@{MARK}@h/d"}, id="by the other name"),
        pytest.param({"PORT": MARK}, id="a secret in the wrong place"),
        pytest.param({"LOG_LEVEL": MARK}, id="a secret in another wrong place"),
        pytest.param({"TRASH_RETENTION_DAYS": MARK}, id="a secret in a third wrong place"),
    ],
)
def test_settings_that_are_wrong_are_not_repeated(
    figures: Figures, environment: dict[str, str], tmp_path: Path
) -> None:
    said = run([sys.executable, "-m", "server", "serve"], tmp_path, **{"BETTER_AUTH_SECRET": SECRET, **environment})
    assert said.startswith("Error: ")
    assert MARK not in said
    assert "Traceback" not in said
    figures("Secrets of the environment that must not be logged", 1, 1)


def test_a_migration_that_fails_does_not_quote_rows(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'refused' USING DETAIL = 'Failing row contains ({MARK})', HINT = '{MARK}'; END $$;
            CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION refuse()
            """.encode()
        )
    said = run([sys.executable, "-m", "server", "migrate"], tmp_path, DATABASE_URL=database, BETTER_AUTH_SECRET=SECRET)
    assert said == "Error: refused\n"


def test_the_log_of_the_embedded_database_quotes_no_row(database_url: str, database_log: Path, tmp_path: Path) -> None:
    with fresh_database(database_url) as url, told(tmp_path, ("production", "info"), DATABASE_URL=url) as service:
        bearer = {"Authorization": f"Bearer {token()}"}
        with unforeseen(url):
            service.ask("POST", "/api/tasks", json={"title": TITLE}, headers=bearer)
            service.ask("POST", "/api/tasks", json={"title": TITLE}, headers=bearer | {"Idempotency-Key": MARK})
            typed = bearer | {"Content-Type": "application/x-ndjson"}
            line = json.dumps({"title": TITLE, "description": MARK, "created_at": "2026-01-01T00:00:00Z"})
            service.ask("POST", "/api/tasks/import", content=line, headers=typed)
        assert service.statuses == {500}
    log = database_log.read_text(errors="replace")
    assert "unforeseen_" in log
    assert [line for line in log.splitlines() if MARK in line or "DETAIL" in line] == []
