"""Cross-origin requests: which pages may read answers, and preflights."""

import uuid
from pathlib import Path

import pytest

from tests.http.answers import DOCUMENT, ORIGIN, allowed, answers_of_every_kind, filled
from tests.http.bodies.test_bodies import JSON
from tests.support.raw_http import ask, problem, request
from tests.support.service import Service, running_service
from tests.support.types import Owner

# Origins

EXPOSED = {
    *("Content-Disposition", "ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy"),
    *("Retry-After", "Server-Timing", "WWW-Authenticate", "X-Request-ID"),
}
IGNORED = "baggage,cache-control,if-modified-since,prefer,sentry-trace,traceparent,tracestate,x-requested-with"
"""Header fields of front ends that have no effect, as a browser lists them in a preflight."""


@answers_of_every_kind
@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost"])
def test_a_page_of_an_allowed_origin_may_read_every_answer(
    service: Service, method: str, target: str, headers: dict[str, str], origin: str
) -> None:
    answer = ask(service, request(method, target, {**headers, "origin": origin}.items()))
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert answer.headers.get_list("access-control-allow-credentials") == ["true"]
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


def test_a_page_may_read_what_was_created_and_what_was_refused(service: Service, ada: Owner) -> None:
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
def test_a_preflight_permits_what_the_contract_needs(service: Service, member: Owner, path: str) -> None:
    target = filled(path, member[0])
    for method in allowed(path) - {"OPTIONS"}:
        headers = {
            "origin": ORIGIN,
            "access-control-request-method": method,
            "access-control-request-headers": f"authorization,content-type,x-request-id,{IGNORED}",
        }
        answer = service.client().options(target, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == ", ".join(sorted(allowed(path)))
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert method in answer.headers["access-control-allow-methods"].split(", ")
        permitted = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "content-type", "x-request-id", *IGNORED.split(",")} <= set(permitted)
        assert answer.headers["access-control-allow-credentials"] == "true"


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


def test_any_origin_gets_no_credentials(database_url: str, tmp_path: Path) -> None:
    """Browsers refuse credentials with `*` (Fetch standard, section 3.3.5), and so would any page's cookies be sent."""
    with running_service(tmp_path, DATABASE_URL=database_url, CORS_ORIGINS="*") as service:
        preflight = {"origin": ORIGIN, "access-control-request-method": "GET"}
        for answer in (
            service.client().get("/api/tasks", headers={"origin": ORIGIN}),
            service.client().options("/api/tasks", headers=preflight),
        ):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers
