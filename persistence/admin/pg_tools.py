"""`pg_dump` and `pg_restore`: finding them, passing them the connection, and reading their output.

The data leave the database as `pg_dump` writes them, and come back as the rows that `pg_restore` reads out of
that. It never connects: none of what a file says is executed, its rows alone are taken.
"""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from persistence.admin.postgres_programs import program_directories
from persistence.errors import BackupError

_BLOCK = 1 << 18
_CONNECT_TIMEOUT = "10"
_DEBIAN = Path("/usr/lib/postgresql")
_END_OF_ROWS = b"\\.\n"
# libpq takes these from its connection string only, and every user of the machine can see the arguments of a program.
_SECRETS = {"sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}


def oldest_program(name: str, version: int) -> tuple[Path, int]:
    """The program of PostgreSQL's major `version`, or else of the next newer one that is installed, and its version.

    Looked for in the package that brings the embedded server, in Debian's directories, and on PATH. Raises
    `BackupError`.
    """
    found = {path: _version(path) for path in _programs(name)}
    fitting = {path: major for path, major in found.items() if major >= version}
    if not fitting:
        versions = ", ".join(map(str, sorted(set(found.values())))) or "none"
        raise BackupError(f"{name} of PostgreSQL {version} or newer is needed; found on this machine: {versions}")
    path = min(fitting, key=lambda path: fitting[path])
    return path, fitting[path]


def _programs(name: str) -> Iterator[Path]:
    directories = [*program_directories().values(), *sorted(_DEBIAN.glob("*/bin")), *os.get_exec_path()]
    for directory in directories:
        if (path := shutil.which(name, path=str(directory))) is not None:
            yield Path(path)


@functools.cache
def _version(program: Path) -> int:
    """The major version, or 0 if the program prints none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([program, "--version"], capture_output=True, check=True, timeout=10)  # noqa: S603
        if (version := re.search(rb"\(PostgreSQL\) (\d+)", said.stdout)) is not None:
            return int(version[1])
    return 0


def dump(program: Path, url: str, tables: Iterable[str], *, snapshot: str) -> Iterator[bytes]:
    """The archive of the tables in the snapshot, in blocks. The names of the tables are quoted and qualified.

    Raises `BackupError`.
    """
    connection, environment = _address(url)
    arguments = [
        "--format=custom",
        "--encoding=UTF8",
        "--no-owner",
        "--no-acl",
        "--no-password",
        "--lock-wait-timeout=5s",
        f"--snapshot={snapshot}",
        "--strict-names",
        *(f"--table={name}" for name in tables),
        f"--dbname={connection}",
    ]
    with _output(program, arguments, environment=environment) as output:
        while block := output.read(_BLOCK):
            yield block


@contextlib.contextmanager
def rows(program: Path, archive: IO[bytes], table: str) -> Iterator[tuple[list[str], Iterator[bytes]]]:
    """The table's columns, and its rows in the text format of COPY, in blocks of whole lines. Raises `BackupError`."""
    archive.seek(0)
    arguments = ["--format=custom", "--data-only", f"--table={table}", "--file=-"]
    found = False
    with _output(program, arguments, source=archive) as output:
        for line in output:
            if (header := re.fullmatch(rb"COPY \S+ \((.+)\) FROM stdin;\n", line)) is not None:
                found = True
                columns = header[1].decode(errors="replace").split(",")
                yield [name.strip().strip('"') for name in columns], _until_the_end(output)
                break
        # Unread output would block the program.
        while output.read(_BLOCK):
            pass
    if not found:
        raise BackupError(f"the archive has no rows of the table {table}")


def _until_the_end(output: IO[bytes]) -> Iterator[bytes]:
    while lines := output.readlines(_BLOCK):
        if _END_OF_ROWS in lines:
            yield b"".join(lines[: lines.index(_END_OF_ROWS)])
            return
        yield b"".join(lines)
    raise BackupError("the archive ends within a table")


@contextlib.contextmanager
def _output(
    program: Path,
    arguments: Sequence[str],
    *,
    source: IO[bytes] | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[IO[bytes]]:
    """The standard output of the program. Raises `BackupError` with its error output if it fails."""
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603
            [program, *arguments],
            env=environment,
            stdin=source or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        assert process.stdout is not None  # nosec B101  # noqa: S101  what PIPE is for
        try:
            yield process.stdout
            failed = process.wait() != 0
        except BaseException:
            process.kill()
            raise
        if failed:
            complaints.seek(0)
            said = " ".join(complaints.read(4096).decode(errors="replace").split())
            raise BackupError(said or f"{program.name} ended with the status {process.returncode}")


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The connection for a program of PostgreSQL: a connection string without secrets, and the environment."""
    given = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    variables = {
        option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar
    }
    if secrets := sorted(_SECRETS & given.keys()):
        raise BackupError(f"pg_dump cannot be given {secrets[0]} without showing it to everybody on this machine")
    # PG* variables in the environment of this process do not apply to this database.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = inherited | {variables[name]: value for name, value in given.items() if name in variables}
    environment.setdefault("PGCONNECT_TIMEOUT", _CONNECT_TIMEOUT)
    visible = {name: value for name, value in given.items() if name not in variables}
    return make_conninfo(**{"fallback_application_name": "tasks-api", **visible}), environment
