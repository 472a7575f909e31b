"""The number of faults and hostile inputs that were tried and that the service survived, as one table.

`figures("Connections terminated", tried, survived, recovery_seconds=0.2)` adds to a row and fails where they differ.
"""

import os
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

_UNITS = {"_seconds": ", s", "_mib": ", MiB"}
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


class Figures(Protocol):
    """The fixture `figures`."""

    def __call__(self, group: str, tried: int, survived: int, **more: float) -> None:
        """Record it, and fail if something was not survived."""


class Table:
    """A row for each group. Repeated records are added up; of seconds and MiB the worst counts."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    def record(self, group: str, tried: int, survived: int, **more: float) -> None:
        self.add({group: {"tried": tried, "survived": survived, **more}})
        assert tried > 0, f"{group}: nothing was tried"
        assert survived == tried, f"{group}: {tried - survived} of {tried} were not survived"

    def add(self, rows: Mapping[str, Mapping[str, float]]) -> None:
        """Add rows, such as those of another process."""
        for group, values in rows.items():
            row = self.rows.setdefault(group, {})
            for name, value in values.items():
                known = row.get(name, 0)
                row[name] = max(known, value) if name.endswith(tuple(_UNITS)) else known + value

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __str__(self) -> str:
        # The order of the tests is by chance. Columns that many rows have come first.
        uses = Counter(name for row in self.rows.values() for name in row)
        names = [name for name, _ in uses.most_common()]
        head = ["What was done", *(_title(name) for name in names)]
        body = [[group, *(_cell(name, row.get(name)) for name in names)] for group, row in sorted(self.rows.items())]
        rule = ["---", *["---:"] * len(names)]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        return "".join(_line(cells, widths) for cells in [head, rule, *body])


def _line(cells: list[str], widths: list[int]) -> str:
    name, *numbers = cells
    padded = [name.ljust(widths[0]), *(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |\n"


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if name.endswith("_seconds") else f"{value:,.0f}"


def _title(name: str) -> str:
    for ending, unit in _UNITS.items():
        name = name.replace(ending, unit)
    return name.replace("_", " ")


def _occasion() -> str:
    """The date and the machine of this run."""
    day = datetime.now(UTC).date()
    python = platform.python_version()
    return f"{day}, {platform.system()} on {os.cpu_count()} cores ({platform.machine()}), Python {python}."


_TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--figures",
        nargs="?",
        const="",
        metavar="FILE",
        help="print the table of what was tried and survived, and put it into FILE between its marks",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = Table()
    file = config.getoption("--figures")
    if file and (not Path(file).is_file() or BEGIN not in Path(file).read_text()):
        raise pytest.UsageError(f"--figures: {file} is not a file with {BEGIN.strip()} in it")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    return pytestconfig.stash[_TABLE].record


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the rows of a worker of pytest-xdist to the process that prints the table."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = session.config.stash[_TABLE].rows


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the records of a worker. A worker that crashed has sent none."""
    node.config.stash[_TABLE].add(getattr(node, "workeroutput", {}).get("figures", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    table, file = config.stash[_TABLE], config.getoption("--figures")
    # A worker of pytest-xdist has a part of the rows only.
    if file is None or not table or hasattr(config, "workerinput"):
        return
    terminalreporter.section("tried and survived")
    terminalreporter.write(str(table))
    if file and exitstatus == pytest.ExitCode.OK:
        path = Path(file)
        before, _, rest = path.read_text().partition(BEGIN)
        path.write_text(f"{before}{BEGIN}\n{_occasion()}\n\n{table}\n{END}{rest.partition(END)[2]}")
