"""Import, restore and the bulk operations take place once for an `Idempotency-Key`, like a create."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.idempotency.operations import KEYED, NDJSON, RECORDS, KeyedOperation, prepare, state
from tests.idempotency.requests import FIELD, FULL, REUSED, WAIT_SECONDS, create_with_key, is_replay, seen, titles
from tests.idempotency.test_concurrency import wait_for_lock
from tests.support.api import TasksApi, both_apis, delete, listed
from tests.support.concurrency import at_once
from tests.support.raw_http import RawConnection, bearer_field, problem, request, violations
from tests.support.servers.postgres import fresh_database
from tests.support.service import Service, running_service, token
from tests.support.types import Call, Connection, Owner

LOCK_SECONDS = 1
"""The time for which a request waits for another one with its key."""

every_operation = pytest.mark.parametrize("operation", KEYED, ids=lambda operation: operation.name)

# The same again


@every_operation
def test_a_repeated_operation_replays_the_first_response(api: TasksApi, operation: KeyedOperation) -> None:
    """It changes nothing, whatever has changed since."""
    task_id = prepare(api)
    first = operation.send(api, task_id, "same")
    assert (first.status_code, is_replay(first)) == (200, False)
    assert first.json() | operation.result == first.json()
    operation.undo(api, task_id)
    before = state(api)
    for _ in range(2):
        second = operation.send(api, task_id, "same")
        assert (seen(second), is_replay(second)) == (seen(first), True)
    assert state(api) == before


@every_operation
def test_without_a_key_an_operation_takes_place_each_time(api: TasksApi, operation: KeyedOperation) -> None:
    task_id = prepare(api)
    operation.send(api, task_id, None).raise_for_status()
    operation.undo(api, task_id)
    before = state(api)
    again = operation.send(api, task_id, None)
    assert (again.status_code, is_replay(again)) == (200, False)
    assert state(api) != before


@every_operation
def test_one_key_stands_for_one_operation_under_both_paths(ada: Owner, operation: KeyedOperation) -> None:
    one, other = both_apis(*ada)
    task_id = prepare(one)
    first, second = operation.send(one, task_id, "same"), operation.send(other, task_id, '"same"')
    assert (seen(second), is_replay(second)) == (seen(first), True)


def test_an_import_without_ids_is_made_once(ada: Owner) -> None:
    """Also in another format, with another order of members, and with defaults written out."""
    _, client = ada
    csv = b'completed,title\r\nfalse,One\r\n,"Two"\r\n'
    bodies = [
        (RECORDS, "application/x-ndjson"),
        (b'{"completed": false, "title": "\\u004fne"}\n\n{"title":"Two"}', "application/x-ndjson; charset=utf-8"),
        (csv, "text/csv"),
    ]
    answers = [
        client.post("/api/tasks/import", content=body, headers={"content-type": type_, FIELD: "same"})
        for body, type_ in bodies
    ]
    assert [answer.json() for answer in answers] == [{"imported": 2, "unchanged": 0}] * 3
    assert [is_replay(answer) for answer in answers] == [False, True, True]
    assert titles(client) == ["One", "Two"]


def test_the_longest_task_is_replayed_equal(ada: Owner) -> None:
    """With the largest members, and with characters that JSON escapes."""
    api = both_apis(*ada)[1]
    task = api.create(title="\\" * 199 + "\N{GRINNING FACE}", description='\x01"\u2028\N{GRINNING FACE}' * 250)
    delete(api, task)
    first, second = ({FIELD: "same"} for _ in range(2))
    answers = [api.client.post(f"{api.path(task)}/restore", headers=each) for each in (first, second)]
    assert seen(answers[0]) == seen(answers[1])
    assert is_replay(answers[1])
    assert answers[1].headers["etag"] == api.client.get(api.path(task)).headers["etag"]


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns"])
def test_a_replay_does_not_depend_on_a_time_zone(database_url: str, tmp_path: Path, zone: str) -> None:
    """The role's, the database's or the address's."""
    with fresh_database(database_url) as url:
        separator = "&" if "?" in url else "?"
        address = f"{url}{separator}options=-c%20TimeZone%3D{zone.replace('/', '%2F')}"
        with running_service(tmp_path, DATABASE_URL=address) as service:
            api = both_apis("ada", service.as_user("ada"))[1]
            task = api.create(**FULL)
            delete(api, task)
            first, second = (api.client.post(f"{api.path(task)}/restore", headers={FIELD: "same"}) for _ in range(2))
            assert (seen(second), is_replay(second)) == (seen(first), True)
            assert first.json() == api.fetch(task)


