"""Prism, which reads the document with other eyes: as a mock of the service, and as a proxy in front of it."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from server.contract.fields import request_fields
from server.settings import Settings
from tests.clients import tools
from tests.clients.prism import running_mock, running_proxy
from tests.clients.requests import DocumentedRequest, documented_requests
from tests.support.api import ANY_ID, bearer, create_task
from tests.support.conformance import Conformance, described_responses
from tests.support.document import DOCUMENT, OPERATIONS
from tests.support.service import ROOT, TLS, Service, token

USER = "ada"


def prism_client(url: str, credentials: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers=bearer(credentials), trust_env=False, verify=TLS, timeout=30)


def send(client: httpx2.Client, request: DocumentedRequest, **headers: str) -> httpx2.Response:
    fields = {**request.headers, **headers}
    return client.request(request.method, request.target, headers=fields, content=request.content or None)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of `make mock`, which compares every answer with the document."""
    with running_mock(tmp_path_factory.mktemp("prism") / "mock.log") as url:
        conformance = Conformance(url)
        conformance.document = DOCUMENT
        with prism_client(url, "any-token") as client:
            client.event_hooks["response"] = [conformance.check]
            yield client


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_a_mock_has_every_answer(mock: httpx2.Client, operation_id: str) -> None:
    """Those of success, in each media type, and those that `Prefer: code=...` asks for."""
    requests = list(documented_requests(operation_id, USER, lambda: ANY_ID))
    assert [send(mock, request).is_success for request in requests] == [True] * len(requests)
    statuses = list(described_responses(DOCUMENT, OPERATIONS[operation_id][1]))
    assert [send(mock, requests[0], prefer=f"code={status}").status_code for status in statuses] == statuses


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_a_page_of_another_origin_may_use_the_mock(mock: httpx2.Client, operation_id: str) -> None:
    """A browser asks for permission first, as it does of the service, and lets the page read all header fields."""
    request = next(documented_requests(operation_id, USER, lambda: ANY_ID))
    page = {"origin": "http://localhost:3000"}
    fields = {"authorization", "prefer", "x-request-id", *request_fields(DOCUMENT), *request.headers}
    asked = {"access-control-request-method": request.method, "access-control-request-headers": ",".join(fields)}
    answers = [mock.options(request.target, headers=page | asked), send(mock, request, **page)]
    assert [answer.headers["access-control-allow-origin"] for answer in answers] == [page["origin"]] * 2
    assert answers[0].headers["access-control-allow-methods"] == request.method
    assert set(answers[0].headers["access-control-allow-headers"].split(",")) == fields
    # Without credentials, `*` stands for all of them (Fetch standard, "CORS-exposed header-name list").
    assert answers[1].headers["access-control-expose-headers"] == "*"


@pytest.mark.parametrize("task", [{"title": ""}, {"title": "a", "\N{SNOWMAN}": 1}], ids=["pattern", "member"])
def test_a_mock_refuses_a_task(mock: httpx2.Client, task: dict[str, object]) -> None:
    """Also where the violation has characters that no header field can carry: stoplightio/prism#1934."""
    refused = mock.post("/api/tasks", json=task, headers={"prefer": "code=422"})
    assert refused.status_code == 422
    assert json.loads(refused.headers["sl-violations"])


def test_a_mock_serves_where_the_service_would() -> None:
    """A page needs no other address for it, and it replaces neither the service nor its database."""
    recipe = tools.run("make", "--dry-run", "mock", directory=ROOT)
    assert f"--host 127.0.0.1 --port {Settings.model_fields['port'].default} " in recipe


def test_a_proxy_sees_no_violation(service: Service, new_user: Callable[[str], str], tmp_path: Path) -> None:
    """On a walk over every operation, with every body and media type, and with errors of the service."""
    user = new_user("prism")
    answers: list[httpx2.Response] = []
    with (
        running_proxy(service.url, tmp_path / "proxy.log") as url,
        prism_client(url, token(user)) as client,
    ):
        client.event_hooks["response"] = [answers.append]
        for operation_id in OPERATIONS:
            for request in documented_requests(operation_id, user, lambda: str(create_task(client)["id"])):
                assert send(client, request).is_success, request
        errors = walk_errors(client, user)
    assert errors == [304, 401, 403, 404, 412, 422]
    violations = {
        str(answer.url): answer.headers["sl-violations"] for answer in answers if "sl-violations" in answer.headers
    }
    assert violations == {}


def walk_errors(client: httpx2.Client, user: str) -> list[int]:
    """Make requests that are as documented and refused for what only the service knows; return their statuses."""
    task = create_task(client)
    path = f"/api/{user}/tasks/{task['id']}"
    tag = client.get(path).headers["etag"]
    changed = {"title": "Buy oat milk"}
    return [
        client.get(path, headers={"if-none-match": tag}).status_code,
        client.get(path, headers=bearer("no-token")).status_code,
        client.get(f"/api/{USER}/tasks").status_code,
        client.get(f"/api/tasks/{uuid.uuid4()}").status_code,
        client.put(path, json=changed, headers={"if-match": '"other"'}).status_code,
        client.get("/api/tasks?cursor=no-page").status_code,
    ]
