"""A create with an `Idempotency-Key` takes place once, however often it is sent and whatever happens in between."""

import contextlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.concurrency import at_once
from tests.support.postgres import fresh_database
from tests.support.raw_http import ask, problem, request, violations
from tests.support.service import Service, running_service, token
from tests.support.types import Call, Json, Owner

FIELD = "Idempotency-Key"
MILK = {"title": "Buy milk"}
REUSED = [(FIELD, "was used with another body")]
NO_KEY = [(FIELD, "must be 1 to 255 visible ASCII characters, in quotes or bare")]
FULL = {"title": "Buy milk \N{GRINNING FACE}", "description": 'two "cartons"\n', "completed": True}
WAIT_SECONDS = 20


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The database, to look into and to spoil. Each statement is a transaction of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def key() -> str:
    return uuid.uuid4().hex


def create(client: httpx2.Client, key: str | bytes, body: Json = MILK, path: str = "/api/tasks") -> httpx2.Response:
    return client.post(path, json=body, headers=[(FIELD.encode(), key.encode() if isinstance(key, str) else key)])


def seen(answer: httpx2.Response) -> tuple[int, bytes, str | None, str | None]:
    """What a replay must repeat."""
    return answer.status_code, answer.content, answer.headers.get("location"), answer.headers.get("etag")


def is_replay(answer: httpx2.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def titles(client: httpx2.Client) -> list[str]:
    return [task["title"] for task in client.get("/api/tasks").json()]


def assert_replays(first: httpx2.Response, second: httpx2.Response) -> None:
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    assert seen(second) == seen(first)
    assert is_replay(second)


# The same again


@pytest.mark.parametrize("body", [MILK, FULL, {**MILK, "description": ""}], ids=["least", "full", "empty description"])
@pytest.mark.parametrize("address", ["/api/tasks", "/api/{}/tasks"], ids=["by token", "by user id"])
def test_a_repeated_create_gets_the_first_answer_and_makes_nothing(ada: Owner, address: str, body: Json) -> None:
    subject, client = ada
    path, same = address.format(subject), key()
    first = create(client, same, body, path)
    for _ in range(3):
        assert_replays(first, create(client, same, body, path))
    assert client.get(path).json() == [first.json()]
    found = client.get(first.headers["location"])
    assert (found.json(), found.headers["etag"]) == (first.json(), first.headers["etag"])


def test_a_create_without_a_key_is_made_as_often_as_it_is_sent(ada: Owner) -> None:
    _, client = ada
    answers = [client.post("/api/tasks", json=MILK) for _ in range(2)]
    assert [is_replay(answer) for answer in answers] == [False, False]
    assert titles(client) == ["Buy milk"] * 2


def test_another_key_makes_another_task(ada: Owner) -> None:
    _, client = ada
    assert create(client, "one").json()["id"] != create(client, "One").json()["id"]
    assert len(titles(client)) == 2


def test_one_key_stands_for_one_task_under_both_addresses(ada: Owner) -> None:
    subject, client = ada
    first = create(client, "same")
    second = create(client, "same", path=f"/api/{subject}/tasks")
    assert (second.content, is_replay(second)) == (first.content, True)
    assert second.headers["location"] == f"/api/{subject}/tasks/{first.json()['id']}"
    assert len(titles(client)) == 1


def test_the_keys_of_two_users_have_nothing_to_do_with_each_other(ada: Owner, bob: Owner) -> None:
    first = create(ada[1], "same")
    second = create(bob[1], "same", {"title": "Mow the lawn"})
    assert (second.status_code, is_replay(second)) == (201, False)
    assert titles(ada[1]) == ["Buy milk"]
    assert titles(bob[1]) == ["Mow the lawn"]
    assert_replays(first, create(ada[1], "same"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("k-1", '"k-1"'),
        ('"k-1"', "k-1"),
        (r"a\b", r'"a\\b"'),
        ('a"b', r'"a\"b"'),
        ('"a b"', '"a b"'),
        (r'"\\\""', r'"\\\""'),
        ("k" * 255, '"' + "k" * 255 + '"'),
        ("\\" * 255, '"' + "\\\\" * 255 + '"'),
        ("k", '"k"'),
        ("a,b;c=d", '"a,b;c=d"'),
    ],
    ids=[
        "bare, quoted",
        "quoted, bare",
        "a backslash",
        "a quote",
        "a space",
        "escapes only",
        "255",
        "255 escaped",
        "1",
        "punctuation",
    ],
)
def test_two_spellings_of_a_key_are_one(ada: Owner, first: str, second: str) -> None:
    assert_replays(create(ada[1], first), create(ada[1], second))
    assert len(titles(ada[1])) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [(r"a\\b", r'"a\\b"'), ("k", "K"), ("k" * 254, "k" * 255), ("k", '"k "')],
    ids=["an escape means nothing in a bare one", "case", "length", "a space"],
)
def test_keys_that_look_alike_are_two(ada: Owner, first: str, second: str) -> None:
    assert [create(ada[1], each).status_code for each in (first, second)] == [201, 201]
    assert len(titles(ada[1])) == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"k" * 256,
        b'"' + b"k" * 256 + b'"',
        b"",
        b'""',
        b'"',
        b"a b",
        b"a\tb",
        b'"a\tb"',
        b'"a"b',
        b'"a',
        rb'"a\b"',
        rb'"a\"',
        "clé".encode(),
        "clé".encode("latin-1"),
        b'"a";b=1',
    ],
    ids=lambda bad: repr(bad[:9]),
)
def test_what_is_no_key_is_refused(service: Service, ada: Owner, bad: bytes) -> None:
    answer = create(ada[1], bad)
    assert {where for where, _ in violations(service, answer)} == {FIELD}
    assert titles(ada[1]) == []


