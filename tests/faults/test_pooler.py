"""PgBouncer between the service and its database."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from persistence.migrations import runner
from tests.faults.probes import assert_nothing_unexpected
from tests.support.servers.pgbouncer import pgbouncer
from tests.support.servers.postgres import Postgres
from tests.support.service import running_service

RECORD = b'{"title":"Imported"}'
NDJSON = {"content-type": "application/x-ndjson"}


def keyed_twice(client: httpx2.Client, path: str, key: str, **arguments: Any) -> list[int]:
    """Send a request with an `Idempotency-Key` twice, and return both statuses."""
    headers = {**arguments.pop("headers", {}), "idempotency-key": key}
    first, second = (client.post(path, headers=headers, **arguments) for _ in range(2))
    assert (second.content, second.headers.get("idempotent-replayed")) == (first.content, "true")
    return [first.status_code, second.status_code]


def test_a_pooler_without_prepared_statements_is_supported(postgres: Postgres, database: str, tmp_path: Path) -> None:
    with pgbouncer(tmp_path / "pgbouncer", database, postgres.port) as url:
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as two:
            # Otherwise the test would prove nothing: two clients are given the same connection to the server.
            one.execute("SELECT 1", prepare=True)
            with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
                two.execute("SELECT 1", prepare=True)
            one.execute("DEALLOCATE ALL")
        with running_service(tmp_path, DATABASE_URL=url) as service:
            clients = {name: service.as_user(name) for name in ("ada", "bob", "eve")}

            def session(number: int) -> list[int]:
                name = ("ada", "bob", "eve")[number % 3]
                client = clients[name]
                created = client.post(f"/api/{name}/tasks", json={"title": f"Task {number}"})
                task = created.headers["location"]
                return [
                    created.status_code,
                    client.get(f"/api/{name}/tasks?limit=5&sort=-title").status_code,
                    client.get(task).status_code,
                    client.put(task, json={"description": "Soon"}).status_code,
                    client.patch(f"{task}/complete").status_code,
                    client.get(f"/api/{name}").status_code,
                    client.delete(task).status_code,
                    *keyed_twice(client, f"{task}/restore", str(number)),
                ]

            with ThreadPoolExecutor(20) as threads:
                sessions = list(threads.map(session, range(60)))
            assert sessions == [[201, 200, 200, 200, 200, 200, 204, 200, 200]] * 60
            for name, client in clients.items():
                path = f"/api/{name}/tasks"
                assert keyed_twice(client, f"{path}/import", "import", content=RECORD, headers=NDJSON) == [200, 200]
                assert len(client.get(path).json()) == 21
            assert_nothing_unexpected(service)
        runner.downgrade(url, "base")
        runner.upgrade(url)


def test_the_encoding_of_the_session_is_set_through_a_pooler(postgres: Postgres, database: str, tmp_path: Path) -> None:
    """The title has characters that the encoding of the database's sessions lacks."""
    title = "Æble, 日本語, 🥛"
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {admin.info.dbname} SET client_encoding = 'LATIN1'".encode())
    with (
        pgbouncer(tmp_path / "pgbouncer", database, postgres.port) as url,
        running_service(tmp_path, DATABASE_URL=url) as service,
    ):
        client = service.as_user("ada")
        assert client.post("/api/ada/tasks", json={"title": title}).status_code == 201
        assert [task["title"] for task in client.get("/api/ada/tasks").json()] == [title]
