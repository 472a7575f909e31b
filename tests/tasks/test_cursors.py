"""Cursors: the service follows its own and refuses anything else."""

import base64
import itertools
import struct
import uuid
import zlib
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.support.api import SORTS, create_task
from tests.support.types import Json, Owner
from tests.tasks.test_lists import LINK, page

# Cursors

FORGED_ID = uuid.UUID("01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47").bytes
MADE_UP = "must be taken from a Link header of a list with the same sort"


def refused(client: httpx2.Client, sort: str, cursor: str) -> list[Json]:
    """The violations in the problem, after its other members were compared."""
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
    """A cursor in the service's own format, with arbitrary contents."""
    place = letter + value + last_id
    return encoded(place + zlib.crc32(place).to_bytes(4))


def forged_moment(microseconds: int) -> str:
    return forged(b"c", struct.pack("!q", microseconds))


def test_a_forged_cursor_is_as_good_as_one_of_the_services_own(ada: Owner) -> None:
    """The other tests rely on forged cursors that differ from real ones only in the forged part."""
    first, second = create_task(ada[1], "a"), create_task(ada[1], "b")
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
    task = create_task(ada[1], "t")
    found = page(ada[1], "/api/tasks", cursor=forged_moment(microseconds)).json()
    assert found == ([task] if microseconds < 0 else [])


@pytest.mark.parametrize(("made_for", "used_for"), list(itertools.permutations(SORTS, 2)))
def test_a_cursor_of_another_sort_is_refused(ada: Owner, made_for: str, used_for: str) -> None:
    create_task(ada[1], "a")
    create_task(ada[1], "b")
    assert refused(ada[1], used_for, next_cursor(ada[1], made_for)) == [{"parameter": "cursor", "detail": MADE_UP}]


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_that_was_cut_or_mistyped_is_refused(ada: Owner, sort: str) -> None:
    create_task(ada[1], "Buy milk and bread")
    create_task(ada[1], "Buy milk and bread")
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
    mine = create_task(ada[1], "c")
    create_task(bob[1], "b")
    create_task(bob[1], "d")
    assert page(ada[1], "/api/tasks", sort="title", cursor=next_cursor(bob[1], "title")).json() == [mine]
