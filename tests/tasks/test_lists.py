"""Lists: what they hold, in which order, page after page."""

import base64
import itertools
import random
import re
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import psycopg
import pytest

from tests.support.service import Service
from tests.support.types import Json, Owner

STATUSES = {"all": (False, True), "pending": (False,), "completed": (True,)}
SORTS = ["created", "-created", "title", "-title", "updated", "-updated"]
MOST_PAGES = 500
WORDS = ["apple", "banana", "cherry", "date", "elderberry", "fig", "grape", "honeydew", "kiwi", "lemon"]
RANKS = range(36)
# The same title to the eye of the order.
SPELLINGS: list[Callable[[str], str]] = [str.lower, str.upper, str.title]
LINK = re.compile(r"<(/api/[^<>?]+)\?status=(\w+)&sort=(-?\w+)&limit=(\d+)&cursor=([A-Za-z0-9_-]+)>; rel=\"next\"")


def create(client: httpx2.Client, title: str, *, completed: bool = False) -> Json:
    answer = client.post("/api/tasks", json={"title": title, "completed": completed})
    assert answer.status_code == 201
    task: Json = answer.json()
    return task


def page(client: httpx2.Client, path: str, **query: object) -> httpx2.Response:
    answer = client.get(path, params={name: str(value) for name, value in query.items()} or None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer


def pages(client: httpx2.Client, path: str, **query: object) -> Iterator[list[Json]]:
    """Every page, by the `Link` in the one before."""
    answer = page(client, path, **query)
    yield answer.json()
    for _ in range(MOST_PAGES):
        if "next" not in answer.links:
            return
        answer = page(client, answer.links["next"]["url"])
        yield answer.json()
    pytest.fail("the list does not end")


# Filters, orders and pages


@dataclass(frozen=True)
class Crowd:
    """A user with many tasks, and what the service should know of each."""

    subject: str
    client: httpx2.Client
    tasks: list[Json]
    rank: dict[str, int]
    """Where the title of a task stands in the alphabet, by the id of the task."""

    def expected(self, status: str, sort: str) -> list[Json]:
        name = sort.removeprefix("-")

        def place(task: Json) -> tuple[datetime | int, uuid.UUID]:
            value = self.rank[task["id"]] if name == "title" else datetime.fromisoformat(task[f"{name}_at"])
            return value, uuid.UUID(task["id"])

        chosen = [task for task in self.tasks if task["completed"] in STATUSES[status]]
        return sorted(chosen, key=place, reverse=sort.startswith("-"))


@pytest.fixture(scope="module")
def crowd(service: Service, database_url: str) -> Crowd:
    """1,080 tasks; many share a title, a moment of creation and a moment of change, and no two orders agree."""
    subject = f"crowd-{uuid.uuid4().hex}"
    client = service.as_user(subject)
    titles = [
        (spelling(f"{word} {rank:02}"), index * len(RANKS) + rank)
        for (index, word), rank, spelling in itertools.product(enumerate(WORDS), RANKS, SPELLINGS)
    ]
    random.Random(2).shuffle(titles)  # noqa: S311  an order, not a secret
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda item: create(client, item[1][0], completed=item[0] % 3 == 0), enumerate(titles))
        rank = {task["id"]: place for task, (_, place) in zip(made, titles, strict=True)}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            """
            UPDATE tasks SET
                created_at = date_trunc('hour', now()) - get_byte(uuid_send(id), 14) %% 30 * interval '1 day 1 us',
                updated_at = date_trunc('hour', now()) + get_byte(uuid_send(id), 15) %% 20 * interval '0.5 seconds'
            WHERE user_id = %s
            """,
            [subject],
        )
        columns = "id, user_id, title, description, completed, created_at, updated_at"
        rows = connection.execute(f"SELECT {columns} FROM tasks WHERE user_id = %s", [subject]).fetchall()  # noqa: S608
    tasks = [dict(zip(columns.split(", "), map(written, row), strict=True)) for row in rows]
    assert len(tasks) == len(rank) == 1080
    return Crowd(subject, client, tasks, rank)


