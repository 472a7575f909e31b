"""`python -m bench run`: all operations of all contenders, in interleaved rounds."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from tqdm import tqdm

from bench.conformance import check
from bench.contenders import Contender
from bench.database import BenchmarkDatabase, benchmark_database
from bench.measure import Bench
from bench.operations import Operation, user_id
from bench.processes import bound_to, cores
from bench.servers import install, running, why_not
from bench.tokens import issue

LOAD: Final = 0.5
"""The fixed rate of an operation, as a part of what the slowest contender can answer."""

# Users of whom no operation is measured.
_OWNER, _STRANGER = 10, 11
_WARM_UP_SECONDS = 0.25
_BAR = "{percentage:3.0f} % {bar} {elapsed} so far, {remaining} to go; {desc}"
_CALIBRATION_STEPS = 1
_BLOCK_STEPS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long."""

    contenders: Sequence[Contender]
    operations: Sequence[Operation]
    rounds: int
    seconds: float
    """About how long a block lasts."""
    bound: bool = True
    """Whether the contender has a core of its own."""

    @property
    def steps(self) -> int:
        """How long it all takes, in steps of the progress bar."""
        return len(self.contenders) * len(self.operations) * (_CALIBRATION_STEPS + self.rounds * _BLOCK_STEPS)

    def order(self, number: int) -> Sequence[Contender]:
        """The contenders, each round beginning with another."""
        first = number % len(self.contenders)
        return [*self.contenders[first:], *self.contenders[:first]]


def present(contenders: Sequence[Contender]) -> tuple[list[Contender], list[str]]:
    """Those that can be measured here, installed, and a sentence for each other one."""
    reasons = {contender.name: why_not(contender) for contender in contenders}
    able = [contender for contender in contenders if reasons[contender.name] is None]
    for contender in able:
        install(contender)
    return able, [reason for reason in reasons.values() if reason]


def run(plan: Plan) -> dict[str, Any]:
    """Measure, and return every sample. Raises `BenchmarkError` and `ConformanceError`."""
    for_server, for_others = cores() if plan.bound else (frozenset(), frozenset())
    with (
        bound_to(for_others),
        benchmark_database() as database,
        tempfile.TemporaryDirectory() as scratch,
        tqdm(total=plan.steps, bar_format=_BAR) as progress,
    ):
        session = _Session(plan, database, Path(scratch), for_server, progress)
        session.calibrate()
        for number in range(plan.rounds):
            session.measure(number)
        return {
            "rounds": plan.rounds,
            "seconds": plan.seconds,
            "bound_to_cores": bool(for_server),
            "contenders": {contender.name: contender.title for contender in plan.contenders},
            "operations": {operation.name: operation.title for operation in plan.operations},
            "paced_rates": {operation.name: round(session.paced_rate(operation), 1) for operation in plan.operations},
            "starts": session.starts,
            "samples": session.samples,
        }


class _Session:
    """A run, and what it has found so far."""

    def __init__(
        self,
        plan: Plan,
        database: BenchmarkDatabase,
        scratch: Path,
        cores_of_server: frozenset[int],
        progress: "tqdm[NoReturn]",
    ) -> None:
        self.starts: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self._plan = plan
        self._database = database
        self._running = partial(running, database_url=database.url, scratch=scratch, cores=cores_of_server)
        self._progress = progress
        self._capacities: dict[tuple[str, str], float] = {}

    def calibrate(self) -> None:
        """Check that every contender answers right, and find out how many requests about it can answer."""
        for contender in self._plan.contenders:
            with self._running(contender) as server:
                check(server.base_url, issue, owner=user_id(_OWNER), stranger=user_id(_STRANGER))
                bench = Bench(server, self._database)
                for operation in self._plan.operations:
                    self._capacities[contender.name, operation.name] = bench.capacity(operation)
                    self._advance(f"calibrating {contender.name}", _CALIBRATION_STEPS)

    def measure(self, number: int) -> None:
        """Measure everything once."""
        for contender in self._plan.order(number):
            names = {"round": number, "contender": contender.name}
            with self._running(contender) as server:
                start = {"seconds": round(server.startup_seconds, 4), "rss_bytes": server.processes.rss_bytes()}
                self.starts.append({**names, **start})
                bench = Bench(server, self._database)
                self._warm_up(bench, contender)
                for operation in self._plan.operations:
                    capacity = self._capacities[contender.name, operation.name]
                    sample = self._sample(bench, operation, capacity)
                    self.samples.append({**names, "operation": operation.name, **sample})
                    self._advance(f"round {number + 1}: {contender.name}, {operation.name}", _BLOCK_STEPS)

    def _warm_up(self, bench: Bench, contender: Contender) -> None:
        """Let a virtual machine compile what is used often: V8 takes some thousand requests for that."""
        first = self._plan.operations[0]
        bench.saturate(first, round(self._capacities[contender.name, first.name] * self._plan.seconds))

    def _sample(self, bench: Bench, operation: Operation, capacity: float) -> dict[str, Any]:
        rate, seconds = self.paced_rate(operation), self._plan.seconds
        bench.saturate(operation, round(capacity * _WARM_UP_SECONDS))
        return {
            "saturated": bench.saturate(operation, round(capacity * seconds)).sample(),
            "paced": bench.pace(operation, round(rate * seconds), rate).sample(),
        }

    def paced_rate(self, operation: Operation) -> float:
        """A rate for all that leaves even the slowest contender time."""
        return LOAD * min(self._capacities[contender.name, operation.name] for contender in self._plan.contenders)

    def _advance(self, what: str, steps: int) -> None:
        self._progress.set_description_str(what)
        self._progress.update(steps)
