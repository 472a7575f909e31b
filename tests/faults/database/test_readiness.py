"""A database that answers and cannot serve: readiness says so, like the requests do, and the log says why."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from persistence.migrations import runner
from persistence.readiness import NEEDED_PRIVILEGES
from tests.faults.probes import assert_nothing_unexpected, assert_unavailable, is_ready
from tests.support.servers.postgres import Postgres
from tests.support.service import ROOT, SECRET, Service, running_service
from tests.support.waiting import until

_Session = psycopg.Connection[Any]


@pytest.fixture
def admin(database: str) -> Iterator[_Session]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def role(database: str, admin: _Session) -> Iterator[str]:
    """The address of a migrated database, as a role that may connect and nothing else."""
    runner.upgrade(database)
    admin.execute("CREATE ROLE clerk LOGIN")
    yield database.replace("postgres@", "clerk@")
    admin.execute("DROP OWNED BY clerk CASCADE")
    admin.execute("DROP ROLE clerk")


def _grant(admin: _Session) -> None:
    for table, privilege in NEEDED_PRIVILEGES:
        admin.execute(f"GRANT {privilege} ON {table} TO clerk".encode())


def _ask(service: Service) -> list[httpx2.Response]:
    """Readiness, a read and a write."""
    client = service.as_user("ada")
    return [
        client.get("/health/ready"),
        client.get("/api/ada/tasks"),
        client.post("/api/ada/tasks", json={"title": "Buy milk"}),
    ]


def _statuses(service: Service) -> list[int]:
    return [answer.status_code for answer in _ask(service)]


@contextlib.contextmanager
def _unprepared(directory: Path, url: str) -> Iterator[Service]:
    """A service that leaves the schema alone."""
    with running_service(
        directory, ready=False, DATABASE_URL=url, MIGRATE_ON_START="false", DATABASE_WAIT_SECONDS="1"
    ) as service:
        yield service


def test_a_role_without_grants_is_unavailable(role: str, admin: _Session, tmp_path: Path) -> None:
    with _unprepared(tmp_path, role) as service:
        for answer in _ask(service):
            assert_unavailable(answer)
        log = service.read_log()
        assert "the role clerk lacks SELECT on alembic_version, SELECT on users, INSERT on users" in log
        assert "permission denied for table tasks" in log
        assert_nothing_unexpected(service)
        _grant(admin)
        assert _statuses(service) == [200, 200, 201]


def test_each_missing_privilege_is_named(role: str, admin: _Session, tmp_path: Path) -> None:
    _grant(admin)
    with _unprepared(tmp_path, role) as service:
        for table, privilege in NEEDED_PRIVILEGES:
            assert is_ready(service)
            admin.execute(f"REVOKE {privilege} ON {table} FROM clerk".encode())
            assert_unavailable(service.client().get("/health/ready"))
            assert re.search(rf"the role clerk lacks {privilege} on {table}(?!,)", service.read_log())
            admin.execute(f"GRANT {privilege} ON {table} TO clerk".encode())
        assert_nothing_unexpected(service)


def test_every_column_is_looked_for(database: str, admin: _Session, tmp_path: Path) -> None:
    """Of every table; a request may need any of them."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        columns = admin.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
        assert len(columns) == 25
        for table, column in columns:
            admin.execute(f"ALTER TABLE {table} RENAME {column} TO renamed".encode())
            assert_unavailable(service.client().get("/health/ready"))
            admin.execute(f"ALTER TABLE {table} RENAME renamed TO {column}".encode())
            assert is_ready(service)
        assert_nothing_unexpected(service)


@pytest.mark.parametrize("revisions", [["of-another-program"], ["of-another-program", "of-a-third"], []], ids=str)
def test_the_revision_of_another_program_is_not_ready(
    revisions: list[str], database: str, admin: _Session, tmp_path: Path
) -> None:
    """Its version table is there, and the tables of this service are not."""
    admin.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    for revision in revisions:
        admin.execute("INSERT INTO alembic_version VALUES (%s)", [revision])
    with _unprepared(tmp_path, database) as service:
        for answer in _ask(service):
            assert_unavailable(answer)
        assert_nothing_unexpected(service)


def test_migrations_refuse_the_database_of_another_program(database: str, admin: _Session, tmp_path: Path) -> None:
    admin.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    admin.execute("INSERT INTO alembic_version VALUES ('of-another-program')")
    sentence = (
        "the database is at revision of-another-program of another program, and has no table users, tasks, "
        "idempotency_keys, idempotency_results: use a database or a schema of its own"
    )
    assert _migrate(database, tmp_path) == (2, "", f"Error: {sentence}\n")
    with running_service(tmp_path, ready=False, DATABASE_URL=database) as service:
        until(lambda: "migrations.postponed" in service.log.read_text())
        assert sentence in service.log.read_text()
        assert "migrations.applied" not in service.log.read_text()


@pytest.mark.parametrize("age", ["newer", "older"])
def test_only_an_older_revision_is_not_ready(age: str, database: str, admin: _Session, tmp_path: Path) -> None:
    runner.upgrade(database)
    revision = "of-a-newer-release" if age == "newer" else "0001"
    admin.execute("UPDATE alembic_version SET version_num = %s", [revision])
    with _unprepared(tmp_path, database) as service:
        assert _statuses(service) == [200 if age == "newer" else 503, 200, 201]


def _migrate(url: str, directory: Path) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "server", "migrate"],
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BETTER_AUTH_SECRET": SECRET,
            "DATABASE_URL": url,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_unicode_is_refused(encoding: str, postgres: Postgres, tmp_path: Path) -> None:
    sentence = f"the database has the encoding {encoding}, which cannot hold Unicode: create one with ENCODING 'UTF8'"
    name = f"encoded_{encoding.lower()}"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'".encode())
    assert _migrate(postgres.url(name), tmp_path) == (2, "", f"Error: {sentence}\n")
    with running_service(tmp_path, ready=False, DATABASE_URL=postgres.url(name), DATABASE_WAIT_SECONDS="1") as service:
        for answer in _ask(service):
            assert_unavailable(answer)
        until(lambda: "migrations.postponed" in service.log.read_text())
        assert_nothing_unexpected(service)
        assert sentence in service.log.read_text()


_TITLE = "Æble, 日本語, 🥛"


@pytest.mark.parametrize(
    ("setting", "options"),
    [
        pytest.param("ALTER DATABASE {} SET client_encoding = 'LATIN1'", "", id="of the database"),
        pytest.param("ALTER ROLE clerk SET client_encoding = 'SQL_ASCII'", "", id="of the role"),
        pytest.param(None, "?client_encoding=LATIN1", id="of the address"),
        pytest.param(None, "?options=-c%20client_encoding%3DLATIN1", id="of the options"),
    ],
)
def test_the_encoding_of_the_session_is_set(
    setting: str | None, options: str, role: str, admin: _Session, tmp_path: Path
) -> None:
    """Whatever the operator's settings are; otherwise characters outside LATIN1 cannot be written or read."""
    _grant(admin)
    if setting is not None:
        admin.execute(setting.format(admin.info.dbname).encode())
    with running_service(tmp_path, DATABASE_URL=role + options, MIGRATE_ON_START="false") as service:
        client = service.as_user("ada")
        created = client.post("/api/ada/tasks", json={"title": _TITLE})
        assert (created.status_code, created.json()["title"]) == (201, _TITLE)
        assert [task["title"] for task in client.get("/api/ada/tasks").json()] == [_TITLE]
    assert admin.execute("SELECT title FROM tasks").fetchall() == [(_TITLE,)]
