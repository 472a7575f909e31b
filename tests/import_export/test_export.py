"""Exports: all tasks of one user, streamed."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.import_export.files import (
    JSON,
    MEDIA_TYPES,
    MEMBERS,
    TITLES,
    WAIT_SECONDS,
    everything,
    export,
    lines,
    logged,
    read,
    result,
    send,
)
from tests.support.api import TasksApi, bearer
from tests.support.raw_http import problem, violations
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service, token
from tests.support.types import Connection
from tests.support.waiting import until

# Export


@pytest.mark.parametrize("format", MEDIA_TYPES)
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_an_export_has_every_task_in_the_order_of_creation(here: TasksApi, format: str, count: int) -> None:  # noqa: A002
    assert result(send(here, lines({"title": f"task {number}"} for number in range(count)))) == (count, 0)
    content = export(here, format)
    assert read(content, format) == everything(here)
    assert len(everything(here)) == count
    if format == "csv":
        assert content.startswith(",".join(MEMBERS).encode() + b"\r\n")


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_export_keeps_every_character(api: TasksApi, format: str) -> None:  # noqa: A002
    for number, title in enumerate(TITLES):
        api.create(title=title, description=title, completed=number % 2 == 0)
    found = read(export(api, format), format)
    assert [task["title"] for task in found] == [task["description"] for task in found] == TITLES
    assert found == everything(api)


@pytest.mark.parametrize("format", MEDIA_TYPES)
@pytest.mark.parametrize("status", ["all", "pending", "completed", "trashed"])
def test_an_export_can_be_of_some_tasks(here: TasksApi, format: str, status: str) -> None:  # noqa: A002
    tasks = [here.create(completed=completed) for completed in (True, False, True, False)]
    for task in tasks[2:]:
        here.client.delete(here.path(task)).raise_for_status()
    expected = here.client.get(here.tasks, params={"status": status}).json()
    assert len(expected) == (1 if status in ("pending", "completed") else 2)
    assert read(export(here, format, status), format) == expected


def test_an_export_is_of_one_user_and_an_array_by_default(here: TasksApi, there: TasksApi) -> None:
    task = here.create()
    there.create()
    answer = here.client.get(f"{here.tasks}/export")
    assert (answer.headers["content-type"], read(answer.content, "json")) == (JSON, [task])
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_head_tells_the_type_of_an_export_without_its_content(here: TasksApi, format: str) -> None:  # noqa: A002
    here.create()
    path, query = f"{here.tasks}/export", {"format": format}
    got, head = here.client.get(path, params=query), here.client.head(path, params=query)
    assert (head.status_code, head.content) == (200, b"")
    told = {"content-type", "content-disposition", "cache-control"}
    assert {name: got.headers[name] for name in told} == {name: head.headers[name] for name in told}
    assert here.client.get(here.tasks).status_code == 200


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("*/*", "json"),
        ("", "json"),
        ("application/x-ndjson", "ndjson"),
        ("Text/CSV", "csv"),
        ("application/json", "json"),
        ("application/*", "json"),
        ("text/*, application/x-ndjson;q=0.5", "csv"),
        ("text/csv;q=0.5, application/json;q=0.6, */*;q=0.1", "json"),
        ("application/json, text/plain, */*", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("*/*, application/json;q=0", "ndjson"),
    ],
)
def test_accept_chooses_the_format_of_an_export(here: TasksApi, accept: str, format: str) -> None:  # noqa: A002
    task = here.create()
    answer = here.client.get(f"{here.tasks}/export", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPES[format]
    assert answer.headers["content-disposition"] == f'attachment; filename="tasks.{format}"'
    assert "Accept" in answer.headers["vary"]
    assert read(answer.content, format) == [task]


@pytest.mark.parametrize("format", MEDIA_TYPES)
@pytest.mark.parametrize("accept", ["text/csv", "application/json", "text/html", "*/*;q=0"])
def test_the_parameter_wins_over_accept(here: TasksApi, accept: str, format: str) -> None:  # noqa: A002
    answer = here.client.get(f"{here.tasks}/export", params={"format": format}, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES[format])


@pytest.mark.parametrize("accept", ["text/html", "application/*;q=0, text/csv;q=0"])
def test_an_export_that_accept_excludes_is_refused(service: Service, here: TasksApi, accept: str) -> None:
    answer = here.client.get(f"{here.tasks}/export", headers={"accept": accept})
    detail = problem(service, answer, "not-acceptable")["detail"]
    assert detail == "The response is available as application/json, application/x-ndjson or text/csv only."


@pytest.mark.parametrize(
    "query", [{"format": "xml"}, {"format": "CSV"}, {"format": ""}, {"status": "x"}, {"sort": "title"}]
)
def test_an_export_of_another_kind_is_refused(service: Service, here: TasksApi, query: dict[str, str]) -> None:
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
    headers = {**bearer(token(subject)), "accept-encoding": "identity"}
    with (
        httpx2.Client(base_url=service.url, headers=headers, timeout=WAIT_SECONDS, trust_env=False) as client,
        client.stream("GET", "/api/tasks/export") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["transfer-encoding"] == "chunked"
        yield answer.iter_raw(65_536)


@pytest.fixture(scope="module")
def lonely(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service with its own database, in which Ada has more tasks than any buffer takes."""
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path_factory.mktemp("lonely"), DATABASE_URL=url, DATABASE_WAIT_SECONDS="1") as service,
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            fill(connection, "ada", 20_000)
        yield service, url


def test_an_export_needs_no_more_memory_for_more_tasks(lonely: tuple[Service, str]) -> None:
    service, _ = lonely
    process = psutil.Process(service.process.pid)
    # The first exports allocate memory that later ones use again.
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
    # Other tests may have made it log errors.
    before = len(service.read_log())
    with exporting(service, "ada") as pieces:
        next(pieces)
        assert "exportMyTasks" not in service.read_log()[before:]
    until(lambda: "exportMyTasks" in service.read_log()[before:])
    log = service.read_log()[before:]
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
    assert 100 < received.count(b'"title"') < 20_000
    log = (
        logged(service, "export.broken_off")
        if "export.broken_off" in service.read_log()
        else logged(service, "unavailable")
    )
    assert "secret" not in log
    assert "Traceback" not in log
    with away(url, database_url):
        problem(service, service.as_user("ada").get("/api/tasks/export"), "service-unavailable")
    bob = service.as_user("bob")
    until(lambda: bob.get("/api/tasks/export").status_code == 200)
