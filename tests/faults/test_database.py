"""A database that is away, silent, busy or read-only, at rest and under load."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

from tests.faults.load import CLIENTS, Load
from tests.faults.probes import (
    RECOVERY_SECONDS,
    answers,
    assert_nothing_unexpected,
    assert_unavailable,
    is_ready,
    seconds_to_end,
)
from tests.support.figures import Figures
from tests.support.servers.postgres import Postgres
from tests.support.service import Service, free_port, running_service
from tests.support.waiting import until

_ANY_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_OPERATIONS = [
    ("GET", "/api/ada/tasks", None),
    ("POST", "/api/ada/tasks", {"title": "Buy milk"}),
    ("GET", f"/api/ada/tasks/{_ANY_ID}", None),
    ("PUT", f"/api/ada/tasks/{_ANY_ID}", {"completed": True}),
    ("PATCH", f"/api/ada/tasks/{_ANY_ID}/complete", None),
    ("DELETE", f"/api/ada/tasks/{_ANY_ID}", None),
    ("GET", "/api/ada", None),
    ("GET", "/health/ready", None),
]


def _ask_everything(client: httpx2.Client) -> list[httpx2.Response]:
    """Every operation that needs the database, all at once."""
    with ThreadPoolExecutor(len(_OPERATIONS)) as threads:
        return list(threads.map(lambda one: client.request(one[0], one[1], json=one[2]), _OPERATIONS))


def test_a_service_that_starts_before_its_database_finds_it(tmp_path: Path) -> None:
    port = free_port()
    postgres = Postgres(tmp_path / "cluster", port)
    with running_service(tmp_path, ready=False, DATABASE_URL=postgres.url(), DATABASE_WAIT_SECONDS="1") as service:
        ada = service.as_user("ada")
        for answer in _ask_everything(ada):
            assert_unavailable(answer)
        assert ada.get("/health").json() == {"status": "ok"}

        postgres.start()
        try:
            until(lambda: is_ready(service))
            assert ada.post("/api/ada/tasks", json={"title": "Buy milk"}).status_code == httpx2.codes.CREATED
            assert_nothing_unexpected(service)
        finally:
            postgres.stop()


def test_after_a_restart_of_the_database_no_request_fails(postgres: Postgres, database: str, tmp_path: Path) -> None:
    """Every connection in the pool is dead then, and none of them may cost the request its answer."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        _fill_pool(service, database)
        postgres.stop()
        postgres.start()
        start = time.monotonic()
        assert service.as_user("ada").get("/api/ada/tasks").status_code == httpx2.codes.OK
        assert time.monotonic() - start < 2
        assert_nothing_unexpected(service)


def _fill_pool(service: Service, database: str) -> None:
    """Have the service open all the connections that it may: each is held up by a lock until all are there."""
    client = service.as_user("ada")

    def ask(_: int) -> int:
        return client.get("/api/ada/tasks").status_code

    def count() -> int:
        with psycopg.connect(database) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'tasks-api'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    with ThreadPoolExecutor(10) as threads:
        with psycopg.connect(database) as lock:
            lock.execute("LOCK TABLE tasks")
            statuses = threads.map(ask, range(10))
            until(lambda: count() == 10)
        assert set(statuses) == {200}


def _terminate(database: str) -> int:
    """End the service's connections to this database; how many there were."""
    with psycopg.connect(database, autocommit=True) as connection:
        return len(
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'tasks-api'"
            ).fetchall()
        )


