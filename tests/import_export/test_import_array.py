"""Imports of a JSON array: its items, and what is wrong with it or with them."""

import json
from typing import Any

import pytest

from tests.import_export.files import JSON, MOST_LINES, RECORD_BYTES, everything, export, read, result, send
from tests.support.api import TasksApi
from tests.support.raw_http import problem, violations
from tests.support.service import Service

GOOD = {"title": "a"}


def array(*items: Any) -> bytes:
    return json.dumps(items).encode()


@pytest.mark.parametrize(
    ("content", "titles"),
    [
        (b"[]", []),
        (b" \t\r\n[ \n] ", []),
        (b'[{"title":"a"}]', ["a"]),
        (b' [ {"title" : "a"} , {"title":"b"}\r\n]\n', ["a", "b"]),
        (
            b'[{"title":"[{]},\\\\"},{"title":"\\"[,"},{"title":"\\u005b\\ud83d\\ude00"}]',
            ["[{]},\\", '"[,', "[\U0001f600"],
        ),
        (b'[{"title":"a"}' + b" " * 2 * RECORD_BYTES + b',{"title":"b"}]', ["a", "b"]),
    ],
    ids=["empty", "white space", "one", "spaced", "brackets and quotes in strings", "long white space"],
)
def test_the_items_of_an_array_are_imported(api: TasksApi, content: bytes, titles: list[str]) -> None:
    assert result(send(api, content, JSON)) == (len(titles), 0)
    assert [task["title"] for task in everything(api)] == titles


def test_a_pretty_array_is_imported(here: TasksApi, there: TasksApi) -> None:
    here.create(title="two\nlines", description="[}")
    here.create(title="other")
    content = json.dumps(json.loads(export(here, "json")), indent=2).encode()
    assert result(send(there, content, JSON)) == (2, 0)
    assert read(export(there, "json"), "json") == everything(there)


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({}, [("/1/title", "is required")]),
        ({"title": ""}, [("/1/title", "must be at least 1 character long")]),
        ({"title": {"a": [1]}}, [("/1/title", "must be a string")]),
        ({"title": "a", "x": 1}, [("/1/x", "is not a known member")]),
        (
            {"completed": "no", "description": 5},
            [
                ("/1/completed", "must be a boolean"),
                ("/1/description", "must be a string or null"),
                ("/1/title", "is required"),
            ],
        ),
        ([], [("/1", "must be an object")]),
        ([[1, {}]], [("/1", "must be an object")]),
        ("[{", [("/1", "must be an object")]),
        (None, [("/1", "must be an object")]),
        (-1.5e3, [("/1", "must be an object")]),
    ],
    ids=repr,
)
def test_an_item_that_is_wrong_is_named(
    service: Service, here: TasksApi, item: Any, found: list[tuple[str, str]]
) -> None:
    assert violations(service, send(here, array(GOOD, item, GOOD), JSON)) == found
    assert everything(here) == []


def test_each_wrong_item_is_named_with_three_violations(here: TasksApi) -> None:
    items = [{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}] * 1000
    found = [error["pointer"] for error in send(here, array(*items), JSON).json()["errors"]]
    assert len(found) == 3000
    assert len({where.split("/")[1] for where in found}) == 1000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"[",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1]]",
        b"[1][2]",
        b"[1] x",
        b'["a]',
        b'[{"title":"a"]',
        b'[{"title":"a"}}',
        b'[{"title":"a"}:{"title":"b"}]',
        b'[{"title":"a","title":"b"}]',
        b'[{"title":NaN}]',
        b'[{"title":"\xff"}]',
        b'[{"title":"\\ud800"}]',
        b"\xef\xbb\xbf[]",
        b"[{'title':'a'}]",
        b"[//\n]",
        b"[" * 100_000,
        b"[" + b'{"a":' * 70 + b"1" + b"}" * 70 + b"]",
        b"[" + b'{"a":' * 30_000,
        b"nul",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_an_array_that_is_not_json_is_malformed(service: Service, here: TasksApi, content: bytes) -> None:
    detail = problem(service, send(here, content, JSON), "malformed-request")["detail"]
    assert detail.startswith(("The body is not valid JSON: ", "The body nests deeper than 64 levels"))
    assert "  " not in detail
    assert everything(here) == []


@pytest.mark.parametrize("content", [b"{}", b'{"title":"a"}', b'"[]"', b"5", b"null", b'"' + b"a" * 2 * RECORD_BYTES])
def test_another_value_than_an_array_is_refused(service: Service, here: TasksApi, content: bytes) -> None:
    assert violations(service, send(here, content, JSON)) == [("", "must be an array")]


@pytest.mark.parametrize(
    "item",
    [b'{"title":"' + b"a" * RECORD_BYTES + b'"}', b'"' + b"a" * RECORD_BYTES, b'{"title":[' + b"1," * RECORD_BYTES],
    ids=["object", "string without an end", "array without an end"],
)
def test_an_item_has_at_most_64_kib(service: Service, here: TasksApi, item: bytes) -> None:
    content = b'[{"title":"a"},' + item + b',{"title":"a"}]'
    assert violations(service, send(here, content, JSON)) == [("/1", f"must be at most {RECORD_BYTES} bytes long")]
    longest = b'{"title":"a"' + b" " * (RECORD_BYTES - 13) + b"}"
    assert result(send(here, b"[" + longest + b"]", JSON)) == (1, 0)


def test_an_array_has_at_most_50_000_items(service: Service, here: TasksApi) -> None:
    assert result(send(here, array(*[GOOD] * MOST_LINES), JSON)) == (MOST_LINES, 0)
    answer = send(here, array(*[GOOD] * (MOST_LINES + 1)), JSON)
    assert violations(service, answer) == [("", f"must have at most {MOST_LINES} records")]
