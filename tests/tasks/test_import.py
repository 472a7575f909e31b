"""Export and import: what went out comes in again, and an import is all there or not there at all."""

import contextlib
import csv
import io
import json
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Self
from urllib.parse import urlsplit

import httpx2
import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.faults.probes import until
from tests.support.concurrency import at_once
from tests.support.postgres import fresh_database
from tests.support.raw_http import Wire, problem, request, violations
from tests.support.service import Service, running_service, token
from tests.support.types import Call, Connection, Json, Owner
from tests.tasks.test_tasks import Home, both_homes

NDJSON = "application/x-ndjson"
CSV = "text/csv"
MEDIA_TYPES = {"ndjson": NDJSON, "csv": CSV}
MEMBERS = ["id", "user_id", "title", "description", "completed", "created_at", "updated_at"]
MOST_BYTES = 10 * 1024 * 1024
MOST_LINES = 50_000
LINE_BYTES = 65_536
WAIT_SECONDS = 20
# What a format of lines may stumble over.
TITLES = [
    "Buy milk",
    'two "cartons"',
    '"',
    "a,b;c\td",
    "two\nlines",
    "two\r\nlines",
    "a\rb",
    "\nfirst",
    "last\n",
    " spaces ",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "null",
    "true",
    "\\n",
    "\N{GRINNING FACE} \u00e9 e\u0301 \u05d0 \u2028 \u2029 \u0085 \ufeff!",
    "\ufefffirst",
    "x" * 200,
    "\x01\x1f\x7f!",
]


@pytest.fixture(params=[0, 1], ids=["by-user-id", "by-token"])
def home(request: pytest.FixtureRequest, ada: Owner) -> Home:
    """Ada's tasks, under each address."""
    index: int = request.param
    return both_homes(*ada)[index]


@pytest.fixture
def here(ada: Owner) -> Home:
    """Ada's tasks."""
    return both_homes(*ada)[1]


