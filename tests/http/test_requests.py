"""What may be sent to the service, and what it says to everything else. Nothing here may end in a 500."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from server.contract.document import load_document
from tests.support.raw_http import SECURITY_HEADERS, Answer, Wire, ask, problem, request, violations
from tests.support.service import Service, token

Member = tuple[str, httpx2.Client]

MARKER = "only-the-client-knows-this"
MAX_BODY = 65_536
DOCUMENT = load_document()
PAGES = ("/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/openapi.yaml", "/problems", "/metrics")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ORIGIN = "http://localhost:3000"
JSON = {"content-type": "application/json"}
NO_TITLE = [("/title", "is required")]


@pytest.fixture(scope="module")
def member(service: Service) -> Member:
    """A user whom the refused requests of this module share."""
    subject = f"member-{uuid.uuid4().hex}"
    return subject, service.as_user(subject)


@pytest.fixture
def wire(service: Service) -> Iterator[Wire]:
    with Wire(service) as connection:
        yield connection


def bearer(subject: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token(subject)}"


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
            [("/title", "must contain a visible character and no NUL character")],
            id="NUL in the title",
        ),
        pytest.param(
            rb'{"title": "a", "description": "\u0000"}',
            [("/description", "must contain no NUL character")],
            id="NUL in the description",
        ),
        pytest.param(
            rb'{"title": "a", "b\u0000c": 1}',
            [("/b\N{REPLACEMENT CHARACTER}c", "is not a member that the contract knows")],
            id="NUL in a member's name",
        ),
        pytest.param(
            rb'{"title": "a", "b/c~d": 1}',
            [("/b~1c~0d", "is not a member that the contract knows")],
            id="a name that a pointer escapes",
        ),
        pytest.param(
            b'{"title": "", "description": 1, "completed": "%b", "id": 1}' % MARKER.encode(),
            [
                ("/completed", "must be a boolean"),
                ("/description", "must be a string or null"),
                ("/id", "is not a member that the contract knows"),
                ("/title", "must be at least 1 character long"),
                ("/title", "must contain a visible character and no NUL character"),
            ],
            id="all at once",
        ),
    ],
)
def test_json_that_breaks_the_contract_is_told_every_violation(
    service: Service, member: Member, body: bytes, expected: list[tuple[str, str]]
) -> None:
    answer = member[1].post("/api/tasks", content=body, headers=JSON)
    assert violations(service, answer) == expected
    assert MARKER not in answer.text


@pytest.mark.parametrize("digits", [20, 5_000], ids="{} digits".format)
def test_an_integer_of_any_length_is_refused_without_a_defect(service: Service, member: Member, digits: int) -> None:
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
def test_a_body_beyond_the_limit_is_too_large(service: Service, member: Member, body: bytes) -> None:
    answer = member[1].post("/api/tasks", content=body, headers=JSON)
    problem(service, answer, "content-too-large")
    assert len(answer.content) < 500


def test_a_body_of_exactly_the_limit_is_taken(member: Member) -> None:
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
def test_what_is_long_is_not_repeated(service: Service, member: Member, body: dict[str, Any], code: str) -> None:
    answer = member[1].post("/api/tasks", json=body)
    problem(service, answer, code)
    assert len(answer.content) < 700


def test_a_long_duplicate_name_is_not_repeated(service: Service, member: Member) -> None:
    name = json.dumps(MARKER * 1_200).encode()
    answer = member[1].post("/api/tasks", content=b"{" + name + b":1," + name + b":1}", headers=JSON)
    members = problem(service, answer, "malformed-request")
    assert members["detail"].startswith("The body is not valid JSON: duplicate member name at line 1 ")
    assert MARKER not in answer.text


def test_thousands_of_unknown_members_get_a_short_list(service: Service, member: Member) -> None:
    answer = member[1].post("/api/tasks", json={f"member-{number}": number for number in range(3_000)})
    assert len(violations(service, answer)) == 100


def test_a_body_that_no_operation_asks_for_is_not_looked_at(ada: Member) -> None:
    _, client = ada
    created = client.post("/api/tasks", json={"title": "a"}).json()
    flipped = client.patch(
        f"/api/tasks/{created['id']}/toggle", content=b"\xff", headers={"content-type": "text/plain"}
    )
    assert flipped.json()["completed"] is True


# How a body arrives


def test_a_chunked_body_is_taken(member: Member) -> None:
    answer = member[1].post("/api/tasks", content=iter([b'{"ti', b'tle": "', b'a"}']), headers=JSON)
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert (answer.status_code, answer.json()["title"]) == (201, "a")


def test_a_chunked_body_beyond_the_limit_is_too_large(service: Service, member: Member) -> None:
    answer = member[1].post("/api/tasks", content=iter([b" " * 32_768] * 3), headers=JSON)
    problem(service, answer, "content-too-large")


def test_a_chunked_body_beyond_the_limit_is_refused_before_its_end(
    service: Service, member: Member, wire: Wire
) -> None:
    head = [bearer(member[0]), ("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
    wire.send(request("POST", "/api/tasks", head), b"20000\r\n" + b" " * 0x20000 + b"\r\n")
    problem(service, wire.read(), "content-too-large")


def test_a_client_that_waits_for_100_continue_gets_it(member: Member, wire: Wire) -> None:
    body = b'{"title": "a"}'
    head = [bearer(member[0]), *json_fields(body), ("Expect", "100-continue")]
    wire.send(request("POST", "/api/tasks", head))
    assert wire.read().status_code == 100
    wire.send(body)
    assert wire.read().status_code == 201


def test_a_client_that_waits_for_100_continue_is_refused_without_sending(service: Service, wire: Wire) -> None:
    wire.send(request("POST", "/api/tasks", [*json_fields(b" " * 100), ("Expect", "100-continue")]))
    problem(service, wire.read(), "unauthenticated")


def json_fields(body: bytes) -> list[tuple[str, str]]:
    return [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]


# Parameters


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        *(
            pytest.param(f"limit={value}", [("limit", "must be an integer")], id=f"limit {value or 'empty'}")
            for value in (
                "",
                "1_0",
                "%205",
                "5%20",
                "5%0A",
                "+5",
                "%2B5",
                "%D9%A5",
                "%EF%BC%95",
                "5.0",
                "1e1",
                "0x5",
                "05",
                "-05",
                "--5",
                "five",
                "null",
                "true",
                "99999999999999999999",
                "%00",
                "5,6",
            )
        ),
        pytest.param("limit", [("limit", "must be an integer")], id="limit without a value"),
        pytest.param("limit=0", [("limit", "must be at least 1")], id="limit 0"),
        pytest.param("limit=-0", [("limit", "must be at least 1")], id="limit -0"),
        pytest.param("limit=-1", [("limit", "must be at least 1")], id="limit -1"),
        pytest.param("limit=1001", [("limit", "must be at most 1000")], id="limit 1001"),
        pytest.param("limit=999999999999999999", [("limit", "must be at most 1000")], id="limit of 18 digits"),
        pytest.param("limit=5&limit=5", [("limit", "must be given once only")], id="repeated limit"),
        pytest.param("limit[]=5", [("limit[]", "is not a parameter that the contract knows")], id="limit in brackets"),
        pytest.param("Limit=5", [("Limit", "is not a parameter that the contract knows")], id="Limit"),
        pytest.param("page=2", [("page", "is not a parameter that the contract knows")], id="unknown"),
        pytest.param("=2", [("", "is not a parameter that the contract knows")], id="without a name"),
        pytest.param(
            "a%00=1", [("a\N{REPLACEMENT CHARACTER}", "is not a parameter that the contract knows")], id="NUL in a name"
        ),
        *(
            pytest.param(
                f"status={value}",
                [("status", 'must be one of "all", "pending", "completed", "trashed"')],
                id=f"status {value}",
            )
            for value in ("", "Pending", "COMPLETED", "all%20", "pending%00", "pending,completed", "[]", "done")
        ),
        *(
            pytest.param(
                f"sort={value}",
                [("sort", 'must be one of "created", "-created", "title", "-title", "updated", "-updated"')],
                id=f"sort {value}",
            )
            for value in ("Created", "--created", "+created", "created_at", "id", "title;drop")
        ),
        pytest.param(
            "cursor=",
            [("cursor", "must be taken from a Link header of a list with the same sort")],
            id="empty cursor",
        ),
        pytest.param(
            "cursor=a.b&limit=0",
            [
                ("cursor", "must be taken from a Link header of a list with the same sort"),
                ("limit", "must be at least 1"),
            ],
            id="cursor with a dot, and a limit",
        ),
        pytest.param(
            "limit=a&sort=b&status=c&d=e",
            [
                ("d", "is not a parameter that the contract knows"),
                ("limit", "must be an integer"),
                ("sort", 'must be one of "created", "-created", "title", "-title", "updated", "-updated"'),
                ("status", 'must be one of "all", "pending", "completed", "trashed"'),
            ],
            id="all at once",
        ),
    ],
)
def test_parameters_are_taken_by_the_letter(
    service: Service, member: Member, query: str, expected: list[tuple[str, str]]
) -> None:
    subject, _ = member
    for path in ("/api/tasks", f"/api/{subject}/tasks"):
        answer = ask(service, request("GET", f"{path}?{query}", [bearer(subject)]))
        assert sorted(set(violations(service, answer))) == sorted(expected)


@pytest.mark.parametrize(
    "query", ["limit=1", "limit=1000", "status=all&sort=-title", "stat%75s=pending", "", "&", "&&"]
)
def test_parameters_in_order_are_taken(service: Service, member: Member, query: str) -> None:
    assert ask(service, request("GET", f"/api/tasks?{query}", [bearer(member[0])])).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(b"status=%FF", id="value"),
        pytest.param(b"%FF=1", id="name"),
        pytest.param(b"status=%ED%A0%BD", id="surrogate"),
        pytest.param(b"&".join([b"a=1"] * 101), id="101 fields"),
    ],
)
def test_a_query_that_is_not_utf_8_or_has_no_end_is_malformed(service: Service, member: Member, query: bytes) -> None:
    answer = ask(service, request("GET", b"/api/tasks?" + query, [bearer(member[0])]))
    problem(service, answer, "malformed-request")


def test_a_long_parameter_name_is_not_repeated(service: Service, member: Member) -> None:
    answer = member[1].get("/api/tasks", params={"a" * 7_000: "b" * 1_000})
    assert violations(service, answer) == [("a" * 63 + "…", "is not a parameter that the contract knows")]


TASK_ID = "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"


@pytest.mark.parametrize(
    "task_id",
    [
        f"%7B{TASK_ID}%7D",
        f"urn:uuid:{TASK_ID}",
        TASK_ID.replace("-", ""),
        TASK_ID[:-1],
        TASK_ID + "0",
        TASK_ID + "%00",
        TASK_ID + "%0A",
        "%20" + TASK_ID,
        TASK_ID.replace("0", "g"),
        TASK_ID.replace("-", "_"),
        TASK_ID.replace("1", "%D9%A1"),
        "01a1f83cda9b-7d52-9c0e-3f6a-1b8d2e47",
        "0",
        "null",
        "%00",
        "..",
        "a%2Fb",
    ],
)
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("PATCH", "/toggle")])
def test_a_task_id_that_is_no_uuid_is_told_so(
    service: Service, member: Member, task_id: str, method: str, suffix: str
) -> None:
    answer = ask(service, request(method, f"/api/tasks/{task_id}{suffix}", [bearer(member[0])]))
    assert ("task_id", "must be a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47") in violations(service, answer)


def test_a_task_id_may_be_in_upper_case(ada: Member) -> None:
    _, client = ada
    created = client.post("/api/tasks", json={"title": "a"}).json()
    assert client.get(f"/api/tasks/{created['id'].upper()}").json() == created


def test_violations_in_path_query_and_body_are_told_at_once(service: Service, member: Member) -> None:
    subject, client = member
    body = {"title": " ", "completed": 1, "user_id": "bob"}
    answer = client.put(f"/api/{subject}/tasks/42?force=1", json=body)
    assert violations(service, answer) == [
        ("/completed", "must be a boolean"),
        ("/title", "must contain a visible character and no NUL character"),
        ("/user_id", "is not a member that the contract knows"),
        ("force", "is not a parameter that the contract knows"),
        ("task_id", "must be a UUID such as 01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"),
    ]


# Methods and paths


def filled(template: str, subject: str) -> str:
    return template.format(user_id=subject, task_id=uuid.uuid4())


def allowed(path: str) -> set[str]:
    methods = (
        {"GET"} if path in PAGES else {method.upper() for method in DOCUMENT["paths"][path] if method != "parameters"}
    )
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


@pytest.mark.parametrize("path", [*DOCUMENT["paths"], *PAGES])
@pytest.mark.parametrize("method", METHODS)
def test_a_path_answers_its_methods_and_lists_them_for_all_others(
    service: Service, member: Member, path: str, method: str
) -> None:
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
def test_head_is_get_without_a_body(service: Service, member: Member, path: str) -> None:
    subject, _ = member
    target = filled(path, subject)
    fields = [bearer(subject), ("X-Request-ID", "the-same"), ("Connection", "close")]
    got = ask(service, request("GET", target, fields))
    with Wire(service) as wire:
        wire.send(request("HEAD", target, fields))
        head = wire.read(head=True)
        assert wire.rest() == b""
    assert head.status_code == got.status_code
    # A stream has no length, and whether it would be chunked need not be said (RFC 9112, section 6.1).
    streamed = without_date(got).pop("transfer-encoding", None) is not None
    assert without_date(head) | ({"transfer-encoding": "chunked"} if streamed else {}) == without_date(got)
    assert streamed or head.headers["content-length"] == str(len(got.content))


def without_date(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


@pytest.mark.parametrize("path", [*DOCUMENT["paths"], *PAGES[1:]])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_trailing_slash_is_another_path_and_no_redirect(
    service: Service, member: Member, path: str, method: str
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
        "*",
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
def test_a_path_that_is_not_utf_8_is_malformed(service: Service, member: Member, path: str) -> None:
    problem(service, ask(service, request("GET", path, [bearer(member[0])])), "malformed-request")


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
    created = ask(service, request("POST", f"/api/{segment}/tasks", [bearer(subject), *json_fields(body)]), body)
    assert created.status_code == 201
    assert json.loads(created.content)["user_id"] == subject
    location = created.headers["location"]
    assert re.fullmatch(r"[!-~]+", location)
    assert not set(location) & set('<>"|{}\\^`')
    assert ask(service, request("GET", location, [bearer(subject)])).content == created.content
    ask(service, request("POST", f"/api/{segment}/tasks", [bearer(subject), *json_fields(body)]), body)
    page = ask(service, request("GET", f"/api/{segment}/tasks?limit=1", [bearer(subject)]))
    following = page.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    assert ask(service, request("GET", following, [bearer(subject)])).status_code == 200


def test_the_absolute_form_of_a_target_is_understood(service: Service) -> None:
    assert ask(service, request("GET", "http://tasks.test/health")).content == b'{"status":"ok"}'


# Accept


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/*",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8;q=0.5, text/html",
        "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8",
        "text/html, application/json;q=0.001",
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
        "application/json, text/plain, */*",
        "application/problem+json, application/json",
        "text/html;q=0, */*",
    ],
)
def test_json_is_answered_to_whoever_takes_it(service: Service, accept: str | None) -> None:
    fields = [] if accept is None else [("Accept", accept)]
    assert ask(service, request("GET", "/health", fields)).status_code == 200


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/*",
        "application/xml",
        "application/problem+json",
        "application/json;q=0",
        "application/json; charset=utf-8; q=0",
        "*/*;q=0",
        "application/*;q=0, text/html",
        "*/*, application/json;q=0",
        "application/json;q=0, */*;q=1",
        "rubbish",
    ],
)
def test_who_rules_json_out_is_told_that_there_is_nothing_else(service: Service, member: Member, accept: str) -> None:
    client = member[1]
    before = client.get("/api/tasks").content
    problem(service, client.get("/health", headers={"accept": accept}), "not-acceptable")
    problem(service, client.post("/api/tasks", json={"title": "a"}, headers={"accept": accept}), "not-acceptable")
    assert client.get("/api/tasks").content == before


def test_two_accept_headers_are_one_list(service: Service) -> None:
    fields = [("Accept", "text/html"), ("Accept", "application/json")]
    assert ask(service, request("GET", "/health", fields)).status_code == 200


def test_an_answer_without_content_is_acceptable_to_everybody(ada: Member) -> None:
    _, client = ada
    created = client.post("/api/tasks", json={"title": "a"}).json()
    answer = client.delete(f"/api/tasks/{created['id']}", headers={"accept": "text/html"})
    assert (answer.status_code, answer.content) == (204, b"")


# Transport


def test_a_load_balancer_may_check_health_with_http_1_0(wire: Wire) -> None:
    wire.send(b"GET /health HTTP/1.0\r\n\r\n")
    answer = wire.read()
    assert (answer.status_code, answer.content, wire.rest()) == (200, b'{"status":"ok"}', b"")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([("X-Long", "a" * 33_000)], id="one long field"),
        pytest.param([(f"X-{number}", "a" * 50) for number in range(700)], id="many fields"),
        pytest.param([("X-" + "a" * 33_000, "a")], id="a long name"),
        pytest.param([("Authorization", "Bearer " + "a" * 60_000)], id="a long token"),
        pytest.param([("Cookie", "a" * 1_000_000)], id="a megabyte"),
    ],
)
def test_headers_beyond_the_limit_are_too_large(service: Service, fields: list[tuple[str, str]]) -> None:
    problem(service, ask(service, request("GET", "/health", fields)), "header-fields-too-large")


@pytest.mark.parametrize("length", [8_193, 60_000, 70_000, 1_000_000])
@pytest.mark.parametrize("start", ["/", "/health?a="], ids=["path", "query"])
def test_an_address_beyond_the_limit_is_too_long(service: Service, start: str, length: int) -> None:
    target = start.ljust(length + 1, "a")  # the limit is one of the path and the query, without the question mark
    problem(service, ask(service, request("GET", target)), "uri-too-long")


def test_an_address_of_exactly_the_limit_is_taken(service: Service) -> None:
    problem(service, ask(service, request("GET", "/".ljust(8_192, "a"))), "not-found")


@pytest.mark.parametrize(
    "chunks", [b"xyz\r\n\r\n", b"2\r\n{}!\r\n", b"-1\r\n\r\n"], ids=["words", "no end", "negative"]
)
def test_a_body_that_is_not_in_chunks_costs_its_request_the_connection_and_no_second_answer(
    service: Service, member: Member, chunks: bytes
) -> None:
    subject, _ = member
    chunked = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
    for fields, code in (([bearer(subject)], "malformed-request"), ([], "unauthenticated")):
        with Wire(service) as wire:
            wire.send(request("POST", "/api/tasks", [*fields, *chunked]) + chunks)
            answer = wire.read()
            problem(service, answer, code)
            assert answer.headers["connection"] == "close"
            assert wire.rest() == b""


@pytest.mark.parametrize("tokens", [("good", "good"), ("good", "bad"), ("bad", "good")], ids="-".join)
def test_two_authorization_headers_name_nobody(service: Service, member: Member, tokens: tuple[str, str]) -> None:
    subject, _ = member
    fields = {"good": bearer(subject), "bad": ("Authorization", "Bearer a.b.c")}
    answer = ask(service, request("GET", "/api/tasks", [fields[token] for token in tokens]))
    problem(service, answer, "unauthenticated")


def test_an_operation_without_security_looks_at_no_authorization(service: Service, member: Member) -> None:
    subject, _ = member
    assert ask(service, request("GET", "/health", [bearer(subject), bearer(subject)])).status_code == 200


def test_a_connection_survives_refused_requests(service: Service, member: Member, wire: Wire) -> None:
    subject, _ = member
    body = b'{"title": 5}'
    too_large = b" " * 200_000
    for sent, code in [
        (request("GET", "/nowhere"), "not-found"),
        (request("GET", "/api/tasks"), "unauthenticated"),
        (request("GET", "/api/bob/tasks", [bearer(subject)]), "forbidden"),
        (request("PUT", "/health", json_fields(body)) + body, "method-not-allowed"),
        (request("GET", "/health", [("Accept", "text/html")]), "not-acceptable"),
        (request("POST", "/api/tasks", json_fields(too_large)) + too_large, "content-too-large"),
        (
            request("POST", "/api/tasks", [bearer(subject), ("Content-Length", "5")]) + b"hello",
            "unsupported-media-type",
        ),
        (request("POST", "/api/tasks", [bearer(subject), *json_fields(body)]) + body, "validation-failed"),
        (request("POST", "/api/tasks", [bearer(subject), *json_fields(b"{{{")]) + b"{{{", "malformed-request"),
        (request("GET", f"/api/tasks/{uuid.uuid4()}", [bearer(subject)]), "task-not-found"),
        (request("GET", "/health", [("X-Long", "a" * 40_000)]), "header-fields-too-large"),
    ]:
        wire.send(sent)
        problem(service, wire.read(), code)
    wire.send(request("GET", "/health"))
    assert wire.read().content == b'{"status":"ok"}'


def test_pipelined_requests_are_answered_in_their_order(member: Member, wire: Wire) -> None:
    subject, _ = member
    body = b'{"title": "a"}'
    wire.send(
        b"".join(
            [
                request("POST", "/api/tasks", [bearer(subject), *json_fields(body), ("X-Request-ID", "1")]) + body,
                request("GET", "/nowhere", [("X-Request-ID", "2")]),
                request("GET", "/api/tasks", [bearer(subject), ("X-Request-ID", "3")]),
                request("GET", "/health", [("X-Request-ID", "4")]),
            ]
        )
    )
    answers = [wire.read() for _ in range(4)]
    assert [(answer.headers["x-request-id"], answer.status_code) for answer in answers] == [
        ("1", 201),
        ("2", 404),
        ("3", 200),
        ("4", 200),
    ]


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_an_upgrade_is_not_taken(service: Service, upgrade: str) -> None:
    fields = [("Connection", "Upgrade"), ("Upgrade", upgrade), ("Sec-WebSocket-Version", "13")]
    assert ask(service, request("GET", "/health", fields)).status_code == 200


# Request ids

KINDS_OF_ANSWERS = {
    "success": ("GET", "/health", {}),
    "page": ("GET", "/docs", {}),
    "options": ("OPTIONS", "/api/tasks", {}),
    "preflight": ("OPTIONS", "/api/tasks", {"origin": ORIGIN, "access-control-request-method": "POST"}),
    "401": ("GET", "/api/tasks", {}),
    "404": ("GET", "/nowhere", {}),
    "404 of a preflight": ("OPTIONS", "/nowhere", {"origin": ORIGIN, "access-control-request-method": "POST"}),
    "405": ("DELETE", "/health", {}),
    "406": ("GET", "/health", {"accept": "text/html"}),
    "413": ("POST", "/api/tasks", {"content-length": "1000000"}),
    "414": ("GET", "/" + "a" * 9_000, {}),
    "422": ("GET", "/health?a=b", {}),
    "431": ("GET", "/health", {"x-long": "a" * 40_000}),
}

answers_of_every_kind = pytest.mark.parametrize(
    ("method", "target", "headers"), KINDS_OF_ANSWERS.values(), ids=KINDS_OF_ANSWERS.keys()
)


@answers_of_every_kind
def test_every_answer_carries_the_id_of_its_request(
    service: Service, method: str, target: str, headers: dict[str, str]
) -> None:
    given = ask(service, request(method, target, [*headers.items(), ("X-Request-ID", "given-by.the_client-1")]))
    assert given.headers["x-request-id"] == "given-by.the_client-1"
    made = ask(service, request(method, target, headers.items()))
    assert uuid.UUID(made.headers["x-request-id"]).version == 7


@pytest.mark.parametrize(
    "request_id", ["a", "A-1_b.c", "a" * 128, "0f8fad5b-d9cb-469f-a165-70867728950e", "00-4bf92f3577b34da6-01"]
)
def test_a_sane_request_id_is_taken(service: Service, request_id: str) -> None:
    answer = ask(service, request("GET", "/health", [("X-Request-ID", request_id)]))
    assert answer.headers.get_list("x-request-id") == [request_id]


@pytest.mark.parametrize(
    "request_id", ["", "a b", "a" * 129, "a\tb", "é", "a;b", "a,b", "{a}", "<script>", "a%0d%0ab", "a\\nb", "a\\x00b"]
)
def test_any_other_request_id_is_replaced(service: Service, request_id: str) -> None:
    answer = ask(service, request("GET", "/health", [("X-Request-ID", request_id)]))
    (made,) = answer.headers.get_list("x-request-id")
    assert uuid.UUID(made).version == 7


def test_a_problem_is_in_the_log_under_its_request_id(service: Service, new_user: Callable[[str], str]) -> None:
    request_id = new_user("request")
    ask(service, request("GET", "/nowhere", [("X-Request-ID", request_id)]))
    (line,) = [line for line in service.read_log().splitlines() if request_id in line]
    assert "status=404" in line


# What browsers are told


@answers_of_every_kind
def test_every_answer_tells_browsers_what_they_must_not_do_and_nobody_what_serves(
    service: Service, method: str, target: str, headers: dict[str, str]
) -> None:
    answer = ask(service, request(method, target, headers.items()))
    told = {name: answer.headers.get_list(name) for name in SECURITY_HEADERS}
    expected = {name: [value] for name, value in SECURITY_HEADERS.items()}
    if target == "/docs":  # a page, whose policy has a test of its own
        del told["content-security-policy"], expected["content-security-policy"]
    assert told == expected
    assert {"server", "x-powered-by", "via"} & answer.headers.keys() == set()


# Origins

EXPOSED = {"ETag", "Link", "Location", "Retry-After", "X-Request-ID"}


@answers_of_every_kind
@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost"])
def test_a_page_of_an_allowed_origin_may_read_every_answer(
    service: Service, method: str, target: str, headers: dict[str, str], origin: str
) -> None:
    answer = ask(service, request(method, target, {**headers, "origin": origin}.items()))
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    if "access-control-request-method" not in headers:
        assert set(answer.headers["access-control-expose-headers"].split(", ")) >= EXPOSED


@answers_of_every_kind
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://localhost:3001",
        "https://localhost:3000",
        "http://localhost.evil.example",
        "http://localhost:3000.evil.example",
        "http://evil.example",
        "http://LOCALHOST:3000",
        "",
    ],
)
def test_a_page_of_another_origin_may_read_none(
    service: Service, method: str, target: str, headers: dict[str, str], origin: str
) -> None:
    answer = ask(service, request(method, target, {**headers, "origin": origin}.items()))
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@answers_of_every_kind
def test_an_answer_varies_by_origin_even_without_one(
    service: Service, method: str, target: str, headers: dict[str, str]
) -> None:
    without = {name: value for name, value in headers.items() if name != "origin"}
    answer = ask(service, request(method, target, without.items()))
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_may_read_what_was_created_and_what_was_refused(service: Service, ada: Member) -> None:
    _, client = ada
    client.headers["origin"] = ORIGIN
    for answer, code in [
        (client.post("/api/tasks", json={"title": "a"}), None),
        (client.post("/api/tasks", json={"title": ""}), "validation-failed"),
        (client.post("/api/tasks", content=b"{", headers=JSON), "malformed-request"),
        (client.post("/api/tasks", content=b"{}"), "unsupported-media-type"),
        (client.post("/api/tasks", content=b" " * 70_000, headers=JSON), "content-too-large"),
        (client.get("/api/bob/tasks"), "forbidden"),
        (client.get(f"/api/tasks/{uuid.uuid4()}"), "task-not-found"),
    ]:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        if code is not None:
            problem(service, answer, code)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_a_preflight_permits_what_the_contract_needs(service: Service, member: Member, path: str) -> None:
    target = filled(path, member[0])
    for method in allowed(path) - {"OPTIONS"}:
        headers = {
            "origin": ORIGIN,
            "access-control-request-method": method,
            "access-control-request-headers": "authorization,content-type,x-request-id",
        }
        answer = service.client().options(target, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == ", ".join(sorted(allowed(path)))
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert method in answer.headers["access-control-allow-methods"].split(", ")
        permitted = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "content-type", "x-request-id"} <= set(permitted)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"access-control-request-method": "TRACE"}, id="method"),
        pytest.param(
            {"access-control-request-method": "POST", "access-control-request-headers": "x-evil"}, id="header"
        ),
        pytest.param({"access-control-request-method": "POST", "origin": "http://evil.example"}, id="origin"),
    ],
)
def test_a_preflight_for_anything_else_permits_nothing(service: Service, headers: dict[str, str]) -> None:
    answer = service.client().options("/api/tasks", headers={"origin": ORIGIN, **headers})
    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, POST")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_client_that_goes_away_is_malformed_and_no_defect(service: Service, member: Member) -> None:
    request_id = f"gone-{uuid.uuid4().hex}"
    fields = [bearer(member[0]), *json_fields(b" " * 100), ("X-Request-ID", request_id)]
    with Wire(service) as wire:
        wire.send(request("POST", "/api/tasks", fields), b"{")
        wire.stop()
        assert wire.rest() == b""
    (line,) = [line for line in service.read_log().splitlines() if request_id in line]
    assert "status=400" in line
