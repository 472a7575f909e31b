"""Statements that PostgreSQL refuses, for reasons that are caused for real. The class table is tested beside this."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.faults.probes import assert_nothing_unexpected, assert_unavailable, waiting_for_locks
from tests.support.service import Service, running_service
from tests.support.waiting import until

_Session = psycopg.Connection[Any]


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path, DATABASE_URL=database) as running:
        yield running


@pytest.fixture
def task(service: Service) -> str:
    """The address of a pending task of Ada."""
    location: str = service.as_user("ada").post("/api/ada/tasks", json={"title": "Buy milk"}).headers["location"]
    return location


@pytest.fixture
def admin(database: str) -> Iterator[_Session]:
    """A session of the operator beside the service; it does not look for deadlocks."""
    options = "-c default_transaction_read_only=off -c deadlock_timeout=60s"
    with psycopg.connect(database, autocommit=True, options=options) as connection:
        yield connection


def _end_sessions(admin: _Session) -> None:
    """End those of the service: the next ones have the settings of the database as they are now."""
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'tasks-api'"
    )


def _execute(admin: _Session, statement: str) -> None:
    admin.execute(statement.format(database=admin.info.dbname).encode())
    if statement.startswith("ALTER DATABASE"):
        _end_sessions(admin)


def _while_waiting(
    admin: _Session, request: Callable[[], httpx2.Response], then: Callable[[], object]
) -> httpx2.Response:
    """The answer to a request, after `then` was done while its statement waited for a lock."""
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(request)
        until(lambda: waiting_for_locks(admin.info.dsn) == 1)
        then()
        return answer.result()


# The SQLSTATE, the cause, and the remedy.
_LASTING = {
    "read-only database": (
        "25006",
        "ALTER DATABASE {database} SET default_transaction_read_only = on",
        "ALTER DATABASE {database} RESET default_transaction_read_only",
    ),
    "other search path": (
        "42P01",
        "ALTER DATABASE {database} SET search_path = elsewhere",
        "ALTER DATABASE {database} RESET search_path",
    ),
    "missing table": ("42P01", "ALTER TABLE tasks RENAME TO todos", "ALTER TABLE todos RENAME TO tasks"),
    "renamed column": (
        "42703",
        "ALTER TABLE tasks RENAME description TO body",
        "ALTER TABLE tasks RENAME body TO description",
    ),
    "missing unique constraint": (
        "42P10",
        "ALTER TABLE users DROP CONSTRAINT pk_users CASCADE",
        "ALTER TABLE users ADD CONSTRAINT pk_users PRIMARY KEY (id)",
    ),
}


@pytest.mark.parametrize(("sqlstate", "cause", "remedy"), _LASTING.values(), ids=_LASTING)
def test_a_statement_is_refused_until_the_cause_is_gone(
    sqlstate: str, cause: str, remedy: str, admin: _Session, service: Service
) -> None:
    client = service.as_user("ada")
    _execute(admin, cause)
    assert_unavailable(client.post("/api/ada/tasks", json={"title": "Refused"}))
    assert f"({sqlstate})" in service.read_log()
    _execute(admin, remedy)
    assert client.post("/api/ada/tasks", json={"title": "Taken"}).status_code == httpx2.codes.CREATED
    assert [one["title"] for one in client.get("/api/ada/tasks").json()] == ["Taken"]
    assert_nothing_unexpected(service)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        pytest.param("pg_cancel_backend(pid)", "QueryCanceled (57014)", id="57014"),
        pytest.param("pg_terminate_backend(pid)", "AdminShutdown (57P01)", id="57P01"),
    ],
)
def test_a_statement_that_an_operator_ends_is_unavailable(
    end: str, said: str, admin: _Session, service: Service, task: str
) -> None:
    client = service.as_user("ada")
    with admin.transaction():
        admin.execute("LOCK TABLE tasks")
        query = f"SELECT {end} FROM pg_stat_activity WHERE wait_event_type = 'Lock'".encode()  # noqa: S608
        assert_unavailable(_while_waiting(admin, lambda: client.get(task), lambda: admin.execute(query)))
    assert said in service.read_log()
    assert client.get(task).status_code == httpx2.codes.OK
    assert_nothing_unexpected(service)


def test_a_lock_timeout_of_the_database_is_unavailable(admin: _Session, service: Service, task: str) -> None:
    client = service.as_user("ada")
    _execute(admin, "ALTER DATABASE {database} SET lock_timeout = '50ms'")
    with admin.transaction():
        admin.execute("LOCK TABLE tasks")
        assert_unavailable(client.get(task))
    assert "(55P03)" in service.read_log()
    assert client.get(task).status_code == httpx2.codes.OK


def test_a_serialization_failure_is_repeated(admin: _Session, service: Service, task: str) -> None:
    """The row changed after the snapshot of the transaction was taken: 40001 at this isolation level."""
    client = service.as_user("ada")
    _execute(admin, "ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'")
    admin.execute("BEGIN")
    admin.execute("UPDATE tasks SET completed = true")
    toggled = _while_waiting(admin, lambda: client.patch(f"{task}/complete"), lambda: admin.execute("COMMIT"))
    assert (toggled.status_code, toggled.json()["completed"]) == (httpx2.codes.OK, False)


def test_a_deadlock_is_repeated(admin: _Session, service: Service, task: str) -> None:
    """Each session waits for a row of the other, and PostgreSQL ends the statement of the service (40P01)."""
    client = service.as_user("ada")
    second = client.post("/api/ada/tasks", json={"title": "Buy bread"}).headers["location"].rpartition("/")[2]
    admin.execute("BEGIN")
    admin.execute("UPDATE tasks SET title = title WHERE id = %s", [second])

    def lock_the_other() -> None:
        admin.execute("UPDATE tasks SET title = title WHERE id = %s", [task.rpartition("/")[2]])
        admin.execute("COMMIT")

    completed = _while_waiting(admin, lambda: client.patch("/api/ada/tasks", json={"completed": True}), lock_the_other)
    assert (completed.status_code, completed.json()) == (httpx2.codes.OK, {"count": 2})
    # The repeat may meet the other session again, before that gets the lock.
    row = admin.execute("SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row == (True,)


def test_a_changed_type_of_a_column_is_prepared_anew(admin: _Session, service: Service, task: str) -> None:
    """PostgreSQL refuses statements prepared before the change ("cached plan must not change result type", 0A000)."""
    client = service.as_user("ada")
    assert client.get(task).json()["title"] == "Buy milk"
    _execute(admin, "ALTER TABLE tasks ALTER COLUMN title TYPE varchar(300)")
    assert client.get(task).json()["title"] == "Buy milk"
    assert client.put(task, json={"title": "Buy bread"}).status_code == httpx2.codes.OK


def test_an_account_that_may_not_connect_is_unavailable(admin: _Session, database: str, tmp_path: Path) -> None:
    """Neither with too many connections (53300), nor without LOGIN (28000), nor without CONNECT (42501)."""
    admin.execute("CREATE ROLE visitor LOGIN CONNECTION LIMIT 0")
    url = database.replace("postgres@", "visitor@")
    try:
        with running_service(tmp_path, ready=False, DATABASE_URL=url, DATABASE_WAIT_SECONDS="0.5") as service:
            client = service.as_user("ada")
            assert_unavailable(client.get("/api/ada/tasks"))
            admin.execute("ALTER ROLE visitor NOLOGIN CONNECTION LIMIT -1")
            assert_unavailable(client.get("/api/ada/tasks"))
            _execute(admin, "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
            admin.execute("ALTER ROLE visitor LOGIN")
            assert_unavailable(client.get("/api/ada/tasks"))
            assert_nothing_unexpected(service)
    finally:
        admin.execute("DROP ROLE visitor")
