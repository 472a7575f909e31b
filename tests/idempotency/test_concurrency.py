"""One `Idempotency-Key` at the same moment, and around failures: one task for each key."""

import json
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.idempotency.requests import (
    FIELD,
    MILK,
    WAIT_SECONDS,
    assert_replays,
    create_with_key,
    is_replay,
    key,
    seen,
    titles,
)
from tests.idempotency.writers import FAILURES, Failure
from tests.support.concurrency import at_once
from tests.support.raw_http import problem
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, token
from tests.support.types import Call, Json, Owner
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive(2)

# At the same moment


def posting(key: str, body: Json = MILK) -> Call:
    return lambda client: create_with_key(client, key, body)


def test_of_fifty_creates_with_one_key_at_once_one_makes_a_task(service: Service, ada: Owner) -> None:
    subject, client = ada
    answers = at_once(service, [(token(subject), posting("same"))] * 50)
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert [is_replay(answer) for answer in made].count(False) == 1
    assert len({seen(answer) for answer in made}) == 1
    assert client.get("/api/tasks").json() == [made[0].json()]


def test_of_concurrent_creates_with_one_key_one_body_wins(service: Service, ada: Owner) -> None:
    """All the others have another body, and are refused with 422."""
    subject, client = ada
    answers = at_once(service, [(token(subject), posting("same", {"title": str(number)})) for number in range(20)])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 19}
    (made,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert client.get("/api/tasks").json() == [made]


def wait_for_lock(connection: psycopg.Connection[Any], waiting: int) -> None:
    """Wait until this many statements of the service wait for a lock, on any node."""
    (is_distributed,) = connection.execute("SELECT to_regclass('citus_lock_waits') IS NOT NULL").fetchone() or (False,)
    here = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'tasks-api'"
    asked = "SELECT count(*) FROM citus_lock_waits" if is_distributed else here

    def is_waiting() -> bool:
        row = connection.execute(asked.encode()).fetchone()
        return row is not None and row[0] >= waiting

    until(is_waiting, WAIT_SECONDS)


def test_a_create_whose_first_is_under_way_is_told_to_try_again(
    service: Service, ada: Owner, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    subject, client = ada
    client.post("/api/tasks", json={"title": "so that the user is known"})
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as pool:
        # The key is taken by a transaction that stays open until the test ends it.
        other.execute(
            "INSERT INTO idempotency_keys VALUES (%s, 'same', sha256('x'), gen_random_uuid(), now())", [subject]
        )
        first: Future[httpx2.Response] = pool.submit(create_with_key, client, "same")
        wait_for_lock(connection, 1)
        answer = first.result(WAIT_SECONDS)
        assert problem(service, answer, "request-in-progress")["instance"] == "/api/tasks"
        assert answer.headers["retry-after"] == "1"
        # A request without a key, or with another one, does not wait for it.
        assert create_with_key(client, "other").status_code == 201
        assert client.post("/api/tasks", json=MILK).status_code == 201
        other.rollback()
    made = create_with_key(client, "same")
    assert (made.status_code, is_replay(made)) == (201, False)
    assert_replays(made, create_with_key(client, "same"))
    assert len(titles(client)) == 4


def test_a_create_that_is_held_up_is_replayed_to_the_next_one(
    service: Service, ada: Owner, database_url: str, connection: psycopg.Connection[Any]
) -> None:
    subject, client = ada
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(2) as pool:
        # Writers of tasks wait, for less long than the service has patience.
        other.execute("LOCK TABLE tasks IN SHARE MODE")
        first = pool.submit(create_with_key, client, "same")
        wait_for_lock(connection, 1)
        second = pool.submit(create_with_key, service.as_user(subject), "same")
        wait_for_lock(connection, 2)
        other.rollback()
        answers = [first.result(WAIT_SECONDS), second.result(WAIT_SECONDS)]
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = create_with_key(client, "same")
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
        assert create_with_key(client, "same", {"title": "refused"}).status_code == 500
    finally:
        connection.execute(b"ALTER TABLE tasks DROP CONSTRAINT " + constraint)
    assert connection.execute("SELECT key FROM idempotency_keys WHERE user_id = %s", [subject]).fetchall() == []
    made = create_with_key(client, "same", {"title": "refused"})
    assert (made.status_code, is_replay(made)) == (201, False)


# Between a task and its key


def assert_one_task_for_each_key(connection: psycopg.Connection[Any], keys: set[str]) -> None:
    rows = connection.execute(
        "SELECT k.key, t.title FROM idempotency_keys k FULL JOIN tasks t ON t.user_id = k.user_id AND t.id = k.task_id"
    ).fetchall()
    assert sorted(rows) == sorted((key, key) for key in keys)


def send_create(client: httpx2.Client, url: str, name: str) -> httpx2.Response:
    """Create a task whose title is the key."""
    return client.post(f"{url}/api/tasks", json={"title": name}, headers={FIELD: name})


@pytest.mark.exhaustive(1)
@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_never_parts_a_task_from_its_key(failure: Failure, database_url: str, tmp_path: Path) -> None:
    with fresh_database(database_url) as url, psycopg.connect(url, autocommit=True) as connection:
        acknowledged = failure(url, tmp_path, send_create, 8)
        assert_one_task_for_each_key(connection, acknowledged)


# The end of the user


def test_creates_during_the_deletion_of_their_user_succeed(
    service: Service, ada: Owner, connection: psycopg.Connection[Any]
) -> None:
    """And none leaves a key without its task."""
    subject, client = ada

    def creating(number: int) -> Call:
        return lambda client: (
            create_with_key(client, f"{number}-{key()}") if number % 2 else client.post("/api/tasks", json=MILK)
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
    first = create_with_key(client, "same")
    assert client.delete(f"/api/{subject}").status_code == 204
    second = create_with_key(client, "same", {"title": "Mow the lawn"})
    assert (second.status_code, is_replay(second)) == (201, False)
    assert second.json()["id"] != first.json()["id"]
    assert json.loads(client.get("/api/tasks").content) == [second.json()]