def test_connections_that_an_operator_ends_are_replaced(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        client = service.as_user("ada")
        _fill_pool(service, database)
        assert _terminate(database) == 10
        assert client.get("/api/ada/tasks").status_code == httpx2.codes.OK
        assert_nothing_unexpected(service)


def test_requests_wait_a_bounded_time_for_a_connection(database: str, tmp_path: Path) -> None:
    with running_service(
        tmp_path, DATABASE_URL=database, DATABASE_POOL_SIZE="1", DATABASE_WAIT_SECONDS="0.5"
    ) as service:
        ada = service.as_user("ada")
        assert ada.get("/api/ada/tasks").json() == []
        with psycopg.connect(database) as other, ThreadPoolExecutor(21) as threads:
            other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            blocked = threads.submit(ada.get, "/api/ada/tasks")
            until(lambda: _waiting_for_locks(other))
            start = time.monotonic()
            for answer in threads.map(ada.get, ["/api/ada/tasks"] * 20):
                assert_unavailable(answer)
            assert time.monotonic() - start < 3
            # The request that got the connection does not wait for the lock for ever either.
            assert_unavailable(blocked.result())
            assert ada.get("/health").status_code == httpx2.codes.OK
        assert ada.get("/api/ada/tasks").status_code == httpx2.codes.OK
        assert_nothing_unexpected(service)


@pytest.mark.usefixtures("many_files")
def test_a_thousand_idle_clients_take_nothing_from_the_others(database: str, tmp_path: Path) -> None:
    """The connections to the database then have numbers beyond the 1,024 that select(2) takes."""
    with running_service(tmp_path, DATABASE_URL=database) as service, contextlib.ExitStack() as idle:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        for _ in range(1100):
            idle.enter_context(socket.create_connection(address))
        _fill_pool(service, database)
        assert service.as_user("ada").get("/api/ada/tasks").json() == []
        assert_nothing_unexpected(service)


def _waiting_for_locks(connection: psycopg.Connection[Any]) -> bool:
    return connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


def test_a_database_that_accepts_and_says_nothing_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres"
        with running_service(tmp_path, ready=False, DATABASE_URL=url, DATABASE_WAIT_SECONDS="1") as service:
            start = time.monotonic()
            for answer in _ask_everything(service.as_user("ada")):
                assert_unavailable(answer)
            assert time.monotonic() - start < 5
            assert_nothing_unexpected(service)
            assert seconds_to_end(service) < 15


def test_a_frozen_database_is_unavailable_until_it_resumes(postgres: Postgres, database: str, tmp_path: Path) -> None:
    """Like a network that drops every packet: no connection is closed, and no answer comes."""
    with running_service(tmp_path, DATABASE_URL=database, DATABASE_WAIT_SECONDS="1") as service:
        ada = service.as_user("ada")
        _fill_pool(service, database)
        with postgres.frozen():
            start = time.monotonic()
            for answer in _ask_everything(ada):
                assert_unavailable(answer)
            assert time.monotonic() - start < 25
            assert ada.get("/health").status_code == httpx2.codes.OK
        until(lambda: ada.get("/api/ada/tasks").status_code == httpx2.codes.OK)
        assert_nothing_unexpected(service)


def test_a_read_only_database_still_serves_reads(database: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        ada = service.as_user("ada")
        created = ada.post("/api/ada/tasks", json={"title": "Buy milk"})
        assert created.status_code == httpx2.codes.CREATED, created.text
        task = created.headers["location"]
        _set_read_only(database, "on")

        assert ada.get("/api/ada/tasks").json() == [created.json()]
        assert ada.get(task).json() == created.json()
        assert ada.get("/api/ada").json()["tasks"] == {"total": 1, "completed": 0, "pending": 1}
        # What a new token says cannot be recorded.
        renamed = service.as_user("ada", name="Ada").get("/api/ada")
        assert (renamed.status_code, renamed.json()["name"]) == (httpx2.codes.OK, None)
        assert ada.get("/health/ready").status_code == httpx2.codes.OK
        assert_unavailable(ada.post("/api/ada/tasks", json={"title": "Buy bread"}))
        assert_unavailable(ada.put(task, json={"completed": True}))
        assert_unavailable(ada.patch(f"{task}/complete"))
        assert_unavailable(ada.delete(task))
        assert_unavailable(service.as_user("bob").get("/api/bob"))

        _set_read_only(database, "off")
        assert ada.patch(f"{task}/complete").json()["completed"] is True
        assert_nothing_unexpected(service)


def _set_read_only(database: str, value: str) -> None:
    with psycopg.connect(database, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}".encode())
    _terminate(database)


_Fault = Callable[[Postgres], None]
_OUTAGES: dict[str, _Fault] = {
    "stopped": Postgres.stop,
    "crashed": lambda postgres: postgres.stop("immediate"),
    "killed": Postgres.kill,
}


@pytest.mark.parametrize("how", _OUTAGES)
def test_an_outage_of_the_database_loses_nothing(
    how: str, postgres: Postgres, database: str, tmp_path: Path, figures: Figures
) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = Load(service)
        with load.running():
            load.goes_on()
            _OUTAGES[how](postgres)
            until(lambda: load.count(503) >= CLIENTS)
            assert service.client().get("/health").status_code == httpx2.codes.OK
            postgres.start()
            recovery = load.seconds_until_served(time.monotonic())
            load.goes_on()
        load.record(figures, f"PostgreSQL {how} and started again", recovery_seconds=recovery)
        assert recovery < RECOVERY_SECONDS
        assert_nothing_unexpected(service)


def test_a_killed_backend_ends_all_connections_and_loses_nothing(
    postgres: Postgres, database: str, tmp_path: Path, figures: Figures
) -> None:
    """PostgreSQL ends all its other processes then, and recovers by itself."""
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = Load(service)
        with load.running():
            load.goes_on()
            before = _backends(database)
            os.kill(before[0], signal.SIGKILL)
            until(lambda: not any(map(psutil.pid_exists, before)))
            until(lambda: answers(postgres.url()))
            recovery = load.seconds_until_served(time.monotonic())
            load.goes_on()
        load.record(figures, "One backend of PostgreSQL killed", recovery_seconds=recovery)
        assert recovery < RECOVERY_SECONDS
        assert_nothing_unexpected(service)


def test_connections_ended_again_and_again_lose_nothing(database: str, tmp_path: Path, figures: Figures) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = Load(service)
        ended = 0
        recovery = 0.0
        with load.running():
            for _ in range(5):
                load.goes_on()
                ended += _terminate(database)
                recovery = max(recovery, load.seconds_until_served(time.monotonic()))
        # Only the requests that were under way when their connection ended are refused.
        assert load.count(503) <= ended
        load.record(figures, "All connections terminated, five times", recovery_seconds=recovery)
        assert recovery < RECOVERY_SECONDS
        assert_nothing_unexpected(service)


def test_hanging_statements_are_cancelled_and_delay_nobody(database: str, tmp_path: Path, figures: Figures) -> None:
    """As many hang as there are connections but two; the wait is the one that a free connection may take, and as
    long again.
    """
    hanging, wait = 8, 5.0
    with running_service(tmp_path, DATABASE_URL=database) as service, ThreadPoolExecutor(hanging) as threads:
        eve = service.as_user("eve")
        task = eve.post("/api/eve/tasks", json={"title": "Held"}).headers["location"]
        load = Load(service)
        with psycopg.connect(database) as other, load.running():
            load.goes_on()
            other.execute("SELECT FROM tasks WHERE user_id = 'eve' FOR UPDATE")
            start = time.monotonic()
            answers = list(threads.map(lambda _: eve.patch(f"{task}/complete"), range(hanging)))
            bound = time.monotonic() - start
            load.goes_on()
        for answer in answers:
            assert_unavailable(answer)
        assert bound < wait + 2
        # No other request was refused, or kept waiting.
        assert load.count(503) == 0
        assert max(one.ended_at - one.started_at for one in load.attempts) < wait / 2
        load.record(figures, "Statements that hang on a lock")
        assert eve.get(task).json()["completed"] is False
        assert eve.patch(f"{task}/complete").json()["completed"] is True
        assert_nothing_unexpected(service)


def _backends(database: str) -> list[int]:
    """The processes of PostgreSQL that serve the service."""
    with psycopg.connect(database) as connection:
        return [
            pid
            for (pid,) in connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tasks-api'"
            ).fetchall()
        ]
