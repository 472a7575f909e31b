"""The address of the database, and the PostgreSQL programs that reach it."""

import contextlib
from pathlib import Path

import psutil
import psycopg
import pytest

from persistence.admin import backup, pg_tools
from persistence.errors import BackupError
from tests.backup.commands import fill, kept_rows, refuse, relations, start_command, succeed
from tests.support.servers.postgres import Postgres

pytestmark = pytest.mark.exhaustive(2)

# The address of the database.


def test_a_password_is_never_seen(cluster: Postgres, database: str, tmp_path: Path) -> None:
    """Not among the arguments of a program, where every user of the machine could read it, and not in any message."""
    password, written = "hunter2 'hünter\\2", "hunter2%20%27h%C3%BCnter%5C2"
    rules = cluster.access_rules
    open_to_all = rules.read_text()
    fill(database, 50_000)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD {}").format(password))
        rules.write_text("host all keeper 127.0.0.1/32 scram-sha-256\n" + open_to_all)
        connection.execute("SELECT pg_reload_conf()")
        try:
            url = database.replace("postgresql://postgres@", f"postgres://keeper:{written}@")
            url += "?sslmode=prefer&keepalives_idle=30&application_name=backup"
            with start_command("backup", "file", cwd=tmp_path, DATABASE_URL=url) as process:
                arguments = set()
                while process.poll() is None:
                    arguments |= arguments_below(process.pid)
                said = "".join(process.communicate())
            assert process.returncode == 0, said
            assert any("pg_dump" in line and "--snapshot" in line for line in arguments)
            wrong = refuse("backup", "other", cwd=tmp_path, DATABASE_URL=url.replace("hunter2", "hunter3"))
            assert "password authentication failed" in wrong
            assert [line for line in [*arguments, said, wrong] if "hunter" in line or "nter" in line] == []
        finally:
            rules.write_text(open_to_all)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP ROLE keeper")


def arguments_below(pid: int) -> set[str]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return {" ".join(one.cmdline()) for one in [process, *process.children(recursive=True)]}
    return set()


def test_backup_and_restore_use_the_migrations_address(database: str, other: str, tmp_path: Path) -> None:
    fill(database)
    nowhere = "postgresql://postgres@127.0.0.1:1/postgres"
    assert "Connection refused" in refuse("backup", "file", cwd=tmp_path, DATABASE_URL=nowhere)
    succeed("backup", "file", cwd=tmp_path, DATABASE_URL=nowhere, MIGRATIONS_DATABASE_URL=database)
    succeed("restore", "file", cwd=tmp_path, DATABASE_URL=nowhere, MIGRATIONS_DATABASE_URL=other)
    assert kept_rows(other) == kept_rows(database)


def test_a_secret_that_would_be_an_argument_is_refused(database: str, tmp_path: Path) -> None:
    said = refuse("backup", "file", cwd=tmp_path, DATABASE_URL=f"{database}?sslpassword=hunter2")
    assert "sslpassword" in said
    assert "hunter2" not in said


def test_a_program_of_the_same_version_is_chosen() -> None:
    """If there is none, the error says which versions were found."""
    assert pg_tools.oldest_program("pg_dump", 18)[1] == 18
    with pytest.raises(BackupError, match=r"pg_dump of PostgreSQL 99 or newer is needed; found on this machine: .*18"):
        pg_tools.oldest_program("pg_dump", 99)


def test_a_manifest_does_not_depend_on_server_settings(database: str, tmp_path: Path) -> None:
    fill(database)
    one = backup.backup(database, tmp_path / "one")
    with psycopg.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        for setting in ("timezone = 'Asia/Kolkata'", "datestyle = 'German'", "bytea_output = 'escape'"):
            connection.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    assert backup.backup(database, tmp_path / "two").tables == one.tables
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE tasks SET completed = true WHERE title = 'Task 2'")
    assert backup.backup(database, tmp_path / "three").tables != one.tables


def test_no_table_has_a_sequence(database: str) -> None:
    """Rows are restored, and not the position of a sequence: an id of a restored row would be given out again."""
    assert [relation for relation in relations(database) if relation[1] == b"S"] == []
