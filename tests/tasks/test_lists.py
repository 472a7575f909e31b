"""Lists: their contents, order and pages."""

import itertools
import random
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import psycopg
import pytest

from tests.support.api import SORTS, create_task
from tests.support.service import Service
from tests.support.types import Json, Owner

STATUSES = {"all": (False, True), "pending": (False,), "completed": (True,)}

MOST_PAGES = 500
WORDS = ["apple", "banana", "cherry", "date", "elderberry", "fig", "grape", "honeydew", "kiwi", "lemon"]
RANKS = range(36)
# Titles that the order treats as equal.
SPELLINGS: list[Callable[[str], str]] = [str.lower, str.upper, str.title]
LINK = re.compile(r"<(/api/[^<>?]+)\?status=(\w+)&sort=(-?\w+)&limit=(\d+)&cursor=([A-Za-z0-9_-]+)>; rel=\"next\"")


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
    """A user with many tasks, and the expected lists of them."""

    subject: str
    client: httpx2.Client
    tasks: list[Json]
    rank: dict[str, int]
    """The position of each task's title in the alphabet, by the id of the task."""

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
        made = pool.map(lambda item: create_task(client, item[1][0], completed=item[0] % 3 == 0), enumerate(titles))
        rank = {task["id"]: place for task, (_, place) in zip(made, titles, strict=True)}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            """
            UPDATE tasks SET
                created_at = timezone(
                    'UTC', timestamp '2026-01-31' - get_byte(uuid_send(id), 14) %% 30 * interval '1 day 1 us'
                ),
                updated_at = timezone(
                    'UTC', timestamp '2026-01-31' + get_byte(uuid_send(id), 15) %% 20 * interval '0.5 seconds'
                )
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
    tasks = [create_task(client, title) for title in ("b", "A", "c", "a", "B")]
    order = {"created": tasks, "updated": tasks, "title": [tasks[number] for number in (1, 3, 0, 4, 2)]}
    expected = order[sort.removeprefix("-")][:: -1 if sort.startswith("-") else 1]
    assert list(pages(client, f"/api/{subject}/tasks", sort=sort, limit=1)) == [[task] for task in expected]


@pytest.mark.parametrize(("limit", "sizes"), [(4, [4, 1]), (5, [5]), (6, [5])], ids=["fewer", "as-many", "more"])
def test_there_is_a_link_where_there_is_more_and_only_there(ada: Owner, limit: int, sizes: list[int]) -> None:
    tasks = [create_task(ada[1], "t") for _ in range(5)]
    found = list(pages(ada[1], "/api/tasks", limit=limit))
    assert [len(each) for each in found] == sizes
    assert list(itertools.chain(*found)) == tasks


@pytest.mark.parametrize("path", ["/api/{}/tasks", "/api/tasks"], ids=["by-user-id", "by-token"])
def test_a_next_link_repeats_the_query_at_the_same_path(crowd: Crowd, path: str) -> None:
    path = path.format(crowd.subject)
    answer = page(crowd.client, path, status="pending", sort="-title", limit=3)
    match = LINK.fullmatch(answer.headers["link"])
    assert match is not None
    assert match.groups()[:4] == (path, "pending", "-title", "3")


def test_by_default_a_list_has_the_first_thousand_tasks(crowd: Crowd) -> None:
    """All statuses, in the order of creation."""
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
    task = create_task(client, "t")

    def seen() -> dict[str, list[bool]]:
        lists = {status: page(client, "/api/tasks", status=status).json() for status in STATUSES}
        return {status: [each["completed"] for each in found] for status, found in lists.items()}

    assert seen() == {"all": [False], "pending": [False], "completed": []}
    client.patch(f"/api/tasks/{task['id']}/toggle")
    assert seen() == {"all": [True], "pending": [], "completed": [True]}
    client.delete(f"/api/tasks/{task['id']}")
    assert seen() == {"all": [], "pending": [], "completed": []}


def test_a_change_moves_a_task_to_the_end_of_the_list_by_update(ada: Owner) -> None:
    client = ada[1]
    first, second, third = (create_task(client, title) for title in ("c", "b", "a"))
    changed = client.put(f"/api/tasks/{first['id']}", json={"title": "A"}).json()
    assert page(client, "/api/tasks", sort="updated").json() == [second, third, changed]
    assert page(client, "/api/tasks", sort="-updated").json() == [changed, third, second]
    assert page(client, "/api/tasks", sort="created").json() == [changed, second, third]
    assert page(client, "/api/tasks", sort="title").json() == [changed, third, second]


# Pages while the list changes


@pytest.mark.parametrize("sort", SORTS)
def test_pages_neither_skip_nor_repeat_while_the_list_changes(ada: Owner, sort: str) -> None:
    client = ada[1]
    for number in range(60):
        create_task(client, f"m {number % 17:02}")
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
            create_task(client, title)
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
        create_task(reader, f"m {number % 17:02}")
    order = [task["id"] for task in page(reader, "/api/tasks", sort=sort).json()]
    started, done = threading.Event(), threading.Event()

    def write() -> int:
        for count in itertools.count():
            task = create_task(writer, "amz"[count % 3])
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
