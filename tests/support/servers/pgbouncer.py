"""PgBouncer on a port of the loopback interface, in front of a PostgreSQL."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from persistence.admin.postgres_programs import give, process_options, server_user
from tests.support.servers.programs import listens, needed
from tests.support.service import free_port
from tests.support.waiting import until


@contextlib.contextmanager
def pgbouncer(
    directory: Path,
    database: str,
    server_port: int,
    *,
    files: Mapping[str, bytes] = MappingProxyType({}),
    **settings: str,
) -> Iterator[str]:
    """PgBouncer as hosts run it: transactions of many clients share two connections.

    `files` are written to `directory`, which is `/proc/self/cwd` for it.
    """
    port = free_port()
    ini = (
        f"[databases]\n* = host=127.0.0.1 port={server_port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = /proc/self/cwd/users\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    with configured_pgbouncer(directory, port, ini, {"users": b'"postgres" ""\n', **files}):
        yield f"postgresql://postgres@127.0.0.1:{port}/{database.rpartition('/')[2]}"


@contextlib.contextmanager
def configured_pgbouncer(directory: Path, port: int, ini: str, files: Mapping[str, bytes]) -> Iterator[None]:
    """PgBouncer with this configuration, in which it listens on `port`.

    `files` are written to `directory`, which is `/proc/self/cwd` for it.
    """
    program = needed("pgbouncer")
    directory.mkdir()
    user = server_user(directory)
    for name, content in {"pgbouncer.ini": ini.encode(), **files}.items():
        (directory / name).write_bytes(content)
    give(directory, user)
    process = subprocess.Popen(  # noqa: S603
        # Root's directories are closed to the user that it runs as then.
        [program, "/proc/self/cwd/pgbouncer.ini"],
        stderr=subprocess.DEVNULL,
        **process_options(directory, user),
    )
    try:
        until(lambda: listens(port))
        yield
    finally:
        process.terminate()
        process.wait(10)