@pytest.fixture
def there(bob: Owner) -> Home:
    """Bob's."""
    return both_homes(*bob)[1]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """The database, to look into. Each statement is a transaction of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def send(home: Home, content: bytes | Iterable[bytes], media_type: str = NDJSON) -> httpx2.Response:
    return home.client.post(f"{home.tasks}/import", content=content, headers={"content-type": media_type})


def result(answer: httpx2.Response) -> tuple[int, int]:
    """How many were imported, and how many were there."""
    assert answer.status_code == 200, answer.text[:1000]
    counts = answer.json()
    return counts["imported"], counts["unchanged"]


def export(home: Home, format: str = "ndjson", status: str = "all") -> bytes:  # noqa: A002
    answer = home.client.get(f"{home.tasks}/export", params={"format": format, "status": status})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPES[format]
    assert answer.headers["content-disposition"] == f'attachment; filename="tasks.{format}"'
    return answer.content


def wrong(answer: httpx2.Response) -> dict[int, str]:
    """The lines that are wrong, with the reasons."""
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["line"]: error["detail"] for error in answer.json()["errors"]}


def lines(rows: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def everything(home: Home) -> list[Json]:
    found: list[Json] = []
    path: str | None = home.tasks
    while path is not None:
        answer = home.client.get(path)
        found += answer.json()
        path = answer.links.get("next", {}).get("url")
    return found


def read(content: bytes, format: str) -> list[Json]:  # noqa: A002
    """The tasks in an export, as JSON has them."""
    if format == "ndjson":
        return [json.loads(line) for line in content.split(b"\n")[:-1]]
    records = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
    assert records.fieldnames == MEMBERS
    return [
        {
            **record,
            "description": record["description"] or None,
            "completed": {"true": True, "false": False}[record["completed"]],
        }
        for record in records
    ]


# Export


@pytest.mark.parametrize("format", MEDIA_TYPES)
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_an_export_has_every_task_in_the_order_of_creation(here: Home, format: str, count: int) -> None:  # noqa: A002
    assert result(send(here, lines({"title": f"task {number}"} for number in range(count)))) == (count, 0)
    content = export(here, format)
    assert read(content, format) == everything(here)
    assert len(everything(here)) == count
    if format == "csv":
        assert content.startswith(",".join(MEMBERS).encode() + b"\r\n")


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_export_keeps_every_character_of_a_title_and_a_description(home: Home, format: str) -> None:  # noqa: A002
    for number, title in enumerate(TITLES):
        home.create(title=title, description=title, completed=number % 2 == 0)
    found = read(export(home, format), format)
    assert [task["title"] for task in found] == [task["description"] for task in found] == TITLES
    assert found == everything(home)


@pytest.mark.parametrize("format", MEDIA_TYPES)
@pytest.mark.parametrize("status", ["all", "pending", "completed", "trashed"])
def test_an_export_can_be_of_some_tasks(here: Home, format: str, status: str) -> None:  # noqa: A002
    tasks = [here.create(completed=completed) for completed in (True, False, True, False)]
    for task in tasks[2:]:
        here.client.delete(here.path(task)).raise_for_status()
    expected = here.client.get(here.tasks, params={"status": status}).json()
    assert len(expected) == (1 if status in ("pending", "completed") else 2)
    assert read(export(here, format, status), format) == expected


def test_an_export_is_of_one_user_and_lines_of_json_unless_asked_otherwise(here: Home, there: Home) -> None:
    task = here.create()
    there.create()
    answer = here.client.get(f"{here.tasks}/export")
    assert (answer.headers["content-type"], read(answer.content, "ndjson")) == (NDJSON, [task])
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_head_tells_the_type_of_an_export_without_its_content(here: Home, format: str) -> None:  # noqa: A002
    here.create()
    path, query = f"{here.tasks}/export", {"format": format}
    got, head = here.client.get(path, params=query), here.client.head(path, params=query)
    assert (head.status_code, head.content) == (200, b"")
    told = {"content-type", "content-disposition", "cache-control"}
    assert {name: got.headers[name] for name in told} == {name: head.headers[name] for name in told}
    assert here.client.get(here.tasks).status_code == 200


@pytest.mark.parametrize(
    ("accept", "format", "status"),
    [
        ("*/*", "ndjson", 200),
        ("*/*", "csv", 200),
        ("application/x-ndjson", "ndjson", 200),
        ("Text/CSV", "csv", 200),
        ("application/*", "ndjson", 200),
        ("text/csv, application/x-ndjson;q=0.5", "ndjson", 200),
        ("text/html", "csv", 406),
        ("application/json", "ndjson", 406),
        ("text/csv", "ndjson", 406),
        ("application/*, text/csv;q=0", "csv", 406),
    ],
)
def test_an_export_honours_accept(service: Service, here: Home, accept: str, format: str, status: int) -> None:  # noqa: A002
    answer = here.client.get(f"{here.tasks}/export", params={"format": format}, headers={"accept": accept})
    assert answer.status_code == status
    if status == 406:
        problem(service, answer, "not-acceptable")


@pytest.mark.parametrize(
    "query", [{"format": "xml"}, {"format": "CSV"}, {"format": ""}, {"status": "x"}, {"sort": "title"}]
)
def test_an_export_of_another_kind_is_refused(service: Service, here: Home, query: dict[str, str]) -> None:
    answer = here.client.get(f"{here.tasks}/export", params=query)
    assert {where for where, _ in violations(service, answer)} == set(query)


# An export that breaks off


def fill(connection: Connection, subject: str, count: int) -> None:
    """Tasks of 1,200 characters each."""
    connection.execute("INSERT INTO users (id) VALUES (%s)", [subject])
    connection.execute(
        """
        INSERT INTO tasks (user_id, id, title, title_key, description)
        SELECT %s, gen_random_uuid(), repeat('secret! ', 25), '\\x01', repeat('secret! ', 125)
        FROM generate_series(1, %s)
        """,
        [subject, count],
    )


@contextlib.contextmanager
def exporting(service: Service, subject: str) -> Iterator[Iterator[bytes]]:
    """The content of an export, piece by piece."""
    headers = {"authorization": f"Bearer {token(subject)}"}
    with (
        httpx2.Client(base_url=service.url, headers=headers, timeout=WAIT_SECONDS, trust_env=False) as client,
        client.stream("GET", "/api/tasks/export") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["transfer-encoding"] == "chunked"
        yield answer.iter_raw(65_536)


@pytest.fixture(scope="module")
def lonely(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service with a database of its own, in which Ada has so many tasks that no buffer holds them."""
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path_factory.mktemp("lonely"), DATABASE_URL=url, DATABASE_WAIT_SECONDS="1") as service,
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            fill(connection, "ada", 20_000)
        yield service, url


