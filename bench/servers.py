"""Contenders as running processes."""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.contenders import CONTENDERS, Contender
from bench.database import BenchmarkDatabase, benchmark_database
from bench.errors import BenchmarkError
from bench.operations import WITNESS, task_id, user_id
from bench.processes import ProcessTree, bound_to, cores
from bench.tokens import SECRET, issue

ROOT: Final = Path(__file__).parent.parent
SERVICE: Final = CONTENDERS[0]
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Server:
    """A contender that answers at `base_url`."""

    contender: Contender
    base_url: str
    process: subprocess.Popen[bytes]
    processes: ProcessTree
    startup_seconds: float
    """From the start of its process to its first answer with a task."""


def why_not(contender: Contender) -> str | None:
    """Why the contender cannot be measured here, in a sentence, or None where it can."""
    if contender.needs is not None and shutil.which(contender.needs) is None:
        return f"{contender.title} is left out: `{contender.needs}` is not on PATH."
    return None


def install(contender: Contender) -> None:
    """Install what the contender needs, where it is missing."""
    if contender.prepare is None or contender.prepared is None or (ROOT / contender.prepared).exists():
        return
    done = subprocess.run(contender.prepare, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise BenchmarkError(f"`{' '.join(contender.prepare)}` failed with status {done.returncode}.")


@contextlib.contextmanager
def running(
    contender: Contender, database_url: str | None, scratch: Path, cores: frozenset[int] = frozenset()
) -> Iterator[Server]:
    """The contender, ready, on these cores; its output goes to a file in `scratch`. Stopped by SIGTERM."""
    port = _free_port()
    command = [argument.replace("{port}", str(port)) for argument in contender.command]
    with (scratch / f"{contender.name}.log").open("wb") as log:
        started = time.perf_counter()
        with bound_to(cores):
            process = subprocess.Popen(
                command, cwd=ROOT, env=_environment(contender, database_url, port), stdout=log, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_ready(process, port, Path(log.name))
            seconds = time.perf_counter() - started
            url = f"http://127.0.0.1:{port}"
            yield Server(contender, url, process, ProcessTree(process.pid), seconds)
        finally:
            _stop(process)


@contextlib.contextmanager
def service_alone() -> Iterator[tuple[Server, BenchmarkDatabase]]:
    """The service on a core of its own, and the database that it uses."""
    for_server, for_others = cores()
    with (
        bound_to(for_others),
        benchmark_database() as database,
        tempfile.TemporaryDirectory() as scratch,
        running(SERVICE, database.url, Path(scratch), cores=for_server) as server,
    ):
        yield server, database


def _environment(contender: Contender, database_url: str | None, port: int) -> Mapping[str, str]:
    ours = {"BETTER_AUTH_SECRET": SECRET, "PORT": str(port)}
    if database_url is not None:
        ours["DATABASE_URL"] = database_url
    return {**os.environ, **ours, **contender.environment}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(port):
        if process.poll() is not None:
            raise BenchmarkError(f"The server ended with status {process.returncode}: {_last_line(log)}")
        if time.monotonic() > deadline:
            raise BenchmarkError(f"The server did not answer within {_START_SECONDS:.0f} seconds: {_last_line(log)}")
        time.sleep(_POLL_SECONDS)


def _answers(port: int) -> bool:
    user = user_id(WITNESS)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            path = f"/api/{user}/tasks/{task_id(WITNESS, 0)}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {issue(user)}"})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