def written(value: object) -> object:
    """The value as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, uuid.UUID) else value


@pytest.mark.parametrize("limit", [7, 250, 1000])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("status", STATUSES)
def test_the_pages_of_a_list_are_the_whole_list_in_order(crowd: Crowd, status: str, sort: str, limit: int) -> None:
    path = "/api/tasks" if limit == 250 else f"/api/{crowd.subject}/tasks"
    expected = crowd.expected(status, sort)
    found = list(pages(crowd.client, path, status=status, sort=sort, limit=limit))
    assert found == [expected[start : start + limit] for start in range(0, len(expected), limit)]


@pytest.mark.parametrize("sort", SORTS)
def test_a_list_can_be_read_one_task_at_a_time(ada: Owner, sort: str) -> None:
    subject, client = ada
    tasks = [create(client, title) for title in ("b", "A", "c", "a", "B")]
    order = {"created": tasks, "updated": tasks, "title": [tasks[number] for number in (1, 3, 0, 4, 2)]}
    expected = order[sort.removeprefix("-")][:: -1 if sort.startswith("-") else 1]
    assert list(pages(client, f"/api/{subject}/tasks", sort=sort, limit=1)) == [[task] for task in expected]


@pytest.mark.parametrize(("limit", "sizes"), [(4, [4, 1]), (5, [5]), (6, [5])], ids=["fewer", "as-many", "more"])
def test_there_is_a_link_where_there_is_more_and_only_there(ada: Owner, limit: int, sizes: list[int]) -> None:
    tasks = [create(ada[1], "t") for _ in range(5)]
    found = list(pages(ada[1], "/api/tasks", limit=limit))
    assert [len(each) for each in found] == sizes
    assert list(itertools.chain(*found)) == tasks


@pytest.mark.parametrize("path", ["/api/{}/tasks", "/api/tasks"], ids=["by-user-id", "by-token"])
def test_a_link_repeats_the_question_at_the_address_where_it_was_asked(crowd: Crowd, path: str) -> None:
    path = path.format(crowd.subject)
    answer = page(crowd.client, path, status="pending", sort="-title", limit=3)
    match = LINK.fullmatch(answer.headers["link"])
    assert match is not None
    assert match.groups()[:4] == (path, "pending", "-title", "3")


def test_a_list_is_by_default_the_first_thousand_of_all_tasks_as_they_were_created(crowd: Crowd) -> None:
    answer = page(crowd.client, "/api/tasks")
    expected = crowd.expected("all", "created")
    assert answer.json() == expected[:1000]
    match = LINK.fullmatch(answer.headers["link"])
    assert match is not None
    assert match.groups()[:4] == ("/api/tasks", "all", "created", "1000")
    assert page(crowd.client, answer.links["next"]["url"]).json() == expected[1000:]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_list_without_tasks_is_an_empty_array_without_a_link(ada: Owner, status: str, sort: str) -> None:
    answer = page(ada[1], f"/api/{ada[0]}/tasks", status=status, sort=sort)
    assert (answer.content, "link" in answer.headers) == (b"[]", False)


def test_a_status_shows_a_task_where_it_belongs_as_it_changes(ada: Owner) -> None:
    client = ada[1]
    task = create(client, "t")

    def seen() -> dict[str, list[bool]]:
        lists = {status: page(client, "/api/tasks", status=status).json() for status in STATUSES}
        return {status: [each["completed"] for each in found] for status, found in lists.items()}

    assert seen() == {"all": [False], "pending": [False], "completed": []}
    client.patch(f"/api/tasks/{task['id']}/toggle")
    assert seen() == {"all": [True], "pending": [], "completed": [True]}
    client.delete(f"/api/tasks/{task['id']}")
    assert seen() == {"all": [], "pending": [], "completed": []}


def test_a_change_moves_a_task_to_the_end_of_the_list_by_last_change(ada: Owner) -> None:
    client = ada[1]
    first, second, third = (create(client, title) for title in ("c", "b", "a"))
    changed = client.put(f"/api/tasks/{first['id']}", json={"title": "A"}).json()
    assert page(client, "/api/tasks", sort="updated").json() == [second, third, changed]
    assert page(client, "/api/tasks", sort="-updated").json() == [changed, third, second]
    assert page(client, "/api/tasks", sort="created").json() == [changed, second, third]
    assert page(client, "/api/tasks", sort="title").json() == [changed, third, second]


# Pages while the list changes


@pytest.mark.parametrize("sort", SORTS)
def test_pages_neither_skip_nor_repeat_what_was_there_while_tasks_come_and_go(ada: Owner, sort: str) -> None:
    client = ada[1]
    for number in range(60):
        create(client, f"m {number % 17:02}")
    order = [task["id"] for task in page(client, "/api/tasks", sort=sort).json()]
    seen: list[str] = []
    gone: set[str] = set()
    for found in pages(client, "/api/tasks", sort=sort, limit=7):
        seen += [task["id"] for task in found]
        ahead = [each for each in order if each not in {*seen, *gone}]
        # The first and the last of this page, at which the next one starts, and one that is still to come.
        for each in {found[0]["id"], found[-1]["id"], *ahead[2:3]}:
            assert client.delete(f"/api/tasks/{each}").status_code == 204
        gone |= set(ahead[2:3])
        for title in ("a", "m 08", "z"):
            create(client, title)
    assert len(gone) > 5
    assert [each for each in seen if each in order] == [each for each in order if each not in gone]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("sort", ["created", "-title", "updated"])
def test_pages_are_whole_while_others_write_at_the_same_time(
    service: Service, new_user: Callable[[str], str], sort: str
) -> None:
    subject = new_user("ada")
    reader, writer = service.as_user(subject), service.as_user(subject)
    for number in range(150):
        create(reader, f"m {number % 17:02}")
    order = [task["id"] for task in page(reader, "/api/tasks", sort=sort).json()]
    started, done = threading.Event(), threading.Event()

    def write() -> int:
        for count in itertools.count():
            task = create(writer, "amz"[count % 3])
            started.set()
            assert writer.delete(f"/api/tasks/{task['id']}").status_code == 204
            if done.is_set():
                return count
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        started.wait(30)
        try:
            found = [task["id"] for each in pages(reader, "/api/tasks", sort=sort, limit=5) for task in each]
        finally:
            done.set()
    assert writing.result() > 0
    assert [each for each in found if each in order] == order
    assert len(found) == len(set(found))


# The order of titles

# First the letters without case and accents, then the letters with them; what is no letter by its code point.
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
def test_titles_are_ordered_by_letter_then_by_accent_whatever_their_case(ada: Owner, sort: str) -> None:
    for title in in_any_order(ALPHABET):
        create(ada[1], title)
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
def test_titles_that_are_equal_in_the_order_stay_in_the_order_of_their_ids(ada: Owner, titles: list[str]) -> None:
    client = ada[1]
    rounds = [*in_any_order(titles), *in_any_order(titles)]
    tasks = sorted((create(client, title) for title in rounds), key=lambda task: uuid.UUID(task["id"]))
    assert page(client, "/api/tasks", sort="title").json() == tasks
    assert page(client, "/api/tasks", sort="-title").json() == tasks[::-1]
    assert list(itertools.chain(*pages(client, "/api/tasks", sort="title", limit=1))) == tasks


def test_a_new_title_moves_a_task_in_the_list_by_title(ada: Owner) -> None:
    client = ada[1]
    apple, banana = create(client, "apple"), create(client, "banana")
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
def test_the_longest_title_of_the_longest_user_id_is_listed_in_every_order(
    service: Service, new_user: Callable[[str], str], title: str, sort: str
) -> None:
    subject = new_user("").ljust(255, "\N{MOUSE FACE}")
    client = service.as_user(subject)
    first, second = create(client, title), create(client, title)
    path = str(httpx2.URL(path=f"/api/{subject}/tasks"))
    expected = [first, second][:: -1 if sort.startswith("-") else 1]
    assert list(pages(client, path, sort=sort, limit=1)) == [[task] for task in expected]


# Cursors

FORGED_ID = uuid.UUID("01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47").bytes
MADE_UP = "must be taken from a Link header of a list with the same sort"


def refused(client: httpx2.Client, sort: str, cursor: str) -> list[Json]:
    """The violations that the problem tells, after its other members were compared."""
    answer = client.get("/api/tasks", params={"sort": sort, "cursor": cursor})
    problem: Json = answer.json()
    assert (answer.status_code, problem) == (
        422,
        {
            "type": "/problems#validation-failed",
            "title": "Validation failed",
            "status": 422,
            "detail": "The request does not satisfy the contract; see `errors`.",
            "instance": "/api/tasks",
            "code": "validation-failed",
            "errors": problem["errors"],
        },
    )
    errors: list[Json] = problem["errors"]
    return errors


def next_cursor(client: httpx2.Client, sort: str) -> str:
    match = LINK.fullmatch(page(client, "/api/tasks", sort=sort, limit=1).headers["link"])
    assert match is not None
    return match.group(5)


def encoded(place: bytes) -> str:
    return base64.urlsafe_b64encode(place).rstrip(b"=").decode()


def forged(letter: bytes, value: bytes, last_id: bytes = FORGED_ID) -> str:
    """A cursor in the form of the service's own, with whatever in it."""
    place = letter + value + last_id
    return encoded(place + zlib.crc32(place).to_bytes(4))


