"""Files and databases that a backup or a restore refuses: nothing changes then."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from persistence.admin import backup, pg_tools
from persistence.errors import BackupError
from tests.backup.commands import fill, kept_rows, parts, refuse, relations, sealed, succeed

pytestmark = pytest.mark.exhaustive(4)

BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "is not a backup"),
    "garbage": (lambda _: os.urandom(5000), "is not a backup"),
    "a page": (lambda _: b"<html></html>\n" * 50, "is not a backup"),
    "cut in its head": (lambda content: content[:3], "is not a backup"),
    "cut in a table": (lambda content: content[: len(content) // 2], "is not a backup"),
    "cut in its manifest": (lambda content: content[:-200], "is not a backup"),
    "cut by a byte": (lambda content: content[:-1], "is not a backup"),
    "without its middle": (lambda content: content[:3000] + content[3100:], "is damaged"),
    "a bit changed": (lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:], "is damaged"),
    "another file's end": (lambda content: b"x" * 4000 + content[-93:], "is damaged"),
    "a manifest that goes back too far": (
        lambda content: content[:-93] + re.sub(rb" \d{8} ", b" 99999999 ", content[-93:]),
        "is not a backup",
    ),
    "an unknown manifest": (lambda content: sealed(content, tables=3), "cannot read"),
    "a newer revision": (lambda content: sealed(content, revision="9999"), "revision 9999"),
    "a newer pg_dump": (lambda content: sealed(content, postgresql=99), "pg_restore of PostgreSQL 99 or newer"),
    "another manifest": (lambda content: sealed(content, tables={}), "does not restore to what its manifest says"),
    "no archive": (lambda content: sealed(b"PGDMP" + content[content.rindex(b"\n{") :]), "pg_restore: error"),
}


@pytest.mark.parametrize(("spoil", "reason"), BAD.values(), ids=BAD)
def test_a_file_that_is_not_a_whole_backup_changes_nothing(
    whole: bytes, database: str, tmp_path: Path, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    kept = kept_rows(database)
    (tmp_path / "bad").write_bytes(spoil(whole))
    with pytest.raises(BackupError, match=reason) as caught:
        backup.restore(database, tmp_path / "bad", replace=True)
    assert "\n" not in str(caught.value)
    assert kept_rows(database) == kept


def test_the_command_says_in_one_sentence_why_a_file_is_refused(whole: bytes, database: str, tmp_path: Path) -> None:
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    assert "not all of it" in refuse("restore", "--replace", "half", cwd=tmp_path, DATABASE_URL=database)
    assert "No such file" in refuse("restore", "none", cwd=tmp_path, DATABASE_URL=database)


def test_data_are_replaced_only_where_that_is_said(whole: bytes, database: str, tmp_path: Path) -> None:
    assert whole
    kept = kept_rows(database)
    fill(database, 5)
    more = kept_rows(database)
    assert "holds users and tasks already" in refuse("restore", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert kept_rows(database) == more
    succeed("restore", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert kept_rows(database) == kept


def test_a_file_is_replaced_only_where_that_is_said(whole: bytes, database: str, tmp_path: Path) -> None:
    fill(database, 5)
    assert "exists already" in refuse("backup", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert (tmp_path / "whole").read_bytes() == whole
    succeed("backup", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert (tmp_path / "whole").read_bytes() != whole
    assert "is not a file" in refuse("backup", "--replace", "/dev/full", cwd=tmp_path, DATABASE_URL=database)
    assert parts(tmp_path) == []


def test_a_database_of_a_newer_release_is_refused(whole: bytes, database: str, tmp_path: Path) -> None:
    """It is neither backed up nor replaced."""
    assert whole
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    kept = kept_rows(database)
    for command in ("backup", "restore"):
        said = refuse(command, "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
        assert "the database is at revision 9999" in said
    assert kept_rows(database) == kept


def test_nothing_that_a_file_says_is_executed(whole: bytes, database: str, other: str, tmp_path: Path) -> None:
    """Its rows are restored into the tables of the migrations, and nothing else of it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE evil AS SELECT 1 AS one")
        connection.execute("CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE; END'")
        connection.execute("CREATE TRIGGER evil AFTER INSERT ON tasks EXECUTE FUNCTION evil()")
    program, _ = pg_tools.oldest_program("pg_dump", 18)
    hostile = subprocess.run([program, "-Fc", database], check=True, capture_output=True).stdout  # noqa: S603
    (tmp_path / "hostile").write_bytes(sealed(hostile + whole[whole.rindex(b"\n{") :]))
    backup.restore(other, tmp_path / "hostile")
    assert [relation for relation in relations(other) if relation[0] == "evil"] == []
    assert kept_rows(other)["tasks"] == kept_rows(database)["tasks"]


def test_pg_restore_reads_a_backup_as_it_stands(whole: bytes, database: str, other: str, tmp_path: Path) -> None:
    """The data can be restored with PostgreSQL's own programs alone."""
    assert whole
    program, _ = pg_tools.oldest_program("pg_restore", 18)
    subprocess.run([program, "--exit-on-error", f"--dbname={other}", tmp_path / "whole"], check=True)  # noqa: S603
    assert kept_rows(other) == kept_rows(database)


def test_a_restore_that_fails_late_leaves_everything_as_it_was(whole: bytes, database: str, tmp_path: Path) -> None:
    """Once another session uses a table, and once a foreign table refers to one that has to be emptied."""
    assert whole
    kept = kept_rows(database)
    with psycopg.connect(database) as connection:
        connection.execute("SELECT FROM tasks LIMIT 1")
        said = refuse("restore", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
        assert "lock timeout" in said
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE extra (user_id text REFERENCES users (id))")
    said = refuse("restore", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert "foreign key" in said
    assert kept_rows(database) == kept | {"extra": []}
