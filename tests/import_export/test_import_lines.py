"""Single lines of an import: the errors of a bad one, and the reading of CSV."""

import csv
import io
from datetime import datetime

import pytest

from tests.import_export.files import CSV, MOST_BYTES, RECORD_BYTES, everything, lines, result, send, wrong
from tests.support.api import TasksApi

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
    "2026-01-01T00:00:00-00:00",
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
def test_a_moment_that_is_none_is_refused(here: TasksApi, member: str, text: str) -> None:
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
        "2024-02-29T12:00:00.5Z",
        # The clients that openapi-generator and openapi-python-client make write UTC so.
        "2026-11-20T09:15:00.123456+00:00",
    ],
)
def test_a_moment_is_kept_to_the_microsecond(here: TasksApi, text: str) -> None:
    assert result(send(here, lines([{"title": "a", "created_at": text}]))) == (1, 0)
    (task,) = everything(here)
    kept = task["created_at"]
    assert datetime.fromisoformat(kept) == datetime.fromisoformat(text)
    assert kept.endswith("Z")
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
        (b'{"title": ""}', "/title must be at least 1 character long"),
        (b'{"title": "a\\u0000"}', "/title must contain more than white space and no NUL character"),
        (b'{"title": "a\x00"}', "is not valid JSON: control character"),
        (b'{"title": "\\ud800"}', "is not valid JSON: "),
        (b'{"title": "\xff"}', "is not valid JSON: "),
        (b'{"title": "\xed\xa0\x80"}', "is not valid JSON: "),
        (b'\xef\xbb\xbf{"title": "a"}', "is not valid JSON: "),
        (b'{"title": "a", "title": "a"}', "is not valid JSON: duplicate member name at column 24"),
        (b'{"title": "a", "x": 1}', "/x is not a known member"),
        (b'{"title": "a", "deleted_at": null}', "/deleted_at is not a known member"),
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
        (b'{"title": "' + b"a" * RECORD_BYTES + b'"}', f"must be at most {RECORD_BYTES} bytes long"),
        (b'{"a":1,"b":1,"c":1,"d":1,"title":"a"}', "and 1 more"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_a_line_of_json_that_is_wrong_is_named(here: TasksApi, line: bytes, reason: str) -> None:
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
def test_csv_is_read_as_spreadsheets_write_it(here: TasksApi, content: bytes, titles: list[str]) -> None:
    assert result(send(here, content, CSV)) == (len(titles), 0)
    found = everything(here)
    assert sorted(task["title"] for task in found) == sorted(titles)
    assert {task["title"]: task["completed"] for task in found} == {
        title: b"TRUE" in content and title == "a" for title in titles
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name\na", {1: "must name columns from id, user_id, title"}),
        (b"title,deleted_at\na,", {1: "must name columns from "}),
        (b"Title\na", {1: "must name columns from "}),
        (b" title\na", {1: "must name columns from "}),
        (b"title,title\na,b", {1: "has two columns of the same name"}),
        (b"id\n\n", {1: "including title"}),
        (b"\n", {1: "including title"}),
        (b"title,completed\na\nb,true,x\nc,true", {2: "must have 2 fields", 3: "must have 2 fields"}),
        (b"title\n\xff\n", {2: "is not UTF-8"}),
        (b"title\n\xed\xa0\x80\n", {2: "is not UTF-8"}),
        (b"t\0itle\n", {1: "must name columns from "}),
        (b"title\na\0b\n", {2: "no NUL character"}),
        (b'title\n"a\n', {2: "is not valid CSV"}),
        (b'title\na\n"a"b\n', {3: "is not valid CSV"}),
        (b'title\n"two\nlines"\n""\n"x\ny"\n', {4: "/title is required"}),
        (
            b"title,completed\na,yes\nb,1\nc,True\n",
            {2: "/completed must be a boolean", 3: "/completed must be a boolean"},
        ),
        (b"title,id\na,1\n", {2: "/id must be a UUID"}),
        (b"title\n" + b"a" * 201, {2: "/title must be at most 200 characters long"}),
        (b'title\n"' + b"a\n" * RECORD_BYTES, {2: f"must be at most {RECORD_BYTES} bytes long"}),
        (b"," * MOST_BYTES, {1: f"must be at most {RECORD_BYTES} bytes long"}),
        (b"title\n" + b"," * 60_000, {2: "must have 1 fields"}),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_csv_that_is_wrong_is_named_by_the_line(here: TasksApi, content: bytes, expected: dict[int, str]) -> None:
    found = wrong(send(here, content, CSV))
    assert set(found) == set(expected)
    for number, reason in expected.items():
        assert reason in found[number]
    assert everything(here) == []
