"""Imports: all tasks of a file, or none."""

import uuid

import pytest

from tests.import_export.files import NDJSON, everything, lines, logged, result, send, wrong
from tests.support.api import TasksApi
from tests.support.raw_http import RawConnection, bearer_field, problem, request
from tests.support.service import Service
from tests.support.types import Json

# Import


def test_what_a_line_leaves_out_has_a_default(api: TasksApi) -> None:
    created = "2001-02-03T04:05:06Z"
    rows: list[Json] = [
        {"title": "a"},
        {"title": "b", "created_at": created},
        {"title": "c", "created_at": created, "updated_at": "2002-02-03T04:05:06.789Z"},
        {"title": "d", "description": None, "completed": True, "user_id": "somebody else"},
    ]
    assert result(send(api, lines(rows))) == (4, 0)
    tasks = {task["title"]: task for task in everything(api)}
    for task in tasks.values():
        assert (task["user_id"], task["description"]) == (api.subject, None)
    assert [tasks[title]["completed"] for title in "abcd"] == [False, False, False, True]
    assert tasks["a"]["created_at"] == tasks["a"]["updated_at"] == tasks["d"]["created_at"]
    assert (tasks["b"]["created_at"], tasks["b"]["updated_at"]) == (created, created)
    assert (tasks["c"]["created_at"], tasks["c"]["updated_at"]) == (created, "2002-02-03T04:05:06.789000Z")
    assert len({task["id"] for task in tasks.values()}) == 4
    for task in tasks.values():
        assert api.client.patch(f"{api.path(task)}/{api.toggle}").json()["updated_at"] > task["updated_at"]


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
def test_lines_of_json_end_in_newlines_and_may_be_blank(here: TasksApi, content: bytes, titles: list[str]) -> None:
    answer = send(here, content)
    if titles or b"title" not in content:
        assert result(answer) == (len(titles), 0)
    else:
        assert answer.status_code == 422
    assert [task["title"] for task in everything(here)] == titles


def test_one_bad_line_among_thousands_keeps_all_of_them_out(here: TasksApi) -> None:
    rows: list[Json] = [{"title": str(number)} for number in range(5000)]
    rows[4321] = {"title": ""}
    assert set(wrong(send(here, lines(rows)))) == {4322}
    assert everything(here) == []


def test_every_bad_line_is_named_however_many_there_are(here: TasksApi) -> None:
    rows = [{"title": "a"} if number % 3 else {"title": "a", "secret": "leaves no trace"} for number in range(1500)]
    answer = send(here, lines(rows))
    assert wrong(answer) == {number + 1: "/secret is not a known member" for number in range(0, 1500, 3)}
    assert b"leaves no trace" not in answer.content


def test_ids_are_kept_apart_by_user_and_counted_once(here: TasksApi, there: TasksApi) -> None:
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
        ("application/json; charset=utf-16", 415),
        ("application/ndjson", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_an_import_takes_its_media_types_in_utf_8(
    service: Service, here: TasksApi, media_type: str, status: int
) -> None:
    answer = send(here, b'{"title":"a"}', media_type)
    assert answer.status_code == status
    if status == 415:
        detail = problem(service, answer, "unsupported-media-type")["detail"]
        assert detail == "The body must be application/json, application/x-ndjson or text/csv in UTF-8."
    assert len(everything(here)) == (status == 200)


def test_a_coded_import_is_refused(service: Service, here: TasksApi) -> None:
    headers = {"content-type": NDJSON, "content-encoding": "gzip"}
    answer = here.client.post(f"{here.tasks}/import", content=b"x", headers=headers)
    problem(service, answer, "unsupported-media-type")


def test_a_chunked_import_is_one_import(api: TasksApi) -> None:
    content = lines({"title": str(number)} for number in range(1000))
    chunks = [content[start : start + 777] for start in range(0, len(content), 777)]
    assert result(send(api, iter(chunks))) == (1000, 0)
    assert len(everything(api)) == 1000


def test_an_import_that_ends_early_imports_nothing(service: Service, here: TasksApi) -> None:
    content = lines({"title": str(number)} for number in range(100))
    with RawConnection(service) as raw:
        fields = [
            bearer_field(here.subject),
            ("Content-Type", NDJSON),
            ("Content-Length", str(len(content) + 1)),
        ]
        raw.send(request("POST", "/api/tasks/import", fields), content)
        raw.stop()
        raw.rest()
    logged(service, "importMyTasks")
    assert everything(here) == []
