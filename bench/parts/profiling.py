"""The distribution of the service's CPU time, sampled by py-spy."""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import BenchmarkError
from bench.operations import OPERATIONS, Operation
from bench.parts import Options
from bench.results import Part
from bench.servers import ROOT, service

_OPTIONS = {"flamegraph": ["--rate=250"], "raw": ["--rate=250", "--full-filenames"]}
_MODULE = re.compile(rf"\({re.escape(str(ROOT))}/((?:server|handlers|persistence)/[\w/]+\.py):\d+\)")


def profile(options: Options) -> Part:
    """The share of each module in a GET: the samples in which its frame is the deepest of the service's."""
    modules: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        stacks = Path(directory, "stacks")
        record(OPERATIONS["get"], max(1, round(10 * options.seconds)), stacks, "raw")
        for line in stacks.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            # Threads that wait for work count as active; those have no frame of the service.
            for module in _MODULE.findall(stack)[-1:]:
                modules["uvicorn and the event loop" if module == "server/commands/serve.py" else module] += int(count)
    total = modules.total()
    return Part({}, [{"module": name, "share": round(count / total, 4)} for name, count in modules.most_common()])


def record(operation: Operation, seconds: int, path: Path, form: str = "flamegraph") -> None:
    """Write the flame graph of the service under an operation, or its stacks as text (`raw`)."""
    with service() as server:
        requests = server.capacity(operation) * seconds
        target = [f"--pid={server.pid}", f"--duration={seconds}", f"--format={form}", f"--output={path}"]
        command = [str(Path(sys.executable).with_name("py-spy")), "record", *_OPTIONS[form], *target]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as recorder:
            server.block(operation, requests)
            _, message = recorder.communicate()
    if recorder.returncode:
        raise BenchmarkError(f"py-spy must run as root, or be allowed to trace processes: {message.strip()}")
    # The title has the command, and the place of the checkout says nothing to a reader.
    if form == "flamegraph":
        path.write_text(path.read_text().replace(f"{ROOT}/", ""))
