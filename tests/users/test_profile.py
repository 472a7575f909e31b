"""The profile of a user, which follows the claims of their tokens."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest

from tests.support.api import MOMENT
from tests.support.service import Service, token
from tests.support.types import Json, Owner

NOBODY = {"email": None, "name": None}
NAMED = {"email": "ada@example.com", "name": "Ada Lovelace"}


# Users


def profile(client: httpx2.Client, subject: str) -> Json:
    answer = client.get(f"/api/{subject}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    read: Json = answer.json()
    assert MOMENT.fullmatch(read["created_at"])
    assert MOMENT.fullmatch(read["updated_at"])
    return read


def test_a_user_is_known_from_the_first_request_on(ada: Owner) -> None:
    subject, client = ada
    before = datetime.now(UTC)
    first = profile(client, subject)
    assert first == {
        "id": subject,
        "email": None,
        "name": None,
        "created_at": first["created_at"],
        "updated_at": first["created_at"],
        "tasks": {"total": 0, "completed": 0, "pending": 0},
    }
    assert before <= datetime.fromisoformat(first["created_at"]) <= datetime.now(UTC)
    assert profile(client, subject) == first


def test_a_user_is_made_with_the_first_task(
    service: Service, new_user: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--citus"):
        pytest.skip("Each node of Citus has its own clock: the two times are milliseconds apart.")
    subject = new_user("grace")
    named = service.as_user(subject, **NAMED)
    task = named.post("/api/tasks", json={"title": "t"}).json()
    assert profile(service.as_user(subject), subject) == {
        "id": subject,
        **NAMED,
        "created_at": task["created_at"],
        "updated_at": task["created_at"],
        "tasks": {"total": 1, "completed": 0, "pending": 1},
    }


def test_a_profile_counts_the_tasks_of_its_user_only(ada: Owner, bob: Owner) -> None:
    subject, client = ada
    bob[1].post("/api/tasks", json={"title": "of Bob"})
    tasks = [
        client.post("/api/tasks", json={"title": "t", "completed": number < 2}).json()["id"] for number in range(5)
    ]
    first = profile(client, subject)
    assert first["tasks"] == {"total": 5, "completed": 2, "pending": 3}
    client.patch(f"/api/tasks/{tasks[0]}/toggle")
    client.delete(f"/api/tasks/{tasks[4]}")
    assert profile(client, subject) == {**first, "tasks": {"total": 4, "completed": 1, "pending": 3}}


OTHER = {"email": "ada@lovelace.example", "name": "Countess of Lovelace"}
CLAIMS = [
    pytest.param(NOBODY, NAMED, NAMED, id="claims-that-come-later-are-added"),
    pytest.param(NAMED, OTHER, OTHER, id="claims-that-change-replace"),
    pytest.param(NAMED, NOBODY, NAMED, id="claims-that-are-absent-leave"),
    pytest.param(NAMED, {"name": "Ada"}, {**NAMED, "name": "Ada"}, id="only-the-name-changes"),
    pytest.param(NAMED, {"email": "a@b"}, {**NAMED, "email": "a@b"}, id="only-the-email-changes"),
    pytest.param(NAMED, NAMED, NAMED, id="the-same-claims-leave"),
    pytest.param(NAMED, {"email": "", "name": ""}, NAMED, id="empty-claims-leave"),
    pytest.param(NAMED, {"email": "a" * 321, "name": "a" * 256}, NAMED, id="claims-that-are-too-long-leave"),
    pytest.param(NAMED, {"email": "\0", "name": "a\0"}, NAMED, id="claims-with-nul-leave"),
    pytest.param(
        NAMED,
        {"email": "é" * 320, "name": "é" * 255},
        {"email": "é" * 320, "name": "é" * 255},
        id="claims-of-the-greatest-length-replace",
    ),
]


@pytest.mark.parametrize("sight", ["profile", "create"])
@pytest.mark.parametrize(("first", "later", "kept"), CLAIMS)
def test_the_row_of_a_user_follows_the_claims_of_their_tokens(  # noqa: PLR0913, PLR0917  the table's columns
    service: Service, new_user: Callable[[str], str], sight: str, first: Json, later: Json, kept: Json
) -> None:
    subject = new_user("ada")
    for claims in (first, later):
        client = service.as_user(subject, **claims)
        answer = client.get(f"/api/{subject}") if sight == "profile" else client.post("/api/tasks", json={"title": "t"})
        assert answer.is_success
    found = profile(service.as_user(subject), subject)
    total = 0 if sight == "profile" else 2
    assert found == {
        "id": subject,
        **kept,
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
        "tasks": {"total": total, "completed": 0, "pending": total},
    }


def test_a_change_of_claims_leaves_created_at(service: Service, new_user: Callable[[str], str]) -> None:
    subject = new_user("ada")
    first = profile(service.as_user(subject, **NAMED), subject)
    later = profile(service.as_user(subject, **OTHER), subject)
    assert later == {**first, **OTHER, "updated_at": later["updated_at"]}
    assert first["updated_at"] == first["created_at"] < later["updated_at"]
    assert profile(service.as_user(subject, **OTHER), subject) == later


# Tokens


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        pytest.param({}, NOBODY, id="only-a-subject"),
        pytest.param(NAMED, NAMED, id="named"),
        pytest.param({"email": "", "name": "a" * 256}, NOBODY, id="unusable-claims"),
    ],
)
def test_verify_tells_whose_token_it_is_and_until_when(
    service: Service, new_user: Callable[[str], str], claims: Json, told: Json
) -> None:
    subject = new_user("ada")
    text = token(subject, **claims)
    answer = service.client(authorization=f"Bearer {text}").post("/api/auth/verify")
    payload = text.split(".")[1]
    expires_at = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "user_id": subject,
        **told,
        "expires_at": datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
