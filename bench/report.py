"""The pages about performance, generated from the results."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import Part, ratios, read

RESULTS: Final = Path("benchmarks", "results.json")
"""The results, in the directory of the pages."""

_PAGES: Final = ("performance.md", "benchmarks/query-plans.md")
_CHART: Final = Path("benchmarks", "cpu.svg")
# Grey is legible on white and on black.
_GREY: Final[Any] = dict.fromkeys(("text.color", "axes.edgecolor", "xtick.color", "ytick.color"), "#808080")
_INTEGER_FROM = 100


def number(value: object) -> str:
    """Three significant digits, or all digits before the point; a dash for what was not measured."""
    if not isinstance(value, int | float):
        return "-"
    return f"{value:,.0f}" if abs(value) >= _INTEGER_FROM else f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """The median, and the lowest and the highest value in parentheses."""
    return f"{number(statistics.median(values))} ({number(min(values))}-{number(max(values))})" if values else "-"


def span(*found: Mapping[str, float]) -> dict[str, float]:
    """The lowest and the highest ratio of pages of a list."""
    values = [ratio for one in found for title, ratio in one.items() if title.startswith("Page")]
    return {"lowest": min(values), "highest": max(values)}


def render(parts: Mapping[str, Part]) -> dict[str, str]:
    """The pages, by path."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # nosec B701  # noqa: S701  Markdown is not HTML
    environment.filters.update(number=number, spread=spread)
    environment.globals.update(ratios=ratios, span=span)
    return {page: environment.get_template(f"{Path(page).name}.j2").render(parts, parts=parts) for page in _PAGES}


def write(docs: Path) -> None:
    """Write the pages and the chart into a directory, from the results in it."""
    parts = read(docs / RESULTS)
    for page, text in render(parts).items():
        (docs / page).write_text(text)
    if "comparison" in parts:
        _draw(parts["comparison"], docs / _CHART)


def stale(docs: Path) -> list[str]:
    """The pages in a directory that differ from what `write` would write."""
    return [page for page, text in render(read(docs / RESULTS)).items() if (docs / page).read_text() != text]


def _draw(part: Part, path: Path) -> None:
    """Draw the CPU time of each request: a panel for each operation, a bar for each contender."""
    operations, contenders = part.about["operations"], part.about["contenders"]
    with mpl.rc_context({**_GREY, "svg.hashsalt": "bench", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 2 * len(operations)), layout="constrained")
        panels: Any = figure.subplots(len(operations), squeeze=False).flat
        for panel, (name, title) in zip(panels, operations.items(), strict=True):
            cpu = [part.median("cpu_us", contender=one, operation=name, block="saturated") or 0 for one in contenders]
            bars = panel.barh(
                list(contenders.values()),
                cpu,
                color=["#e8710a" if one == "service" else "#9aa5b1" for one in contenders],
            )
            panel.bar_label(bars, [number(value) for value in cpu], padding=3)
            panel.set_title(f"{title}, µs", loc="left", fontweight="bold")
            panel.margins(x=0.12)
            panel.invert_yaxis()
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
