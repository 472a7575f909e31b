"""Imports with an `Idempotency-Key` while connections to the database end, and services are killed."""

from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.idempotency.operations import NDJSON
from tests.idempotency.requests import FIELD
from tests.idempotency.writers import FAILURES, Failure
from tests.support.servers.postgres import fresh_database
from tests.support.types import Connection

RECORDS = 3


def send_import(client: httpx2.Client, url: str, name: str) -> httpx2.Response:
    """Import records without ids, whose titles are the key."""
    content = f'{{"title":"{name}"}}\n' * RECORDS
    answer = client.post(f"{url}/api/tasks/import", content=content, headers={**NDJSON, FIELD: name})
    assert not answer.is_success or answer.json() == {"imported": RECORDS, "unchanged": 0}
    return answer


def assert_each_import_was_made_once(connection: Connection, keys: set[str]) -> None:
    titles = dict(connection.execute("SELECT title, count(*) FROM tasks GROUP BY 1").fetchall())
    assert titles == dict.fromkeys(keys, RECORDS)
    kept = connection.execute("SELECT key, result->>'count' FROM idempotency_keys JOIN idempotency_results USING (key)")
    assert sorted(kept) == [(key, str(RECORDS)) for key in sorted(keys)]


@pytest.mark.exhaustive(1)
@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_never_repeats_an_import(failure: Failure, database_url: str, tmp_path: Path) -> None:
    with fresh_database(database_url) as url, psycopg.connect(url, autocommit=True) as connection:
        acknowledged = failure(url, tmp_path, send_import, 4)
        assert_each_import_was_made_once(connection, acknowledged)
