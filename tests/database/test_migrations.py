"""The schema: its migrations, its constraints and its indexes. Each test has its own database."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from persistence import migrations
from persistence.errors import MigrationError
from persistence.migrations import runner
from persistence.schema import metadata
from tests.support.service import MEASURED, ROOT, SECRET, running_service

pytestmark = pytest.mark.exhaustive(6)

_WAIT_SECONDS = 60


def test_revisions_are_those_of_alembic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that `alembic revision` writes, whose id and file are in no order."""
    directory = shutil.copytree(Path(runner.__file__).parent, tmp_path / "migrations")
    monkeypatch.setattr(migrations, "_FILES", directory / "versions")
    config = Config()
    config.set_main_option("script_location", str(directory))
    for message in (None, "one more", "and another"):
        if message is not None:
            command.revision(config, message)
        migrations.revisions.cache_clear()
        found = ScriptDirectory(str(directory)).walk_revisions()
        assert migrations.revisions() == tuple(script.revision for script in found)
    migrations.revisions.cache_clear()


def test_a_service_with_a_current_schema_needs_no_alembic(migrated: str, tmp_path: Path) -> None:
    """Alembic takes a tenth of the time of a start. This service could not import it."""
    (tmp_path / "alembic.py").write_text("raise RuntimeError('imported')")
    with running_service(tmp_path, DATABASE_URL=migrated, PYTHONPATH=f"{tmp_path}:{ROOT}") as service:
        assert "migrations.applied" in service.read_log()


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def _constraints(url: str) -> list[tuple[Any, ...]]:
    return _rows(
        url,
        "SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2",
    )


def _indexes(url: str) -> list[tuple[Any, ...]]:
    return _rows(
        url,
        "SELECT tablename, indexname, indexdef FROM pg_indexes "
        "WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2",
    )


def _relations(url: str) -> list[str]:
    """All named objects in the schema: tables, indexes, sequences, types, functions."""
    return [
        name
        for (name,) in _rows(
            url,
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "UNION SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typrelid = 0 "
            "AND typelem = 0 UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
        )
    ]


def _tasks_api(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "server", *arguments],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BETTER_AUTH_SECRET": SECRET,
            **MEASURED,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=_WAIT_SECONDS,
        check=False,
    )


def test_the_models_equal_the_migrations(migrated: str) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(migrated), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
        )
        assert compare_metadata(context, metadata) == []


