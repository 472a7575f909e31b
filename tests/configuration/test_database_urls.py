"""What is said of the database: where it is, without its password, and whether TLS is sure."""

from pathlib import Path

import pytest

from server.configuration.database_url import describe, hosts_without_tls
from tests.support.service import running_service

pytestmark = pytest.mark.exhaustive(4)


@pytest.mark.parametrize(
    ("url", "described", "unsure"),
    [
        ("postgresql:///tasks", "localhost:5432/tasks", []),
        ("postgresql://ada:secret@db.example.com/tasks", "db.example.com:5432/tasks", ["db.example.com"]),
        ("postgres://db.example.com:6432/tasks?sslmode=prefer", "db.example.com:6432/tasks", ["db.example.com"]),
        ("postgresql://db.example.com/tasks?sslmode=disable", "db.example.com:5432/tasks", ["db.example.com"]),
        ("postgresql://db.example.com/tasks?sslmode=require", "db.example.com:5432/tasks", []),
        ("postgresql://db.example.com/tasks?sslmode=verify-full", "db.example.com:5432/tasks", []),
        ("postgresql://db.example.com/tasks?sslrootcert=system", "db.example.com:5432/tasks", []),
        ("postgresql://ada@[::1]:5433/tasks", "[::1]:5433/tasks", []),
        ("postgresql://127.0.0.7/tasks", "127.0.0.7:5432/tasks", []),
        ("postgresql://localhost/tasks", "localhost:5432/tasks", []),
        ("postgresql:///tasks?host=/run/postgresql", "/run/postgresql:5432/tasks", []),
        (
            "postgresql://a,localhost,10.0.0.1:6000/tasks",
            "a:5432,localhost:5432,10.0.0.1:6000/tasks",
            ["a", "10.0.0.1"],
        ),
        ("postgresql://10.0.0.1/tasks?hostaddr=127.0.0.1", "10.0.0.1:5432/tasks", []),
    ],
)
def test_a_url_is_understood(url: str, described: str, unsure: list[str]) -> None:
    assert (describe(url), hosts_without_tls(url)) == (described, unsure)


def test_a_remote_database_without_tls_is_warned_of(tmp_path: Path) -> None:
    """Of each variable. The address is one of those reserved for documentation: nothing answers."""
    url = "postgresql://ada:its-password@192.0.2.1/tasks"
    with running_service(
        tmp_path, ready=False, DATABASE_URL=url, MIGRATIONS_DATABASE_URL=f"{url}?sslmode=require"
    ) as service:
        log = service.log.read_text()
    assert log.count("database.without_tls") == 1
    assert "DATABASE_URL: no sslmode makes sure of TLS to 192.0.2.1" in log
    assert "database='192.0.2.1:5432/tasks'" in log
    assert "its-password" not in log


def test_a_local_database_is_not_warned_of(database_url: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database_url) as service:
        assert "without_tls" not in service.log.read_text()
