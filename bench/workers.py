"""`python -m bench workers`: two processes of the service beside one."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from tqdm import tqdm

from bench.contenders import Contender
from bench.database import BenchmarkDatabase, benchmark_database
from bench.markdown import Target, number, spread, table
from bench.measure import Bench
from bench.operations import Operation, named
from bench.results import Part
from bench.servers import SERVICE, running

_COUNTS: Final = (1, 2)
_LEAST_RATIO: Final = 1.7
_VERIFY: Final = Operation("verify", "Verify a token (no database)", "POST", user=1, tasks=1, path="/api/auth/verify")
_OPERATIONS: Final = (_VERIFY, named("get"), named("create"))
_WARM_UP_SECONDS: Final = 0.5


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Requests per second at saturation, nothing bound to a core."""
    samples = []
    steps = rounds * len(_COUNTS) * len(_OPERATIONS)
    with benchmark_database() as database, tqdm(total=steps) as progress:
        for turn in range(rounds):
            for count in _COUNTS if turn % 2 == 0 else reversed(_COUNTS):
                for sample in _samples(database, count, seconds):
                    samples.append({"round": turn, **sample})
                    progress.update()
    return {"rounds": rounds, "seconds": seconds, "samples": samples}


def _samples(database: BenchmarkDatabase, count: int, seconds: float) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch, running(_service(count), database.url, Path(scratch)) as server:
        bench = Bench(server, database)
        for operation in _OPERATIONS:
            capacity = bench.capacity(operation)
            bench.saturate(operation, round(capacity * _WARM_UP_SECONDS))
            measured = bench.saturate(operation, round(capacity * seconds))
            yield {"workers": count, "operation": operation.name, **measured.sample()}


def _service(workers: int) -> Contender:
    return replace(SERVICE, environment={**SERVICE.environment, "WORKERS": str(workers)})


def _values(part: Part, operation: str, workers: int, key: str) -> list[float]:
    return [
        sample[key] for sample in part["samples"] if (sample["operation"], sample["workers"]) == (operation, workers)
    ]


def _ratio(part: Part, operation: str) -> float:
    one, two = (median(_values(part, operation, count, "rate")) for count in _COUNTS)
    return two / one


def targets(part: Part) -> list[Target]:
    """What it says of the aim."""
    ratios = {operation.title: _ratio(part, operation.name) for operation in _OPERATIONS}
    return [
        Target(
            "Requests per second of two workers, relative to one",
            f"at least {number(_LEAST_RATIO)}",
            ", ".join(f"{title} {ratio:.2f}" for title, ratio in ratios.items()),
            min(ratios.values()) >= _LEAST_RATIO,
        )
    ]


def sections(part: Part) -> list[str]:
    """The table under its heading."""
    rows = [
        [
            operation.title,
            *(spread(_values(part, operation.name, count, "rate")) for count in _COUNTS),
            f"{_ratio(part, operation.name):.2f}",
            *(number(median(_values(part, operation.name, count, "cpu_us"))) for count in _COUNTS),
            f"{_bound(part, operation.name):.2f}",
        ]
        for operation in _OPERATIONS
    ]
    return [
        f"""## Workers

Requests per second at saturation with one and with two worker processes, and the service's CPU per request. The load
generator and PostgreSQL run on the same {part["machine"]["cores"]} cores and take their part of each request: the last
column is how many times one worker's rate the cores could carry at most, with all of the time that the three take.

{table(["", "one", "two", "ratio", "one, µs", "two, µs", "at most"], rows)}"""
    ]


def _bound(part: Part, operation: str) -> float:
    keys = ("cpu_us", "database_cpu_us", "load_cpu_us")
    carried = part["machine"]["cores"] * 1e6 / sum(median(_values(part, operation, 2, key)) for key in keys)
    return float(carried / median(_values(part, operation, 1, "rate")))
