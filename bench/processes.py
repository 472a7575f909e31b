"""CPU time and memory of processes, and the cores that they run on."""

import contextlib
import os
import sys
import time
from collections.abc import Sequence

import psutil


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, including those that have ended."""
    total = 0.0
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            times = process.cpu_times()
            # These count in 10 ms. On Linux, the clock of a process (clock_getcpuclockid) counts in nanoseconds.
            own = time.clock_gettime((~process.pid << 3) | 2) if sys.platform == "linux" else times.user + times.system
            total += own + times.children_user + times.children_system
    return total


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants. Shared pages count once for each process."""
    total = 0
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


_ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def separate(*, apart: bool = True) -> list[int]:
    """Return the core of the contender, and bind this process, and what it starts from now on, to the others.

    If not `apart`, or with a single core, every process may run on all cores, and nothing is returned.
    """
    split = 1 if apart and len(_ALL) > 1 else 0
    bind(0, _ALL[split:])
    return _ALL[:split]


def bind(pid: int, chosen: Sequence[int]) -> None:
    """Let a process run on these cores only, where the system can do that (Linux)."""
    if chosen:
        os.sched_setaffinity(pid, chosen)
