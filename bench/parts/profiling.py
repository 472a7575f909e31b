"""`python -m bench profile`: where the service's time goes under load, as a flame graph."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.errors import BenchmarkError
from bench.measure import Bench
from bench.operations import Operation
from bench.servers import Server, service_alone

_SAMPLES_PER_SECOND: Final = 250
_HINT: Final = "it must run as root, or as the same user where the system lets processes trace each other"


def profile(operation: Operation, seconds: int, path: Path) -> None:
    """Write the flame graph of the service under this operation. Raises `BenchmarkError` where py-spy is refused."""
    with service_alone() as (server, database):
        bench = Bench(server, database)
        requests = round(bench.capacity(operation) * seconds)
        with subprocess.Popen(_command(server, seconds, path), stderr=subprocess.PIPE, text=True) as recorder:
            bench.saturate(operation, requests)
            _, complaint = recorder.communicate()
        if recorder.returncode:
            raise BenchmarkError(f"py-spy could not look into the service ({_HINT}): {complaint.strip()}")


def _command(server: Server, seconds: int, path: Path) -> list[str]:
    options = [f"--duration={seconds}", f"--rate={_SAMPLES_PER_SECOND}", "--format=flamegraph", f"--output={path}"]
    return [str(Path(sys.executable).with_name("py-spy")), "record", f"--pid={server.process.pid}", *options]
