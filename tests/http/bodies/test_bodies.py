"""Request bodies: strict JSON, its limits, and how it may arrive."""

import json
from typing import Any

import pytest

from tests.support.raw_http import (
    RawConnection,
    bearer_field,
    json_fields,
    problem,
    request,
    violations,
)
from tests.support.service import Service
from tests.support.types import Owner

MARKER = "only-the-client-knows-this"
MAX_BODY = 65_536

JSON = {"content-type": "application/json"}
NO_TITLE = [("/title", "is required")]


def nested(opening: bytes, depth: int, closing: bytes) -> bytes:
    return opening * depth + closing * depth


def under_title(value: bytes) -> bytes:
    return b'{"title": ' + value + b"}"


# Bodies


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"[]", [("", "must be an object")], id="array"),
        pytest.param(b'"%b"' % MARKER.encode(), [("", "must be an object")], id="string"),
        pytest.param(b"null", [("", "must be an object")], id="null"),
        pytest.param(b"1e400", [("", "must be an object")], id="number beyond a double"),
        pytest.param(b"{}", NO_TITLE, id="empty object"),
        pytest.param(under_title(b"null"), [("/title", "must be a string")], id="null title"),
        pytest.param(under_title(b"1e400"), [("/title", "must be a string")], id="title beyond a double"),
        pytest.param(under_title(nested(b"[", 63, b"]")), [("/title", "must be a string")], id="64 deep"),
        pytest.param(
            under_title(rb'"a\u0000b"'),
            [("/title", "must contain more than white space and no NUL character")],
            id="NUL in the title",
        ),
        pytest.param(
            rb'{"title": "a", "description": "\u0000"}',
            [("/description", "must contain no NUL character")],
            id="NUL in the description",
        ),
        pytest.param(
            rb'{"title": "a", "b\u0000c": 1}',
            [("/b\N{REPLACEMENT CHARACTER}c", "is not a known member")],
            id="NUL in a member's name",
        ),
        pytest.param(
            rb'{"title": "a", "b/c~d": 1}',
            [("/b~1c~0d", "is not a known member")],
            id="a name that a pointer escapes",
        ),
        pytest.param(
            b'{"title": "", "description": 1, "completed": "%b", "ids": 1}' % MARKER.encode(),
            [
                ("/completed", "must be a boolean"),
                ("/description", "must be a string or null"),
                ("/ids", "is not a known member"),
                ("/title", "must be at least 1 character long"),
            ],
            id="all at once",
        ),
    ],
)
def test_json_that_breaks_the_contract_is_told_every_violation(
    service: Service, member: Owner, body: bytes, expected: list[tuple[str, str]]
) -> None:
    answer = member[1].post("/api/tasks", content=body, headers=JSON)
    assert violations(service, answer) == expected
    assert MARKER not in answer.text


@pytest.mark.parametrize("digits", [20, 5_000], ids="{} digits".format)
def test_an_integer_of_any_length_is_refused_without_a_defect(service: Service, member: Owner, digits: int) -> None:
    answer = member[1].post("/api/tasks", content=under_title(b"9" * digits), headers=JSON)
    problem(service, answer, "validation-failed" if answer.status_code == 422 else "malformed-request")
    assert len(answer.content) < 500


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(under_title(b'"' + b"a" * 3_000_000 + b'"'), id="a title of 3 MB"),
        pytest.param(b"[" * 100_000, id="100,000 opening brackets"),
        pytest.param(b'{"title": "a"}'.ljust(MAX_BODY + 1), id="one byte more than is taken"),
    ],
)
def test_a_body_beyond_the_limit_is_too_large(service: Service, member: Owner, body: bytes) -> None:
    answer = member[1].post("/api/tasks", content=body, headers=JSON)
    problem(service, answer, "content-too-large")
    assert len(answer.content) < 500


def test_a_body_of_exactly_the_limit_is_taken(member: Owner) -> None:
    answer = member[1].post("/api/tasks", content=b'{"title": "a"}'.ljust(MAX_BODY), headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"title": MARKER * 2_300}, "validation-failed", id="title"),
        pytest.param({"title": "a", MARKER * 2_300: 1}, "validation-failed", id="member's name"),
        pytest.param({"title": {MARKER * 2_300: 1}}, "validation-failed", id="nested name"),
    ],
)
def test_what_is_long_is_not_repeated(service: Service, member: Owner, body: dict[str, Any], code: str) -> None:
    answer = member[1].post("/api/tasks", json=body)
    problem(service, answer, code)
    assert len(answer.content) < 700


def test_a_long_duplicate_name_is_not_repeated(service: Service, member: Owner) -> None:
    name = json.dumps(MARKER * 1_200).encode()
    answer = member[1].post("/api/tasks", content=b"{" + name + b":1," + name + b":1}", headers=JSON)
    members = problem(service, answer, "malformed-request")
    assert members["detail"].startswith("The body is not valid JSON: duplicate member name at line 1 ")
    assert MARKER not in answer.text


def test_thousands_of_unknown_members_get_a_short_list(service: Service, member: Owner) -> None:
    answer = member[1].post("/api/tasks", json={f"member-{number}": number for number in range(3_000)})
    assert len(violations(service, answer)) == 100


# How a body arrives


def test_a_chunked_body_is_taken(member: Owner) -> None:
    answer = member[1].post("/api/tasks", content=iter([b'{"ti', b'tle": "', b'a"}']), headers=JSON)
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert (answer.status_code, answer.json()["title"]) == (201, "a")


def test_a_chunked_body_beyond_the_limit_is_too_large(service: Service, member: Owner) -> None:
    answer = member[1].post("/api/tasks", content=iter([b" " * 32_768] * 3), headers=JSON)
    problem(service, answer, "content-too-large")


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(
    service: Service, member: Owner, raw: RawConnection
) -> None:
    head = [bearer_field(member[0]), ("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
    raw.send(request("POST", "/api/tasks", head), b"20000\r\n" + b" " * 0x20000 + b"\r\n")
    problem(service, raw.read(), "content-too-large")


def test_a_client_that_waits_for_100_continue_gets_it(member: Owner, raw: RawConnection) -> None:
    body = b'{"title": "a"}'
    head = [bearer_field(member[0]), *json_fields(body), ("Expect", "100-continue")]
    raw.send(request("POST", "/api/tasks", head))
    assert raw.read().status_code == 100
    raw.send(body)
    assert raw.read().status_code == 201


def test_a_client_that_waits_for_100_continue_is_refused_first(service: Service, raw: RawConnection) -> None:
    """The refusal is the final response: the client need not send its body."""
    raw.send(request("POST", "/api/tasks", [*json_fields(b" " * 100), ("Expect", "100-continue")]))
    problem(service, raw.read(), "unauthenticated")
