"""Many processes that start at once, and migrations that fail."""

from collections import Counter
from pathlib import Path

import httpx2
import psycopg

from tests.faults.load import Load
from tests.faults.probes import RECOVERY_SECONDS, assert_nothing_unexpected, assert_unavailable, is_ready
from tests.support.figures import Figures
from tests.support.service import running_service
from tests.support.waiting import until

_MANY = 20


def test_twenty_workers_start_at_once_on_an_empty_database(database: str, tmp_path: Path, figures: Figures) -> None:
    """One migrates and the others find the work done; none is taken for one that hangs, and replaced."""
    with running_service(tmp_path, DATABASE_URL=database, WORKERS=str(_MANY), DATABASE_POOL_SIZE="2") as service:
        until(lambda: _said(service.log)["Application startup complete"] >= _MANY, 60)
        until(lambda: _said(service.log)["migrations.applied"] >= _MANY, 30)
        load = Load(service)
        with load.running():
            load.goes_on()
        assert load.count(503) == 0
        load.record(figures, f"{_MANY} workers starting at once on an empty database")
        said = _said(service.log)
        assert said["Application startup complete"] == said["migrations.applied"] == _MANY
        assert (said["died"], said["migrations.postponed"]) == (0, 0)
        assert_nothing_unexpected(service)


def _said(log: Path) -> Counter[str]:
    text = log.read_text()
    events = ("Application startup complete", "migrations.applied", "migrations.postponed", "died")
    return Counter({event: text.count(event) for event in events})


def test_a_failing_migration_changes_nothing_and_is_retried(database: str, tmp_path: Path, figures: Figures) -> None:
    """A foreign table has the name of the last index, so that all statements before it succeed."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE ix_tasks_user_id_completed_created_at_id ()")
        before = _relations(connection)
    with running_service(tmp_path, ready=False, DATABASE_URL=database) as service:
        until(lambda: "migrations.postponed" in service.log.read_text())
        ada = service.as_user("ada")
        refusals = [
            ada.get("/health/ready"),
            ada.get("/api/ada/tasks"),
            ada.post("/api/ada/tasks", json={"title": "A"}),
        ]
        for answer in refusals:
            assert_unavailable(answer)
        assert ada.get("/health").status_code == httpx2.codes.OK
        with psycopg.connect(database) as connection:
            assert _relations(connection) == before
            connection.execute("DROP TABLE ix_tasks_user_id_completed_created_at_id")
        recovery = until(lambda: is_ready(service), RECOVERY_SECONDS)
        assert ada.post("/api/ada/tasks", json={"title": "A"}).status_code == httpx2.codes.CREATED
        (line,) = {line.partition("reason=")[2] for line in service.log.read_text().splitlines() if "postponed" in line}
        assert "already exists" in line
        assert_nothing_unexpected(service)
    figures("A migration that fails half way", len(refusals) + 1, len(refusals) + 1, recovery_seconds=recovery)


def _relations(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