# Another request


@every_operation
def test_a_key_with_another_operation_is_refused(service: Service, ada: Owner, operation: KeyedOperation) -> None:
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    operation.send(api, task_id, "same").raise_for_status()
    before = state(api)
    for other in KEYED:
        if other is not operation:
            assert violations(service, other.send(api, task_id, "same")) == REUSED
    assert violations(service, create_with_key(api.client, "same")) == REUSED
    assert state(api) == before


@every_operation
def test_a_key_of_a_create_is_refused(service: Service, ada: Owner, operation: KeyedOperation) -> None:
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    create_with_key(api.client, "same").raise_for_status()
    before = state(api)
    assert violations(service, operation.send(api, task_id, "same")) == REUSED
    assert state(api) == before


def test_a_key_with_other_records_is_refused(service: Service, ada: Owner) -> None:
    _, client = ada
    headers = {**NDJSON, FIELD: "same"}
    client.post("/api/tasks/import", content=RECORDS, headers=headers).raise_for_status()
    others = [RECORDS + b'{"title":"Three"}\n', b'{"title":"Two"}\n{"title":"One"}\n', b'{"title":"One"}\n']
    for content in others:
        assert violations(service, client.post("/api/tasks/import", content=content, headers=headers)) == REUSED
    assert titles(client) == ["One", "Two"]


def test_a_key_with_another_task_is_refused(service: Service, ada: Owner) -> None:
    api = both_apis(*ada)[1]
    tasks = [api.create() for _ in range(2)]
    for task in tasks:
        delete(api, task)
    answers = [api.client.post(f"{api.path(task)}/restore", headers={FIELD: "same"}) for task in tasks]
    assert (answers[0].status_code, violations(service, answers[1])) == (200, REUSED)
    assert [task["id"] for task in listed(api)] == [tasks[0]["id"]]


# Answers that a key does not keep


def test_a_failed_operation_does_not_use_its_key_up(service: Service, ada: Owner) -> None:
    api = both_apis(*ada)[1]
    task = api.create()
    delete(api, task, permanent="true")
    missing = api.client.post(f"{api.path(task)}/restore", headers={FIELD: "same"})
    problem(service, missing, "task-not-found")
    bad = api.client.post("/api/tasks/import", content=b'{"title":""}', headers={**NDJSON, FIELD: "same"})
    problem(service, bad, "validation-failed")
    good = api.client.post("/api/tasks/import", content=RECORDS, headers={**NDJSON, FIELD: "same"})
    assert (good.status_code, is_replay(good)) == (200, False)
    problem(service, api.client.post(f"{api.path(task)}/restore", headers={FIELD: "other"}), "task-not-found")


@every_operation
def test_an_expired_key_can_be_used_again(ada: Owner, connection: Connection, operation: KeyedOperation) -> None:
    """For another result of the same operation, which is the one that is replayed then."""
    subject, _ = ada
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    operation.send(api, task_id, "same").raise_for_status()
    operation.undo(api, task_id)
    connection.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '24 hours' WHERE user_id = %s", [subject]
    )
    second = operation.send(api, task_id, "same")
    assert (second.status_code, is_replay(second)) == (200, False)
    third = operation.send(api, task_id, "same")
    assert (seen(third), is_replay(third)) == (seen(second), True)


