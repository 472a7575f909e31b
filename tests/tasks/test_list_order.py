"""The order of titles: by letter, then by accent, then by case."""

import itertools
import random
import uuid
from collections.abc import Callable

import httpx2
import pytest

from tests.support.api import SORTS, create_task
from tests.support.service import Service
from tests.support.types import Owner
from tests.tasks.test_lists import page, pages

# The order of titles

# First the letters without case and accents, then the letters with them; other characters by their code points.
ALPHABET = [
    "  two spaces before",
    "#1",
    "10 things",
    "2 things",
    "\u00c4pfel",
    "apple",
    "Apple pie",
    "\u00e4rger",
    "banana",
    "Caf\u00e9",
    "cafe au lait",
    "CAFES",
    "\u010capek",
    "coop",
    "co\u00f6p",
    "dj",
    "\u0110j",
    "djinn",
    "\u00c9clair",
    "eclair pie",
    "encyclop\u00e6dia",
    "encyclopaedias",
    "isi",
    "\u0131s\u0131",
    "\u0130stanbul",
    "lodge",
    "\u0141\u00f3d\u017a",
    "log",
    "na\u00efve",
    "nave",
    "ol",
    "\u00d8l",
    "olive",
    "resume",
    "r\u00e9sum\u00e9",
    "Resumes",
    "vi\u1ec7t nam",
    "zebra",
    "\u017di\u017eek",
    "\u03b1\u03bb\u03c6\u03b1",
    "\u0386\u03bb\u03c6\u03b1",
    "\u0395\u03a8",
    "\u0435\u0436",
    "\u0401\u041b\u041a\u0410",
    "\u0435\u043b\u044c",
    "\u65e5\u672c",
    "\N{GRINNING FACE}",
]


def in_any_order(titles: list[str]) -> list[str]:
    return random.Random(5).sample(titles, len(titles))  # noqa: S311  an order, not a secret


@pytest.mark.parametrize("sort", ["title", "-title"])
def test_titles_are_ordered_by_letter_then_by_accent(ada: Owner, sort: str) -> None:
    for title in in_any_order(ALPHABET):
        create_task(ada[1], title)
    found = [task["title"] for task in page(ada[1], "/api/tasks", sort=sort).json()]
    assert found == (ALPHABET if sort == "title" else ALPHABET[::-1])


@pytest.mark.parametrize(
    "titles",
    [
        pytest.param(["buy milk", "BUY MILK", "Buy Milk", "bUY mILK"], id="case"),
        pytest.param(["VIII", "\N{ROMAN NUMERAL EIGHT}", "viii", "\N{SMALL ROMAN NUMERAL EIGHT}"], id="compatibility"),
        pytest.param(["stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE", "strasse"], id="sharp-s"),
        pytest.param(["caf\u00e9", "cafe\u0301", "CAF\u00c9", "CAFE\u0301"], id="composed-and-decomposed"),
        pytest.param(["file", "\N{LATIN SMALL LIGATURE FI}le"], id="ligature"),
        pytest.param(["\u03c3\u03b1\u03c2", "\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c3"], id="final-sigma"),
        pytest.param(["\ufdfa" * 199 + last for last in "abc"], id="equal-in-all-the-bytes-that-are-compared"),
    ],
)
def test_titles_of_equal_rank_are_ordered_by_id(ada: Owner, titles: list[str]) -> None:
    client = ada[1]
    rounds = [*in_any_order(titles), *in_any_order(titles)]
    tasks = sorted((create_task(client, title) for title in rounds), key=lambda task: uuid.UUID(task["id"]))
    assert page(client, "/api/tasks", sort="title").json() == tasks
    assert page(client, "/api/tasks", sort="-title").json() == tasks[::-1]
    assert list(itertools.chain(*pages(client, "/api/tasks", sort="title", limit=1))) == tasks


def test_a_new_title_moves_a_task_in_the_list_by_title(ada: Owner) -> None:
    client = ada[1]
    apple, banana = create_task(client, "apple"), create_task(client, "banana")
    cherry = client.put(f"/api/tasks/{apple['id']}", json={"title": "Cherry"}).json()
    assert page(client, "/api/tasks", sort="title").json() == [banana, cherry]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    "title",
    [
        pytest.param("\ufdfa" * 200, id="18-characters-each-when-decomposed"),
        pytest.param("\N{MUSICAL SYMBOL G CLEF}" * 200, id="4-bytes-each"),
        pytest.param("\N{GREEK SMALL LETTER ALPHA WITH DASIA AND VARIA AND YPOGEGRAMMENI}" * 200, id="many-accents"),
        pytest.param("\N{COMBINING GRAVE ACCENT}" * 200, id="no-letter-at-all"),
    ],
)
def test_the_longest_title_is_listed_in_every_order(
    service: Service, new_user: Callable[[str], str], title: str, sort: str
) -> None:
    """Of the user with the longest id, so that cursors and links are longest, too."""
    subject = new_user("").ljust(255, "\N{MOUSE FACE}")
    client = service.as_user(subject)
    first, second = create_task(client, title), create_task(client, title)
    path = str(httpx2.URL(path=f"/api/{subject}/tasks"))
    expected = [first, second][:: -1 if sort.startswith("-") else 1]
    assert list(pages(client, path, sort=sort, limit=1)) == [[task] for task in expected]