def forged_moment(microseconds: int) -> str:
    return forged(b"c", struct.pack("!q", microseconds))


def test_a_forged_cursor_is_as_good_as_one_of_the_services_own(ada: Owner) -> None:
    """What the refusals of forged ones rest on."""
    first, second = create(ada[1], "a"), create(ada[1], "b")
    moment = datetime.fromisoformat(first["created_at"])
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    by_moment = forged(b"c", struct.pack("!q", microseconds), uuid.UUID(first["id"]).bytes)
    by_title = forged(b"t", b"a", uuid.UUID(first["id"]).bytes)
    assert [by_moment, by_title] == [next_cursor(ada[1], "created"), next_cursor(ada[1], "title")]
    assert page(ada[1], "/api/tasks", sort="title", cursor=by_title).json() == [second]


@pytest.mark.parametrize(
    ("sort", "cursor"),
    [
        pytest.param("created", "garbage", id="garbage"),
        pytest.param("created", "A", id="no-base64"),
        pytest.param("created", "_" * 2048, id="longest-garbage"),
        pytest.param("title", "dGl0bGU", id="base64-of-a-word"),
        pytest.param("created", "AA", id="one-byte"),
        pytest.param("created", encoded(b"c" + bytes(28)), id="wrong-sum"),
        pytest.param("created", forged(b"c", b""), id="no-moment"),
        pytest.param("created", forged(b"c", bytes(7)), id="short-moment"),
        pytest.param("created", forged(b"c", bytes(9)), id="long-moment"),
        pytest.param("created", forged(b"c", b"", b""), id="nothing-but-a-letter"),
        pytest.param("created", forged(b"x", bytes(8)), id="unknown-letter"),
        pytest.param("title", forged(b"t", b""), id="no-title"),
        pytest.param("title", forged(b"t", b"x" * 1501), id="long-title"),
        pytest.param("created", forged_moment(2**63 - 1), id="greatest-moment"),
        pytest.param("created", forged_moment(-(2**63)), id="least-moment"),
        pytest.param("created", forged_moment(253_402_300_800_000_000), id="year-10000"),
        pytest.param("created", forged_moment(-62_135_596_800_000_001), id="before-the-year-1"),
    ],
)
def test_a_cursor_that_the_service_did_not_make_is_refused(ada: Owner, sort: str, cursor: str) -> None:
    assert refused(ada[1], sort, cursor) == [{"parameter": "cursor", "detail": MADE_UP}]


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("a b", id="space"),
        pytest.param("YWJj+/8=", id="base64-of-the-other-alphabet"),
        pytest.param("\0", id="nul"),
        pytest.param("\N{ARABIC-INDIC DIGIT ONE}", id="not-ascii"),
        pytest.param("A\n", id="line-end"),
        pytest.param("A" * 2049, id="beyond-its-greatest-length"),
    ],
)
def test_a_cursor_of_another_form_is_refused(ada: Owner, cursor: str) -> None:
    assert refused(ada[1], "created", cursor) == [{"parameter": "cursor", "detail": MADE_UP}]


