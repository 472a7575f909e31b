"""The chart of CPU per request."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.comparison import SERVICE, Comparison
from bench.markdown import number
from bench.results import Part

NAME: Final = "cpu.svg"

# Legible on white and on black: the pages that show it have either.
_INK, _OTHERS, _OURS = "#808080", "#9aa5b1", "#e8710a"
_STYLE = {
    "svg.hashsalt": "bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.titlecolor"), _INK),
}
_COLUMNS = 2
_WIDTH, _BAR, _MARGIN = 10.0, 0.22, 0.7


def draw(part: Part, directory: Path) -> None:
    """Write the chart: a panel for each operation, a bar for each contender, from zero."""
    found = Comparison(part)
    rows = -(-len(found.operations) // _COLUMNS)
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(_WIDTH, rows * (_BAR * len(found.contenders) + _MARGIN)), layout="constrained")
        panels: Any = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True).flat
        panels[0].invert_yaxis()
        for panel, operation in zip(panels, [*found.operations, None], strict=False):
            _draw(panel, found, operation) if operation else panel.set_axis_off()
        figure.savefig(directory / NAME, transparent=True, metadata={"Date": None, "Creator": None})


def _draw(panel: Axes, found: Comparison, operation: str) -> None:
    values = [found.cpu(contender, operation) or 0.0 for contender in found.contenders]
    colours = [_OURS if contender == SERVICE else _OTHERS for contender in found.contenders]
    bars = panel.barh([found.short(contender) for contender in found.contenders], values, color=colours)
    panel.bar_label(bars, [number(value) for value in values], padding=3, color=_INK)
    panel.set_title(f"{found.operations[operation]}, µs", loc="left", fontweight="bold")
    panel.margins(x=0.12)
    panel.tick_params(left=False, bottom=False, labelbottom=False)
    panel.spines[:].set_visible(False)
