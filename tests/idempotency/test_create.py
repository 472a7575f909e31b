"""A create with an `Idempotency-Key` takes place once, however often it is sent and whatever happens in between."""

from typing import Any

import psycopg
import pytest

from tests.idempotency.requests import (
    FIELD,
    FULL,
    MILK,
    NO_KEY,
    REUSED,
    assert_replays,
    create_with_key,
    is_replay,
    key,
    titles,
)
from tests.support.raw_http import ask, bearer_field, problem, request, violations
from tests.support.service import Service
from tests.support.types import Json, Owner

# The same again


@pytest.mark.parametrize("body", [MILK, FULL, {**MILK, "description": ""}], ids=["least", "full", "empty description"])
@pytest.mark.parametrize("address", ["/api/tasks", "/api/{}/tasks"], ids=["by token", "by user id"])
def test_a_repeated_create_replays_the_first_response(ada: Owner, address: str, body: Json) -> None:
    subject, client = ada
    path, same = address.format(subject), key()
    first = create_with_key(client, same, body, path)
    for _ in range(3):
        assert_replays(first, create_with_key(client, same, body, path))
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
    assert create_with_key(client, "one").json()["id"] != create_with_key(client, "One").json()["id"]
    assert len(titles(client)) == 2


def test_one_key_stands_for_one_task_under_both_addresses(ada: Owner) -> None:
    subject, client = ada
    first = create_with_key(client, "same")
    second = create_with_key(client, "same", path=f"/api/{subject}/tasks")
    assert (second.content, is_replay(second)) == (first.content, True)
    assert second.headers["location"] == f"/api/{subject}/tasks/{first.json()['id']}"
    assert len(titles(client)) == 1


def test_the_keys_of_two_users_are_independent(ada: Owner, bob: Owner) -> None:
    first = create_with_key(ada[1], "same")
    second = create_with_key(bob[1], "same", {"title": "Mow the lawn"})
    assert (second.status_code, is_replay(second)) == (201, False)
    assert titles(ada[1]) == ["Buy milk"]
    assert titles(bob[1]) == ["Mow the lawn"]
    assert_replays(first, create_with_key(ada[1], "same"))


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
    assert_replays(create_with_key(ada[1], first), create_with_key(ada[1], second))
    assert len(titles(ada[1])) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [(r"a\\b", r'"a\\b"'), ("k", "K"), ("k" * 254, "k" * 255), ("k", '"k "')],
    ids=["an escape means nothing in a bare one", "case", "length", "a space"],
)
def test_keys_that_look_alike_are_two(ada: Owner, first: str, second: str) -> None:
    assert [create_with_key(ada[1], each).status_code for each in (first, second)] == [201, 201]
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
    answer = create_with_key(ada[1], bad)
    assert {where for where, _ in violations(service, answer)} == {FIELD}
    assert titles(ada[1]) == []


@pytest.mark.parametrize("bad", ["a\x01b", "a\x00b", "a\x7fb"], ids=["SOH", "NUL", "DEL"])
def test_a_control_character_in_a_key_is_refused(service: Service, ada: Owner, bad: str) -> None:
    body = b'{"title":"Buy milk"}'
    fields = [
        bearer_field(ada[0]),
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
    made = create_with_key(ada[1], "same", first)
    for _ in range(2):
        assert violations(service, create_with_key(ada[1], "same", second)) == REUSED
    assert ada[1].get("/api/tasks").json() == [made.json()]
    assert_replays(made, create_with_key(ada[1], "same", first))


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
    first = create_with_key(ada[1], "same")
    headers = {FIELD: "same", "content-type": "application/json; charset=UTF-8"}
    assert_replays(first, ada[1].post("/api/tasks", content=text, headers=headers))


# Answers that a key does not keep


def test_a_create_that_failed_does_not_use_its_key_up(service: Service, ada: Owner) -> None:
    _, client = ada
    assert violations(service, create_with_key(client, "same", {"title": ""})) == [
        ("/title", "must be at least 1 character long"),
    ]
    broken = client.post("/api/tasks", content=b"{", headers={FIELD: "same", "content-type": "application/json"})
    problem(service, broken, "malformed-request")
    first = create_with_key(client, "same", {"title": "Mow the lawn"})
    assert_replays(first, create_with_key(client, "same", {"title": "Mow the lawn"}))


def _purge(connection: psycopg.Connection[Any], task: str) -> None:
    assert connection.execute("DELETE FROM tasks WHERE id = %s", [task]).rowcount == 1


@pytest.mark.parametrize("fate", ["changed", "trashed", "removed for good", "purged"])
def test_a_replay_repeats_the_first_response_whatever_happened(
    ada: Owner, connection: psycopg.Connection[Any], fate: str
) -> None:
    """The task was changed, trashed, removed or purged meanwhile."""
    _, client = ada
    first = create_with_key(client, "same", FULL)
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
    assert_replays(first, create_with_key(client, "same", FULL))
    assert client.get("/api/tasks").json() == before
    assert client.get(path).status_code == (200 if fate == "changed" else 404)


def test_a_key_is_forgotten_after_a_day_and_makes_a_new_task(ada: Owner, connection: psycopg.Connection[Any]) -> None:
    subject, client = ada

    def let_pass(hours: str) -> None:
        aged = "UPDATE idempotency_keys SET created_at = now() - %s::interval WHERE user_id = %s"
        assert connection.execute(aged, [hours, subject]).rowcount == 1

    first = create_with_key(client, "same")
    let_pass("23 hours 59 minutes")
    assert is_replay(create_with_key(client, "same"))
    let_pass("24 hours")
    second = create_with_key(client, "same", {"title": "Mow the lawn"})
    assert (second.status_code, is_replay(second)) == (201, False)
    assert_replays(second, create_with_key(client, "same", {"title": "Mow the lawn"}))
    assert client.get("/api/tasks").json() == [first.json(), second.json()]
