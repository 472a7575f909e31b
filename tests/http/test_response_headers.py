"""Header fields of every answer: request ids and security headers."""

import uuid
from collections.abc import Callable

import pytest

from tests.http.answers import answers_of_every_kind
from tests.support.raw_http import SECURITY_HEADERS, ask, request
from tests.support.service import Service


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


# Header fields for browsers


@answers_of_every_kind
def test_every_response_has_the_security_header_fields(
    service: Service, method: str, target: str, headers: dict[str, str]
) -> None:
    """No field names the software of the server."""
    answer = ask(service, request(method, target, headers.items()))
    told = {name: answer.headers.get_list(name) for name in SECURITY_HEADERS}
    expected = {name: [value] for name, value in SECURITY_HEADERS.items()}
    if target == "/docs":  # a page, whose policy has a separate test
        del told["content-security-policy"], expected["content-security-policy"]
    assert told == expected
    assert {"server", "x-powered-by", "via"} & answer.headers.keys() == set()
