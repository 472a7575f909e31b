"""Backups: what was kept comes back, whole and unchanged, or nothing changes. Real commands on real databases."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

from persistence import migrations
from persistence.admin import backup
from persistence.admin import pg_tools as dumps
from persistence.admin.embedded import embedded_server
from persistence.errors import BackupError
from persistence.schema import metadata
from tests.support.postgres import Postgres, fresh_database
from tests.support.service import MEASURED, ROOT, SECRET, Service, free_port, running_service

_SECONDS = 60
_TITLES = [
    "Buy milk",
    "Éclairs",
    "eclairs",
    "牛乳を買う 🥛",
    "a\ttab, a\nline, a\rreturn",
    r"\N and \. and \\",
    "'; DROP TABLE tasks; --",
    "\u202eright to left",
    "x" * 200,
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    cluster = Postgres(tmp_path_factory.mktemp("cluster"), free_port())
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop("immediate")


@pytest.fixture
def database(cluster: Postgres) -> Iterator[str]:
    with fresh_database(cluster.url()) as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture
def other(cluster: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    with fresh_database(cluster.url()) as url:
        yield url


def _start(*arguments: str | Path, cwd: Path, limit: int | None = None, **environment: str) -> subprocess.Popen[str]:
    # What measures coverage would want to write, too.
    measured = MEASURED if limit is None else {}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "server", *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "BETTER_AUTH_SECRET": SECRET, **measured}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),  # noqa: PLW1509
    )


def _run(*arguments: str | Path, cwd: Path, limit: int | None = None, **environment: str) -> tuple[int, str, str]:
    with _start(*arguments, cwd=cwd, limit=limit, **environment) as process:
        output, errors = process.communicate(timeout=_SECONDS)
    return process.returncode, output, errors


def _succeed(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    status, output, errors = _run(*arguments, cwd=cwd, limit=None, **environment)
    assert (status, errors) == (0, "")
    return output


def _refuse(*arguments: str | Path, cwd: Path, limit: int | None = None, **environment: str) -> str:
    """Run a command that must fail, and return the one sentence that it says."""
    status, output, errors = _run(*arguments, cwd=cwd, limit=limit, **environment)
    assert (status, output) == (1, ""), errors
    assert re.fullmatch(r"Error: .+\n", errors)
    return errors


def _until(condition: Callable[[], object]) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < _SECONDS
        time.sleep(0.01)


def _kept(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table in the schema, in an order of its own."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}".encode()).fetchall(), key=repr)  # noqa: S608
            for (name,) in tables
        }


def _relations(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "UNION SELECT proname, 'f' FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()


def _fill(url: str, count: int = 3) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO users (id) VALUES ('ada') ON CONFLICT DO NOTHING")
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key, description) SELECT 'ada', gen_random_uuid(), "
            "'Task ' || n, decode(md5(n::text), 'hex'), md5(random()::text) FROM generate_series(1, %s) n",
            [count],
        )


def _use(service: Service) -> None:
    """Leave something of everything that a user can make."""
    for name in ("ada", "Ünal 🦊"):
        client = service.as_user(name, email="a@example.com", name="Ada \\ 'Lovelace'")
        for number, title in enumerate(_TITLES):
            task = {"title": title, "description": title * 3 if number % 2 else None, "completed": number % 3 == 0}
            created = client.post("/api/tasks", json=task, headers={"idempotency-key": f"key-{number}"})
            assert created.status_code == httpx2.codes.CREATED
        assert client.delete(created.headers["location"]).status_code == httpx2.codes.NO_CONTENT


def _seen(service: Service) -> dict[str, Any]:
    """What users see: all lists in all orders, page by page, and profiles."""
    seen = {}
    for name in ("ada", "Ünal 🦊"):
        client = service.as_user(name, email="a@example.com", name="Ada \\ 'Lovelace'")
        seen[name] = client.get("/api/tasks?limit=1").headers["link"]
        for sort, status in itertools.product(("created", "title", "-updated"), ("all", "pending", "trashed")):
            path: str | None = f"/api/tasks?sort={sort}&status={status}&limit=4"
            while path is not None:
                page = client.get(path)
                assert page.status_code == httpx2.codes.OK
                seen[f"{name} {path}"] = page.json()
                path = page.links.get("next", {}).get("url")
    return seen


@contextlib.contextmanager
def _place(kind: str, directory: Path, remote: str) -> Iterator[dict[str, str]]:
    """The settings of a command or a service with its database there."""
    directory.mkdir()
    data = str(directory / "data")
    yield {"DATA_DIR": data} if kind == "embedded" else {"DATA_DIR": data, "DATABASE_URL": remote}


def _rows_in(place: dict[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    if "DATABASE_URL" in place:
        return _kept(place["DATABASE_URL"])
    with embedded_server(Path(place["DATA_DIR"]) / "postgres") as url:
        return _kept(url)


@pytest.mark.parametrize(
    ("source", "target"), [("embedded", "embedded"), ("embedded", "remote"), ("remote", "embedded")]
)
def test_what_was_kept_here_is_found_there(source: str, target: str, database: str, other: str, tmp_path: Path) -> None:
    """The backup is made while the service runs; where it is restored, none runs, nor its database."""
    file = tmp_path / "tasks.backup"
    with _place(source, tmp_path / "source", database) as here, _place(target, tmp_path / "target", other) as there:
        with running_service(tmp_path / "source", ready=True, **here) as service:
            _use(service)
            seen = _seen(service)
            said = _succeed("backup", file, cwd=tmp_path, **here)
            assert (
                said == f"{file} holds {_counts(_rows_in(here))} (revision {migrations.head()}), and was read back.\n"
            )
        kept = _rows_in(here)
        assert min(map(len, kept.values())) > 0
        assert file.stat().st_mode & 0o777 == 0o600
        said = _succeed("restore", file, cwd=tmp_path, **there)
        assert said.startswith(f"The database holds {_counts(kept)}")
        assert _rows_in(there) == kept
        with running_service(tmp_path / "target", ready=True, **there) as service:
            assert _seen(service) == seen
            again = service.as_user("ada").post(
                "/api/tasks", json={"title": _TITLES[0], "completed": True}, headers={"idempotency-key": "key-0"}
            )
            assert (again.status_code, _rows_in(there)["tasks"]) == (201, kept["tasks"])


def _counts(kept: dict[str, list[tuple[Any, ...]]]) -> str:
    return ", ".join(f"{len(kept[table.name])} {table.name}" for table in metadata.sorted_tables)


def test_a_backup_goes_back_in_while_the_embedded_database_serves(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        data = {"DATA_DIR": str(tmp_path / "data")}
        _use(service)
        seen = _seen(service)
        _succeed("backup", "tasks.backup", cwd=tmp_path, **data)
        service.as_user("ada").post("/api/tasks", json={"title": "Later"})
        _succeed("restore", "--replace", "tasks.backup", cwd=tmp_path, **data)
        assert _seen(service) == seen
        assert "unexpected_error" not in service.read_log()


class _Load:
    """Clients that write and read while the block runs, and what they were told."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running = True
        self.statuses: set[int] = set()
        self.acknowledged: set[str] = set()

    def _work(self, number: int) -> None:
        client = self._service.as_user("ada")
        for count in itertools.count():
            if not self._running:
                return
            created = client.post("/api/tasks", json={"title": f"Task {count} of client {number}"})
            self.statuses.add(created.status_code)
            if created.status_code == httpx2.codes.CREATED:
                self.acknowledged.add(created.json()["id"])
                path = created.headers["location"]
                self.statuses.add(client.patch(f"{path}/toggle").status_code)
                self.statuses.add(client.get("/api/tasks?sort=title&limit=5").status_code)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(4) as threads:
            work = [threads.submit(self._work, number) for number in range(4)]
            try:
                yield
            finally:
                self._running = False
            for one in work:
                one.result()


