"""`python -m bench startup`: how long the service takes until its first answer."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tqdm import trange

from bench.database import benchmark_database, database_in
from bench.markdown import Target, middle, number, spread, table
from bench.results import Part
from bench.servers import SERVICE, Server, running

_MOST_SECONDS: Final = 1.5
_TITLES: Final = {"external": "PostgreSQL that runs already (`DATABASE_URL`)", "embedded": "embedded PostgreSQL"}

_Start = Callable[[], AbstractContextManager[Server]]


def measure(times: int) -> dict[str, Any]:
    """Seconds from the start of the process to a task, so many times, with both kinds of database."""
    return {
        "times": times,
        "external": _seconds(_external, times, "external"),
        "embedded": _seconds(_embedded, times, "embedded"),
    }


def _seconds(starts: Callable[[], AbstractContextManager[_Start]], times: int, what: str) -> list[float]:
    found = []
    with starts() as start:
        for _ in trange(times, desc=what):
            with start() as server:
                found.append(round(server.startup_seconds, 4))
    return found


@contextmanager
def _external() -> Iterator[_Start]:
    with benchmark_database() as database, tempfile.TemporaryDirectory() as scratch:
        yield lambda: running(SERVICE, database.url, Path(scratch))


@contextmanager
def _embedded() -> Iterator[_Start]:
    with tempfile.TemporaryDirectory() as scratch:
        with database_in(Path(scratch, "postgres")):
            pass
        service = replace(SERVICE, environment={**SERVICE.environment, "DATA_DIR": scratch})
        yield lambda: running(service, None, Path(scratch))


def targets(part: Part) -> list[Target]:
    """What it says of the aim."""
    return [
        Target(
            f"Start to the first answer with a task, {_TITLES[kind]}",
            f"under {number(_MOST_SECONDS)} s",
            f"{number(middle(part[kind]))} s",
            (middle(part[kind]) or 0) < _MOST_SECONDS,
        )
        for kind in _TITLES
    ]


def sections(part: Part) -> list[str]:
    """The table under its heading."""
    rows = [[title, spread(part[kind])] for kind, title in _TITLES.items()]
    return [
        f"""## Start

Seconds from the start of the process to its first answer with a task from a database that is there; the median of
{part["times"]} starts, and from where to where they go.

{table(["", "s"], rows)}"""
    ]
