"""What any server has to do, and nothing else: ASGI by hand, with whichever store of tasks.

A token is verified once and then looked up. Neither a request nor an answer is validated, but for the two comparisons
(of titles and of limits) without which it would take what all others refuse.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

import jwt
import orjson
from starlette.types import Receive, Scope, Send

from persistence.errors import TaskNotFound

_MOST_CHARACTERS = 200
_MOST_TASKS = 1000
_MOMENTS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

_Call = Callable[..., Awaitable[Any]]
_Answer = tuple[int, bytes, str | None]
"""Status, body and `Location`."""

_UNAUTHENTICATED: Final[_Answer] = (401, b"{}", None)
_FORBIDDEN: Final[_Answer] = (403, b"{}", None)
_NOT_FOUND: Final[_Answer] = (404, b"{}", None)
_INVALID: Final[_Answer] = (422, b"{}", None)
_GONE: Final[_Answer] = (204, b"", None)


@dataclass(frozen=True, slots=True)
class Store:
    """Where tasks are kept: the functions of `persistence.tasks` without their first parameter."""

    open: _Call
    close: _Call
    page: _Call
    create: _Call
    get: _Call
    change: _Call
    toggle: _Call
    remove: _Call


class BareApplication:
    """An ASGI application around a store, for tokens signed with `secret`."""

    def __init__(self, store: Store, secret: str) -> None:
        self._store = store
        self._secret = secret
        self._subjects: dict[bytes, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the application's life from start to end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, body, location = await self._answer(scope, receive)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if location is not None:
            headers.append((b"location", location.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._store.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        subject = self._subject(scope["headers"])
        if subject is None:
            return _UNAUTHENTICATED
        segments = scope["path"].split("/")
        if segments[2] != subject:
            return _FORBIDDEN
        try:
            return await _OPERATIONS[scope["method"], len(segments)](self._store, segments, scope, receive)
        except TaskNotFound:
            return _NOT_FOUND

    def _subject(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        for name, value in headers:
            if name == b"authorization":
                return self._subjects.get(value) or self._verified(value)
        return None

    def _verified(self, authorization: bytes) -> str | None:
        try:
            claims = jwt.decode(authorization.removeprefix(b"Bearer "), self._secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return None
        subject: str = claims["sub"]
        self._subjects[authorization] = subject
        return subject


# A path is "", "api", the user, "tasks", the task, "complete".
async def _list(store: Store, segments: list[str], scope: Scope, _receive: Receive) -> _Answer:
    query = dict(parse_qsl(scope["query_string"].decode()))
    limit = int(query.get("limit", _MOST_TASKS))
    if not 1 <= limit <= _MOST_TASKS:
        return _INVALID
    page = await store.page(segments[2], status=query.get("status", "all"), sort="created", limit=limit, cursor=None)
    return 200, _json(page.tasks), None


async def _create(store: Store, segments: list[str], scope: Scope, receive: Receive) -> _Answer:
    body = await _read(receive)
    title = body.get("title", "")
    if not _is_title(title):
        return _INVALID
    task = await store.create(
        segments[2],
        email=None,
        name=None,
        title=title,
        description=body.get("description"),
        completed=body.get("completed", False),
    )
    return 201, _json(task), f"{scope['path']}/{task['id']}"


async def _get(store: Store, segments: list[str], _scope: Scope, _receive: Receive) -> _Answer:
    return 200, _json(await store.get(segments[2], UUID(segments[4]))), None


async def _change(store: Store, segments: list[str], _scope: Scope, receive: Receive) -> _Answer:
    changes = await _read(receive)
    if "title" in changes and not _is_title(changes["title"]):
        return _INVALID
    return 200, _json(await store.change(segments[2], UUID(segments[4]), changes)), None


async def _toggle(store: Store, segments: list[str], _scope: Scope, _receive: Receive) -> _Answer:
    return 200, _json(await store.toggle(segments[2], UUID(segments[4]))), None


async def _remove(store: Store, segments: list[str], _scope: Scope, _receive: Receive) -> _Answer:
    await store.remove(segments[2], UUID(segments[4]))
    return _GONE


_OPERATIONS: Final[dict[tuple[str, int], Callable[[Store, list[str], Scope, Receive], Awaitable[_Answer]]]] = {
    ("GET", 4): _list,
    ("POST", 4): _create,
    ("GET", 5): _get,
    ("PUT", 5): _change,
    ("DELETE", 5): _remove,
    ("PATCH", 6): _toggle,
}
"""The operations by their method and the number of segments of their path."""


async def _read(receive: Receive) -> dict[str, Any]:
    message = await receive()
    content: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        content += message["body"]
    body: dict[str, Any] = orjson.loads(content)
    return body


def _is_title(title: str) -> bool:
    return bool(title.strip()) and len(title) <= _MOST_CHARACTERS


def _json(content: object) -> bytes:
    return orjson.dumps(content, option=_MOMENTS)
