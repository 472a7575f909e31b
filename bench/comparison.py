"""What `run` found, as tables: the service beside its peers and the floor."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.markdown import Target, mebibytes, middle, number, spread, table
from bench.results import Part

SERVICE: Final = "service"
"""The name of the contender that is ours."""
FLOOR: Final = "floor"
_STOCK_FLOOR: Final = "floor-psycopg"
_TUTORIAL: Final = "fastapi-sqlmodel"
_FASTIFY: Final = "fastify"

_MOST_OF_FLOOR = 1.3
_LEAST_OF_TUTORIAL = 8.0
_AS_CHEAP_AS_FASTIFY = ("get", "toggle")


class Comparison:
    """The samples of a run, by contender and operation."""

    def __init__(self, part: Part) -> None:
        self.contenders: dict[str, str] = part["contenders"]
        self.operations: dict[str, str] = part["operations"]
        self._part = part

    def values(self, contender: str, operation: str, block: str, key: str) -> list[float]:
        """What the rounds gave, where there was a success to measure."""
        samples = (
            sample[block][key]
            for sample in self._part["samples"]
            if (sample["contender"], sample["operation"]) == (contender, operation)
        )
        return [value for value in samples if value is not None]

    def short(self, contender: str) -> str:
        """Its title without the explanation after a colon."""
        return self.contenders[contender].partition(":")[0]

    def cpu(self, contender: str, operation: str) -> float | None:
        """The median of the server's CPU time for a request, in microseconds."""
        return middle(self.values(contender, operation, "saturated", "cpu_us"))

    def ratio(self, other: str, operation: str) -> float | None:
        """How many times the other's CPU time the service takes."""
        ours, theirs = self.cpu(SERVICE, operation), self.cpu(other, operation)
        return ours / theirs if ours and theirs else None

    def starts(self, contender: str, key: str) -> list[float]:
        """What the starts of the rounds gave."""
        return [start[key] for start in self._part["starts"] if start["contender"] == contender]

    def errors(self, contender: str, operation: str) -> int:
        """How many requests failed in all rounds."""
        return sum(int(sum(self.values(contender, operation, block, "errors"))) for block in ("saturated", "paced"))

    def all_errors(self) -> int:
        """How many requests failed at all."""
        return sum(self.errors(contender, name) for contender in self.contenders for name in self.operations)

    def grid(self, cell: Callable[[str, str], str]) -> str:
        """A row for each contender, a column for each operation."""
        rows = [
            [self.short(contender), *(cell(contender, operation) for operation in self.operations)]
            for contender in self.contenders
        ]
        return table(["", *self.operations.values()], rows)


def failures(part: Part) -> int:
    """How many requests of the run had another answer than a success, or none."""
    return Comparison(part).all_errors()


def targets(part: Part) -> list[Target]:
    """What the run says of the aims, as far as the contenders that they name were there."""
    found = Comparison(part)
    targets = [
        _limit(found, FLOOR, list(found.operations), _MOST_OF_FLOOR),
        _limit(found, _STOCK_FLOOR, list(found.operations), _MOST_OF_FLOOR),
        _limit(found, _FASTIFY, [name for name in _AS_CHEAP_AS_FASTIFY if name in found.operations], 1.0),
        _advantage(found),
    ]
    return [target for target in targets if target is not None]


def _limit(found: Comparison, other: str, operations: Sequence[str], most: float) -> Target | None:
    ratios = {name: ratio for name in operations if (ratio := found.ratio(other, name)) is not None}
    if not ratios:
        return None
    return Target(
        f"CPU per request, relative to {found.short(other)}",
        f"at most {number(most)}",
        _each(found, ratios),
        max(ratios.values()) <= most,
    )


