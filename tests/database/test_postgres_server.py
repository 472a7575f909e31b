"""The embedded PostgreSQL: its access control, its user, and the changes it makes to the system."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from persistence.admin.embedded import embedded_server
from persistence.admin.postgres_programs import VERSION, program_directories
from persistence.admin.postgres_server import PostgresServer
from tests.support.service import ROOT
from tests.support.users import STRANGER, becoming_stranger
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(3)

_FROM_POSTGRESQL = {"PGDATA", "PG_GRANDPARENT_PID", "PGLOCALEDIR", "PGSYSCONFDIR"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory for data with a path of more than the 107 bytes that the name of a socket may have."""
    return tmp_path / ("long" * 25) / "postgres"


@pytest.fixture
def server(directory: Path) -> Iterator[PostgresServer]:
    """The running server of that directory."""
    with embedded_server(directory):
        yield PostgresServer(directory)


def _sockets(server: PostgresServer) -> Path:
    return server.directory.with_suffix(".socket").readlink()


def _said_to_stranger(server: PostgresServer) -> str:
    connect = "psycopg.connect(sys.argv[1])\n"
    code = f"import psycopg, sys\n{connect}{becoming_stranger()}{connect}"
    command = [sys.executable, "-c", code, server.url]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    assert "psycopg.OperationalError: connection " in ended.stderr
    return ended.stderr


def test_another_user_cannot_reach_the_socket(server: PostgresServer) -> None:
    sockets = _sockets(server)
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert (sockets / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(sockets / ".s.PGSQL.5432")) < 104
    assert "Permission denied" in _said_to_stranger(server)


def test_another_user_who_reaches_the_socket_is_refused(server: PostgresServer) -> None:
    """Authentication does not depend on the permissions of the directory alone."""
    _sockets(server).chmod(0o711)
    (_sockets(server) / ".s.PGSQL.5432").chmod(0o777)
    assert "Peer authentication failed" in _said_to_stranger(server)


def test_it_listens_to_no_port(server: PostgresServer) -> None:
    postmaster = server.postmaster()
    assert postmaster is not None
    assert [one for one in postmaster.net_connections("inet") if one.status == psutil.CONN_LISTEN] == []


def test_the_server_has_no_right_of_root(server: PostgresServer) -> None:
    """Neither its user, nor its group, nor a supplementary group; nor the secrets of the service."""
    if os.geteuid() != 0:
        pytest.skip("only root has rights to give up")
    postmaster = server.postmaster()
    assert postmaster is not None
    for process in (postmaster, *postmaster.children()):
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        held = {line.partition(":")[0]: line.partition(":")[2].split() for line in status}
        assert 0 not in map(int, [*held["Uid"], *held["Gid"], *held["Groups"]])
        assert int(held["CapEff"][0], 16) == 0
    with pytest.raises(KeyError):
        pwd.getpwuid(postmaster.uids().effective)
    assert set(postmaster.environ()) <= {
        "PATH",
        "TZ",
        "LC_ALL",
        "PGDATA",
        "PG_GRANDPARENT_PID",
        "PGLOCALEDIR",
        "PGSYSCONFDIR",
    }


def test_nothing_outside_the_data_is_changed(directory: Path) -> None:
    """Neither mode nor owner of any directory above data and programs, nor the users of the system."""
    directory.parent.mkdir(mode=0o700)
    above = [*directory.parents, *program_directories()[VERSION].parents]
    before = [(path.stat().st_mode, path.stat().st_uid) for path in above]
    accounts = pwd.getpwall()
    with embedded_server(directory) as url:
        psycopg.connect(url).close()
    assert [(path.stat().st_mode, path.stat().st_uid) for path in above] == before
    assert pwd.getpwall() == accounts


def test_nothing_stays_when_it_has_stopped(directory: Path) -> None:
    with embedded_server(directory):
        server = PostgresServer(directory)
        sockets, postmaster = _sockets(server), server.postmaster()
    assert postmaster is not None
    assert not postmaster.is_running()
    assert not sockets.parent.exists()
    left = {path.name for path in directory.parent.iterdir()}
    assert left == {"postgres", "postgres.log", "postgres.lock", "postgres.start"}


def _rows(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("TABLE kept").fetchall()


def _keep_a_row(directory: Path) -> None:
    with embedded_server(directory) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")


def test_data_of_earlier_releases_are_used_and_closed(directory: Path) -> None:
    """Earlier releases let every user connect; their data belong to the user whom the package added for root."""
    _keep_a_row(directory)
    trust = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
    (directory / "pg_hba.conf").write_text(trust)
    (directory / "pg_ident.conf").write_text("")
    (directory / ".handle_pids.json").write_text("[]")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{STRANGER}:{STRANGER}", directory], check=True)  # noqa: S603, S607
    with embedded_server(directory) as url:
        assert _rows(url) == [(7,)]
        assert "trust" not in (directory / "pg_hba.conf").read_text()
        postmaster = PostgresServer(directory).postmaster()
        assert postmaster is not None
        assert postmaster.uids().effective == directory.stat().st_uid


def test_data_that_root_restored_are_used(directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root restores data for another user")
    _keep_a_row(directory)
    subprocess.run(["chown", "-R", "0:0", directory], check=True)  # noqa: S603, S607
    with embedded_server(directory) as url:
        assert _rows(url) == [(7,)]


@pytest.mark.parametrize("name", ["closed", "$HOME `id` \"quoted\" 'My Projects';%"])
def test_a_checkout_may_be_closed_and_have_any_name(
    name: str, tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs are then run from a copy, which goes with the server."""
    installed = program_directories()[VERSION].parents[1]
    closed = tmp_path / name
    closed.mkdir(mode=0o700)
    for path in (installed, installed.with_name(f"{installed.name}.libs")):
        if path.exists():
            shutil.copytree(path, closed / path.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    monkeypatch.syspath_prepend(closed)
    assert program_directories()[VERSION].is_relative_to(closed)
    with embedded_server(directory) as url:
        psycopg.connect(url).close()
        server = PostgresServer(directory)
        postmaster = server.postmaster()
        assert postmaster is not None
        assert (_sockets(server).parent / "programs").exists() == ("closed" not in name or os.geteuid() == 0)
    assert closed.stat().st_mode & 0o777 == 0o700


def test_an_initialisation_that_was_killed_is_begun_again(directory: Path) -> None:
    code = "import sys, pathlib; from persistence.admin.embedded import embedded_server as run\n"
    code += "with run(pathlib.Path(sys.argv[1])): pass"
    process = subprocess.Popen([sys.executable, "-c", code, directory], cwd=ROOT)  # noqa: S603
    try:
        until(lambda: [*directory.parent.glob("postgres.new-*/PG_VERSION")])
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        for one in (psutil.Process(process.pid), *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        process.wait()
    assert not directory.exists()
    with embedded_server(directory) as url:
        psycopg.connect(url).close()
    assert [*directory.parent.glob("postgres.new-*")] == []


def test_a_long_log_is_rotated(server: PostgresServer) -> None:
    old = Path(f"{server.log}.1")
    with server.log.open("ab") as log:
        log.truncate(11 << 20)
    size = server.log.stat().st_size
    until(lambda: old.exists() and server.log.stat().st_size < size)
    assert old.stat().st_size >= 11 << 20
    with psycopg.connect(server.url) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("TABLE nowhere")
    assert '"nowhere" does not exist' in server.log.read_text()
    assert (server.log.stat().st_mode & 0o777, old.stat().st_mode & 0o777) == (0o600, 0o600)
