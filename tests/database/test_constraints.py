"""Constraints: rows that could not be answered are refused."""

from pathlib import Path

import psycopg
import pytest

from persistence.migrations import runner
from tests.support.service import running_service

_TASK = {
    "user_id": "'ada'",
    "id": "gen_random_uuid()",
    "title": "'Buy milk'",
    "title_key": "'buy milk'::bytea",
    "description": "NULL",
    "completed": "false",
    "created_at": "now()",
    "updated_at": "now()",
}
_USER = {"id": "'bob'", "email": "NULL", "name": "NULL", "created_at": "now()", "updated_at": "now()"}


def _insert(table: str, values: dict[str, str]) -> bytes:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})".encode()  # noqa: S608


@pytest.mark.parametrize("moment", ["'infinity'", "'-infinity'", "'10000-01-01 00:00+00'", "'0001-12-31 00:00+00 BC'"])
@pytest.mark.parametrize("column", ["created_at", "updated_at"])
@pytest.mark.parametrize(("table", "row"), [("tasks", _TASK), ("users", _USER)], ids=["task", "user"])
def test_a_moment_that_could_not_be_read_is_kept_out(
    migrated: str, table: str, row: dict[str, str], column: str, moment: str
) -> None:
    with psycopg.connect(migrated) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada')")
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            connection.execute(_insert(table, row | {column: moment}))
        assert caught.value.diag.constraint_name == f"ck_{table}_{column}_readable"
        connection.rollback()


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [
        ("tasks", _TASK, "title", "''"),
        ("tasks", _TASK, "title", "repeat('x', 65536)"),
        ("tasks", _TASK, "title_key", "''::bytea"),
        ("tasks", _TASK, "title_key", "convert_to(repeat('x', 1501), 'UTF8')"),
        ("tasks", _TASK, "description", "repeat('x', 65536)"),
        ("users", _USER, "id", "''"),
        ("users", _USER, "id", "repeat('x', 256)"),
        ("users", _USER, "email", "''"),
        ("users", _USER, "name", "''"),
    ],
)
def test_a_text_that_could_not_be_answered_is_kept_out(
    migrated: str, table: str, row: dict[str, str], column: str, value: str
) -> None:
    with psycopg.connect(migrated) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada')")
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            connection.execute(_insert(table, row | {column: value}))
        assert caught.value.diag.constraint_name == f"ck_{table}_{column}_length"
        connection.rollback()


@pytest.mark.parametrize("column", ["title", "title_key", "completed", "created_at", "updated_at", "user_id", "id"])
def test_a_task_has_no_gaps(migrated: str, column: str) -> None:
    with psycopg.connect(migrated) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada')")
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute(_insert("tasks", _TASK | {column: "NULL"}))
        connection.rollback()


def test_the_first_and_the_last_readable_moment_can_be_read(empty: str, tmp_path: Path) -> None:
    runner.upgrade(empty)
    first, last = "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada')")
        connection.execute(_insert("tasks", _TASK | {"created_at": f"'{first}'", "updated_at": f"'{last}'"}))
    with running_service(tmp_path, DATABASE_URL=empty) as service:
        (task,) = service.as_user("ada").get("/api/ada/tasks").json()
    assert (task["created_at"][:10], task["updated_at"][:26]) == ("0001-01-01", "9999-12-31T23:59:59.999999")
