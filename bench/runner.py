"""Rounds of measurements: every contender is started, measured and stopped once in each round."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from bench.conformance import compare, transcript
from bench.contenders import SERVICE, Contender
from bench.database import BenchmarkDatabase, benchmark_database
from bench.load import Sample
from bench.operations import Operation
from bench.processes import rss_bytes, separate
from bench.results import Part
from bench.servers import Server, running

_PACE = 0.5  # relative to the capacity of the slowest contender
_WARM_UP_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """The contenders and operations of a measurement, and its length."""

    contenders: list[Contender]
    operations: list[Operation]
    rounds: int
    seconds: float  # of a block of requests, approximately
    paced: bool = True  # measure latency, too, at the same rate for all contenders
    apart: bool = True  # reserve a core for the contender


def measure(plan: Plan) -> Part:
    """Carry out a plan on a new database. Raises `BenchmarkError`."""
    separate(apart=plan.apart)
    with benchmark_database() as database:
        return measure_on(plan, lambda _: database)


def measure_on(plan: Plan, database_of: Callable[[Contender], BenchmarkDatabase], **about: Any) -> Part:
    """Carry out a plan, each contender on its database.

    A sample has `contender`, `round` and `block`: `start` (seconds until the first response, idle memory), or
    `saturated` or `paced` with `operation` and what `Server.block` returns.
    """
    core = separate(apart=plan.apart)
    progress = tqdm(total=len(plan.contenders) * len(plan.operations) * (1 + plan.rounds))
    database = database_of(plan.contenders[0])
    with running(SERVICE, database, core) as server:
        expected = transcript(server.base_url, database)
    capacities: dict[tuple[str, Operation], float] = {}
    for contender in plan.contenders:
        with running(contender, database_of(contender), core) as server:
            compare(contender.title, transcript(server.base_url, server.database), expected)
            for operation in plan.operations:
                capacities[contender.name, operation] = server.capacity(operation)
                progress.update()
    samples = []
    for number in range(plan.rounds):
        first = number % len(plan.contenders)
        for contender in [*plan.contenders[first:], *plan.contenders[:first]]:
            with running(contender, database_of(contender), core) as server:
                for sample in _samples(plan, server, contender.name, capacities):
                    samples.append({"contender": contender.name, "round": number, **sample})
                    progress.update(sample["block"] == "saturated")
    progress.close()
    titles = {kind: {one.name: one.title for one in getattr(plan, kind)} for kind in ("contenders", "operations")}
    return Part({**titles, "rounds": plan.rounds, "seconds": plan.seconds, **about}, samples)


def _samples(plan: Plan, server: Server, name: str, capacities: dict[tuple[str, Operation], float]) -> Iterator[Sample]:
    yield {"block": "start", "seconds": server.startup_seconds, "rss_bytes": rss_bytes(server.pid)}
    # V8 compiles a function after some thousand calls.
    first = plan.operations[0]
    server.block(first, capacities[name, first] * plan.seconds)
    for operation in plan.operations:
        capacity = capacities[name, operation]
        rate = _PACE * min(capacities[one.name, operation] for one in plan.contenders)
        server.block(operation, capacity * _WARM_UP_SECONDS)
        names = {"operation": operation.name, "tasks": operation.tasks}
        yield {**names, "block": "saturated", **server.block(operation, capacity * plan.seconds)}
        if plan.paced:
            found = server.block(operation, rate * plan.seconds, rate)
            yield {**names, "block": "paced", "target_rate": round(rate, 1), **found}
