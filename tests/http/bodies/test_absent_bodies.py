"""Operations without a request body: a body that is sent nevertheless is refused, and never ignored."""

import uuid

import pytest

from server.contract.document import operations
from tests.support.api import create_task
from tests.support.document import DOCUMENT
from tests.support.raw_http import RawConnection, bearer_field, problem, request, violations
from tests.support.service import Service, token
from tests.support.types import Owner

REFUSED = [("", "must be empty, because the operation takes no body")]
CHUNKED = ("Transfer-Encoding", "chunked")
JSON = {"content-type": "application/json"}
WITHOUT_BODY = [
    pytest.param(method.upper(), path, id=operation["operationId"])
    for path, method, operation in operations(DOCUMENT)
    if "requestBody" not in operation
]


def target(path: str, user: str, task_id: object = None) -> str:
    """Fill in the path of an operation."""
    return path.format(user_id=user, task_id=task_id or uuid.uuid4())


@pytest.mark.parametrize("content", [b"{}", b"\xff"], ids=["JSON", "no JSON"])
@pytest.mark.parametrize(("method", "path"), WITHOUT_BODY)
def test_a_body_that_the_operation_does_not_take_is_refused(
    service: Service, ada: Owner, method: str, path: str, content: bytes
) -> None:
    user, client = ada
    query = {"status": "completed"} if (method, path.rpartition("/")[2]) == ("DELETE", "tasks") else {}
    answer = client.request(method, target(path, user), params=query, content=content, headers=JSON)
    assert violations(service, answer) == REFUSED


def test_a_refused_body_changes_nothing(service: Service, ada: Owner) -> None:
    """The state that the client asked for is not the state that a toggle would have made."""
    _, client = ada
    task = create_task(client, completed=True)
    for path in ("toggle", "complete"):
        answer = client.patch(f"/api/tasks/{task['id']}/{path}", json={"completed": True})
        assert violations(service, answer) == REFUSED
    assert client.get(f"/api/tasks/{task['id']}").json() == task


def test_a_token_in_the_body_is_not_taken_for_verified(service: Service, ada: Owner) -> None:
    answer = ada[1].post("/api/auth/verify", json={"token": token("eve")})
    assert violations(service, answer) == REFUSED


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="no field"),
        pytest.param([("Content-Type", "application/json")], id="Content-Type"),
        pytest.param([("Content-Type", "text/plain"), ("Content-Length", "0")], id="Content-Length: 0"),
        pytest.param([("Content-Length", "000")], id="Content-Length: 000"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_content_type_without_a_body_is_no_body(
    ada: Owner, raw: RawConnection, method: str, fields: list[tuple[str, str]]
) -> None:
    path = f"/api/tasks/{create_task(ada[1])['id']}"
    raw.send(request(method, path, [bearer_field(ada[0]), *fields]))
    assert raw.read().status_code == {"GET": 200, "DELETE": 204}[method]


def test_an_empty_chunked_body_is_no_body(ada: Owner, raw: RawConnection) -> None:
    """Also if its end arrives later than the header fields."""
    path = f"/api/tasks/{create_task(ada[1])['id']}/toggle"
    raw.send(request("PATCH", path, [bearer_field(ada[0]), CHUNKED]), b"0\r\n", b"\r\n")
    answer = raw.read()
    assert (answer.status_code, b'"completed":true' in answer.content) == (200, True)
    raw.send(request("GET", "/health"))
    assert raw.read().status_code == 200


@pytest.mark.parametrize(
    ("field", "content"),
    [
        pytest.param(("Content-Length", "60000"), b"", id="announced"),
        pytest.param(CHUNKED, b"1\r\n{\r\n", id="chunked"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_refusal_does_not_wait_for_the_body(
    service: Service, ada: Owner, method: str, field: tuple[str, str], content: bytes
) -> None:
    """A client that sends its body slowly, or without an end, holds nothing."""
    task_id = create_task(ada[1])["id"]
    with RawConnection(service) as raw:
        raw.send(request(method, f"/api/tasks/{task_id}", [bearer_field(ada[0]), field]), content)
        answer = raw.read(head=method == "HEAD")
    assert answer.status_code == 422
    if method != "HEAD":
        assert violations(service, answer) == REFUSED
    assert ada[1].get(f"/api/tasks/{task_id}").status_code == 200


def test_a_body_and_a_parameter_are_reported_together(service: Service, ada: Owner) -> None:
    answer = ada[1].request("GET", "/api/tasks", params={"limit": 0}, content=b"{}")
    assert violations(service, answer) == [*REFUSED, ("limit", "must be at least 1")]


def test_the_size_limit_holds_for_a_body_that_is_refused(service: Service, ada: Owner, raw: RawConnection) -> None:
    raw.send(request("GET", "/api/tasks", [bearer_field(ada[0]), ("Content-Length", "65537")]))
    problem(service, raw.read(), "content-too-large")