@every_operation
def test_the_first_request_of_a_user_may_have_a_key(ada: Owner, operation: KeyedOperation) -> None:
    """The user is not in the database yet."""
    if operation.name == "restore":
        return
    api = both_apis(*ada)[1]
    first, second = (operation.send(api, "", "same") for _ in range(2))
    assert (first.status_code, is_replay(first)) == (200, False)
    assert (seen(second), is_replay(second)) == (seen(first), True)


# At the same moment, and around failures


@every_operation
def test_of_concurrent_requests_with_one_key_one_has_an_effect(
    service: Service, ada: Owner, operation: KeyedOperation
) -> None:
    subject, _ = ada
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    sending: Call = lambda client: operation.send(api, task_id, "same", client)  # noqa: E731
    # A user may have four imports in progress.
    answers = at_once(service, [(token(subject), sending)] * (4 if operation.name == "import" else 12))
    done = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert [is_replay(answer) for answer in done].count(False) == 1
    assert len({seen(answer) for answer in done}) == 1
    assert done[0].json() | operation.result == done[0].json()
    if operation.name == "import":
        assert Counter(titles(api.client))["One"] == 1


@every_operation
def test_an_operation_in_progress_is_told_to_try_again(
    service: Service, ada: Owner, database_url: str, connection: Connection, operation: KeyedOperation
) -> None:
    subject, _ = ada
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    before = state(api)
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("INSERT INTO idempotency_keys VALUES (%s, 'same', sha256('x'), NULL, now())", [subject])
        sent = pool.submit(operation.send, api, task_id, "same")
        wait_for_lock(connection, 1)
        answer = sent.result(WAIT_SECONDS)
        problem(service, answer, "request-in-progress")
        assert answer.headers["retry-after"] == "1"
        other.rollback()
    assert state(api) == before
    assert not is_replay(operation.send(api, task_id, "same"))


@every_operation
def test_an_operation_waits_for_other_locks_as_without_a_key(
    ada: Owner, database_url: str, connection: Connection, operation: KeyedOperation
) -> None:
    """No request has the key: it is not 409, but done when the user's row is free."""
    subject, _ = ada
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [subject])
        sent = pool.submit(operation.send, api, task_id, "same")
        wait_for_lock(connection, 1)
        assert wait([sent], 1.3 * LOCK_SECONDS).not_done
        other.rollback()
        answer = sent.result(WAIT_SECONDS)
    assert (answer.status_code, is_replay(answer)) == (200, False)
    assert answer.json() | operation.result == answer.json()


@every_operation
def test_a_response_that_was_lost_is_replayed(service: Service, ada: Owner, operation: KeyedOperation) -> None:
    """The client disconnects when it has sent the request, and repeats it when the effect is there."""
    subject, _ = ada
    api = both_apis(*ada)[1]
    task_id = prepare(api)
    before = state(api)
    with RawConnection(service) as raw:
        raw.send(_as_bytes(operation.build(api, task_id, "same"), subject))
        deadline = time.monotonic() + WAIT_SECONDS
        while state(api) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    after = state(api)
    again = operation.send(api, task_id, "same")
    assert (again.status_code, is_replay(again)) == (200, True)
    assert again.json() | operation.result == again.json()
    assert state(api) == after


def _as_bytes(built: httpx2.Request, subject: str) -> bytes:
    fields = [bearer_field(subject)]
    fields += [
        (name, built.headers[name]) for name in ("content-type", "content-length", FIELD) if name in built.headers
    ]
    return request(built.method, built.url.raw_path, fields) + built.content


def test_the_results_of_a_deleted_user_are_gone(ada: Owner, connection: Connection) -> None:
    subject, client = ada
    kept = "SELECT count(*) FROM idempotency_results WHERE user_id = %s"
    headers = {**NDJSON, FIELD: "same"}
    client.post("/api/tasks/import", content=RECORDS, headers=headers).raise_for_status()
    assert connection.execute(kept, [subject]).fetchone() == (1,)
    client.delete(f"/api/{subject}").raise_for_status()
    assert connection.execute(kept, [subject]).fetchone() == (0,)
    assert not is_replay(client.post("/api/tasks/import", content=RECORDS, headers=headers))
