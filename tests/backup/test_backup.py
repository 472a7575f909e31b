"""A backup is restored whole and unchanged. Real commands on real databases."""

import contextlib
import itertools
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psycopg
import pytest

from persistence import migrations
from persistence.migrations import runner
from tests.backup.commands import (
    SECONDS,
    TITLES,
    counts,
    fill,
    kept_rows,
    parts,
    place,
    refuse,
    relations,
    rows_in,
    seen_by_users,
    start_command,
    succeed,
    use,
)
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(1)


@pytest.mark.parametrize(
    ("source", "target"), [("embedded", "embedded"), ("embedded", "remote"), ("remote", "embedded")]
)
def test_what_was_kept_here_is_found_there(source: str, target: str, database: str, other: str, tmp_path: Path) -> None:
    """The backup is made while the service runs; the restore happens without the service and its database."""
    file = tmp_path / "tasks.backup"
    with place(source, tmp_path / "source", database) as here, place(target, tmp_path / "target", other) as there:
        with running_service(tmp_path / "source", ready=True, **here) as service:
            use(service)
            seen = seen_by_users(service)
            said = succeed("backup", file, cwd=tmp_path, **here)
            assert said == f"{file} holds {counts(rows_in(here))} (revision {migrations.head()}), and was read back.\n"
        kept = rows_in(here)
        assert min(map(len, kept.values())) > 0
        assert file.stat().st_mode & 0o777 == 0o600
        said = succeed("restore", file, cwd=tmp_path, **there)
        assert said.startswith(f"The database holds {counts(kept)}")
        assert rows_in(there) == kept
        with running_service(tmp_path / "target", ready=True, **there) as service:
            assert seen_by_users(service) == seen
            again = service.as_user("ada").post(
                "/api/tasks", json={"title": TITLES[0], "completed": True}, headers={"idempotency-key": "key-0"}
            )
            assert (again.status_code, rows_in(there)["tasks"]) == (201, kept["tasks"])


def test_a_backup_is_restored_while_the_embedded_database_serves(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        data = {"DATA_DIR": str(tmp_path / "data")}
        use(service)
        seen = seen_by_users(service)
        succeed("backup", "tasks.backup", cwd=tmp_path, **data)
        service.as_user("ada").post("/api/tasks", json={"title": "Later"})
        succeed("restore", "--replace", "tasks.backup", cwd=tmp_path, **data)
        assert seen_by_users(service) == seen
        assert "unexpected_error" not in service.read_log()


class Load:
    """Clients that write and read while the block runs, and the writes acknowledged to them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running = True
        self.statuses: set[int] = set()
        self.acknowledged: set[str] = set()

    def _work(self, number: int) -> None:
        client = self._service.as_user("ada")
        for count in itertools.count():
            if not self._running:
                return
            created = client.post("/api/tasks", json={"title": f"Task {count} of client {number}"})
            self.statuses.add(created.status_code)
            if created.status_code == httpx2.codes.CREATED:
                self.acknowledged.add(created.json()["id"])
                path = created.headers["location"]
                self.statuses.add(client.patch(f"{path}/toggle").status_code)
                self.statuses.add(client.get("/api/tasks?sort=title&limit=5").status_code)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(4) as threads:
            work = [threads.submit(self._work, number) for number in range(4)]
            try:
                yield
            finally:
                self._running = False
            for one in work:
                one.result()


def ids(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {str(name) for (name,) in connection.execute("SELECT id FROM tasks")}


def test_a_backup_under_load_holds_every_acknowledged_task(database: str, other: str, tmp_path: Path) -> None:
    """Every task that was acknowledged before the backup began."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = Load(service)
        with load.running():
            until(lambda: len(load.acknowledged) > 50, SECONDS)
            before = set(load.acknowledged)
            succeed("backup", "tasks.backup", cwd=tmp_path, DATABASE_URL=database)
            after = len(load.acknowledged)
        assert after > len(before)
        assert load.statuses == {200, 201}
    succeed("restore", "tasks.backup", cwd=tmp_path, DATABASE_URL=other)
    assert before <= ids(other) <= ids(database)


@pytest.mark.parametrize("revision", [migrations.head(), "0001"], ids=["same revision", "older revision"])
def test_a_service_under_load_survives_a_restore(database: str, other: str, tmp_path: Path, revision: str) -> None:
    runner.upgrade(other)
    fill(other, 2000)
    if revision != migrations.head():
        runner.downgrade(other, revision)
    succeed("backup", "tasks.backup", cwd=tmp_path, DATABASE_URL=other)
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = Load(service)
        with load.running():
            until(lambda: len(load.acknowledged) > 50, SECONDS)
            before = set(load.acknowledged)
            succeed("restore", "--replace", "tasks.backup", cwd=tmp_path, DATABASE_URL=database)
            after = len(load.acknowledged)
            until(lambda: len(load.acknowledged) > after + 50, SECONDS)
        assert {200, 201} <= load.statuses <= {200, 201, 404, 503}
        assert ids(other) <= ids(database)
        assert before.isdisjoint(ids(database))
        assert kept_rows(database)["alembic_version"] == [(migrations.head(),)]
        assert "unexpected_error" not in service.read_log()


def test_a_backup_of_an_older_revision_is_brought_forward(database: str, other: str, tmp_path: Path) -> None:
    fill(database)
    kept = kept_rows(database)
    runner.downgrade(database, "0001")
    succeed("backup", "tasks.backup", cwd=tmp_path, DATABASE_URL=database)
    said = succeed("restore", "tasks.backup", cwd=tmp_path, DATABASE_URL=other)
    assert said.endswith(f"is at revision {migrations.head()}.\n")
    assert kept_rows(other) == kept
    with fresh_database(database) as new:
        runner.upgrade(new)
        assert relations(other) == relations(new)


def test_a_full_disk_leaves_no_file(database: str, tmp_path: Path) -> None:
    fill(database, 20_000)
    said = refuse("backup", "full", cwd=tmp_path, limit=100_000, DATABASE_URL=database)
    assert "File too large" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_backup_that_is_ended_half_way_leaves_no_file(database: str, tmp_path: Path, number: signal.Signals) -> None:
    fill(database, 100_000)
    with start_command("backup", "ended", cwd=tmp_path, DATABASE_URL=database) as process:
        until(lambda: any(part.stat().st_size > 100_000 for part in parts(tmp_path)), SECONDS)
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert not (tmp_path / "ended").exists()
    assert number == signal.SIGKILL or parts(tmp_path) == []
    with psycopg.connect(database, autocommit=True) as connection:
        others = b"SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until(lambda: connection.execute(others).fetchone() is None, SECONDS)
    succeed("backup", "ended", cwd=tmp_path, DATABASE_URL=database)
