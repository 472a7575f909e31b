"""Starts that must fail with one sentence and status 2, and unusual environments in which the service must start."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from persistence.admin.embedded import embedded_server
from tests.support.servers.postgres import fresh_database
from tests.support.service import MEASURED, ROOT, SECRET, START_SECONDS, free_port, running_service
from tests.support.users import becoming_stranger
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(1)

_MAIN = "import runpy, sys; sys.argv[0] = 'tasks-api'; runpy.run_module('server', run_name='__main__')\n"


def _ended(directory: Path, *command: str, prelude: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `tasks-api` to its end, after some Python that changes its process."""
    settings = {"BETTER_AUTH_SECRET": SECRET, "PORT": str(free_port()), "DATA_DIR": str(directory / "data")}
    return subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-c",
            f"import fasteners, runpy, server.cli, server.commands.serve\n{prelude}{_MAIN}",
            *command,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **MEASURED, **settings, **environment},
    )


def _assert_sentence(ended: subprocess.CompletedProcess[str], expected: str) -> None:
    """Check for one sentence on standard error, status 2, and nothing else that could be taken for the cause."""
    assert re.fullmatch(f"Error: {expected}\n", ended.stderr), ended.stderr
    assert (ended.returncode, "Traceback" in ended.stdout) == (2, False), ended.stdout


# DATA_DIR cannot be used.


def _is_a_file(data: Path) -> None:
    data.write_text("")


def _holds_a_file(data: Path) -> None:
    data.mkdir()
    (data / "postgres").write_text("")


def _holds_other_files(data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres/notes.txt").write_text("Mine")


def _holds_another_version(data: Path) -> None:
    _holds_other_files(data)
    (data / "postgres/PG_VERSION").write_text("16\n")


def _holds_another_cluster(data: Path) -> None:
    with embedded_server(data / "postgres"):
        pass
    (data / "postgres/pg_hba.conf").write_text("local all all peer\n")


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        pytest.param(_is_a_file, r"DATA_DIR: \S+/data: (File exists|Not a directory)", id="a file"),
        pytest.param(_holds_a_file, r"DATA_DIR: \S+/data/postgres: Not a directory", id="postgres a file"),
        pytest.param(
            _holds_other_files,
            r"DATA_DIR: \S+/data/postgres contains files that are not PostgreSQL's",
            id="other files",
        ),
        pytest.param(
            _holds_another_version, r"DATA_DIR: \S+ is of PostgreSQL 16, and 18 is needed", id="another version"
        ),
        pytest.param(
            _holds_another_cluster, r"DATA_DIR: \S+ belongs to another PostgreSQL server than .*", id="another cluster"
        ),
    ],
)
def test_a_data_dir_that_cannot_be_used_is_named(
    arrange: Callable[[Path], None], expected: str, tmp_path: Path
) -> None:
    arrange(tmp_path / "data")
    before = sorted(path.name for path in tmp_path.glob("data/postgres/*"))
    _assert_sentence(_ended(tmp_path, "serve"), expected)
    assert sorted(path.name for path in tmp_path.glob("data/postgres/*")) == before


def test_damaged_data_are_named_with_the_reason(tmp_path: Path) -> None:
    with embedded_server(tmp_path / "data/postgres"):
        pass
    (tmp_path / "data/postgres/global/pg_control").write_bytes(b"")
    ended = _ended(tmp_path, "serve")
    _assert_sentence(ended, r"DATA_DIR: PostgreSQL does not start in \S+: could not read file .*pg_control.*")


@pytest.mark.parametrize(
    "command",
    [("serve",), ("migrate",), ("backup", "file"), ("restore", "file"), ("purge",), ("token", "ada")],
    ids=" ".join,
)
def test_every_command_names_a_data_dir_it_cannot_use(command: tuple[str, ...], tmp_path: Path) -> None:
    _is_a_file(tmp_path / "data")
    secret = "" if command[0] == "token" else SECRET
    ended = _ended(tmp_path, *command, BETTER_AUTH_SECRET=secret)
    _assert_sentence(ended, r"DATA_DIR: \S+/data(/secret)?: (File exists|Not a directory)")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory of this user that others can pass through; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("secret", ["", SECRET], ids=["secret made", "secret given"])
def test_a_data_dir_that_is_not_writable_is_named(secret: str, shared: Path) -> None:
    (shared / "data").mkdir(mode=0o555)
    # Root is refused nothing.
    prelude = becoming_stranger() if os.geteuid() == 0 else ""
    ended = _ended(shared, "serve", prelude=prelude, BETTER_AUTH_SECRET=secret)
    _assert_sentence(ended, r"DATA_DIR: \S+/data/\S+: Permission denied")


def test_the_postgres_of_another_user_is_named(shared: Path) -> None:
    """As after a start by root: an ordinary user cannot go on with another user's files."""
    (shared / "data/postgres").mkdir(parents=True, mode=0o700)
    (shared / "data").chmod(0o777)
    ended = _ended(shared, "serve", prelude=becoming_stranger())
    _assert_sentence(ended, r"DATA_DIR: \S+/data/postgres: Permission denied")