def logged(service: Service, text: str) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while text not in (log := service.read_log()):
        assert time.monotonic() < deadline, log[-3000:]
        time.sleep(0.05)
    return log


def test_an_export_needs_no_more_memory_for_more_tasks(lonely: tuple[Service, str]) -> None:
    service, _ = lonely
    process = psutil.Process(service.process.pid)
    # What the first ones leave behind is used again.
    for _ in range(2):
        with exporting(service, "ada") as pieces:
            assert sum(map(len, pieces)) > 24_000_000
    before = process.memory_info().rss
    sizes, most = 0, 0
    with exporting(service, "ada") as pieces:
        for piece in pieces:
            sizes += len(piece)
            most = max(most, process.memory_info().rss)
    assert sizes > 24_000_000
    assert most - before < 10_000_000


def test_an_export_ends_when_its_client_is_gone(lonely: tuple[Service, str]) -> None:
    service, _ = lonely
    before = service.read_log().count("exportMyTasks")
    with exporting(service, "ada") as pieces:
        next(pieces)
        assert service.read_log().count("exportMyTasks") == before
    deadline = time.monotonic() + WAIT_SECONDS
    while (log := service.read_log()).count("exportMyTasks") == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "Traceback" not in log
    assert "[error" not in log


@contextlib.contextmanager
def away(url: str, main_url: str) -> Iterator[None]:
    """The database takes no connections, and has ended those that it had."""
    name = urlsplit(url).path.removeprefix("/")
    allow = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(main_url, autocommit=True) as connection:
        connection.execute(allow.format(Identifier(name), SQL("false")))
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            connection.execute(allow.format(Identifier(name), SQL("true")))


def test_an_export_whose_database_goes_away_has_no_proper_end(lonely: tuple[Service, str], database_url: str) -> None:
    service, url = lonely
    with exporting(service, "ada") as pieces:
        received = next(pieces)
        with away(url, database_url), pytest.raises(httpx2.RemoteProtocolError):  # noqa: PT012  the rest is to be kept
            for piece in pieces:
                received += piece
    # The first tasks were on their way before the last ones were read.
    assert 100 < received.count(b"\n") < 20_000
    log = (
        logged(service, "export.broken_off")
        if "export.broken_off" in service.read_log()
        else logged(service, "unavailable")
    )
    assert "secret" not in log
    assert "Traceback" not in log
    with away(url, database_url):
        problem(service, service.as_user("ada").get("/api/tasks/export"), "service-unavailable")
    deadline = time.monotonic() + WAIT_SECONDS
    while service.as_user("bob").get("/api/tasks/export").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# There and back


def crowd(home: Home) -> None:
    for number, title in enumerate(TITLES):
        task = home.create(title=title, description=[None, title, ""][number % 3], completed=number % 2 == 0)
        if number % 4 == 0:
            home.client.put(home.path(task), json={"title": f"{title}!"[:200]}).raise_for_status()


def as_of(task: Json, subject: str, format: str) -> Json:  # noqa: A002
    """The task as it is when somebody else has imported it."""
    return {
        **task,
        "user_id": subject,
        "description": task["description"] if format == "ndjson" else task["description"] or None,
    }


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_export_can_be_imported_by_somebody_else(here: Home, there: Home, format: str) -> None:  # noqa: A002
    crowd(here)
    content = export(here, format)
    assert result(send(there, content, MEDIA_TYPES[format])) == (len(TITLES), 0)
    assert everything(there) == [as_of(task, there.subject, format) for task in everything(here)]
    for sort in ("title", "-updated"):
        in_order = [
            [task["id"] for task in home.client.get(home.tasks, params={"sort": sort}).json()] for home in (here, there)
        ]
        assert in_order[0] == in_order[1]
    # Theirs are others than hers, though the ids are the same.
    there.client.put(there.path(everything(there)[0]), json={"title": "theirs"}).raise_for_status()
    assert export(here, format) == content


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_export_brings_a_user_back(home: Home, format: str) -> None:  # noqa: A002
    crowd(home)
    before, content = everything(home), export(home, format)
    home.client.delete(f"/api/{home.subject}").raise_for_status()
    assert everything(home) == []
    assert result(send(home, content, MEDIA_TYPES[format])) == (len(before), 0)
    assert everything(home) == [as_of(task, home.subject, format) for task in before]
    if format == "ndjson":
        assert export(home) == content


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_import_that_is_repeated_changes_nothing(home: Home, format: str) -> None:  # noqa: A002
    crowd(home)
    content = export(home, format)
    first, trashed, *_ = everything(home)
    home.client.put(home.path(first), json={"title": "changed since"}).raise_for_status()
    home.client.delete(home.path(trashed)).raise_for_status()
    before = export(home), export(home, status="trashed")
    for _ in range(2):
        assert result(send(home, content, MEDIA_TYPES[format])) == (0, len(TITLES))
    assert (export(home), export(home, status="trashed")) == before