@pytest.mark.parametrize("bad", ["a\x01b", "a\x00b", "a\x7fb"], ids=["SOH", "NUL", "DEL"])
def test_a_control_character_in_a_key_is_refused(service: Service, ada: Owner, bad: str) -> None:
    body = b'{"title":"Buy milk"}'
    fields = [
        ("Authorization", f"Bearer {token(ada[0])}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        (FIELD, bad),
    ]
    assert ask(service, request("POST", "/api/tasks", fields), body).status_code in (400, 422)
    assert titles(ada[1]) == []


def test_two_keys_are_refused(service: Service, ada: Owner) -> None:
    for pair in (("a", "b"), ("a", "a"), ('"a"', '"a"')):
        answer = ada[1].post("/api/tasks", json=MILK, headers=[(FIELD, each) for each in pair])
        assert violations(service, answer) == NO_KEY
    assert titles(ada[1]) == []


# Another body


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MILK, {"title": "Buy oat milk"}),
        (MILK, {"title": "Buy milk "}),
        (MILK, {**MILK, "completed": True}),
        (MILK, {**MILK, "description": ""}),
        ({**MILK, "description": "a"}, {**MILK, "description": "b"}),
        ({**MILK, "description": "null"}, MILK),
        ({"title": "\u00e9"}, {"title": "e\u0301"}),
    ],
    ids=["title", "white space", "completed", "empty description", "description", "the word null", "normal form"],
)
def test_a_key_with_another_body_is_refused(service: Service, ada: Owner, first: Json, second: Json) -> None:
    made = create(ada[1], "same", first)
    for _ in range(2):
        assert violations(service, create(ada[1], "same", second)) == REUSED
    assert ada[1].get("/api/tasks").json() == [made.json()]
    assert_replays(made, create(ada[1], "same", first))


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "Buy milk", "description": null, "completed": false}',
        '{"completed":false,"title":"Buy milk"}',
        ' {\n\t"title" : "Buy\\u0020milk"\r\n} ',
    ],
    ids=["defaults written out", "another order", "other white space and escapes"],
)
def test_another_spelling_of_the_same_body_is_the_same_body(ada: Owner, text: str) -> None:
    first = create(ada[1], "same")
    headers = {FIELD: "same", "content-type": "application/json; charset=UTF-8"}
    assert_replays(first, ada[1].post("/api/tasks", content=text, headers=headers))


