"""Contenders as running processes, and blocks of requests to them."""

import contextlib
import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import BenchmarkError
from bench.contenders import SERVICE, Contender
from bench.database import BenchmarkDatabase, benchmark_database
from bench.load import Sample, send, summarize
from bench.operations import READINESS_USER, SECRET, Operation, issue, task_id, user_id
from bench.processes import bind, cpu_seconds, rss_bytes, separate

ROOT: Final = Path(__file__).parent.parent
CONNECTIONS: Final = 16  # more than the ten that each contender has to the database, so that those are in use
_PACED_CONNECTIONS = 8
_MIN_EACH = 2
_PROBE_SECONDS = 0.3
_PROBE_GROWTH = 4
_START_SECONDS, _STOP_SECONDS, _POLL_SECONDS = 60.0, 20.0, 0.005


@dataclass(frozen=True, slots=True)
class Server:
    """A running contender and its database."""

    base_url: str
    pid: int
    startup_seconds: float  # from the start of the process to its first response with a task
    database: BenchmarkDatabase

    def capacity(self, operation: Operation) -> float:
        """About how many requests per second it can answer, once it is warm."""
        requests = CONNECTIONS * _MIN_EACH
        while (probe := self.block(operation, requests))["seconds"] < _PROBE_SECONDS:
            requests *= _PROBE_GROWTH
        return float(self.block(operation, probe["rate"] * _PROBE_SECONDS)["rate"])

    def block(self, operation: Operation, requests: float, rate: float | None = None) -> Sample:
        """Send requests at this rate over 8 connections, or without a rate as fast as possible over 16.

        Returns their summary, the CPU time of each process group in microseconds for each success, and the
        resident memory of the server in bytes at the end. The user's tasks are restored afterwards.
        """
        connections = _PACED_CONNECTIONS if rate else CONNECTIONS
        each = max(_MIN_EACH, -(-int(requests) // connections))
        if operation.consumes:
            self.database.fill(operation.user, each * connections)
        works = operation.works(each * connections, connections)
        before = self._cpu()
        responses = send(self.base_url, works, each, rate=rate)
        spent = {name: seconds - before[name] for name, seconds in self._cpu().items()}
        if operation.writes:
            self.database.fill(operation.user, operation.tasks)
        found = summarize(responses, each * connections)
        successes = found["requests"] - found["errors"]
        spent["total_cpu_us"] = spent["cpu_us"] + spent["database_cpu_us"]
        cpu = {name: round(seconds * 1e6 / successes, 1) if successes else None for name, seconds in spent.items()}
        return {**found, **cpu, "rss_bytes": rss_bytes(self.pid)}

    def _cpu(self) -> dict[str, float]:
        own = os.times()
        return {
            "cpu_us": cpu_seconds(self.pid),
            "database_cpu_us": cpu_seconds(self.database.pid),
            "load_cpu_us": own.children_user + own.children_system,
        }


@contextlib.contextmanager
def running(contender: Contender, database: BenchmarkDatabase, cores: Sequence[int] = ()) -> Iterator[Server]:
    """The contender, ready, on these cores. Its output goes to a temporary file. It is stopped by SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    required = {"DATABASE_URL": database.url, "BETTER_AUTH_SECRET": SECRET, "PORT": str(port)}
    environment = {**os.environ, **required, **contender.environment}
    command = [argument.replace("{port}", str(port)) for argument in contender.command]
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        bind(process.pid, cores)
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.perf_counter() - started > _START_SECONDS:
                    log.seek(0)
                    raise BenchmarkError(f"{contender.title} does not start. {''.join(log.readlines()[-1:])}")
                time.sleep(_POLL_SECONDS)
            seconds = round(time.perf_counter() - started, 4)
            yield Server(f"http://127.0.0.1:{port}", process.pid, seconds, database)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    user = user_id(READINESS_USER)
    path, headers = f"/api/{user}/tasks/{task_id(READINESS_USER, 0)}", {"Authorization": f"Bearer {issue(user)}"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


@contextlib.contextmanager
def service() -> Iterator[Server]:
    """The service on its own core, with a new database."""
    core = separate()
    with benchmark_database() as database, running(SERVICE, database, core) as server:
        yield server
