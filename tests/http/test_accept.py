"""Content negotiation: `Accept` (RFC 9110, section 12.5.1)."""

import pytest

from tests.support.raw_http import ask, problem, request
from tests.support.service import Service
from tests.support.types import Owner

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
def test_who_rules_json_out_is_told_that_there_is_nothing_else(service: Service, member: Owner, accept: str) -> None:
    client = member[1]
    before = client.get("/api/tasks").content
    problem(service, client.get("/health", headers={"accept": accept}), "not-acceptable")
    problem(service, client.post("/api/tasks", json={"title": "a"}, headers={"accept": accept}), "not-acceptable")
    assert client.get("/api/tasks").content == before


def test_two_accept_headers_are_one_list(service: Service) -> None:
    fields = [("Accept", "text/html"), ("Accept", "application/json")]
    assert ask(service, request("GET", "/health", fields)).status_code == 200


def test_an_answer_without_content_is_acceptable_to_everybody(ada: Owner) -> None:
    _, client = ada
    created = client.post("/api/tasks", json={"title": "a"}).json()
    answer = client.delete(f"/api/tasks/{created['id']}", headers={"accept": "text/html"})
    assert (answer.status_code, answer.content) == (204, b"")
