"""The deletion of a user with everything that is kept of them."""

import uuid
from collections import Counter

from psycopg.sql import SQL, Identifier

from persistence.schema import metadata
from tests.support.api import STATUSES, TasksApi, both_apis, counts, create_in_every_state, listed
from tests.support.concurrency import at_once
from tests.support.raw_http import problem
from tests.support.service import Service, token
from tests.support.types import Call, Connection, Owner

# The end of a user


def kept_of(connection: Connection, subject: str) -> Counter[str]:
    """Count the rows of the user in each table."""
    found: Counter[str] = Counter()
    for table in metadata.sorted_tables:
        column = "id" if table.name == "users" else "user_id"
        asked = SQL("SELECT count(*) FROM {} WHERE {} = %s").format(Identifier(table.name), Identifier(column))
        row = connection.execute(asked, [subject]).fetchone()
        assert row is not None
        found[table.name] = row[0]
    return found


def fill_every_table(api: TasksApi) -> None:
    create_in_every_state(api)
    api.client.post(api.tasks, json={"title": "t"}, headers={"Idempotency-Key": "k"}).raise_for_status()
    api.client.patch(api.tasks, json={"completed": True}, headers={"Idempotency-Key": "l"}).raise_for_status()


def test_nothing_is_kept_of_a_user_who_is_deleted(ada: Owner, bob: Owner, connection: Connection) -> None:
    api, others = both_apis(*ada)[0], both_apis(*bob)[0]
    for each in (api, others):
        fill_every_table(each)
    assert set(kept_of(connection, api.subject).values()) != {0}
    assert all(kept_of(connection, api.subject).values()), "a table that the test does not fill"
    theirs = (kept_of(connection, others.subject), listed(others), listed(others, status="trashed"))
    for _ in range(2):
        answer = api.client.delete(f"/api/{api.subject}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert not +kept_of(connection, api.subject)
    assert theirs == (kept_of(connection, others.subject), listed(others), listed(others, status="trashed"))
    # Looking at one's tasks makes no row; the next profile is a new one.
    assert [listed(api, status=status) for status in STATUSES] == [[]] * 4
    assert not +kept_of(connection, api.subject)
    assert counts(api) == (0, 0, 0)


def test_a_user_whom_nobody_has_seen_can_be_deleted(ada: Owner) -> None:
    assert ada[1].delete(f"/api/{ada[0]}").status_code == 204


def test_nobody_deletes_another_user(service: Service, ada: Owner, bob: Owner, connection: Connection) -> None:
    fill_every_table(both_apis(*bob)[0])
    before = kept_of(connection, bob[0])
    problem(service, ada[1].delete(f"/api/{bob[0]}"), "forbidden")
    problem(service, service.client().delete(f"/api/{bob[0]}"), "unauthenticated")
    assert kept_of(connection, bob[0]) == before


def test_a_deletion_among_other_requests_of_the_user_succeeds(
    service: Service, ada: Owner, connection: Connection
) -> None:
    api = both_apis(*ada)[1]
    line = b'{"title": "imported"}\n'
    ndjson = {"content-type": "application/x-ndjson"}
    calls: list[Call] = [
        lambda client: client.post(api.tasks, json={"title": "t"}),
        lambda client: client.post(api.tasks, json={"title": "t"}, headers={"Idempotency-Key": uuid.uuid4().hex}),
        lambda client: client.post(f"{api.tasks}/import", content=line, headers=ndjson),
        lambda client: client.get(f"/api/{api.subject}"),
        lambda client: client.patch(api.tasks, json={"completed": True}),
        lambda client: client.delete(api.tasks, params={"status": "completed"}),
        lambda client: client.delete(f"/api/{api.subject}"),
    ]
    for _ in range(6):
        answers = at_once(service, [(token(api.subject), call) for call in calls * 4])
        assert [answer.text for answer in answers if answer.status_code not in (200, 201, 204)] == []
    assert api.client.delete(f"/api/{api.subject}").status_code == 204
    assert not +kept_of(connection, api.subject)
