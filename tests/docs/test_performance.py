"""Measured figures of performance stand in one generated page."""

import json
import statistics
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "performance.md"
_PARTS = json.loads((_ROOT / "docs" / "benchmarks" / "results.json").read_text())
# Figures in decisions are reasons, with their date.
_OTHERS = sorted({*_ROOT.glob("*.md"), *_ROOT.glob("docs/*.md")} - {_PAGE, _ROOT / "docs" / "decisions.md"})


@pytest.mark.parametrize("page", _OTHERS, ids=lambda page: page.name)
def test_no_other_page_has_figures(page: Path) -> None:
    """A figure in two places soon differs. Microseconds are the unit of nearly all of them."""
    assert "µs" not in page.read_text()


@pytest.mark.parametrize("name", _PARTS)
def test_page_has_command_date_and_commit(name: str) -> None:
    about = _PARTS[name]["about"]
    assert f"| {name} | `{about['command']}` | {about['date'][:10]} | {about['commit']} |" in _PAGE.read_text()


def test_page_is_made_from_the_results() -> None:
    """`make bench-check` compares the whole page. It needs the benchmark's packages; this needs none."""
    times = [
        sample["cpu_us"]
        for sample in _PARTS["comparison"]["samples"]
        if (sample["contender"], sample.get("operation"), sample["block"]) == ("service", "get", "saturated")
    ]
    median, lowest, highest = (
        f"{time:,.0f}" if time >= 100 else f"{time:.3g}" for time in (statistics.median(times), min(times), max(times))
    )
    assert f"| Tasks API (this service) | {median} ({lowest}-{highest}) |" in _PAGE.read_text()
