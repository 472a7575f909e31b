"""No user reaches another user's tasks, or learns whether they exist, and nothing confidential reaches the log."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from persistence import users
from server.auth.tokens import issue_token
from server.contract.document import load_document, operations
from tests.support.api import create_task
from tests.support.problems import forbidden, is_answered, task_not_found, token_expired, unauthenticated
from tests.support.service import Service, free_port, running_service, token
from tests.support.types import Json, NewUser, Owner

ANY_ID = "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"


@dataclass(frozen=True)
class Operation:
    """An operation of the contract that can be asked for."""

    name: str
    method: str
    template: str

    def path(self, user_id: str = "", task_id: str = ANY_ID) -> str:
        return self.template.format(user_id=quote(user_id, safe=""), task_id=task_id)

    def ask(self, client: httpx2.Client, path: str, **options: Any) -> httpx2.Response:
        """Send a request with a body that the operation takes, or with `options` instead."""
        if not options:
            options = self._valid_input()
        return client.request(self.method, path, **options)

    def _valid_input(self) -> dict[str, Any]:
        if self.name.startswith(("create", "update", "patch")):
            return {"json": {"title": "of an intruder", "completed": True}}
        if self.name.startswith("complete"):
            return {"json": {"completed": True}}
        if self.name.startswith("clear"):
            return {"params": {"status": "completed"}}
        if self.name.startswith("import"):
            return {"content": b'{"title": "of an intruder"}\n', "headers": {"content-type": "application/x-ndjson"}}
        return {}


def secured_operations() -> Iterator[Operation]:
    for path, method, operation in operations(load_document()):
        if operation.get("security") != []:
            yield Operation(operation["operationId"], method.upper(), path)
            if method == "get":
                yield Operation(f"{operation['operationId']}-head", "HEAD", path)


SECURED = [pytest.param(each, id=each.name) for each in secured_operations()]
OF_A_USER = [pytest.param(each, id=each.name) for each in secured_operations() if "{user_id}" in each.template]
OF_A_TASK = [pytest.param(each, id=each.name) for each in secured_operations() if "{task_id}" in each.template]


def all_of(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer except its time and its request id."""
    varying = {"date", "server-timing", "x-request-id"}
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in varying]
    return answer.status_code, headers, answer.content


# Another user's task


@pytest.mark.parametrize("operation", OF_A_TASK)
def test_another_users_task_looks_like_a_missing_one(ada: Owner, bob: Owner, operation: Operation) -> None:
    task = create_task(ada[1], description="secret")
    path = operation.path(bob[0], task["id"])
    while_it_exists = operation.ask(bob[1], path)
    assert ada[1].get(f"/api/tasks/{task['id']}").json() == task
    assert ada[1].delete(f"/api/tasks/{task['id']}").status_code == 204
    assert is_answered(while_it_exists, task_not_found(path))
    assert all_of(operation.ask(bob[1], path)) == all_of(while_it_exists)


@pytest.mark.parametrize("operation", OF_A_USER)
def test_a_path_of_another_user_is_forbidden_and_changes_nothing(ada: Owner, bob: Owner, operation: Operation) -> None:
    of_ada, of_bob = create_task(ada[1], description="secret"), create_task(bob[1])
    before = ada[1].get(f"/api/{ada[0]}").json()
    for task_id in (of_ada["id"], of_bob["id"], ANY_ID):
        path = operation.path(ada[0], task_id)
        assert is_answered(operation.ask(bob[1], path), forbidden(path))
    assert ada[1].get("/api/tasks").json() == [of_ada]
    assert bob[1].get("/api/tasks").json() == [of_bob]
    assert ada[1].get(f"/api/{ada[0]}").json() == before


