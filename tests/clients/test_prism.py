"""Prism, which reads the document with other eyes: as a mock of the service, and as a proxy in front of it."""

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.clients import tools
from tests.clients.requests import DocumentedRequest, documented_requests
from tests.support.api import ANY_ID, bearer, create_task
from tests.support.conformance import Conformance, described_responses
from tests.support.document import AUTHORED, DOCUMENT, OPERATIONS
from tests.support.service import TLS, Service, free_port, token

START_SECONDS = 60
USER = "ada"


@contextlib.contextmanager
def running_prism(mode: str, *arguments: str, log: Path) -> Iterator[str]:
    """Run Prism on the loopback interface, and yield its address when it listens."""
    port = free_port()
    program = tools.npm_program("prism")
    listen = ("--host", "127.0.0.1", "--port", str(port))
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [program, mode, str(AUTHORED), *arguments, *listen],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Prism is listening" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def prism_client(url: str, credentials: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers=bearer(credentials), trust_env=False, verify=TLS, timeout=30)


def send(client: httpx2.Client, request: DocumentedRequest, **headers: str) -> httpx2.Response:
    fields = {**request.headers, **headers}
    return client.request(request.method, request.target, headers=fields, content=request.content or None)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of a mock, which compares every answer with the document."""
    with running_prism("mock", log=tmp_path_factory.mktemp("prism") / "mock.log") as url:
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


def test_a_proxy_sees_no_violation(service: Service, new_user: Callable[[str], str], tmp_path: Path) -> None:
    """On a walk over every operation, with every body and media type, and with errors of the service."""
    user = new_user("prism")
    answers: list[httpx2.Response] = []
    with (
        running_prism("proxy", service.url, log=tmp_path / "proxy.log") as url,
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
