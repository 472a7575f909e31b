"""The index of docs/decisions.md is complete and true."""

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
TEXT = (DOCS / "decisions.md").read_text()


class Row(NamedTuple):
    """A row of the index."""

    number: int
    anchor: str
    title: str
    date: str
    status: str


_ROW = re.compile(r"^\| (?:\[(\d+)\]\(#(\S+)\)|(\d+)) \| (.+?) \| (\S+) \| (.+) \|$", re.MULTILINE)
ROWS = [Row(int(a or b), anchor, *rest) for a, anchor, b, *rest in _ROW.findall(TEXT)]
ENTRIES = {
    int(number): (title, text)
    for number, title, text in re.findall(r"^### (\d+)\. (.+)\n((?:(?!##).*\n)+)", TEXT, re.MULTILINE)
}
TITLES = {number: title for number, (title, _) in ENTRIES.items()}

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(path: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)}


def test_the_index_has_every_number_once_and_in_order() -> None:
    """The pattern matches every line of the table but its head, so that no row escapes the other tests."""
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert len(lines) == len(ROWS) + 2
    assert [row.number for row in ROWS] == list(range(1, len(ROWS) + 1))


def test_every_entry_is_in_the_index() -> None:
    assert len(re.findall(r"^### ", TEXT, re.MULTILINE)) == len(ENTRIES)
    assert {row.number: row.title for row in ROWS if row.anchor} == TITLES


@every_row
def test_a_row_leads_to_its_entry_or_to_a_page(row: Row) -> None:
    if row.anchor:
        assert row.anchor == anchor(f"{row.number}. {row.title}")
        return
    moved = re.fullmatch(r"moved to \[\S+\]\((\S+)#(\S+)\)", row.status)
    assert moved is not None, row.status
    assert moved[2] in headings((DOCS / moved[1]).resolve())


@every_row
def test_a_row_has_a_date_and_a_known_status(row: Row) -> None:
    assert date(2026, 11, 20) <= date.fromisoformat(row.date)
    later = re.fullmatch(r"accepted|(?:amended|replaced) by (\d+(?:(?:, | and )\d+)*)|moved to .+", row.status)
    assert later is not None, row.status
    assert all(row.number < int(number) <= len(ROWS) for number in re.findall(r"\d+", later[1] or ""))


@pytest.mark.parametrize("number", ENTRIES)
def test_an_entry_has_its_three_parts(number: int) -> None:
    assert re.findall(r"\*(\w+):\*", ENTRIES[number][1]) == ["Context", "Decision", "Consequence"]
