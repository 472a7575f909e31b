"""Nobody reaches anybody else's tasks, or learns whether they exist, and nothing confidential reaches the log."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest

from server.auth.tokens import issue_token
from server.contract.document import load_document, operations
from tests.support.service import Service, free_port, running_service, token
from tests.support.types import Json, NewUser, Owner

ANY_ID = "01a1f83c-da9b-7d52-9c0e-3f6a1b8d2e47"
MOUSE = "\N{MOUSE FACE}"


@dataclass(frozen=True)
class Operation:
    """An operation of the contract that can be asked for."""

    name: str
    method: str
    template: str

    def path(self, user_id: str = "", task_id: str = ANY_ID) -> str:
        return self.template.format(user_id=quote(user_id, safe=""), task_id=task_id)

    def ask(self, client: httpx2.Client, path: str, **options: Any) -> httpx2.Response:
        """Send a request with a body that the operation takes, or what `options` say."""
        if not options:
            options = self._valid_input()
        return client.request(self.method, path, **options)

    def _valid_input(self) -> dict[str, Any]:
        if self.name.startswith(("create", "update")):
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


def problem(path: str, status: int, code: str, title: str, detail: str) -> Json:
    return {
        "type": f"/problems#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
    }


def task_not_found(path: str) -> Json:
    return problem(path, 404, "task-not-found", "Task not found", "The user has no task with this id.")


def forbidden(path: str) -> Json:
    detail = "The user in the path is not the user whom the token names."
    return problem(path, 403, "forbidden", "Forbidden", detail)


def unauthenticated(path: str) -> Json:
    return problem(path, 401, "unauthenticated", "Unauthenticated", "A valid bearer token is required.")


def is_answered(answer: httpx2.Response, expected: Json) -> bool:
    """Whether the answer is this problem, without its body where the method is HEAD."""
    assert answer.status_code == expected["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.content == b"" if answer.request.method == "HEAD" else answer.json() == expected


def all_of(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Everything that an answer says, but the time and its own id."""
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in {"date", "x-request-id"}]
    return answer.status_code, headers, answer.content


def create(client: httpx2.Client, **members: object) -> Json:
    answer = client.post("/api/tasks", json={"title": "of the owner", **members})
    assert answer.status_code == 201
    task: Json = answer.json()
    return task


# Somebody else's task


@pytest.mark.parametrize("operation", OF_A_TASK)
def test_a_task_of_somebody_else_is_answered_exactly_like_a_missing_one(
    ada: Owner, bob: Owner, operation: Operation
) -> None:
    task = create(ada[1], description="secret")
    path = operation.path(bob[0], task["id"])
    while_it_exists = operation.ask(bob[1], path)
    assert ada[1].get(f"/api/tasks/{task['id']}").json() == task
    assert ada[1].delete(f"/api/tasks/{task['id']}").status_code == 204
    assert is_answered(while_it_exists, task_not_found(path))
    assert all_of(operation.ask(bob[1], path)) == all_of(while_it_exists)


@pytest.mark.parametrize("operation", OF_A_USER)
def test_a_path_of_somebody_else_is_forbidden_and_nothing_behind_it_changes(
    ada: Owner, bob: Owner, operation: Operation
) -> None:
    of_ada, of_bob = create(ada[1], description="secret"), create(bob[1])
    before = ada[1].get(f"/api/{ada[0]}").json()
    for task_id in (of_ada["id"], of_bob["id"], ANY_ID):
        path = operation.path(ada[0], task_id)
        assert is_answered(operation.ask(bob[1], path), forbidden(path))
    assert ada[1].get("/api/tasks").json() == [of_ada]
    assert bob[1].get("/api/tasks").json() == [of_bob]
    assert ada[1].get(f"/api/{ada[0]}").json() == before