# What the key does not hold on to


def test_a_create_that_failed_does_not_use_its_key_up(service: Service, ada: Owner) -> None:
    _, client = ada
    assert violations(service, create(client, "same", {"title": ""})) == [
        ("/title", "must be at least 1 character long"),
        ("/title", "must contain a visible character and no NUL character"),
    ]
    broken = client.post("/api/tasks", content=b"{", headers={FIELD: "same", "content-type": "application/json"})
    problem(service, broken, "malformed-request")
    first = create(client, "same", {"title": "Mow the lawn"})
    assert_replays(first, create(client, "same", {"title": "Mow the lawn"}))


def _purge(connection: psycopg.Connection[Any], task: str) -> None:
    assert connection.execute("DELETE FROM tasks WHERE id = %s", [task]).rowcount == 1


@pytest.mark.parametrize("fate", ["changed", "trashed", "removed for good", "purged"])
def test_a_replay_tells_what_was_answered_first_whatever_became_of_the_task(
    ada: Owner, connection: psycopg.Connection[Any], fate: str
) -> None:
    _, client = ada
    first = create(client, "same", FULL)
    path = first.headers["location"]
    match fate:
        case "changed":
            client.put(path, json={"title": "Buy oat milk", "completed": False}).raise_for_status()
        case "trashed":
            client.delete(path).raise_for_status()
        case "removed for good":
            client.delete(path, params={"permanent": True}).raise_for_status()
        case "purged":
            client.delete(path).raise_for_status()
            _purge(connection, first.json()["id"])
    before = client.get("/api/tasks").json()
    assert_replays(first, create(client, "same", FULL))
    assert client.get("/api/tasks").json() == before
    assert client.get(path).status_code == (200 if fate == "changed" else 404)


def test_a_key_is_forgotten_after_a_day_and_makes_a_new_task(ada: Owner, connection: psycopg.Connection[Any]) -> None:
    subject, client = ada

    def let_pass(hours: str) -> None:
        aged = "UPDATE idempotency_keys SET created_at = created_at - %s::interval WHERE user_id = %s"
        assert connection.execute(aged, [hours, subject]).rowcount == 1

    first = create(client, "same")
    let_pass("23 hours 59 minutes")
    assert is_replay(create(client, "same"))
    let_pass("1 minute")
    second = create(client, "same", {"title": "Mow the lawn"})
    assert (second.status_code, is_replay(second)) == (201, False)
    assert_replays(second, create(client, "same", {"title": "Mow the lawn"}))
    assert client.get("/api/tasks").json() == [first.json(), second.json()]


# At the same moment


def posting(key: str, body: Json = MILK) -> Call:
    return lambda client: create(client, key, body)


def test_of_fifty_creates_with_one_key_at_once_one_makes_a_task(service: Service, ada: Owner) -> None:
    subject, client = ada
    answers = at_once(service, [(token(subject), posting("same"))] * 50)
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert [is_replay(answer) for answer in made].count(False) == 1
    assert len({seen(answer) for answer in made}) == 1
    assert client.get("/api/tasks").json() == [made[0].json()]


