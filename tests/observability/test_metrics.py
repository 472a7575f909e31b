"""The metrics of requests, statements, connections, refusals and background work."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from prometheus_client import REGISTRY

from persistence.migrations import runner
from persistence.postgres.database import Database
from server import lifespan
from tests.observability.scrape import growth, scrape, series, wait_for
from tests.support.service import Service, running_service, token
from tests.support.types import Connection, Owner
from tests.support.waiting import until


def test_requests_are_counted_by_operation_and_status(service: Service, ada: Owner) -> None:
    client = ada[1]
    found = growth(service, lambda: [client.get("/api/tasks"), client.get("/api/tasks"), client.get("/api/tasks/x")])
    assert found[series("http_requests_total", method="GET", operation="listMyTasks", status="200")] == 2
    assert found[series("http_requests_total", method="GET", operation="getMyTask", status="422")] == 1
    assert found[series("http_request_duration_seconds_count", operation="listMyTasks")] == 2


def test_errors_are_counted_by_the_code_of_the_problem(service: Service, ada: Owner) -> None:
    client = ada[1]
    found = growth(
        service,
        lambda: [
            client.get(f"/api/tasks/{uuid.uuid4()}"),
            client.post("/api/tasks", json={}),
            client.get("/api/somebody-else/tasks"),
            client.get("/no-such-path"),
            client.get("/api/tasks"),
        ],
    )
    errors = {name: value for name, value in found.items() if name.startswith("http_request_errors_total")}
    assert errors == {
        series("http_request_errors_total", operation="getMyTask", code="task-not-found"): 1,
        series("http_request_errors_total", operation="createMyTask", code="validation-failed"): 1,
        series("http_request_errors_total", operation="listTasks", code="forbidden"): 1,
        series("http_request_errors_total", operation="none", code="not-found"): 1,
    }


def test_buckets_tell_a_millisecond_from_ten(service: Service) -> None:
    """A read takes about a millisecond, and a request that waits for the database up to ten seconds and more."""
    bounds = {
        float(name.rpartition('le="')[2].partition('"')[0])
        for name in scrape(service)
        if name.startswith("http_request_duration_seconds_bucket")
    }
    assert {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1, 10, 30} <= bounds


def test_statements_are_counted_by_name(service: Service, ada: Owner) -> None:
    client = ada[1]
    location = client.post("/api/tasks", json={"title": "Buy milk"}).headers["location"]
    found = growth(service, lambda: [client.get(location), client.get(location), client.get("/api/tasks")])
    counts = {name: value for name, value in found.items() if name.startswith("database_statement_duration_seconds_c")}
    assert counts == {
        series("database_statement_duration_seconds_count", statement="get_task"): 2,
        series("database_statement_duration_seconds_count", statement="list_tasks"): 1,
    }


def test_refused_tokens_are_counted_by_reason(service: Service) -> None:
    expired = service.client(authorization=f"Bearer {token('ada', seconds=-60)}")
    found = growth(service, lambda: [expired.get("/api/tasks"), service.client().get("/api/tasks")])
    assert found[series("token_refusals_total", reason="expired")] == 1
    assert found[series("token_refusals_total", reason="no Authorization header")] == 1


def test_idempotent_replays_are_counted(service: Service, ada: Owner) -> None:
    key = {"idempotency-key": f'"{uuid.uuid4()}"'}
    found = growth(service, lambda: [ada[1].post("/api/tasks", json={"title": "t"}, headers=key) for _ in range(3)])
    assert found[series("idempotent_replays_total", operation="createMyTask")] == 2


def test_the_build_and_the_state_of_migrations_are_shown(service: Service) -> None:
    metrics = scrape(service)
    version = service.client().get("/openapi.json").json()["info"]["version"]
    assert [name for name in metrics if name.startswith("build_info") and f'version="{version}"' in name]
    assert metrics["migrations_pending"] == 0
    assert metrics["database_away"] == 0
    assert metrics["event_loop_lag_seconds"] >= 0


# What one needs a service of its own for


@pytest.fixture
def blocked(small: Service, admin: Connection) -> Iterator[list[httpx2.Response]]:
    """Four requests for one task, of which two have a connection and wait for the row, and two wait for these."""
    client = small.as_user("ada")
    location = client.post("/api/tasks", json={"title": "Buy milk"}).headers["location"]
    answers: list[httpx2.Response] = []
    with ThreadPoolExecutor() as threads:
        with admin.transaction():
            admin.execute("SELECT FROM tasks FOR UPDATE")
            made = [threads.submit(client.patch, f"{location}/complete") for _ in range(4)]
            yield answers
        answers += [one.result() for one in made]


def test_requests_in_progress_and_waits_are_shown(small: Service, blocked: list[httpx2.Response]) -> None:
    del blocked
    wait_for(small, series("http_requests_in_progress", operation="toggleMyTaskCompletion"), 4)
    wait_for(small, series("database_pool_connections", state="in_use"), 2)
    wait_for(small, "database_pool_waiting", 2)
    assert scrape(small)["database_pool_size"] == 2


def test_nothing_is_in_progress_afterwards(small: Service) -> None:
    wait_for(small, series("http_requests_in_progress", operation="toggleMyTaskCompletion"), 0)
    wait_for(small, series("database_pool_connections", state="in_use"), 0)
    wait_for(small, "database_pool_waiting", 0)


def test_failed_statements_are_counted(small: Service, admin: Connection) -> None:
    client = small.as_user("ada")
    with admin.transaction():
        admin.execute("LOCK TABLE tasks")
        found = growth(small, lambda: client.get("/api/tasks"))
    assert found[series("database_statement_failures_total", statement="list_tasks")] == 1
    assert found[series("http_request_errors_total", operation="listMyTasks", code="service-unavailable")] == 1


def test_repeated_statements_are_counted(small: Service, admin: Connection) -> None:
    """A trigger fails the first attempt with a serialization failure."""
    client = small.as_user("ada")
    admin.execute("CREATE SEQUENCE attempts")
    admin.execute(
        "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('attempts') = 1 THEN "
        "RAISE EXCEPTION USING ERRCODE = '40001'; END IF; RETURN NEW; END $$"
    )
    admin.execute("CREATE TRIGGER fail_once BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION fail_once()")
    try:
        found = growth(small, lambda: client.post("/api/tasks", json={"title": "t"}))
    finally:
        admin.execute("DROP TRIGGER fail_once ON tasks")
    assert found[series("database_statement_retries_total", statement="create_task")] == 1
    assert found[series("database_statement_duration_seconds_count", statement="create_task")] == 2


async def test_a_purge_is_shown(own_database: str, admin: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first purge of a service is minutes after its start, so that its task runs here without that pause."""
    runner.upgrade(own_database)
    admin.execute("INSERT INTO users (id) VALUES ('old')")
    admin.execute(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, created_at) "
        "VALUES ('old', 'k', decode(repeat('00', 32), 'hex'), now() - interval '2 days')"
    )
    monkeypatch.setattr(lifespan, "_FIRST_PURGE_SECONDS", 0.0)
    removed = REGISTRY.get_sample_value("purge_removed_rows_total", {"table": "idempotency_keys"}) or 0
    database = Database()
    await database.open(own_database)
    begun_at = time.time()
    purging = asyncio.create_task(lifespan._purge(database, 30))  # noqa: SLF001
    try:
        await asyncio.to_thread(
            until, lambda: (REGISTRY.get_sample_value("purge_last_success_timestamp_seconds") or 0) >= begun_at
        )
    finally:
        purging.cancel()
        await database.close()
    assert REGISTRY.get_sample_value("purge_removed_rows_total", {"table": "idempotency_keys"}) == removed + 1
    assert REGISTRY.get_sample_value(
        "database_statement_duration_seconds_count", {"statement": "purge_idempotency_keys"}
    )


def test_metrics_can_be_turned_off(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("off")
    with running_service(directory, DATABASE_URL=database_url, METRICS_ENABLED="false") as service:
        client = service.client()
        assert client.get("/metrics").status_code == httpx2.codes.NOT_FOUND
        assert "metrics" not in client.get("/").text