@pytest.mark.parametrize("operation", OF_A_USER)
def test_a_path_of_a_user_whom_nobody_has_seen_is_forbidden_just_the_same(
    ada: Owner, bob: Owner, new_user: NewUser, operation: Operation
) -> None:
    create(ada[1])
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
    """Something else that is wrong with a request."""

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
def test_forbidden_comes_before_any_query(service_without_database: Service, operation: Operation) -> None:
    client = service_without_database.as_user("bob")
    assert operation.ask(client, operation.path("bob")).status_code == 503
    path = operation.path("ada")
    assert is_answered(operation.ask(client, path), forbidden(path))


# No token

GOOD = token("ada")
CREDENTIALS = [
    pytest.param([], id="none"),
    pytest.param([("authorization", "")], id="empty"),
    pytest.param([("authorization", "Bearer")], id="no-token"),
    pytest.param([("authorization", "Bearer garbage")], id="garbage"),
    pytest.param([("authorization", "Bearer a.b.c")], id="garbage-of-three-parts"),
    pytest.param([("authorization", f"Basic {GOOD}")], id="another-scheme"),
    pytest.param([("authorization", GOOD)], id="no-scheme"),
    pytest.param([("authorization", f"Bearer {token('ada', seconds=-120)}")], id="expired"),
    pytest.param([("authorization", f"Bearer {GOOD[:-8]}AAAAAAAA")], id="tampered-signature"),
    pytest.param([("authorization", f"Bearer {GOOD.rpartition('.')[0]}.")], id="no-signature"),
    pytest.param(
        [("authorization", f"Bearer {issue_token('x' * 32, 'ada', expires_in=timedelta(hours=1))}")],
        id="another-secret",
    ),
    pytest.param([("authorization", f"Bearer {GOOD}"), ("authorization", f"Bearer {GOOD}")], id="two-headers"),
    pytest.param([("cookie", f"token={GOOD}")], id="cookie"),
]


@pytest.mark.parametrize("credentials", CREDENTIALS)
@pytest.mark.parametrize("operation", SECURED)
def test_without_a_valid_token_every_operation_answers_the_same_401(
    service: Service, operation: Operation, credentials: list[tuple[str, str]]
) -> None:
    path = operation.path("ada", "not-even-a-uuid")
    headers = [*credentials, ("content-type", "application/json")]
    answer = operation.ask(service.client(), path, headers=headers, content=b"{", params={"unknown": "1"})
    assert is_answered(answer, unauthenticated(path))
    assert answer.headers["www-authenticate"] == 'Bearer realm="tasks-api"'
    without = operation.ask(service.client(), path)
    assert all_of(without) == all_of(answer)


# Ids of users