def test_of_creates_with_one_key_and_different_bodies_at_once_one_is_made_and_the_others_are_refused(
    service: Service, ada: Owner
) -> None:
    subject, client = ada
    answers = at_once(service, [(token(subject), posting("same", {"title": str(number)})) for number in range(20)])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 19}
    (made,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert client.get("/api/tasks").json() == [made]


def wait_for_lock(connection: psycopg.Connection[Any], waiting: int) -> None:
    """Until this many statements of the service stand before a lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'tasks-api'"
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        row = connection.execute(asked).fetchone()
        if row is not None and row[0] >= waiting:
            return
        assert time.monotonic() < deadline, f"{waiting} statements never waited"
        time.sleep(0.01)


def test_a_create_whose_first_is_under_way_is_told_to_try_again(
    service: Service, ada: Owner, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    subject, client = ada
    client.post("/api/tasks", json={"title": "so that the user is known"})
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as pool:
        # The key is taken by a transaction that goes on for as long as the test likes.
        other.execute(
            "INSERT INTO idempotency_keys VALUES (%s, 'same', sha256('x'), gen_random_uuid(), now())", [subject]
        )
        first: Future[httpx2.Response] = pool.submit(create, client, "same")
        wait_for_lock(connection, 1)
        answer = first.result(WAIT_SECONDS)
        assert problem(service, answer, "request-in-progress")["instance"] == "/api/tasks"
        assert answer.headers["retry-after"] == "1"
        # Who has no key, or another one, does not wait for it.
        assert create(client, "other").status_code == 201
        assert client.post("/api/tasks", json=MILK).status_code == 201
        other.rollback()
    made = create(client, "same")
    assert (made.status_code, is_replay(made)) == (201, False)
    assert_replays(made, create(client, "same"))
    assert len(titles(client)) == 4


def test_a_create_that_is_held_up_is_replayed_to_the_next_one(
    service: Service, ada: Owner, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    subject, client = ada
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(2) as pool:
        # Writers of tasks wait, for less long than the service has patience.
        other.execute("LOCK TABLE tasks IN SHARE MODE")
        first = pool.submit(create, client, "same")
        wait_for_lock(connection, 1)
        second = pool.submit(create, service.as_user(subject), "same")
        wait_for_lock(connection, 2)
        other.rollback()
        answers = [first.result(WAIT_SECONDS), second.result(WAIT_SECONDS)]
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = create(client, "same")
    assert again.status_code == 201
    assert {seen(answer) for answer in answers if answer.status_code == 201} <= {seen(again)}
    assert client.get("/api/tasks").json() == [again.json()]


def test_a_create_that_was_rolled_back_leaves_no_key(ada: Owner, connection: psycopg.Connection[Any]) -> None:
    subject, client = ada
    client.post("/api/tasks", json=MILK)
    constraint = f'"refused_{subject}"'.encode()
    # The task is refused when the key is in the table already.
    connection.execute(b"ALTER TABLE tasks ADD CONSTRAINT " + constraint + b" CHECK (title <> 'refused') NOT VALID")
    try:
        assert create(client, "same", {"title": "refused"}).status_code == 500
    finally:
        connection.execute(b"ALTER TABLE tasks DROP CONSTRAINT " + constraint)
    assert connection.execute("SELECT key FROM idempotency_keys WHERE user_id = %s", [subject]).fetchall() == []
    made = create(client, "same", {"title": "refused"})
    assert (made.status_code, is_replay(made)) == (201, False)


# Between a task and its key


def assert_one_task_for_each_key(connection: psycopg.Connection[Any], keys: set[str]) -> None:
    rows = connection.execute(
        "SELECT k.key, t.title FROM idempotency_keys k FULL JOIN tasks t ON t.user_id = k.user_id AND t.id = k.task_id"
    ).fetchall()
    assert sorted(rows) == sorted((key, key) for key in keys)


class Writers:
    """Clients that create tasks whose titles are their keys, each again and again until it is acknowledged."""

    def __init__(self, url: str, count: int) -> None:
        self.acknowledged: set[str] = set()
        self.unanswered = 0
        self.url = url
        self._headers = {"authorization": f"Bearer {token('ada')}"}
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._work = [self._pool.submit(self._write) for _ in range(count)]

    def _write(self) -> None:
        with httpx2.Client(headers=self._headers, timeout=WAIT_SECONDS, trust_env=False) as client:
            while not self._stopping.is_set():
                self._create(client, key())

    def _create(self, client: httpx2.Client, name: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                answer = client.post(f"{self.url}/api/tasks", json={"title": name}, headers={FIELD: name})
                if answer.status_code == 201:
                    self.acknowledged.add(name)
                    return
                assert answer.status_code in (409, 503), answer.text
            self.unanswered += 1
            time.sleep(0.01)
        raise AssertionError(f"{name} was never acknowledged")

    def wait(self, count: int) -> None:
        """Until this many more are acknowledged."""
        deadline, goal = time.monotonic() + WAIT_SECONDS, len(self.acknowledged) + count
        while len(self.acknowledged) < goal:
            assert time.monotonic() < deadline
            assert not any(work.done() for work in self._work), [work.exception() for work in self._work if work.done()]
            time.sleep(0.002)

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for work in self._work:
            work.result()


_END = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'tasks-api' AND datname = current_database()
"""


def test_no_connection_that_ends_in_the_middle_comes_between_a_task_and_its_key(
    database_url: str, tmp_path: Path
) -> None:
    with (
        fresh_database(database_url) as url,
        running_service(tmp_path, DATABASE_URL=url) as service,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        writers = Writers(service.url, 8)
        for _ in range(8):
            writers.wait(10)
            connection.execute(_END)
        writers.stop()
        # A create that was answered with 503 has not used its key up either.
        assert writers.unanswered > 0
        assert_one_task_for_each_key(connection, writers.acknowledged)


def test_no_service_that_is_killed_comes_between_a_task_and_its_key(database_url: str, tmp_path: Path) -> None:
    with fresh_database(database_url) as url, psycopg.connect(url, autocommit=True) as connection:
        writers = None
        for _ in range(2):
            with running_service(tmp_path, DATABASE_URL=url) as service:
                writers = writers or Writers(service.url, 8)
                writers.url = service.url
                writers.wait(20)
                service.process.kill()
                service.process.wait(WAIT_SECONDS)
        assert writers is not None
        with running_service(tmp_path, DATABASE_URL=url) as service:
            writers.url = service.url
            writers.stop()
        assert writers.unanswered > 0
        assert_one_task_for_each_key(connection, writers.acknowledged)


# The end of the user


def test_creates_during_the_deletion_of_their_user_all_succeed_or_leave_nothing(
    service: Service, ada: Owner, connection: psycopg.Connection[Any]
) -> None:
    subject, client = ada

    def creating(number: int) -> Call:
        return lambda client: (
            create(client, f"{number}-{key()}") if number % 2 else client.post("/api/tasks", json=MILK)
        )

    def ending(client: httpx2.Client) -> httpx2.Response:
        return client.delete(f"/api/{subject}")

    statuses: Counter[int] = Counter()
    for _ in range(6):
        calls = [(token(subject), creating(number) if number % 3 else ending) for number in range(24)]
        statuses.update(answer.status_code for answer in at_once(service, calls))
    assert set(statuses) <= {201, 204}, statuses
    assert statuses[204] == 48
    orphans = """
        SELECT count(*) FROM idempotency_keys k
        WHERE user_id = %s AND NOT EXISTS (SELECT FROM tasks t WHERE t.user_id = k.user_id AND t.id = k.task_id)
    """
    assert connection.execute(orphans, [subject]).fetchone() == (0,)
    assert client.delete(f"/api/{subject}").status_code == 204
    assert titles(client) == []


def test_the_keys_of_a_user_who_is_deleted_are_forgotten(ada: Owner) -> None:
    subject, client = ada
    first = create(client, "same")
    assert client.delete(f"/api/{subject}").status_code == 204
    second = create(client, "same", {"title": "Mow the lawn"})
    assert (second.status_code, is_replay(second)) == (201, False)
    assert second.json()["id"] != first.json()["id"]
    assert json.loads(client.get("/api/tasks").content) == [second.json()]