def deadlocks(connection: Connection) -> int:
    row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def test_imports_at_once_make_no_task_twice_and_do_not_stand_in_each_others_way(
    service: Service, here: Home, connection: Connection
) -> None:
    rows = [{"id": str(uuid.uuid4()), "title": str(number)} for number in range(2000)]
    before = deadlocks(connection)

    def importing(number: int) -> Call:
        # Each in another order.
        content = lines(random.Random(number).sample(rows, len(rows)))  # noqa: S311  the same ones each time
        return lambda client: client.post("/api/tasks/import", content=content, headers={"content-type": NDJSON})

    answers = at_once(service, [(token(here.subject), importing(number)) for number in range(4)])
    assert sum(result(answer)[0] for answer in answers) == 2000
    assert sum(result(answer)[1] for answer in answers) == 6_000
    assert sorted(task["id"] for task in everything(here)) == sorted(row["id"] for row in rows)
    assert deadlocks(connection) == before


# Import


def _begin(service: Service, subject: str) -> socket.socket:
    """An import whose body has begun to arrive."""
    address = urlsplit(service.url)
    connection = socket.create_connection((address.hostname, address.port or 80), timeout=30)
    fields = [("Authorization", f"Bearer {token(subject)}"), ("Content-Type", NDJSON), ("Content-Length", "14")]
    connection.sendall(request("POST", "/api/tasks/import", fields) + b'{"tit')
    return connection


def test_a_user_has_four_imports_under_way_and_a_process_sixteen(
    service: Service, new_user: Callable[[str], str]
) -> None:
    """Bodies that wait in memory are bounded, and nobody can keep the others from importing."""
    users = [new_user("ada") for _ in range(5)]
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(_begin(service, user)) for user in users[:4] for _ in range(4)]

        def code(user: str) -> str:
            client = service.as_user(user)
            answer = client.post("/api/tasks/import", content=b'{"title":"a"}', headers={"content-type": NDJSON})
            return "" if answer.status_code == 200 else str(answer.json()["code"])

        until(lambda: code(users[4]) == "service-unavailable")
        assert code(users[0]) == "too-many-requests"
        for connection in begun:
            connection.sendall(b'le":"a"}\n')
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        until(lambda: code(users[4]) == "")
        assert code(users[0]) == ""


def test_what_a_line_leaves_out_has_a_default(home: Home) -> None:
    created = "2001-02-03T04:05:06Z"
    rows: list[Json] = [
        {"title": "a"},
        {"title": "b", "created_at": created},
        {"title": "c", "created_at": created, "updated_at": "2002-02-03T04:05:06.789Z"},
        {"title": "d", "description": None, "completed": True, "user_id": "somebody else"},
    ]
    assert result(send(home, lines(rows))) == (4, 0)
    tasks = {task["title"]: task for task in everything(home)}
    for task in tasks.values():
        assert (task["user_id"], task["description"]) == (home.subject, None)
    assert [tasks[title]["completed"] for title in "abcd"] == [False, False, False, True]
    assert tasks["a"]["created_at"] == tasks["a"]["updated_at"] == tasks["d"]["created_at"]
    assert (tasks["b"]["created_at"], tasks["b"]["updated_at"]) == (created, created)
    assert (tasks["c"]["created_at"], tasks["c"]["updated_at"]) == (created, "2002-02-03T04:05:06.789000Z")
    assert len({task["id"] for task in tasks.values()}) == 4
    for task in tasks.values():
        assert home.client.patch(f"{home.path(task)}/{home.toggle}").json()["updated_at"] > task["updated_at"]