@pytest.mark.parametrize("microseconds", [-62_135_596_800_000_000, 253_402_300_799_999_999], ids=["first", "last"])
def test_a_cursor_at_the_edge_of_time_is_a_place_like_any_other(ada: Owner, microseconds: int) -> None:
    task = create(ada[1], "t")
    found = page(ada[1], "/api/tasks", cursor=forged_moment(microseconds)).json()
    assert found == ([task] if microseconds < 0 else [])


@pytest.mark.parametrize(("made_for", "used_for"), list(itertools.permutations(SORTS, 2)))
def test_a_cursor_of_another_sort_is_refused(ada: Owner, made_for: str, used_for: str) -> None:
    create(ada[1], "a")
    create(ada[1], "b")
    assert refused(ada[1], used_for, next_cursor(ada[1], made_for)) == [{"parameter": "cursor", "detail": MADE_UP}]


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_that_was_cut_or_mistyped_is_refused(ada: Owner, sort: str) -> None:
    create(ada[1], "Buy milk and bread")
    create(ada[1], "Buy milk and bread")
    cursor = next_cursor(ada[1], sort)
    swapped = {"A": "B"}
    for wrong in (
        *(cursor[:length] for length in range(1, len(cursor))),
        *(cursor[:place] + swapped.get(cursor[place], "A") + cursor[place + 1 :] for place in range(len(cursor) - 1)),
        cursor + "A",
        cursor + cursor,
    ):
        assert refused(ada[1], sort, wrong) == [{"parameter": "cursor", "detail": MADE_UP}]


def test_a_cursor_of_somebody_else_is_a_place_in_ones_own_list(ada: Owner, bob: Owner) -> None:
    mine = create(ada[1], "c")
    create(bob[1], "b")
    create(bob[1], "d")
    assert page(ada[1], "/api/tasks", sort="title", cursor=next_cursor(bob[1], "title")).json() == [mine]
