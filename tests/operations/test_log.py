"""The log of single requests: security events, and no confidential text."""

import re
import uuid
from urllib.parse import quote

import httpx2
import psycopg
import pytest

from tests.auth.test_isolation import OF_A_USER, TYPED, Operation
from tests.support.api import create_task
from tests.support.problems import is_answered, problem_members
from tests.support.service import Service, token
from tests.support.types import Json, NewUser, Owner

# The log


def describe_error(service: Service, answer: httpx2.Response) -> list[Json]:
    """Return level, event and facts of each log line of a request, without its duration."""
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
    assert describe_error(service, answer) == [
        {
            **shared,
            "level": "warning",
            "event": "security.path_user_mismatch",
            "log_stream": "security",
            "path_user": ada[0],
        },
        {
            **shared,
            "level": "info",
            "event": "request",
            "log_stream": "access",
            "method": operation.method,
            "status": "403",
        },
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
    task = create_task(client, **members)
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
        # Errors that no check foresees. PostgreSQL tells the failing row, title and all.
        constraint = f"ck_unforeseen_{uuid.uuid4().hex}"
        connection.execute(f"ALTER TABLE tasks ADD CONSTRAINT {constraint} CHECK (title <> '{mark}')")
        try:
            answers.append(client.post(path, json={"title": mark, "description": mark}))
        finally:
            connection.execute(f"ALTER TABLE tasks DROP CONSTRAINT {constraint}")
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 200, 422, 422, 400, 400, 422, 422, 401, 401, 403, 500]
    told = [describe_error(service, answer)[-1] for answer in answers]
    assert [int(each["status"]) for each in told] == statuses
    log = service.read_log()
    assert [secret for secret in (mark, text, *text.split(".")[1:]) if secret in log] == []


def test_an_unexpected_error_is_an_opaque_500(service: Service, database_url: str, ada: Owner) -> None:
    """The place in the code where it happened is in the log."""
    subject, client = ada
    constraint = f"ck_unforeseen_{uuid.uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE tasks ADD CONSTRAINT {constraint} CHECK (user_id <> '{subject}')")
        try:
            answer = client.post("/api/tasks", json={"title": "t"})
        finally:
            connection.execute(f"ALTER TABLE tasks DROP CONSTRAINT {constraint}")
    detail = "An unexpected error occurred. Its log entry has the id in the `X-Request-ID` header of this response."
    assert is_answered(answer, problem_members("/api/tasks", 500, "internal-error", "Internal error", detail))
    lines = [line for line in service.read_log().splitlines() if answer.headers["x-request-id"] in line]
    assert ["error" in lines[0], "unexpected_error" in lines[0], "sqlstate='23514'" in lines[0]] == [True] * 3
    assert "persistence/tasks.py" in lines[0]
    assert client.get("/api/tasks").json() == []