@pytest.mark.parametrize(
    ("content", "titles"),
    [
        (b"", []),
        (b"\n", []),
        (b"\r\n \t\r\n", []),
        (b'{"title":"a"}', ["a"]),
        (b'{"title":"a"}\r\n{"title":"b"}\r\n', ["a", "b"]),
        (b'\n\n {"title":"a"} \n\n\t{"title":"b"}', ["a", "b"]),
        ('{"title":"\u2028\u0085"}'.encode(), []),
        ('{"title":"a\u2028\u0085b"}'.encode(), ["a\u2028\u0085b"]),
    ],
    ids=["nothing", "a blank line", "blank lines", "no newline", "CRLF", "white space", "blank title", "separators"],
)
def test_lines_of_json_end_in_newlines_and_may_be_blank(here: Home, content: bytes, titles: list[str]) -> None:
    answer = send(here, content)
    if titles or b"title" not in content:
        assert result(answer) == (len(titles), 0)
    else:
        assert answer.status_code == 422
    assert [task["title"] for task in everything(here)] == titles


NO_MOMENTS = [
    "1969-12-31T23:59:59Z",
    "2100-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T25:00:00Z",
    "2026-01-01T00:60:00Z",
    "2016-12-31T23:59:60Z",
    "2026-01-01T00:00:00+00:00",
    "2026-01-01T00:00:00+01:00",
    "2026-01-01T00:00:00z",
    "2026-01-01t00:00:00Z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00.1234567Z",
    "2026-01-01T00:00:00.Z",
    "2026-01-01T00:00:00,5Z",
    "2026-W01-1T00:00:00Z",
    "\u0662026-01-01T00:00:00Z",
    "2026-01-01T00:00:00Z\n",
    "infinity",
    "now",
    "-infinity",
    "",
]