@pytest.mark.parametrize("operation", OF_A_USER)
def test_a_path_of_an_unknown_user_is_forbidden_just_the_same(
    ada: Owner, bob: Owner, new_user: NewUser, operation: Operation
) -> None:
    create_task(ada[1])
    seen, unseen = operation.path(ada[0]), operation.path(new_user("eve"))
    answers = [operation.ask(bob[1], path) for path in (seen, unseen)]
    assert [is_answered(*each) for each in zip(answers, [forbidden(seen), forbidden(unseen)], strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("of_token", "of_path"),
    [
        pytest.param("ada", "Ada", id="case"),
        pytest.param("ada", "ada ", id="trailing-space"),
        pytest.param("ada", "ada\0", id="trailing-nul"),
        pytest.param("ada", "ada\n", id="trailing-line-end"),
        pytest.param("ada", "ad", id="prefix"),
        pytest.param("ada", "adaa", id="longer"),
        pytest.param("caf\u00e9", "cafe\u0301", id="normalisation"),
        pytest.param("ada", "\uff41da", id="full-width"),
        pytest.param("a%2Fb", "a/b", id="decoded-twice"),
        pytest.param("a/b", "a%2Fb", id="encoded-twice"),
        pytest.param("a+b", "a b", id="plus-for-space"),
        pytest.param("ada", "x" * 256, id="longer-than-a-user-id"),
    ],
)
def test_a_user_id_that_only_looks_like_the_tokens_is_forbidden(service: Service, of_token: str, of_path: str) -> None:
    path = f"/api/{quote(of_path, safe='')}/tasks"
    assert is_answered(service.as_user(of_token).get(path), forbidden(path))


# 403 comes first


@dataclass(frozen=True)
class Defect:
    """Another error in the same request."""

    task_id: str = ANY_ID
    options: Json = field(default_factory=dict)


TYPED = {"content-type": "application/json"}
DEFECTS = [
    pytest.param(Defect(options={"content": b'{"title": ', "headers": TYPED}), id="broken-json"),
    pytest.param(Defect(options={"content": b"\xff", "headers": TYPED}), id="not-utf-8"),
    pytest.param(Defect(options={"json": {"title": 1, "x": 2}}), id="invalid-body"),
    pytest.param(Defect(options={"content": b"", "headers": TYPED}), id="empty-body"),
    pytest.param(Defect(options={"content": b"title=t", "headers": {"content-type": "text/plain"}}), id="media-type"),
    pytest.param(Defect(options={"params": {"limit": "0", "sort": "x", "unknown": "1"}}), id="invalid-query"),
    pytest.param(Defect(options={"params": {"cursor": "garbage"}}), id="invalid-cursor"),
    pytest.param(Defect(options={"headers": {"accept": "image/png"}}), id="not-acceptable"),
    pytest.param(Defect(task_id="1"), id="invalid-task-id"),
]


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("operation", OF_A_USER)
def test_forbidden_comes_before_validation(ada: Owner, bob: Owner, operation: Operation, defect: Defect) -> None:
    path = operation.path(ada[0], defect.task_id)
    assert is_answered(operation.ask(bob[1], path, **defect.options), forbidden(path))


@pytest.fixture(scope="module")
def service_without_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose every query fails."""
    environment = {"DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/none", "DATABASE_WAIT_SECONDS": "0.05"}
    with running_service(tmp_path_factory.mktemp("lost"), ready=False, **environment) as running:
        yield running


@pytest.mark.parametrize("operation", OF_A_USER)
@pytest.mark.slow
def test_forbidden_comes_before_any_query(service_without_database: Service, operation: Operation) -> None:
    client = service_without_database.as_user("bob")
    assert operation.ask(client, operation.path("bob")).status_code == 503
    path = operation.path("ada")
    assert is_answered(operation.ask(client, path), forbidden(path))


# No token, or none that is valid

GOOD = token("ada")
REALM = 'Bearer realm="tasks-api"'
REFUSED = f'{REALM}, error="invalid_token", error_description="The token is not valid."'
EXPIRED = f'{REALM}, error="invalid_token", error_description="The token has expired."'
NO_TOKENS = [
    pytest.param([], id="none"),
    pytest.param([("authorization", "")], id="empty"),
    pytest.param([("authorization", "Bearer")], id="no-token"),
    pytest.param([("authorization", f"Basic {GOOD}")], id="another-scheme"),
    pytest.param([("authorization", GOOD)], id="no-scheme"),
    pytest.param([("cookie", f"token={GOOD}")], id="cookie"),
]
BAD_TOKENS = [
    pytest.param([("authorization", "Bearer garbage")], id="garbage"),
    pytest.param([("authorization", "Bearer a.b.c")], id="garbage-of-three-parts"),
    pytest.param([("authorization", f"Bearer {GOOD[:-8]}AAAAAAAA")], id="tampered-signature"),
    pytest.param([("authorization", f"Bearer {GOOD.rpartition('.')[0]}.")], id="no-signature"),
    pytest.param(
        [("authorization", f"Bearer {issue_token('x' * 32, users.Owner('ada'), expires_in=timedelta(hours=1))}")],
        id="another-secret",
    ),
    pytest.param(
        [("authorization", f"Bearer {issue_token('x' * 32, users.Owner('ada'), expires_in=timedelta(hours=-1))}")],
        id="another-secret-and-expired",
    ),
    pytest.param([("authorization", f"Bearer {GOOD}"), ("authorization", f"Bearer {GOOD}")], id="two-headers"),
]


def ask_without_a_good_token(
    service: Service, operation: Operation, credentials: list[tuple[str, str]]
) -> httpx2.Response:
    """Send a request whose path, query and body are invalid, too."""
    headers = [*credentials, ("content-type", "application/json")]
    path = operation.path("ada", "not-even-a-uuid")
    return operation.ask(service.client(), path, headers=headers, content=b"{", params={"unknown": "1"})


@pytest.mark.parametrize("credentials", NO_TOKENS)
@pytest.mark.parametrize("operation", SECURED)
def test_without_a_token_every_operation_answers_the_same(
    service: Service, operation: Operation, credentials: list[tuple[str, str]]
) -> None:
    """The challenge has no error (RFC 6750, section 3.1)."""
    path = operation.path("ada", "not-even-a-uuid")
    answer = ask_without_a_good_token(service, operation, credentials)
    assert is_answered(answer, unauthenticated(path))
    assert answer.headers["www-authenticate"] == REALM
    assert all_of(operation.ask(service.client(), path)) == all_of(answer)


@pytest.mark.parametrize("credentials", BAD_TOKENS)
@pytest.mark.parametrize("operation", SECURED)
def test_a_refused_token_does_not_learn_the_reason(
    service: Service, operation: Operation, credentials: list[tuple[str, str]]
) -> None:
    path = operation.path("ada", "not-even-a-uuid")
    answer = ask_without_a_good_token(service, operation, credentials)
    assert is_answered(answer, unauthenticated(path))
    assert answer.headers["www-authenticate"] == REFUSED
    garbage = operation.ask(service.client(authorization="Bearer garbage"), path)
    assert all_of(garbage) == all_of(answer)


@pytest.mark.parametrize("operation", SECURED)
def test_a_token_that_only_expired_is_told_so(service: Service, operation: Operation) -> None:
    path = operation.path("ada", "not-even-a-uuid")
    expired = [("authorization", f"Bearer {token('ada', seconds=-120)}")]
    answer = ask_without_a_good_token(service, operation, expired)
    assert is_answered(answer, token_expired(path))
    assert answer.headers["www-authenticate"] == EXPIRED