@pytest.mark.parametrize(
    "user_id",
    [
        pytest.param("Zk3vQ9tLr1XbW7mHs5PdYc2JgNf8Ua4E", id="better-auth"),
        pytest.param("auth0|5f7c8ec7c33c6c004bbafe82", id="auth0"),
        pytest.param("a/b", id="slash"),
        pytest.param("/", id="slash-only"),
        pytest.param("../tasks", id="dot-segments"),
        pytest.param(" ", id="space"),
        pytest.param("ada lovelace", id="space-inside"),
        pytest.param("%2F", id="percent-encoded-slash"),
        pytest.param("50%", id="percent"),
        pytest.param("a+b@example.com", id="plus-and-at"),
        pytest.param("a?b#c;d&e=f", id="delimiters"),
        pytest.param("a>b<c\"d'e", id="quotes-and-angles"),
        pytest.param("{user_id}[0]\\^`|", id="other-punctuation"),
        pytest.param("{0} %s %(id)s", id="templates"),
        pytest.param("Zo\u00eb", id="accent"),
        pytest.param("\u05e2\u05d3\u05d4", id="right-to-left"),
        pytest.param(MOUSE, id="astral"),
        pytest.param("a\nb\x1b[31m\x7f", id="control-characters"),
        pytest.param("\uffff\ufeff", id="noncharacter"),
        pytest.param("x" * 255, id="255-letters"),
        pytest.param(MOUSE * 255, id="255-astral-characters"),
        pytest.param("auth", id="auth"),
        pytest.param("health", id="health"),
    ],
)
def test_any_text_can_be_the_id_of_a_user(service: Service, user_id: str) -> None:
    home = f"/api/{quote(user_id, safe='')}"
    client = service.as_user(user_id)
    answers = [client.post(f"{home}/tasks", json={"title": title}) for title in ("first", "second")]
    first, second = (answer.json() for answer in answers)
    paths = [f"{home}/tasks/{task['id']}" for task in (first, second)]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(201, path) for path in paths]
    assert {first["user_id"], second["user_id"]} == {user_id}
    assert [client.get(path).json() for path in paths] == [first, second]
    page = client.get(f"{home}/tasks", params={"limit": 1})
    assert (page.json(), client.get(page.links["next"]["url"]).json()) == ([first], [second])
    profile = client.get(home).json()
    assert profile == {
        "id": user_id,
        "email": None,
        "name": None,
        "created_at": profile["created_at"],
        "tasks": {"total": 2, "completed": 0, "pending": 2},
    }
    done = client.patch(f"{paths[0]}/complete").json()
    assert done == {**first, "completed": True, "updated_at": done["updated_at"]}
    renamed = client.put(paths[0], json={"title": "renamed"}).json()
    assert renamed == {**done, "title": "renamed", "updated_at": renamed["updated_at"]}
    assert [client.delete(path).status_code for path in paths] == [204, 204]
    missing = client.get(paths[0])
    assert missing.json() == {**task_not_found(paths[0]), "instance": missing.json()["instance"]}
    assert re.fullmatch(r"([^%]|%[0-9A-F]{2})*", missing.json()["instance"])
    assert paths[0].startswith(missing.json()["instance"])
    assert client.get("/api/tasks").json() == []


@pytest.mark.parametrize("character", list('"<>[]\\^`{|}%'))
def test_what_a_client_leaves_unencoded_in_a_path_is_encoded_in_the_answers(
    service: Service, new_user: NewUser, character: str
) -> None:
    user_id = new_user("ada") + character + "Z"
    client = service.as_user(user_id)
    sent = {"target": f"/api/{user_id}/tasks".encode()}
    encoded = f"/api/{quote(user_id, safe='')}/tasks"
    answers = [client.post("/", json={"title": title}, extensions=sent) for title in ("first", "second")]
    tasks = [answer.json() for answer in answers]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.headers["location"] for answer in answers] == [f"{encoded}/{task['id']}" for task in tasks]
    page = client.get("/", extensions={"target": sent["target"] + b"?limit=1"})
    assert page.headers["link"].startswith(f"<{encoded}?status=all&sort=created&limit=1&cursor=")
    assert client.get(page.links["next"]["url"]).json() == [tasks[1]]
    refused = service.as_user(new_user("bob")).get("/", extensions=sent)
    assert is_answered(refused, forbidden(encoded))


# The log


def told_of(service: Service, answer: httpx2.Response) -> list[Json]:
    """What the log says of a request: level, event and facts of each line, without the time that it took."""
    mark = f"request_id='{answer.headers['x-request-id']}'"
    return [facts_of(line) for line in service.read_log().splitlines() if mark in line.split()]


def facts_of(line: str) -> Json:
    _, level, event, *_ = line.replace("[", " ").replace("]", " ").split()
    pairs = re.findall(r" (\w+)=('[^']*'|\S+)", line)
    return {"level": level, "event": event} | {name: value.strip("'") for name, value in pairs if name != "duration_ms"}


@pytest.mark.parametrize("operation", OF_A_USER)
def test_a_path_of_somebody_else_is_logged_as_a_security_event(
    service: Service, ada: Owner, bob: Owner, operation: Operation
) -> None:
    answer = operation.ask(bob[1], operation.path(ada[0]))
    shared = {
        "operation": operation.name.removesuffix("-head"),
        "request_id": answer.headers["x-request-id"],
        "user": bob[0],
    }
    assert told_of(service, answer) == [
        {**shared, "level": "warning", "event": "security.path_user_mismatch", "path_user": ada[0]},
        {**shared, "level": "info", "event": "request", "method": operation.method, "status": "403"},
    ]


