"""`Cache-Control` and `Vary`: what a cache may store, and for whom."""

from pathlib import Path

import pytest

from server.contract.document import ContractError
from tests.contract.overlays import app_with, update
from tests.hostile.operations import SECURED, Caller, Operation
from tests.support.document import OPERATIONS, resolved
from tests.support.raw_http import problem
from tests.support.service import Service
from tests.support.types import Owner

PERSONAL = {"getUser", "getMe", "deleteUser", "deleteMe", "verifyToken"}


def test_profiles_and_tokens_are_not_stored() -> None:
    no_store = {
        name
        for name, (_, operation) in OPERATIONS.items()
        for response in resolved(operation["responses"]).values()
        if response.get("headers", {}).get("Cache-Control", {}).get("schema", {}).get("enum") == ["no-store"]
    }
    assert no_store == PERSONAL


@pytest.mark.parametrize("operation", SECURED, ids=lambda operation: operation.name)
def test_answers_may_be_stored_by_their_client(service: Service, ada: Owner, operation: Operation) -> None:
    """And must be revalidated with the same token. Profiles and tokens are not stored."""
    subject, client = ada
    task = client.post("/api/tasks", json={"title": "Buy milk"}).json()
    target = operation.target(user_id=subject, task_id=task["id"])
    media_type = next(iter(operation.bodies), None)
    body = None if media_type is None else operation.content(media_type).encode()
    if "complete" in operation.name and body is not None:
        body = b'{"completed":true}'
    fields = [] if media_type is None else [("Content-Type", media_type)]
    with Caller(service, subject) as caller:
        answer = caller.send(operation.method, target, fields, body)
    assert answer.status_code in (200, 201, 204)
    (control,), (vary,) = answer.headers.get_list("cache-control"), answer.headers.get_list("vary")
    if operation.name in PERSONAL:
        assert (control, vary) == ("no-store", "Origin")
    else:
        chosen_by = "Authorization, Accept" if operation.name.startswith("export") else "Authorization"
        assert (control, vary) == ("private, no-cache", f"{chosen_by}, Origin")


def test_vary_is_one_field(ada: Owner) -> None:
    """Also with all reasons to have it, from another origin and from the same."""
    _, client = ada
    for number in range(60):
        client.post("/api/tasks", json={"title": f"{number} ".ljust(200, "x")}).raise_for_status()
    for headers in ({}, {"origin": "http://localhost:3000"}, {"origin": "http://evil.example"}):
        answer = client.get("/api/tasks", headers={"accept-encoding": "gzip", **headers})
        (vary,) = answer.headers.get_list("vary")
        assert sorted(vary.split(", ")) == ["Accept-Encoding", "Authorization", "Origin"]


def test_a_problem_is_not_stored(service: Service, ada: Owner) -> None:
    answer = ada[1].get("/api/tasks", params={"limit": 0})
    assert problem(service, answer, "validation-failed")
    assert answer.headers["cache-control"] == "no-store"


def test_cache_control_must_have_one_value(tmp_path: Path) -> None:
    several = update("$.components.headers['Cache-Control'].schema", {"enum": ["a"]})
    with pytest.raises(ContractError, match="Cache-Control must have an enum of one value"):
        app_with(tmp_path, several)
