"""Tables and numbers of the report."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SIGNIFICANT_FROM = 100


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached, and what was measured."""

    aim: str
    wanted: str
    measured: str
    reached: bool


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns but the first are numbers."""
    ruler = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ruler, *rows])


def number(value: float | None) -> str:
    """Three significant digits or all of the whole part, with thousands apart; a dash where there is none."""
    if value is None:
        return "-"
    if abs(value) >= _SIGNIFICANT_FROM:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def middle(values: Sequence[float]) -> float | None:
    """The median, if there are values."""
    return statistics.median(values) if values else None


def spread(values: Sequence[float]) -> str:
    """The median, and from where to where the values go."""
    if not values:
        return "-"
    return f"{number(statistics.median(values))} ({number(min(values))}-{number(max(values))})"


def mebibytes(count: float | None) -> str:
    """Memory as whole MiB."""
    return "-" if count is None else f"{count / 2**20:,.0f} MiB"
