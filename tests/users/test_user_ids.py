"""Any text can be the id of a user, and stands percent-encoded in addresses."""

import re
from urllib.parse import quote

import pytest

from tests.support.problems import forbidden, is_answered, task_not_found
from tests.support.service import Service
from tests.support.types import NewUser

MOUSE = "\N{MOUSE FACE}"


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
    # Other tests have users with such ids, too.
    assert client.delete("/api/me").status_code == 204
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
        "updated_at": profile["created_at"],
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
def test_unencoded_characters_of_a_path_are_encoded_in_links(
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
