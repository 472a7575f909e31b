"""Imports with an `Idempotency-Key` while connections to the database end, and services are killed."""

from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.idempotency.operations import NDJSON
from tests.idempotency.requests import FIELD, WAIT_SECONDS
from tests.idempotency.test_concurrency import END_CONNECTIONS, Writers
from tests.support.servers.postgres import fresh_database
from tests.support.service import running_service
from tests.support.types import Connection

RECORDS = 3


class Importers(Writers):
    """Clients that import records without ids, whose titles are the key, until each import is acknowledged."""

    def send(self, client: httpx2.Client, name: str) -> httpx2.Response:
        content = f'{{"title":"{name}"}}\n' * RECORDS
        answer = client.post(f"{self.url}/api/tasks/import", content=content, headers={**NDJSON, FIELD: name})
        assert not answer.is_success or answer.json() == {"imported": RECORDS, "unchanged": 0}
        return answer


def assert_each_import_was_made_once(connection: Connection, keys: set[str]) -> None:
    titles = dict(connection.execute("SELECT title, count(*) FROM tasks GROUP BY 1").fetchall())
    assert titles == dict.fromkeys(keys, RECORDS)
    kept = connection.execute("SELECT key, result->>'count' FROM idempotency_keys JOIN idempotency_results USING (key)")
    assert sorted(kept) == [(key, str(RECORDS)) for key in sorted(keys)]


@pytest.mark.slow
def test_ended_connections_never_repeat_an_import(database_url: str, tmp_path: Path) -> None:
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path, DATABASE_URL=url) as service,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        importers = Importers(service.url, 4)
        for _ in range(8):
            importers.wait(10)
            connection.execute(END_CONNECTIONS)
        importers.stop()
        assert importers.unanswered > 0
        assert_each_import_was_made_once(connection, importers.acknowledged)


@pytest.mark.slow
def test_killed_services_never_repeat_an_import(database_url: str, tmp_path: Path) -> None:
    with fresh_database(database_url) as url, psycopg.connect(url, autocommit=True) as connection:
        importers = None
        for _ in range(2):
            with running_service(tmp_path, DATABASE_URL=url) as service:
                importers = importers or Importers(service.url, 4)
                importers.url = service.url
                importers.wait(20)
                service.process.kill()
                service.process.wait(WAIT_SECONDS)
        assert importers is not None
        with running_service(tmp_path, DATABASE_URL=url) as service:
            importers.url = service.url
            importers.stop()
        assert importers.unanswered > 0
        assert_each_import_was_made_once(connection, importers.acknowledged)