def test_a_users_id_cannot_forge_a_line_of_the_log(service: Service, new_user: NewUser) -> None:
    mark = uuid.uuid4().hex
    forger = f"x\n{mark} [warning  ] forged\x1b[31m"
    path = f"/api/{quote(forger, safe='')}/tasks"
    assert service.as_user(f"eve\n{mark} \x1b[0m").get(path).status_code == 403
    assert service.as_user(new_user("bob")).get(path).status_code == 403
    text = service.read_log()
    lines = [line for line in text.splitlines() if mark in line]
    assert len(lines) == 3
    assert [line for line in lines if line.startswith(mark)] == []
    assert "\x1b" not in text


def test_titles_descriptions_and_tokens_never_reach_the_log(
    service: Service, database_url: str, new_user: NewUser
) -> None:
    mark = f"confidential{uuid.uuid4().hex}"
    subject = new_user("ada")
    text = token(subject, email=f"{mark}@example.com", name=mark)
    client = service.client(authorization=f"Bearer {text}")
    members = {"title": f"{mark} \N{GRINNING FACE}", "description": mark}
    task = create(client, **members)
    path = f"/api/{subject}/tasks"
    answers = [
        client.put(f"{path}/{task['id']}", json={**members, "completed": True}),
        client.get(path, params={"sort": "title", "limit": 1}),
        client.post(path, json={mark: mark}),
        client.post(path, json={"title": mark * 10, "description": mark * 50}),
        client.post(path, content=f'{{"title": "{mark}", "title": "{mark}"}}'.encode(), headers=TYPED),
        client.post(path, content=f'{{"title": "{mark}'.encode(), headers=TYPED),
        client.get(path, params={"cursor": mark}),
        client.get(path, params={mark: mark}),
        service.client(authorization=f"Bearer {text[:-8]}AAAAAAAA").get(path),
        service.client(authorization=f"Bearer {mark}").get(path),
        client.get(f"/api/{new_user('bob')}/tasks"),
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        # What no check foresaw. PostgreSQL tells the failing row, title and all.
        constraint = f"ck_unforeseen_{uuid.uuid4().hex}"
        connection.execute(f"ALTER TABLE tasks ADD CONSTRAINT {constraint} CHECK (title <> '{mark}')")
        try:
            answers.append(client.post(path, json={"title": mark, "description": mark}))
        finally:
            connection.execute(f"ALTER TABLE tasks DROP CONSTRAINT {constraint}")
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 200, 422, 422, 400, 400, 422, 422, 401, 401, 403, 500]
    told = [told_of(service, answer)[-1] for answer in answers]
    assert [int(each["status"]) for each in told] == statuses
    log = service.read_log()
    assert [secret for secret in (mark, text, *text.split(".")[1:]) if secret in log] == []


def test_an_unforeseen_error_is_an_opaque_500_and_its_place_is_in_the_log(
    service: Service, database_url: str, ada: Owner
) -> None:
    subject, client = ada
    constraint = f"ck_unforeseen_{uuid.uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE tasks ADD CONSTRAINT {constraint} CHECK (user_id <> '{subject}')")
        try:
            answer = client.post("/api/tasks", json={"title": "t"})
        finally:
            connection.execute(f"ALTER TABLE tasks DROP CONSTRAINT {constraint}")
    detail = "An unexpected error occurred. Its log entry has the id in the `X-Request-ID` header of this response."
    assert is_answered(answer, problem("/api/tasks", 500, "internal-error", "Internal error", detail))
    lines = [line for line in service.read_log().splitlines() if answer.headers["x-request-id"] in line]
    assert ["error" in lines[0], "unexpected_error" in lines[0], "sqlstate='23514'" in lines[0]] == [True] * 3
    assert "persistence/tasks.py" in lines[0]
    assert client.get("/api/tasks").json() == []
