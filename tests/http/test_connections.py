"""Connections: head limits, chunks, pipelining, upgrades, and clients that go away."""

import uuid

import pytest

from tests.support.raw_http import RawConnection, ask, bearer_field, json_fields, problem, request
from tests.support.service import Service
from tests.support.types import Owner

# Transport


def test_a_load_balancer_may_check_health_with_http_1_0(raw: RawConnection) -> None:
    raw.send(b"GET /health HTTP/1.0\r\n\r\n")
    answer = raw.read()
    assert (answer.status_code, answer.content, raw.rest()) == (200, b'{"status":"ok"}', b"")


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
def test_invalid_chunks_close_the_connection_after_one_response(service: Service, member: Owner, chunks: bytes) -> None:
    subject, _ = member
    chunked = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
    for fields, code in (([bearer_field(subject)], "malformed-request"), ([], "unauthenticated")):
        with RawConnection(service) as raw:
            raw.send(request("POST", "/api/tasks", [*fields, *chunked]) + chunks)
            answer = raw.read()
            problem(service, answer, code)
            assert answer.headers["connection"] == "close"
            assert raw.rest() == b""


@pytest.mark.parametrize("tokens", [("good", "good"), ("good", "bad"), ("bad", "good")], ids="-".join)
def test_two_authorization_headers_name_nobody(service: Service, member: Owner, tokens: tuple[str, str]) -> None:
    subject, _ = member
    fields = {"good": bearer_field(subject), "bad": ("Authorization", "Bearer a.b.c")}
    answer = ask(service, request("GET", "/api/tasks", [fields[token] for token in tokens]))
    problem(service, answer, "unauthenticated")


def test_an_operation_without_security_looks_at_no_authorization(service: Service, member: Owner) -> None:
    subject, _ = member
    assert ask(service, request("GET", "/health", [bearer_field(subject), bearer_field(subject)])).status_code == 200


def test_a_connection_survives_refused_requests(service: Service, member: Owner, raw: RawConnection) -> None:
    subject, _ = member
    body = b'{"title": 5}'
    too_large = b" " * 200_000
    for sent, code in [
        (request("GET", "/nowhere"), "not-found"),
        (request("GET", "/api/tasks"), "unauthenticated"),
        (request("GET", "/api/bob/tasks", [bearer_field(subject)]), "forbidden"),
        (request("PUT", "/health", json_fields(body)) + body, "method-not-allowed"),
        (request("GET", "/health", [("Accept", "text/html")]), "not-acceptable"),
        (request("POST", "/api/tasks", json_fields(too_large)) + too_large, "content-too-large"),
        (
            request("POST", "/api/tasks", [bearer_field(subject), ("Content-Length", "5")]) + b"hello",
            "unsupported-media-type",
        ),
        (request("POST", "/api/tasks", [bearer_field(subject), *json_fields(body)]) + body, "validation-failed"),
        (request("POST", "/api/tasks", [bearer_field(subject), *json_fields(b"{{{")]) + b"{{{", "malformed-request"),
        (request("GET", f"/api/tasks/{uuid.uuid4()}", [bearer_field(subject)]), "task-not-found"),
        (request("GET", "/health", [("X-Long", "a" * 40_000)]), "header-fields-too-large"),
    ]:
        raw.send(sent)
        problem(service, raw.read(), code)
    raw.send(request("GET", "/health"))
    assert raw.read().content == b'{"status":"ok"}'


def test_pipelined_requests_are_answered_in_their_order(member: Owner, raw: RawConnection) -> None:
    subject, _ = member
    body = b'{"title": "a"}'
    raw.send(
        b"".join(
            [
                request("POST", "/api/tasks", [bearer_field(subject), *json_fields(body), ("X-Request-ID", "1")])
                + body,
                request("GET", "/nowhere", [("X-Request-ID", "2")]),
                request("GET", "/api/tasks", [bearer_field(subject), ("X-Request-ID", "3")]),
                request("GET", "/health", [("X-Request-ID", "4")]),
            ]
        )
    )
    answers = [raw.read() for _ in range(4)]
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


def test_a_client_that_goes_away_is_malformed_and_no_defect(service: Service, member: Owner) -> None:
    request_id = f"gone-{uuid.uuid4().hex}"
    fields = [bearer_field(member[0]), *json_fields(b" " * 100), ("X-Request-ID", request_id)]
    with RawConnection(service) as raw:
        raw.send(request("POST", "/api/tasks", fields), b"{")
        raw.stop()
        problem(service, raw.read(), "malformed-request")
        assert raw.rest() == b""
    (line,) = [line for line in service.read_log().splitlines() if request_id in line and "status=" in line]
    assert "status=400" in line