def test_constraints_and_indexes_equal_those_of_the_migrations(empty: str, migrated: str) -> None:
    """Alembic compares neither CHECK constraints nor the definitions of keys, so the catalogues are compared."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(empty), poolclass=NullPool)
    metadata.create_all(engine)
    assert _constraints(empty) == _constraints(migrated)
    assert _indexes(empty) == _indexes(migrated)


def test_a_downgrade_leaves_nothing_and_an_upgrade_follows(empty: str) -> None:
    runner.upgrade(empty)
    before = _relations(empty)
    assert {"users", "tasks"} <= set(before)

    runner.downgrade(empty, "base")
    assert _relations(empty) == ["alembic_version", "alembic_version_pkc"]
    assert _rows(empty, "SELECT * FROM alembic_version") == []

    runner.upgrade(empty)
    assert _relations(empty) == before
    assert _rows(empty, "SELECT * FROM alembic_version") == [(migrations.head(),)]


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(migrated: str) -> None:
    catalogue = "SELECT oid, xmin FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before = _rows(migrated, catalogue)
    runner.upgrade(migrated)
    assert _rows(migrated, catalogue) == before


@pytest.mark.exhaustive(0)
def test_twelve_processes_can_upgrade_at_once(empty: str) -> None:
    program = "import sys; from persistence.migrations import runner; runner.upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, empty], cwd=ROOT, stderr=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(12)
    ]
    errors = [process.communicate(timeout=_WAIT_SECONDS)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 12, errors
    assert _rows(empty, "SELECT * FROM alembic_version") == [(migrations.head(),)]


def test_an_upgrade_does_not_wait_for_ever_for_another(empty: str) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute(f"SELECT pg_advisory_xact_lock({runner.LOCK})".encode())
        with pytest.raises(MigrationError, match="lock timeout"):
            runner.upgrade(empty)
    runner.upgrade(empty)


def test_a_failed_upgrade_changes_nothing(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE TABLE tasks (of_somebody_else text)")
    with pytest.raises(MigrationError, match='"tasks" already exists'):
        runner.upgrade(empty)
    assert _relations(empty) == ["tasks"]


def test_a_database_of_a_newer_release_is_left_alone_and_ready(empty: str, tmp_path: Path) -> None:
    runner.upgrade(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of-a-newer-release'")
        connection.execute("ALTER TABLE tasks ADD COLUMN of_a_newer_release text")
    catalogue = "SELECT oid, xmin FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before = _rows(empty, catalogue)

    runner.upgrade(empty)
    with pytest.raises(MigrationError, match="of-a-newer-release"):
        runner.downgrade(empty, "base")
    with running_service(tmp_path, DATABASE_URL=empty) as service:
        created = service.as_user("ada").post("/api/ada/tasks", json={"title": "Stay"})
        assert created.status_code == httpx2.codes.CREATED

    assert _rows(empty, catalogue) == before
    assert _rows(empty, "SELECT * FROM alembic_version") == [("of-a-newer-release",)]


def test_without_migrate_on_start_the_command_makes_it_ready(empty: str, tmp_path: Path) -> None:
    with running_service(tmp_path, ready=False, DATABASE_URL=empty, MIGRATE_ON_START="false") as service:
        ada = service.as_user("ada")
        for answer in (ada.get("/health/ready"), ada.get("/api/ada/tasks"), ada.get("/api/ada")):
            assert answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["code"] == "service-unavailable"
        assert ada.get("/health").status_code == httpx2.codes.OK
        assert _relations(empty) == []

        done = _tasks_api("migrate", cwd=tmp_path, DATABASE_URL=empty)
        assert (done.returncode, done.stdout) == (0, f"The database is at revision {migrations.head()}.\n")

        assert ada.get("/health/ready").json()["status"] == "ready"
        assert ada.get("/api/ada/tasks").json() == []


def test_the_migrate_command_uses_the_migrations_address(empty: str, tmp_path: Path) -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/postgres"
    done = _tasks_api("migrate", cwd=tmp_path, DATABASE_URL=nowhere, MIGRATIONS_DATABASE_URL=empty)
    assert done.returncode == 0, done.stderr
    assert "tasks" in _relations(empty)


def test_the_command_goes_back_as_far_as_it_is_told(empty: str, tmp_path: Path) -> None:
    runner.upgrade(empty)
    done = _tasks_api("migrate", "--down-to", "base", "--yes", cwd=tmp_path, DATABASE_URL=empty)
    assert (done.returncode, done.stdout) == (0, "The database is at revision base.\n")
    assert _relations(empty) == ["alembic_version", "alembic_version_pkc"]
    unknown = _tasks_api("migrate", "--down-to", "nowhere", "--yes", cwd=tmp_path, DATABASE_URL=empty)
    assert (unknown.returncode, "Traceback" in unknown.stderr) == (2, False)


def test_the_command_says_in_one_sentence_why_it_failed(tmp_path: Path) -> None:
    url = "postgresql://postgres:hunter2hunter2@127.0.0.1:1/postgres"
    done = _tasks_api("migrate", cwd=tmp_path, DATABASE_URL=url)
    assert done.returncode == 2
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_the_times_of_claims_come_without_a_rewrite(empty: str) -> None:
    """No row is touched, and a replica of the previous release goes on writing users."""
    runner.upgrade(empty)
    runner.downgrade(empty, "0003")
    user = "INSERT INTO users (id, email, name) VALUES ('{}', 'ada@example.com', 'Ada')"
    with psycopg.connect(empty) as connection:
        connection.execute(user.format("before").encode())
    stored = "SELECT pg_relation_filenode('users'), xmin, ctid FROM users WHERE id = 'before'"
    before = _rows(empty, stored)
    runner.upgrade(empty)
    assert _rows(empty, stored) == before
    with psycopg.connect(empty) as connection:
        connection.execute(user.format("after").encode())
    assert _rows(empty, "SELECT id, email_as_of, name_as_of FROM users ORDER BY 1") == [
        ("after", None, None),
        ("before", None, None),
    ]
    runner.downgrade(empty, "0003")
    assert _rows(empty, "SELECT id, email, name FROM users ORDER BY 1") == [
        (name, "ada@example.com", "Ada") for name in ("after", "before")
    ]