@contextlib.contextmanager
def _mounted(directory: Path, options: str) -> Iterator[None]:
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:  # noqa: S603
        pytest.skip("only root with the capability SYS_ADMIN can mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)  # noqa: S603, S607


@pytest.mark.parametrize("secret", ["", SECRET], ids=["secret made", "secret given"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param("ro", r"DATA_DIR: \S+: Read-only file system", id="read-only"),
        pytest.param("size=4k,nr_inodes=2", r"DATA_DIR: .*: No space left on device", id="no file fits"),
        pytest.param("size=8m", r"DATA_DIR: .*: No space left on device", id="no cluster fits"),
    ],
)
def test_a_file_system_without_room_is_named(options: str, expected: str, secret: str, tmp_path: Path) -> None:
    with _mounted(tmp_path / "data", options):
        _assert_sentence(_ended(tmp_path, "serve", BETTER_AUTH_SECRET=secret), expected)


def test_a_file_system_that_is_full_now_is_named(tmp_path: Path) -> None:
    """The cluster was made while there was room."""
    data = tmp_path / "data"
    with _mounted(data, "size=100m"):
        with embedded_server(data / "postgres"):
            pass
        with (data / "filler").open("wb") as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1 << 16))
        _assert_sentence(_ended(tmp_path, "serve"), r"DATA_DIR: .*: No space left on device")


# Other settings.


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = _ended(tmp_path, "serve", PORT=port)
    _assert_sentence(ended, f"HOST, PORT: cannot listen on 127.0.0.1, port {port}: Address already in use")
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_unknown_is_named(tmp_path: Path) -> None:
    ended = _ended(tmp_path, "serve", HOST="no-such-host.invalid")
    _assert_sentence(ended, r"HOST, PORT: cannot listen on no-such-host\.invalid, port \d+: .*")


def test_a_damaged_secret_is_named(tmp_path: Path) -> None:
    """As a full disk left it in earlier releases: anybody could have signed with it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/secret").write_text("")
    _assert_sentence(_ended(tmp_path, "serve", BETTER_AUTH_SECRET=""), r"DATA_DIR: \S+/secret is damaged; .*")


# Unusual environments in which the service starts.


@pytest.mark.parametrize("name", ['My Projects; it\'s 100% $HOME `id` "a\\b" ü', "long" * 50], ids=["odd", "long"])
def test_a_data_dir_may_have_any_name(name: str, tmp_path: Path) -> None:
    """Also a relative one, in a checkout with such a name."""
    directory = tmp_path / name
    directory.mkdir()
    with running_service(directory, DATA_DIR="data") as service:
        created = service.as_user("ada").post("/api/ada/tasks", json={"title": "A"})
        assert created.status_code == httpx2.codes.CREATED
    assert (directory / "data/postgres/PG_VERSION").exists()


# Locales that are not installed, a name too long for a socket in it, and everything that libpq and PostgreSQL read.
_ODD = {
    "LC_ALL": "xx_YY.UTF-8",
    "LANG": "tr_TR.ISO-8859-9",
    "TMPDIR": "/tmp/" + "long" * 30,  # noqa: S108
    "PGDATA": "/nowhere",
    "PGPORT": "1",
    "PGTZ": "nowhere",
    "PGDATESTYLE": "nowhere",
    "PGSERVER_POSTGRES_VERSION": "9",
    "PGSERVICE": "nowhere",
    "PGSERVICEFILE": "/nowhere",
    "PGSYSCONFDIR": "/nowhere",
    "PGOPTIONS": "-c search_path=nowhere -c default_transaction_read_only=on",
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "nowhere",
    "PGSSLMODE": "verify-full",
    "PGGSSENCMODE": "require",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGCHANNELBINDING": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCLIENTENCODING": "LATIN1",
}


@pytest.mark.parametrize("where", ["embedded", "remote"])
def test_an_odd_environment_reaches_neither_database(where: str, database_url: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fresh_database(database_url)) if where == "remote" else ""
        service = stack.enter_context(running_service(tmp_path, ready=True, output=None, DATABASE_URL=url, **_ODD))
        created = service.as_user("ada").post("/api/ada/tasks", json={"title": "Grüße"})
        assert (created.status_code, created.json()["title"]) == (httpx2.codes.CREATED, "Grüße")
        ended = _ended(tmp_path, "backup", "tasks.backup", DATABASE_URL=url, **_ODD)
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_service_starts_without_standard_streams(closed: str, database_url: str, tmp_path: Path) -> None:
    """Nothing else is opened under their numbers, or log lines would go into it."""
    port = free_port()
    settings = {"BETTER_AUTH_SECRET": SECRET, "PORT": str(port), "DATABASE_URL": database_url}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **MEASURED, **settings}
    command = ["sh", "-c", f'exec "$0" -m server serve {closed}', sys.executable]
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:  # noqa: S603
        try:
            until(lambda: _answers(port), START_SECONDS)
            for number in range(3):
                descriptor = Path(f"/proc/{process.pid}/fd/{number}")
                assert not descriptor.readlink().name.startswith("socket:")
        finally:
            process.terminate()
    assert not psutil.pid_exists(process.pid)


def _answers(port: int) -> bool:
    with contextlib.suppress(httpx2.TransportError), httpx2.Client(trust_env=False) as client:
        return client.get(f"http://127.0.0.1:{port}/health/ready").status_code == httpx2.codes.OK
    return False


@pytest.mark.parametrize("command", [("token", "ada"), ("migrate",), ("contract", "print")], ids=" ".join)
def test_a_command_ends_in_order_without_standard_output(
    command: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    ended = _ended(
        tmp_path, *command, prelude="import os, sys; os.close(1); sys.stdout = None\n", DATABASE_URL=database_url
    )
    assert (ended.returncode, ended.stderr) == (0, "")