@pytest.mark.parametrize("text", NO_MOMENTS, ids=lambda text: text.strip() or "empty")
@pytest.mark.parametrize("member", ["created_at", "updated_at"])
def test_a_moment_that_is_none_is_refused(here: Home, member: str, text: str) -> None:
    assert set(wrong(send(here, lines([{"title": "a"}, {"title": "b", member: text}])))) == {2}
    if text:
        record = io.StringIO()
        csv.writer(record).writerows([["title", member], ["b", text]])
        assert set(wrong(send(here, record.getvalue().encode(), CSV))) == {2}
    assert everything(here) == []


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000001Z",
        "2099-12-31T23:59:59.999999Z",
        "2024-02-29T12:00:00.5Z",
    ],
)
def test_a_moment_is_kept_to_the_microsecond(here: Home, text: str) -> None:
    assert result(send(here, lines([{"title": "a", "created_at": text}]))) == (1, 0)
    (task,) = everything(here)
    kept = task["created_at"]
    assert kept.rstrip("0Z.") == text.rstrip("0Z.") or kept == text
    for change in ("complete", "back"):
        assert here.client.patch(f"{here.path(task)}/toggle").status_code == 200, change
    here.client.delete(here.path(task)).raise_for_status()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"title": "a"', "is not valid JSON: EOF while parsing an object at column 13"),
        (b"[]", "must be an object"),
        (b"null", "must be an object"),
        (b'"a"', "must be an object"),
        (b"{}", "/title is required"),
        (b'{"title": null}', "/title must be a string"),
        (b'{"title": 1}', "/title must be a string"),
        (b'{"title": ""}', "/title must be at least 1 character long; /title must contain a visible character"),
        (b'{"title": "a\\u0000"}', "/title must contain a visible character and no NUL character"),
        (b'{"title": "a\x00"}', "is not valid JSON: control character"),
        (b'{"title": "\\ud800"}', "is not valid JSON: "),
        (b'{"title": "\xff"}', "is not valid JSON: "),
        (b'{"title": "\xed\xa0\x80"}', "is not valid JSON: "),
        (b'\xef\xbb\xbf{"title": "a"}', "is not valid JSON: "),
        (b'{"title": "a", "title": "a"}', "is not valid JSON: duplicate member name at column 24"),
        (b'{"title": "a", "x": 1}', "/x is not a member that the contract knows"),
        (b'{"title": "a", "deleted_at": null}', "/deleted_at is not a member that the contract knows"),
        (b'{"title": "a", "completed": "true"}', "/completed must be a boolean"),
        (b'{"title": "a", "completed": null}', "/completed must be a boolean"),
        (b'{"title": "a", "id": null}', "/id must be a string"),
        (b'{"title": "a", "id": "1"}', "/id must be a UUID such as"),
        (b'{"title": "a", "id": "01a1f83cda9b7d529c0e3f6a1b8d2e47"}', "/id must be a UUID such as"),
        (b'{"title": "a", "id": "{01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47}"}', "/id must be "),
        (b'{"title": "a", "description": "' + b"d" * 1001 + b'"}', "/description must be at most 1000 characters long"),
        (b'{"title": "' + b"t" * 201 + b'"}', "/title must be at most 200 characters long"),
        (b'{"title": "a"} {"title": "b"}', "is not valid JSON: trailing characters at column 16"),
        (b'{"title": "a", "completed": NaN}', "is not valid JSON: "),
        (b"[" * 1000, "is not valid JSON: "),
        (b'{"title": ' + b"[" * 64 + b"]" * 64 + b"}", "nests deeper than 64 levels"),
        (b'{"title": "' + b"a" * LINE_BYTES + b'"}', f"must be at most {LINE_BYTES} bytes long"),
        (b'{"a":1,"b":1,"c":1,"d":1,"title":"a"}', "and 1 more"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_a_line_of_json_that_is_wrong_is_named(here: Home, line: bytes, reason: str) -> None:
    answer = send(here, b'{"title":"a"}\n\n' + line + b'\n{"title":"b"}\n')
    found = wrong(answer)
    assert set(found) == {3}
    assert reason in found[3]
    assert everything(here) == []


@pytest.mark.parametrize(
    ("content", "titles"),
    [
        (b"title\r\na\r\nb\r\n", ["a", "b"]),
        (b"title\na\n\n\nb", ["a", "b"]),
        (b"title\ra\rb", ["a", "b"]),
        (b"\xef\xbb\xbftitle\na", ["a"]),
        (b'\xef\xbb\xbf"title"\n"a"', ["a"]),
        (b"completed,title\nTRUE,a\nfalse,b\n,c", ["a", "b", "c"]),
        (b'title\n"a ""quoted"", b"\n', ['a "quoted", b']),
        (b'title\n"two\nlines"\n', ["two\nlines"]),
        (b'title\n"two\r\nlines"\r\n', ["two\r\nlines"]),
        (b"description,id,title\n,,a", ["a"]),
        (b"title\n =1+1\n", [" =1+1"]),
        (b"title\n", []),
    ],
    ids=[
        "CRLF",
        "LF",
        "CR",
        "BOM",
        "BOM and quotes",
        "columns in any order",
        "quotes",
        "LF in a field",
        "CRLF in a field",
        "empty fields",
        "a formula",
        "names only",
    ],
)
def test_csv_is_read_as_spreadsheets_write_it(here: Home, content: bytes, titles: list[str]) -> None:
    assert result(send(here, content, CSV)) == (len(titles), 0)
    found = everything(here)
    assert sorted(task["title"] for task in found) == sorted(titles)
    assert {task["title"]: task["completed"] for task in found} == {
        title: b"TRUE" in content and title == "a" for title in titles
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name\na", {1: "must name columns of id, user_id, title"}),
        (b"title,deleted_at\na,", {1: "must name columns of "}),
        (b"Title\na", {1: "must name columns of "}),
        (b" title\na", {1: "must name columns of "}),
        (b"title,title\na,b", {1: "names a column twice"}),
        (b"id\n\n", {1: "title among them"}),
        (b"\n", {1: "title among them"}),
        (b"title,completed\na\nb,true,x\nc,true", {2: "must have 2 fields", 3: "must have 2 fields"}),
        (b"title\n\xff\n", {2: "is not UTF-8"}),
        (b"title\n\xed\xa0\x80\n", {2: "is not UTF-8"}),
        (b"t\0itle\n", {1: "must name columns of "}),
        (b"title\na\0b\n", {2: "no NUL character"}),
        (b'title\n"a\n', {2: "is not comma-separated values"}),
        (b'title\na\n"a"b\n', {3: "is not comma-separated values"}),
        (b'title\n"two\nlines"\n""\n"x\ny"\n', {4: "/title is required"}),
        (
            b"title,completed\na,yes\nb,1\nc,True\n",
            {2: "/completed must be a boolean", 3: "/completed must be a boolean"},
        ),
        (b"title,id\na,1\n", {2: "/id must be a UUID"}),
        (b"title\n" + b"a" * 201, {2: "/title must be at most 200 characters long"}),
        (b'title\n"' + b"a\n" * LINE_BYTES, {2: f"must be at most {LINE_BYTES} bytes long"}),
        (b"," * MOST_BYTES, {1: f"must be at most {LINE_BYTES} bytes long"}),
        (b"title\n" + b"," * 60_000, {2: "must have 1 fields"}),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_csv_that_is_wrong_is_named_by_the_line(here: Home, content: bytes, expected: dict[int, str]) -> None:
    found = wrong(send(here, content, CSV))
    assert set(found) == set(expected)
    for number, reason in expected.items():
        assert reason in found[number]
    assert everything(here) == []


def test_one_bad_line_among_thousands_keeps_all_of_them_out(here: Home) -> None:
    rows: list[Json] = [{"title": str(number)} for number in range(5000)]
    rows[4321] = {"title": ""}
    assert set(wrong(send(here, lines(rows)))) == {4322}
    assert everything(here) == []


def test_every_bad_line_is_named_however_many_there_are(here: Home) -> None:
    rows = [{"title": "a"} if number % 3 else {"title": "a", "secret": "leaves no trace"} for number in range(1500)]
    answer = send(here, lines(rows))
    assert wrong(answer) == {
        number + 1: "/secret is not a member that the contract knows" for number in range(0, 1500, 3)
    }
    assert b"leaves no trace" not in answer.content


def test_ids_are_kept_apart_by_user_and_counted_once(here: Home, there: Home) -> None:
    hers = here.create()
    other = str(uuid.uuid4())
    rows = [
        {"id": hers["id"], "title": "theirs"},
        {"id": other, "title": "first"},
        {"id": other.upper(), "title": "second"},
    ]
    assert result(send(there, lines(rows))) == (2, 1)
    assert everything(here) == [hers]
    assert {task["id"]: task["title"] for task in everything(there)} == {hers["id"]: "theirs", other: "first"}
    assert result(send(there, lines([{"id": other.upper(), "title": "third"}]))) == (0, 1)


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        (NDJSON, 200),
        ("Application/X-NDJSON; charset=UTF-8", 200),
        ('application/x-ndjson;charset="utf-8"', 200),
        ("application/x-ndjson; charset=utf-16", 415),
        ("application/x-ndjson; charset=latin-1", 415),
        ("application/x-ndjson; charset=utf-7", 415),
        ("application/json", 415),
        ("application/ndjson", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_an_import_takes_two_media_types_in_utf_8(service: Service, here: Home, media_type: str, status: int) -> None:
    answer = send(here, b'{"title":"a"}', media_type)
    assert answer.status_code == status
    if status == 415:
        detail = problem(service, answer, "unsupported-media-type")["detail"]
        assert detail == "The body must be application/x-ndjson or text/csv in UTF-8."
    assert len(everything(here)) == (status == 200)


def test_a_coded_import_is_refused(service: Service, here: Home) -> None:
    headers = {"content-type": NDJSON, "content-encoding": "gzip"}
    answer = here.client.post(f"{here.tasks}/import", content=b"x", headers=headers)
    problem(service, answer, "unsupported-media-type")


def test_a_chunked_import_is_one_import(home: Home) -> None:
    content = lines({"title": str(number)} for number in range(1000))
    chunks = [content[start : start + 777] for start in range(0, len(content), 777)]
    assert result(send(home, iter(chunks))) == (1000, 0)
    assert len(everything(home)) == 1000


def test_an_import_that_ends_early_imports_nothing(service: Service, here: Home) -> None:
    content = lines({"title": str(number)} for number in range(100))
    with Wire(service) as wire:
        fields = [
            ("Authorization", f"Bearer {token(here.subject)}"),
            ("Content-Type", NDJSON),
            ("Content-Length", str(len(content) + 1)),
        ]
        wire.send(request("POST", "/api/tasks/import", fields), content)
        wire.stop()
        wire.rest()
    logged(service, "importMyTasks")
    assert everything(here) == []


# Limits


def padded(size: int, *, count: int = 1000) -> bytes:
    """Lines that take this many bytes, the last of them blank."""
    content = lines({"title": str(number), "description": "d" * 900} for number in range(count))
    while len(content) + 20_000 < size:
        content += b" " * 10_000 + b"\n"
    return content + b" " * (size - len(content))


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("address", [0, 1], ids=["by-user-id", "by-token"])
def test_an_import_may_be_ten_mebibytes_long(service: Service, ada: Owner, address: int, *, chunked: bool) -> None:
    home = both_homes(*ada)[address]

    def content(size: int) -> bytes | Iterator[bytes]:
        whole = padded(size, count=10)
        return iter([whole[: size // 2], whole[size // 2 :]]) if chunked else whole

    assert result(send(home, content(MOST_BYTES))) == (10, 0)
    problem(service, send(home, content(MOST_BYTES + 1)), "content-too-large")
    assert len(everything(home)) == 10
    # What is no import may not be that long.
    answer = home.client.post(home.tasks, content=content(70_000), headers={"content-type": "application/json"})
    problem(service, answer, "content-too-large")


def test_an_import_may_have_fifty_thousand_lines(service: Service, here: Home) -> None:
    assert result(send(here, b'{"title":"a"}\n\n' * MOST_LINES)) == (MOST_LINES, 0)
    assert here.client.get(f"/api/{here.subject}").json()["tasks"]["total"] == MOST_LINES
    for line in (b'{"title":"a"}\n', b"\x00\n"):
        answer = send(here, line * (MOST_LINES + 1))
        assert answer.status_code == 422
        assert answer.json()["errors"][0] == {"pointer": "", "detail": f"must have at most {MOST_LINES} lines"}
    answer = send(here, b"title\n" + b"a\n" * (MOST_LINES + 1), CSV)
    assert answer.json()["errors"] == [{"pointer": "", "detail": f"must have at most {MOST_LINES} lines"}]
    assert here.client.get(f"/api/{here.subject}").json()["tasks"]["total"] == MOST_LINES
    assert service.process.poll() is None


class Clock(threading.Thread):
    """A client that reads one task again and again, and knows the longest that it had to wait."""

    def __init__(self, service: Service, home: Home) -> None:
        super().__init__()
        self.worst = 0.0
        self._path = f"{service.url}{home.path(home.create())}"
        self._headers = {"authorization": f"Bearer {token(home.subject)}"}
        self._begun = threading.Event()
        self._stopping = threading.Event()

    def run(self) -> None:
        with httpx2.Client(headers=self._headers, timeout=WAIT_SECONDS, trust_env=False) as client:
            while not self._stopping.is_set():
                started_at = time.monotonic()
                assert client.get(self._path).status_code == 200
                self.worst = max(self.worst, time.monotonic() - started_at)
                self._begun.set()

    def __enter__(self) -> Self:
        self.start()
        assert self._begun.wait(WAIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()


def _good() -> bytes:
    row = {"description": "d" * 90, "created_at": "2026-01-01T00:00:00.123456Z", "updated_at": "2026-01-02T00:00:00Z"}
    content = lines({"id": str(uuid.uuid4()), "title": f"task number {number}", **row} for number in range(36_000))
    return content[:MOST_BYTES].rpartition(b"\n")[0]


@pytest.mark.parametrize(
    ("make", "media_type", "status"),
    [
        (_good, NDJSON, 200),
        (lambda: b"title\n" + b"\n" * (MOST_BYTES - 6), CSV, 422),
        (lambda: b"[" + b"1," * 5_000_000 + b"1]", NDJSON, 422),
        (lambda: b"{" + b",".join(b'"%d":1' % number for number in range(900_000)) + b"}", NDJSON, 422),
        (lambda: (b"{" + b",".join(b'"%d":1' % number for number in range(7_000)) + b"}\n") * 150, NDJSON, 422),
        (lambda: b"title\n" + b"," * 10_000_000, CSV, 422),
        (lambda: b'{"x":1}\n' * MOST_LINES, NDJSON, 422),
    ],
    ids=[
        "tasks",
        "blank records",
        "a long array",
        "an object of many members",
        "many such",
        "many fields",
        "bad lines",
    ],
)
def test_others_are_served_during_a_long_import(  # noqa: PLR0913
    service: Service, here: Home, there: Home, *, make: Callable[[], bytes], media_type: str, status: int
) -> None:
    content = make()
    with Clock(service, there) as clock:
        answer = send(here, content, media_type)
        assert answer.status_code == status, answer.text[:500]
    # A task that is read alone takes some milliseconds; a loop that is held up by the whole import, seconds.
    assert clock.worst < 0.5