def _ids(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {str(name) for (name,) in connection.execute("SELECT id FROM tasks")}


def test_a_backup_under_load_holds_what_was_acknowledged_before_it(database: str, other: str, tmp_path: Path) -> None:
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = _Load(service)
        with load.running():
            _until(lambda: len(load.acknowledged) > 50)
            before = set(load.acknowledged)
            _succeed("backup", "tasks.backup", cwd=tmp_path, DATABASE_URL=database)
            after = len(load.acknowledged)
        assert after > len(before)
        assert load.statuses == {200, 201}
    _succeed("restore", "tasks.backup", cwd=tmp_path, DATABASE_URL=other)
    assert before <= _ids(other) <= _ids(database)


@pytest.mark.parametrize("revision", [migrations.head(), "0001"], ids=["same revision", "older revision"])
def test_a_service_under_load_survives_a_restore(database: str, other: str, tmp_path: Path, revision: str) -> None:
    migrations.upgrade(other)
    _fill(other, 2000)
    if revision != migrations.head():
        migrations.downgrade(other, revision)
    _succeed("backup", "tasks.backup", cwd=tmp_path, DATABASE_URL=other)
    with running_service(tmp_path, DATABASE_URL=database) as service:
        load = _Load(service)
        with load.running():
            _until(lambda: len(load.acknowledged) > 50)
            before = set(load.acknowledged)
            _succeed("restore", "--replace", "tasks.backup", cwd=tmp_path, DATABASE_URL=database)
            after = len(load.acknowledged)
            _until(lambda: len(load.acknowledged) > after + 50)
        assert {200, 201} <= load.statuses <= {200, 201, 404, 503}
        assert _ids(other) <= _ids(database)
        assert before.isdisjoint(_ids(database))
        assert _kept(database)["alembic_version"] == [(migrations.head(),)]
        assert "unexpected_error" not in service.read_log()


def test_a_backup_of_an_older_revision_is_brought_forward(database: str, other: str, tmp_path: Path) -> None:
    _fill(database)
    kept = _kept(database)
    migrations.downgrade(database, "0001")
    _succeed("backup", "tasks.backup", cwd=tmp_path, DATABASE_URL=database)
    said = _succeed("restore", "tasks.backup", cwd=tmp_path, DATABASE_URL=other)
    assert said.endswith(f"is at revision {migrations.head()}.\n")
    assert _kept(other) == kept
    with fresh_database(database) as new:
        migrations.upgrade(new)
        assert _relations(other) == _relations(new)


# Refusals.


@pytest.fixture
def whole(database: str, tmp_path: Path) -> bytes:
    """The bytes of a backup."""
    _fill(database, 500)
    backup.backup(database, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def _sealed(content: bytes, **changes: Any) -> bytes:
    """A backup of this content with another manifest, and a last line that fits it."""
    archive, told, _ = content.rsplit(b"\n", 3)[:3]
    manifest = json.dumps(json.loads(told) | changes).encode()
    sealed = archive + b"\n" + manifest + b"\n"
    line = f"tasks-api backup 1 {len(manifest) + 2:08} {hashlib.sha256(sealed).hexdigest()}\n"
    return sealed + line.encode()


_BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
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
    "an unknown manifest": (lambda content: _sealed(content, tables=3), "cannot read"),
    "a newer revision": (lambda content: _sealed(content, revision="9999"), "revision 9999"),
    "a newer pg_dump": (lambda content: _sealed(content, postgresql=99), "pg_restore of PostgreSQL 99 or newer"),
    "another manifest": (lambda content: _sealed(content, tables={}), "does not restore to what its manifest says"),
    "no archive": (lambda content: _sealed(b"PGDMP" + content[content.rindex(b"\n{") :]), "pg_restore: error"),
}


@pytest.mark.parametrize(("spoil", "reason"), _BAD.values(), ids=_BAD)
def test_a_file_that_is_not_a_whole_backup_changes_nothing(
    whole: bytes, database: str, tmp_path: Path, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    kept = _kept(database)
    (tmp_path / "bad").write_bytes(spoil(whole))
    with pytest.raises(BackupError, match=reason) as caught:
        backup.restore(database, tmp_path / "bad", replace=True)
    assert "\n" not in str(caught.value)
    assert _kept(database) == kept


def test_the_command_says_in_one_sentence_what_is_wrong_with_a_file(
    whole: bytes, database: str, tmp_path: Path
) -> None:
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    assert "not all of it" in _refuse("restore", "--replace", "half", cwd=tmp_path, DATABASE_URL=database)
    assert "No such file" in _refuse("restore", "none", cwd=tmp_path, DATABASE_URL=database)


def test_data_are_replaced_only_where_that_is_said(whole: bytes, database: str, tmp_path: Path) -> None:
    assert whole
    kept = _kept(database)
    _fill(database, 5)
    more = _kept(database)
    assert "holds users and tasks already" in _refuse("restore", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert _kept(database) == more
    _succeed("restore", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert _kept(database) == kept


def test_a_file_is_replaced_only_where_that_is_said(whole: bytes, database: str, tmp_path: Path) -> None:
    _fill(database, 5)
    assert "exists already" in _refuse("backup", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert (tmp_path / "whole").read_bytes() == whole
    _succeed("backup", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert (tmp_path / "whole").read_bytes() != whole
    assert "is not a file" in _refuse("backup", "--replace", "/dev/full", cwd=tmp_path, DATABASE_URL=database)
    assert _parts(tmp_path) == []


def test_a_database_of_a_newer_release_is_neither_backed_up_nor_replaced(
    whole: bytes, database: str, tmp_path: Path
) -> None:
    assert whole
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    kept = _kept(database)
    for command in ("backup", "restore"):
        said = _refuse(command, "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
        assert "the database is at revision 9999" in said
    assert _kept(database) == kept


def test_nothing_that_a_file_says_is_executed(whole: bytes, database: str, other: str, tmp_path: Path) -> None:
    """Its rows are taken, into the tables of the migrations, and nothing else of it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE evil AS SELECT 1 AS one")
        connection.execute("CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE; END'")
        connection.execute("CREATE TRIGGER evil AFTER INSERT ON tasks EXECUTE FUNCTION evil()")
    program, _ = dumps.oldest_program("pg_dump", 18)
    hostile = subprocess.run([program, "-Fc", database], check=True, capture_output=True).stdout  # noqa: S603
    (tmp_path / "hostile").write_bytes(_sealed(hostile + whole[whole.rindex(b"\n{") :]))
    backup.restore(other, tmp_path / "hostile")
    assert [relation for relation in _relations(other) if relation[0] == "evil"] == []
    assert _kept(other)["tasks"] == _kept(database)["tasks"]


def test_pg_restore_reads_a_backup_as_it_stands(whole: bytes, database: str, other: str, tmp_path: Path) -> None:
    """Whoever has nothing but PostgreSQL gets the data back, too."""
    assert whole
    program, _ = dumps.oldest_program("pg_restore", 18)
    subprocess.run([program, "--exit-on-error", f"--dbname={other}", tmp_path / "whole"], check=True)  # noqa: S603
    assert _kept(other) == _kept(database)


def test_a_restore_that_fails_late_leaves_everything_as_it_was(whole: bytes, database: str, tmp_path: Path) -> None:
    """Here because a table of somebody else refers to one that has to be emptied, then because somebody uses one."""
    assert whole
    kept = _kept(database)
    with psycopg.connect(database) as connection:
        connection.execute("SELECT FROM tasks LIMIT 1")
        said = _refuse("restore", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
        assert "lock timeout" in said
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE extra (user_id text REFERENCES users (id))")
    said = _refuse("restore", "--replace", "whole", cwd=tmp_path, DATABASE_URL=database)
    assert "foreign key" in said
    assert _kept(database) == kept | {"extra": []}


# Interrupted backups.


def _parts(directory: Path) -> list[Path]:
    return list(directory.glob(".*.part"))


def test_a_full_disk_leaves_no_file(database: str, tmp_path: Path) -> None:
    _fill(database, 20_000)
    said = _refuse("backup", "full", cwd=tmp_path, limit=100_000, DATABASE_URL=database)
    assert "File too large" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_backup_that_is_ended_half_way_leaves_no_file(database: str, tmp_path: Path, number: signal.Signals) -> None:
    _fill(database, 100_000)
    with _start("backup", "ended", cwd=tmp_path, DATABASE_URL=database) as process:
        _until(lambda: any(part.stat().st_size > 100_000 for part in _parts(tmp_path)))
        process.send_signal(number)
        _, errors = process.communicate(timeout=_SECONDS)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert not (tmp_path / "ended").exists()
    assert number == signal.SIGKILL or _parts(tmp_path) == []
    with psycopg.connect(database, autocommit=True) as connection:
        others = b"SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        _until(lambda: connection.execute(others).fetchone() is None)
    _succeed("backup", "ended", cwd=tmp_path, DATABASE_URL=database)


# Where the database is.


def test_a_password_is_never_seen(cluster: Postgres, database: str, tmp_path: Path) -> None:
    """Not among the arguments of a program, where everybody on the machine would read it, and not in what is said."""
    password, written = "hunter2 'hünter\\2", "hunter2%20%27h%C3%BCnter%5C2"
    rules = cluster.access_rules
    open_to_all = rules.read_text()
    _fill(database, 50_000)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD {}").format(password))
        rules.write_text("host all keeper 127.0.0.1/32 scram-sha-256\n" + open_to_all)
        connection.execute("SELECT pg_reload_conf()")
        try:
            url = database.replace("postgresql://postgres@", f"postgres://keeper:{written}@")
            url += "?sslmode=prefer&keepalives_idle=30&application_name=backup"
            with _start("backup", "file", cwd=tmp_path, DATABASE_URL=url) as process:
                arguments = set()
                while process.poll() is None:
                    arguments |= _arguments_below(process.pid)
                said = "".join(process.communicate())
            assert process.returncode == 0, said
            assert any("pg_dump" in line and "--snapshot" in line for line in arguments)
            wrong = _refuse("backup", "other", cwd=tmp_path, DATABASE_URL=url.replace("hunter2", "hunter3"))
            assert "password authentication failed" in wrong
            assert [line for line in [*arguments, said, wrong] if "hunter" in line or "nter" in line] == []
        finally:
            rules.write_text(open_to_all)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP ROLE keeper")


def _arguments_below(pid: int) -> set[str]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return {" ".join(one.cmdline()) for one in [process, *process.children(recursive=True)]}
    return set()


def test_both_go_to_the_address_for_migrations_where_there_is_one(database: str, other: str, tmp_path: Path) -> None:
    _fill(database)
    nowhere = "postgresql://postgres@127.0.0.1:1/postgres"
    assert "Connection refused" in _refuse("backup", "file", cwd=tmp_path, DATABASE_URL=nowhere)
    _succeed("backup", "file", cwd=tmp_path, DATABASE_URL=nowhere, MIGRATIONS_DATABASE_URL=database)
    _succeed("restore", "file", cwd=tmp_path, DATABASE_URL=nowhere, MIGRATIONS_DATABASE_URL=other)
    assert _kept(other) == _kept(database)


def test_a_secret_that_a_program_could_only_be_told_openly_is_refused(database: str, tmp_path: Path) -> None:
    said = _refuse("backup", "file", cwd=tmp_path, DATABASE_URL=f"{database}?sslpassword=hunter2")
    assert "sslpassword" in said
    assert "hunter2" not in said


def test_a_program_of_the_same_version_is_taken_and_a_missing_one_is_said() -> None:
    assert dumps.oldest_program("pg_dump", 18)[1] == 18
    with pytest.raises(BackupError, match=r"pg_dump of PostgreSQL 99 or newer is needed; found on this machine: .*18"):
        dumps.oldest_program("pg_dump", 99)


def test_what_a_table_holds_is_told_the_same_whatever_the_server_is_set_to(database: str, tmp_path: Path) -> None:
    _fill(database)
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
    """Rows are restored, and not where a sequence stands: an id of a restored row would be given out again."""
    assert [relation for relation in _relations(database) if relation[1] == b"S"] == []
