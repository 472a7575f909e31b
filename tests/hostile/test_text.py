"""Text in every place: kept as it was sent, or refused."""

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.hostile.cases import (
    LARGEST,
    Tally,
    as_csv,
    as_lines,
    is_kept,
    line_operations,
    some,
    text_operations,
    with_spelling,
)
from tests.hostile.corpora import invalid_json, valid_json
from tests.hostile.operations import (
    ANY_ID,
    CSV,
    JSON,
    NDJSON,
    OPERATIONS,
    WITH_JSON,
    WITH_LINES,
    Caller,
    Operation,
)
from tests.hostile.texts import NAUGHTY
from tests.support.raw_http import RawAnswer, problem
from tests.support.service import Service


@text_operations
def test_a_text_is_kept_as_it_was_spelt(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    for member in operation.strings:
        for name, spelling, text in tally.part_of(valid_json.valid_strings()):
            answer = caller.ask(operation, with_spelling(operation, member, spelling), task_id=task_id)
            tally.add(f"{member} {name}", is_kept(service, caller, operation, member, text), answer)


# Lines


@line_operations
def test_a_line_that_is_no_strict_json_keeps_all_lines_out(
    service: Service, caller: Caller, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        (error,) = problem(service, answer, "validation-failed")["errors"]
        assert error["line"] == 2

    for name, text in tally.part_of(some(invalid_json.invalid(), operation)):
        if b"\n" not in text and text.strip(b" \t\r"):
            body = b'{"title":"first"}\n' + text + b'\n{"title":"last"}\n'
            tally.add(name, check, caller.ask(operation, body, NDJSON))
    assert json.loads(caller.send("GET", "/api/tasks").content) == []


@line_operations
def test_lines_in_another_encoding_are_kept_out(
    service: Service, caller: Caller, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        problem(service, answer, "validation-failed")

    for name, sequence in tally.part_of(invalid_json.no_utf_8()):
        body = b"title,description\r\nfirst,\r\na" + sequence + b",b\r\nlast,\r\n"
        tally.add(f"CSV {name}", check, caller.ask(operation, body, CSV))
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp500"):
        for media_type, text in {CSV: "title\r\na\r\n", NDJSON: '{"title":"a"}\n'}.items():
            tally.add(f"{media_type} in {encoding}", check, caller.ask(operation, text.encode(encoding), media_type))
    for text in ('title\r\n"a', 'title\r\n"a"b\r\n', "title\r\na\x00\r\n", "title,title\r\na,b\r\n", "a\r\nb\r\n", "x"):
        tally.add(f"CSV {text!r}", check, caller.ask(operation, text.encode(), CSV))
    assert json.loads(caller.send("GET", "/api/tasks").content) == []


@line_operations
@pytest.mark.parametrize("media_type", [NDJSON, CSV])
def test_what_was_imported_is_exported_as_it_was(
    caller: Caller, operation: Operation, media_type: str, tally: Tally
) -> None:
    sent = [(title, text) for title in NAUGHTY if operation.takes("title", title) for text in (title, "a")]
    body = as_lines(sent) if media_type == NDJSON else as_csv(sent)

    def check(answer: RawAnswer) -> None:
        assert json.loads(answer.content) == {"imported": len(sent), "unchanged": 0}

    tally.add("import", check, caller.ask(operation, body, media_type))
    lines = [json.loads(line) for line in caller.send("GET", "/api/tasks/export?format=ndjson").content.splitlines()]
    table = caller.send("GET", "/api/tasks/export?format=csv").content.decode()
    assert [(task["title"], task["description"]) for task in lines] == sent
    rows = list(csv.DictReader(io.StringIO(table, newline=""), strict=True))
    assert [(row["title"], row["description"]) for row in rows] == sent
    tally.tried += 2 * len(sent)


# Lengths

CHARACTERS = {
    "ASCII": "a",
    "two bytes": "\u00e9",
    "three bytes": "\u4e2d",
    "astral": "\U0001f600",
    "the last": "\U0010ffff",
    "combining": "\u0301",
    "zero width": "\u200b",
    "that grows when normalised": "\ufdfa",
    "that grows in upper case": "\u0390",
    "an escape": "\n",
}


def spellings(text: str) -> Iterator[bytes]:
    """The text as it stands, as pairs of escapes, and as a mixture."""
    yield json.dumps(text, ensure_ascii=False).encode()
    units = text.encode("utf-16-be").hex()
    escaped = "".join("\\u" + units[place : place + 4] for place in range(0, len(units), 4))
    yield f'"{escaped}"'.encode()
    yield f'"{escaped.upper()}"'.replace("\\U", "\\u").encode()


@text_operations
def test_a_length_is_counted_in_characters_however_escaped(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    for member in operation.strings:
        limit = operation.limit(member)
        lengths = itertools.product(CHARACTERS.items(), (limit - 1, limit, limit + 1, 2 * limit))
        for (name, character), length in tally.part_of(lengths):
            text = "a" + character * (length - 1)
            for spelling in spellings(text):
                body = with_spelling(operation, member, spelling)
                if len(body) < LARGEST:
                    check = is_kept(service, caller, operation, member, text)
                    tally.add(f"{member} {name} {length}", check, caller.ask(operation, body, task_id=task_id))


def test_the_contract_itself_counts_so(tally: Tally) -> None:
    """The test above relies on the answers of `takes`."""
    for operation in (each for each in WITH_JSON if each.strings):
        for member in operation.strings:
            for character in CHARACTERS.values():
                limit = operation.limit(member)
                found = [operation.takes(member, "a" + character * more) for more in (limit - 2, limit - 1, limit)]
                assert found == [True, True, False]
                tally.tried += 3


# Naughty strings


@text_operations
def test_any_text_in_any_member_is_kept_or_refused(
    service: Service, caller: Caller, task_id: str, operation: Operation, tally: Tally
) -> None:
    for member in operation.strings:
        for text in tally.part_of(NAUGHTY[:: 1 if "{user_id}" in operation.template else 3]):
            for escaped in (True, False):
                body = json.dumps(operation.valid(**{member: text}), ensure_ascii=escaped).encode()
                answer = caller.ask(operation, body, task_id=task_id)
                tally.add(f"{member} {text[:50]!a}", is_kept(service, caller, operation, member, text), answer)


@pytest.mark.parametrize("sort", ["title", "-title", "created", "-updated"])
def test_any_title_is_listed_once_in_every_order(caller: Caller, sort: str, tally: Tally) -> None:
    operation = next(each for each in WITH_LINES)
    titles = [title for title in NAUGHTY if operation.takes("title", title)]
    assert caller.ask(operation, as_lines([(title, "a") for title in titles]), NDJSON).status_code == 200
    listed: list[str] = []
    target = f"/api/tasks?sort={sort}&limit=7"
    while target:
        answer = caller.send("GET", target)
        listed += [task["title"] for task in json.loads(answer.content)]
        target = answer.headers.get("link", "").removeprefix("<").removesuffix('>; rel="next"')
    assert sorted(listed) == sorted(titles)
    tally.tried += len(titles)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.parameters], ids=lambda operation: operation.name
)
def test_any_text_in_any_parameter_is_understood_or_refused(
    service: Service, caller: Caller, operation: Operation, tally: Tally
) -> None:
    def check(answer: RawAnswer) -> None:
        assert answer.status_code in operation.statuses | {404}
        assert answer.status_code < 500
        if answer.status_code >= 400 and operation.method != "HEAD":
            problem(service, answer, json.loads(answer.content)["code"])
        assert re.fullmatch(rb"[^\x00-\x08\x0b-\x1f]*", answer.content.replace(b"\n", b""))

    media_type = next(iter(operation.bodies), None)
    fields = [("Content-Type", media_type)] if media_type else []
    body = json.dumps(operation.valid()).encode() if media_type else None
    for parameter in operation.parameters:
        name = parameter["name"]
        for text in tally.part_of(NAUGHTY[:: 1 if "{user_id}" in operation.template else 3]):
            given: dict[str, Any] = {"user_id": caller.subject, "task_id": ANY_ID}
            extra: list[tuple[str, str]] = []
            if parameter["in"] == "header":
                if re.search("[\x00-\x08\n-\x1f\x7f]", text) or len(text) > 5_000:
                    continue
                extra = [(name, text.encode().decode("latin-1"))]
            elif not text and parameter["in"] == "path":
                continue
            elif len(quote(text)) < 8_000:
                given[name] = text
            tally.add(
                f"{name} {text[:50]!a}",
                check,
                caller.send(operation.method, operation.target(**given), [*fields, *extra], body),
            )


def test_any_text_names_a_user_or_is_refused(service: Service, tally: Tally) -> None:
    def check(answer: RawAnswer) -> None:
        if answer.status_code == 201:
            assert json.loads(answer.content)["user_id"] == subject
            assert json.loads(answer.content)["title"] == subject[:199] + "."
        else:
            problem(service, answer, json.loads(answer.content)["code"])

    for subject in tally.part_of(text for text in NAUGHTY if 1 <= len(text) <= 255 and "\0" not in text):
        path = quote(subject, safe="")
        body = json.dumps({"title": subject[:199] + "."}).encode()
        with Caller(service, subject) as named:
            tally.add(
                f"{subject[:50]!a}",
                check,
                named.send("POST", f"/api/{path}/tasks", [("Content-Type", JSON)], body),
            )
            named.send("DELETE", f"/api/{path}")
