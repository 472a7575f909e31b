"""What processes use, and where they run."""

import contextlib
import ctypes
import os
import time
from collections.abc import Iterator

import psutil

_LIBC = ctypes.CDLL(None) if os.name == "posix" else None


class ProcessTree:
    """A process and all that descend from it."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """User and system time so far, that of ended descendants too.

        Accurate to microseconds on Linux, elsewhere to about 10 ms for each process.
        """
        return sum(_cpu_seconds(process) for process in self._all())

    def rss_bytes(self) -> int:
        """Memory in use; what processes share is counted once for each."""
        return sum(_rss_bytes(process) for process in self._all())

    def _all(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess, OSError):
        user, system, of_children_user, of_children_system, *_ = [*process.cpu_times(), 0.0, 0.0]
        return (_clock_seconds(process.pid) or user + system) + of_children_user + of_children_system
    return 0.0


def _clock_seconds(pid: int) -> float | None:
    """What the clock of the process says (`clock_getcpuclockid` of POSIX), or None where there is no such clock."""
    clock_of = getattr(_LIBC, "clock_getcpuclockid", None)
    clock = ctypes.c_int()
    if clock_of is None or clock_of(pid, ctypes.byref(clock)) != 0:
        return None
    return time.clock_gettime(clock.value)


def _rss_bytes(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def ended_children() -> float:
    """The processor time, in seconds, of all children of this process that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def cores() -> tuple[frozenset[int], frozenset[int]]:
    """Where the contender runs, and where the database and the load run.

    Apart, so that neither takes the other's time or caches. One core is enough for a contender, which is one process.
    Empty where the system cannot bind processes, or has a single core: then they share.
    """
    if not hasattr(os, "sched_getaffinity"):
        return frozenset(), frozenset()
    available = sorted(os.sched_getaffinity(0))
    return (frozenset(available[:1]), frozenset(available[1:])) if len(available) > 1 else (frozenset(), frozenset())


@contextlib.contextmanager
def bound_to(chosen: frozenset[int]) -> Iterator[None]:
    """Let this thread, and the processes that it starts meanwhile, run on these cores only."""
    if not chosen:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
