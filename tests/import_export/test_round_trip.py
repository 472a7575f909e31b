"""An export can be imported, once, by any user."""

import random
import uuid

import pytest

from tests.database.rows import deadlocks
from tests.import_export.files import MEDIA_TYPES, NDJSON, TITLES, everything, export, lines, result, send
from tests.support.api import TasksApi
from tests.support.concurrency import at_once
from tests.support.service import Service, token
from tests.support.types import Call, Connection, Json

# There and back


def crowd(api: TasksApi) -> None:
    for number, title in enumerate(TITLES):
        task = api.create(title=title, description=[None, title, ""][number % 3], completed=number % 2 == 0)
        if number % 4 == 0:
            api.client.put(api.path(task), json={"title": f"{title}!"[:200]}).raise_for_status()


def as_of(task: Json, subject: str, format: str) -> Json:  # noqa: A002
    """The task as another user gets it by an import."""
    return {
        **task,
        "user_id": subject,
        "description": (task["description"] or None) if format == "csv" else task["description"],
    }


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_export_can_be_imported_by_somebody_else(here: TasksApi, there: TasksApi, format: str) -> None:  # noqa: A002
    crowd(here)
    content = export(here, format)
    assert result(send(there, content, MEDIA_TYPES[format])) == (len(TITLES), 0)
    assert everything(there) == [as_of(task, there.subject, format) for task in everything(here)]
    for sort in ("title", "-updated"):
        in_order = [
            [task["id"] for task in api.client.get(api.tasks, params={"sort": sort}).json()] for api in (here, there)
        ]
        assert in_order[0] == in_order[1]
    # Bob's tasks differ from Ada's, though the ids are the same.
    there.client.put(there.path(everything(there)[0]), json={"title": "theirs"}).raise_for_status()
    assert export(here, format) == content


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_export_brings_a_user_back(api: TasksApi, format: str) -> None:  # noqa: A002
    crowd(api)
    before, content = everything(api), export(api, format)
    api.client.delete(f"/api/{api.subject}").raise_for_status()
    assert everything(api) == []
    assert result(send(api, content, MEDIA_TYPES[format])) == (len(before), 0)
    assert everything(api) == [as_of(task, api.subject, format) for task in before]
    if format == "ndjson":
        assert export(api) == content


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_an_import_that_is_repeated_changes_nothing(api: TasksApi, format: str) -> None:  # noqa: A002
    crowd(api)
    content = export(api, format)
    first, trashed, *_ = everything(api)
    api.client.put(api.path(first), json={"title": "changed since"}).raise_for_status()
    api.client.delete(api.path(trashed)).raise_for_status()
    before = export(api), export(api, status="trashed")
    for _ in range(2):
        assert result(send(api, content, MEDIA_TYPES[format])) == (0, len(TITLES))
    assert (export(api), export(api, status="trashed")) == before


def test_concurrent_imports_make_no_task_twice(service: Service, here: TasksApi, connection: Connection) -> None:
    """The imports do not deadlock."""
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
