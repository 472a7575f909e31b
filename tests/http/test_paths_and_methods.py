"""Paths and methods: 404 and 405, and the spelling of addresses."""

import json
import re

import pytest

from tests.http.answers import DOCUMENT, PAGES, allowed, filled
from tests.support.raw_http import (
    Answer,
    RawConnection,
    ask,
    bearer_field,
    json_fields,
    problem,
    request,
)
from tests.support.service import Service
from tests.support.types import Owner

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.mark.parametrize("path", [*DOCUMENT["paths"], *PAGES])
@pytest.mark.parametrize("method", METHODS)
def test_a_path_lists_its_methods_in_allow(service: Service, member: Owner, path: str, method: str) -> None:
    subject, client = member
    answer = client.request(method, filled(path, subject))
    allow = ", ".join(sorted(allowed(path)))
    if method == "OPTIONS":
        assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allow, b"")
    elif method in allowed(path):
        assert answer.status_code in (200, 204, 404, 415, 422)
        assert "allow" not in answer.headers
    elif method == "HEAD":
        assert (answer.status_code, answer.headers["allow"], answer.content) == (405, allow, b"")
    else:
        problem(service, answer, "method-not-allowed")
        assert answer.headers["allow"] == allow


@pytest.mark.parametrize("method", ["PROPFIND", "MKCOL", "LINK", "QUERY", "PURGE"])
def test_a_method_of_other_standards_is_not_allowed(service: Service, method: str) -> None:
    answer = ask(service, request(method, "/health"))
    problem(service, answer, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path",
    [
        *(path for path, item in DOCUMENT["paths"].items() if "get" in item),
        *(page for page in PAGES if page != "/metrics"),
        "/nowhere",
        "/api/tasks?limit=0",
        "/api/someone-else/tasks",
    ],
)
def test_head_is_get_without_a_body(service: Service, member: Owner, path: str) -> None:
    subject, _ = member
    target = filled(path, subject)
    fields = [bearer_field(subject), ("X-Request-ID", "the-same"), ("Connection", "close")]
    got = ask(service, request("GET", target, fields))
    with RawConnection(service) as raw:
        raw.send(request("HEAD", target, fields))
        head = raw.read(head=True)
        assert raw.rest() == b""
    assert head.status_code == got.status_code
    # A stream has no length, and whether it would be chunked need not be said (RFC 9112, section 6.1).
    streamed = without_date(got).pop("transfer-encoding", None) is not None
    assert without_date(head) | ({"transfer-encoding": "chunked"} if streamed else {}) == without_date(got)
    assert streamed or head.headers["content-length"] == str(len(got.content))


def without_date(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in {"date", "server-timing"}}


@pytest.mark.parametrize("path", [*DOCUMENT["paths"], *PAGES[1:]])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_trailing_slash_is_another_path_and_no_redirect(
    service: Service, member: Owner, path: str, method: str
) -> None:
    answer = member[1].request(method, filled(path, member[0]) + "/")
    problem(service, answer, "not-found")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "/nowhere",
        "/api",
        "/api/",
        "/api/auth/verify/it",
        "/API/tasks",
        "/Health",
        "/docs/nothing.js",
        "/docs/../health",
        "/docs/%2e%2e/health",
        "/static/../openapi.json",
        "//health",
        "//evil.example/api/tasks",
        "/health//ready",
        "/api//tasks",
        "//",
        "/./health",
        "/api/../health",
        "/health/../health",
        "/health/.",
        "/health%2Fready",
        "/health;v=1",
        "/health%00",
        "/health%20",
        "/%",
        "/%zz",
        "/a|b\\c^d`e{f}",
        "/<script>",
    ],
)
def test_a_path_that_is_not_in_the_contract_is_not_found(service: Service, target: str) -> None:
    answer = ask(service, request("GET", target))
    members = problem(service, answer, "not-found")
    assert members["instance"] == re.sub(
        r"%(?![0-9A-Fa-f]{2})|[|\\^`{}<>]", lambda match: f"%{ord(match[0]):02X}", target
    )
    assert "location" not in answer.headers


def test_the_path_in_a_problem_is_cut_between_percent_encodings(service: Service) -> None:
    members = problem(service, ask(service, request("GET", "/" + "%C3%A9" * 1_000)), "not-found")
    assert re.fullmatch("/(%C3%A9)+(%C3)?", members["instance"])
    assert 500 < len(members["instance"]) <= 512


@pytest.mark.parametrize("path", ["/api/%FF/tasks", "/api/tasks/%C0%AF", "/api/%ED%A0%BD"])
def test_a_path_that_is_not_utf_8_is_malformed(service: Service, member: Owner, path: str) -> None:
    problem(service, ask(service, request("GET", path, [bearer_field(member[0])])), "malformed-request")


@pytest.mark.parametrize(
    ("subject", "segment"),
    [
        pytest.param("a/b?c#d%", "a%2Fb%3Fc%23d%25", id="reserved characters"),
        pytest.param("ä\N{GRINNING FACE}", "%C3%A4%F0%9F%98%80", id="not ASCII"),
        pytest.param('<"|{}\\^`>', '<"|{}\\^`>', id="sent raw"),
        pytest.param("100%", "100%", id="a lone percent sign"),
        pytest.param("..", "..", id="dots"),
        pytest.param("a b+c", "a%20b+c", id="space and plus"),
    ],
)
def test_a_user_id_of_any_characters_has_addresses_that_work(service: Service, subject: str, segment: str) -> None:
    body = b'{"title": "a"}'
    created = ask(service, request("POST", f"/api/{segment}/tasks", [bearer_field(subject), *json_fields(body)]), body)
    assert created.status_code == 201
    assert json.loads(created.content)["user_id"] == subject
    location = created.headers["location"]
    assert re.fullmatch(r"[!-~]+", location)
    assert not set(location) & set('<>"|{}\\^`')
    assert ask(service, request("GET", location, [bearer_field(subject)])).content == created.content
    ask(service, request("POST", f"/api/{segment}/tasks", [bearer_field(subject), *json_fields(body)]), body)
    page = ask(service, request("GET", f"/api/{segment}/tasks?limit=1", [bearer_field(subject)]))
    following = page.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    assert ask(service, request("GET", following, [bearer_field(subject)])).status_code == 200


def test_the_absolute_form_of_a_target_is_understood(service: Service) -> None:
    assert ask(service, request("GET", "http://tasks.test/health")).content == b'{"status":"ok"}'
