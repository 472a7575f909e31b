"""Creates with an `Idempotency-Key`, and the parts of an answer that a replay must repeat."""

import uuid

import httpx2

from tests.support.types import Json

FIELD = "Idempotency-Key"
MILK = {"title": "Buy milk"}
REUSED = [(FIELD, "was used with another request")]
NO_KEY = [(FIELD, "must be 1 to 255 visible ASCII characters, in quotes or bare")]
FULL = {"title": "Buy milk \N{GRINNING FACE}", "description": 'two "cartons"\n', "completed": True}
WAIT_SECONDS = 20


def key() -> str:
    return uuid.uuid4().hex


def create_with_key(
    client: httpx2.Client, key: str | bytes, body: Json = MILK, path: str = "/api/tasks"
) -> httpx2.Response:
    return client.post(path, json=body, headers=[(FIELD.encode(), key.encode() if isinstance(key, str) else key)])


def seen(answer: httpx2.Response) -> tuple[int, bytes, str | None, str | None]:
    """Return the parts of an answer that a replay must repeat: status, body, `Location` and `ETag`."""
    return answer.status_code, answer.content, answer.headers.get("location"), answer.headers.get("etag")


def is_replay(answer: httpx2.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def titles(client: httpx2.Client) -> list[str]:
    return [task["title"] for task in client.get("/api/tasks").json()]


def assert_replays(first: httpx2.Response, second: httpx2.Response) -> None:
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    assert seen(second) == seen(first)
    assert is_replay(second)
