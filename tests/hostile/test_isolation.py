"""Another user's task, asked for in every way that the contract knows, looks like a task that does not exist."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hostile.operations import JSON, NDJSON, SECURED, Caller, Operation
from tests.support.figures import Figures
from tests.support.raw_http import RawAnswer, problem
from tests.support.service import Service

GROUP = "Other users' ids"
MARK = "the owner's secret"

OF_A_TASK = [each for each in SECURED if "{task_id}" in each.template]
OF_A_USER = [each for each in SECURED if "{user_id}" in each.template]
VARYING = {"date", "server-timing", "x-request-id"}
READING = [each for each in SECURED if each.method == "GET"]

Fields = list[tuple[str, str]]


@pytest.fixture
def bob(service: Service) -> Iterator[Caller]:
    """A user who looks for Ada's data."""
    with Caller(service, f"bob-{uuid.uuid4().hex}") as caller:
        yield caller


@dataclass(frozen=True)
class Ada:
    """A user with tasks, one of them in the trash, and with a used idempotency key."""

    caller: Caller
    live: dict[str, Any]
    trashed: dict[str, Any]
    tag: str
    key: str

    def everything(self) -> list[tuple[int, bytes]]:
        """All data of Ada that the service returns to her."""
        targets = ["/api/tasks", "/api/tasks?status=trashed", "/api/tasks/export", f"/api/{self.caller.subject}"]
        answers = [self.caller.send("GET", target) for target in targets]
        return [(answer.status_code, answer.content) for answer in answers]


@pytest.fixture
def ada(service: Service) -> Iterator[Ada]:
    with Caller(service, f"ada-{uuid.uuid4().hex}") as caller:
        key = uuid.uuid4().hex
        body = json.dumps({"title": MARK, "description": MARK}).encode()
        answer = caller.send("POST", "/api/tasks", [("Content-Type", JSON), ("Idempotency-Key", key)], body)
        live, trashed = json.loads(answer.content), caller.create(MARK)
        assert caller.send("DELETE", f"/api/tasks/{trashed['id']}").status_code == 204
        yield Ada(caller, live, trashed, answer.headers["etag"], key)


def parts(operation: Operation) -> tuple[Fields, bytes | None]:
    """Return the header fields and the body that an operation needs besides its path."""
    if not operation.bodies:
        return [], None
    media_type = next(iter(operation.bodies))
    return [("Content-Type", media_type)], operation.content(media_type).encode()


def ask(caller: Caller, operation: Operation, *fields: tuple[str, str], user_id: str, task_id: str) -> RawAnswer:
    given, body = parts(operation)
    method = operation.method
    return caller.send(method, operation.target(user_id=user_id, task_id=task_id), [*given, *fields], body)