def _advantage(found: Comparison) -> Target | None:
    ratios = {name: 1 / ratio for name in found.operations if (ratio := found.ratio(_TUTORIAL, name)) is not None}
    if not ratios:
        return None
    return Target(
        f"How many times less CPU per request than {found.short(_TUTORIAL)}",
        f"at least {number(_LEAST_OF_TUTORIAL)}",
        _each(found, ratios),
        min(ratios.values()) >= _LEAST_OF_TUTORIAL,
    )


def _each(found: Comparison, ratios: dict[str, float]) -> str:
    return ", ".join(f"{found.operations[name]} {ratio:.2f}" for name, ratio in ratios.items())


def sections(part: Part) -> list[str]:
    """The tables, each under its heading."""
    found = Comparison(part)
    return [
        _cpu(found, part),
        _ratios(found),
        _rates(found),
        _latencies(found, part["paced_rates"]),
        _errors(found),
        _footprint(found, part),
    ]


def _cpu(found: Comparison, part: Part) -> str:
    cells = found.grid(lambda contender, name: spread(found.values(contender, name, "saturated", "cpu_us")))
    place = " on a core of its own" if part["bound_to_cores"] else ""
    return f"""## CPU per request

User and system time of all processes of the contender{place} in microseconds, without PostgreSQL's,
while 16 connections keep it busy; the median of {part["rounds"]} rounds, and from where to where they go.

![CPU per request](cpu.svg)

{cells}"""


def _ratios(found: Comparison) -> str:
    others = [name for name in found.contenders if name != SERVICE]
    if SERVICE not in found.contenders or not others:
        return ""
    rows = [[found.short(other), *(_times(found.ratio(other, name)) for name in found.operations)] for other in others]
    return f"""How many times theirs the service's is:

{table(["", *found.operations.values()], rows)}"""


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _rates(found: Comparison) -> str:
    def cell(contender: str, operation: str) -> str:
        rate = middle(found.values(contender, operation, "saturated", "rate"))
        cpu = found.cpu(contender, operation)
        return "-" if rate is None or cpu is None else f"{number(rate)} ({rate * cpu / 1e6:.0%})"

    return f"""## Requests per second at saturation

With those 16 connections, each of which sends the next request when it has the answer to its last. In parentheses
how much of one core the server used: where that is far below 100 %, PostgreSQL, its disk or the load generator set the
pace, and CPU per request is what tells contenders apart.

{found.grid(cell)}"""


def _latencies(found: Comparison, rates: dict[str, float]) -> str:
    def cell(contender: str, operation: str) -> str:
        percentiles = (found.values(contender, operation, "paced", f"p{percent}_ms") for percent in (50, 95, 99))
        return " / ".join(number(middle(values)) for values in percentiles)

    paces = ", ".join(f"{found.operations[name]} {number(rate)}" for name, rate in rates.items())
    return f"""## Latency at a fixed rate

p50 / p95 / p99 in milliseconds, medians of the rounds, at the same rate for all: half of what the slowest contender can
answer. Requests per second: {paces}.

{found.grid(cell)}"""


def _errors(found: Comparison) -> str:
    total = found.all_errors()
    if not total:
        return "No request of any block failed."
    return f"""**{total} requests failed**: they had another answer than a success, or none.

{found.grid(lambda contender, name: number(found.errors(contender, name)))}"""


def _footprint(found: Comparison, part: Part) -> str:
    rows = [
        [
            found.short(contender),
            spread(found.starts(contender, "seconds")),
            mebibytes(middle(found.starts(contender, "rss_bytes"))),
            mebibytes(_most_memory(part, contender)),
        ]
        for contender in found.contenders
    ]
    return f"""## Start and memory

Seconds from the start of the process to its first answer with a task, on a database that is there; resident memory
right after that, and the most under load.

{table(["", "start, s", "idle", "under load"], rows)}"""


def _most_memory(part: Part, contender: str) -> float | None:
    blocks: list[Any] = [sample["saturated"] for sample in part["samples"] if sample["contender"] == contender]
    return max((block["rss_bytes"] for block in blocks), default=None)