def said(answer: RawAnswer, task_id: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer except its request id, its date and the id that was asked for."""
    told = [(name, value) for name, value in answer.headers.multi_items() if name not in VARYING]
    return answer.status_code, told, answer.content.replace(task_id.encode(), b"the id")


def conditions(ada: Ada) -> list[Fields]:
    """No condition, and every condition that could distinguish an existing task from a missing one."""
    stale = f'"{int(ada.tag.strip(chr(34)), 16) - 1:x}"'
    tags = [ada.tag, "*", stale, f"W/{ada.tag}", f'"x", {ada.tag}']
    return [
        [],
        *([(name, tag)] for name in ("If-Match", "If-None-Match") for tag in tags),
        [("If-Match", ada.tag), ("If-None-Match", ada.tag)],
        [("Idempotency-Key", ada.key)],
        [("Accept", "*/*"), ("X-Forwarded-User", ada.caller.subject), ("X-User-Id", ada.caller.subject)],
        [("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", f"/api/{ada.caller.subject}/tasks")],
        [("Cookie", f"sub={ada.caller.subject}"), ("Range", "bytes=0-10")],
    ]


@pytest.mark.parametrize("operation", OF_A_TASK, ids=lambda operation: operation.name)
def test_another_users_task_looks_exactly_like_a_missing_one(
    service: Service, ada: Ada, bob: Caller, operation: Operation, figures: Figures
) -> None:
    """Byte for byte: status, header fields and body, whatever conditions the request has."""
    before = ada.everything()
    never = str(uuid.uuid4())
    for fields in conditions(ada):
        missing = ask(bob, operation, *fields, user_id=bob.subject, task_id=never)
        refused = "Idempotency-Key" in dict(fields) and "Idempotency-Key" not in operation.names
        # A restore is a write that no task is needed to refuse.
        fails = operation.name in ("restoreTask", "restoreMyTask") and ("If-None-Match", "*") in fields
        code = "validation-failed" if refused else "precondition-failed" if fails else "task-not-found"
        problem(service, missing, code)
        assert not {"etag", "last-modified", "location"} & set(missing.headers)
        for task in (ada.live, ada.trashed):
            for task_id in (task["id"], task["id"].upper()):
                foreign = ask(bob, operation, *fields, user_id=bob.subject, task_id=task_id)
                assert said(foreign, task_id) == said(missing, never), (fields, task_id)
                figures(GROUP, 1, 1)
    for query in ("permanent=true", "status=trashed", f"user_id={ada.caller.subject}"):
        path = operation.target(user_id=bob.subject, task_id=never)
        given, body = parts(operation)
        missing = bob.send(operation.method, f"{path}?{query}", given, body)
        for task in (ada.live, ada.trashed):
            foreign = bob.send(operation.method, f"{path.replace(never, task['id'])}?{query}", given, body)
            assert said(foreign, task["id"]) == said(missing, never), query
            figures(GROUP, 1, 1)
    assert ada.everything() == before


@pytest.mark.parametrize("operation", OF_A_TASK, ids=lambda operation: operation.name)
def test_head_and_options_tell_no_more(ada: Ada, bob: Caller, operation: Operation, figures: Figures) -> None:
    never = str(uuid.uuid4())
    path = operation.target(user_id=bob.subject, task_id=never)
    for method in ("HEAD", "OPTIONS", "TRACE", "POST", "PUT"):
        for task in (ada.live, ada.trashed):
            fields, body = parts(operation) if method in ("POST", "PUT") else ([], None)
            missing = bob.send(method, path, fields, body)
            foreign = bob.send(method, path.replace(never, task["id"]), fields, body)
            assert said(foreign, task["id"]) == said(missing, never), method
            figures(GROUP, 1, 1)


@pytest.mark.parametrize("operation", OF_A_USER, ids=lambda operation: operation.name)
def test_a_path_of_somebody_else_is_forbidden_like_one_of_nobody(
    service: Service, ada: Ada, bob: Caller, operation: Operation, figures: Figures
) -> None:
    before = ada.everything()
    nobody = f"ada-{uuid.uuid4().hex}"
    for fields in conditions(ada):
        for task_id in (ada.live["id"], ada.trashed["id"], str(uuid.uuid4())):
            answers = [
                ask(bob, operation, *fields, user_id=user_id, task_id=task_id)
                for user_id in (ada.caller.subject, nobody)
            ]
            problem(service, answers[0], "forbidden")
            (*of_her, content), (*of_nobody, other) = (said(answer, task_id) for answer in answers)
            assert of_her == of_nobody, fields
            assert content.replace(ada.caller.subject.encode(), nobody.encode()) == other, fields
            figures(GROUP, 1, 1)
    assert ada.everything() == before


@pytest.mark.parametrize("operation", SECURED, ids=lambda operation: operation.name)
def test_no_own_operation_shows_or_touches_another_users_tasks(
    ada: Ada, bob: Caller, operation: Operation, figures: Figures
) -> None:
    before = ada.everything()
    own = bob.create("bob's own")
    for fields in conditions(ada):
        answer = ask(bob, operation, *fields, user_id=bob.subject, task_id=own["id"])
        assert answer.status_code < 500
        for secret in (MARK, ada.live["id"], ada.trashed["id"], ada.caller.subject):
            assert secret.encode() not in answer.content, fields
        figures(GROUP, 1, 1)
    assert ada.everything() == before


@pytest.mark.parametrize("template", ["/api/tasks", "/api/{user_id}/tasks"])
def test_a_key_of_somebody_else_replays_nothing(
    service: Service, ada: Ada, bob: Caller, template: str, figures: Figures
) -> None:
    fields = [("Content-Type", JSON), ("Idempotency-Key", ada.key)]
    hers, his = json.dumps({"title": MARK, "description": MARK}).encode(), b'{"title":"of bob"}'
    target = template.format(user_id=bob.subject)
    first, second = (bob.send("POST", target, fields, his) for _ in range(2))
    assert (first.status_code, json.loads(first.content)["user_id"]) == (201, bob.subject)
    assert "idempotent-replayed" not in first.headers
    assert (second.status_code, second.content) == (201, first.content)
    problem(service, bob.send("POST", target, fields, hers), "validation-failed")
    again = ada.caller.send("POST", "/api/tasks", fields, hers)
    assert (json.loads(again.content)["id"], again.headers["idempotent-replayed"]) == (ada.live["id"], "true")
    figures(GROUP, 3, 3)


@pytest.mark.parametrize("sort", ["created", "-created", "title", "-title", "updated", "-updated"])
def test_a_cursor_of_somebody_else_leads_to_ones_own_tasks_only(
    ada: Ada, bob: Caller, sort: str, figures: Figures
) -> None:
    for title in ("m", "n", "o"):
        ada.caller.create(title)
    own = {bob.create(title)["id"] for title in ("a", "m", "z")}
    target = f"/api/tasks?sort={sort}&limit=1"
    pages = 0
    while target:
        page = ada.caller.send("GET", target)
        target = page.headers.get("link", "").removeprefix("<").removesuffix('>; rel="next"')
        if target:
            seen = bob.send("GET", target.replace("limit=1", "limit=1000"))
            assert seen.status_code == 200
            assert {task["id"] for task in json.loads(seen.content)} <= own
            pages += 1
    figures(GROUP, pages, pages)
    assert pages == 3


@pytest.mark.parametrize("operation", READING, ids=lambda operation: operation.name)
def test_what_one_reads_is_the_same_whatever_others_do(
    ada: Ada, bob: Caller, operation: Operation, figures: Figures
) -> None:
    own = bob.create("bob's own")
    queries: list[dict[str, str]] = [{}]
    for parameter in operation.parameters:
        if parameter["in"] == "query" and "enum" in parameter["schema"]:
            queries += [{parameter["name"]: value} for value in parameter["schema"]["enum"]]

    def read() -> list[tuple[int, list[tuple[str, str]], bytes]]:
        targets = [operation.target(user_id=bob.subject, task_id=own["id"], **query) for query in queries]
        return [said(bob.send("GET", target), own["id"]) for target in targets]

    before = read()
    ada.caller.create("one more")
    fields = [("Content-Type", NDJSON)]
    lines = json.dumps({"title": "of bob", "user_id": bob.subject, "id": str(uuid.uuid4())}).encode()
    assert ada.caller.send("POST", "/api/tasks/import", fields, lines).status_code == 200
    assert ada.caller.send("POST", f"/api/tasks/{ada.trashed['id']}/restore").status_code == 200
    assert ada.caller.send("DELETE", "/api/tasks?status=completed&permanent=true").status_code == 200
    assert ada.caller.send("DELETE", f"/api/{ada.caller.subject}").status_code == 204
    assert [(status, without_counts(told), content) for status, told, content in read()] == [
        (status, without_counts(told), content) for status, told, content in before
    ]
    figures(GROUP, len(queries), len(queries))


def without_counts(told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in told if name != "ratelimit"]


def test_an_import_with_another_users_task_id_makes_an_own_task(ada: Ada, bob: Caller, figures: Figures) -> None:
    before = ada.everything()
    for task in (ada.live, ada.trashed):
        line = json.dumps({"title": "of bob", "id": task["id"], "user_id": ada.caller.subject}).encode()
        answer = bob.send("POST", "/api/tasks/import", [("Content-Type", NDJSON)], line)
        assert json.loads(answer.content) == {"imported": 1, "unchanged": 0}
        mine = json.loads(bob.send("GET", f"/api/tasks/{task['id']}").content)
        assert (mine["title"], mine["user_id"]) == ("of bob", bob.subject)
        assert bob.send("DELETE", f"/api/tasks/{task['id']}?permanent=true").status_code == 204
        figures(GROUP, 1, 1)
    assert ada.everything() == before
