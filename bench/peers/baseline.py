"""A bare ASGI application: the least work of a Python server, on a given task store.

A token is verified once and cached without a limit. Requests and responses are not validated, except for titles and the
limit of a list, without which the conformance check would fail.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import jwt
import orjson
from starlette.types import Receive, Scope, Send

from persistence.errors import TaskNotFound

_MAX_TITLE = 200
_MAX_LIMIT = 1000
_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

Store = Mapping[str, Callable[..., Awaitable[Any]]]
"""`page(user_id, query)`, `create(user_id, body)`, `get(user_id, task_id)`, `change(user_id, task_id, body)`,
`toggle(user_id, task_id)`, `remove(user_id, task_id)`, `open()` and `close()`."""

# By method and number of segments after /api/{user_id}/tasks: the store's function, and the status of a success.
_OPERATIONS: Final = {
    ("GET", 0): ("page", 200),
    ("POST", 0): ("create", 201),
    ("GET", 1): ("get", 200),
    ("PUT", 1): ("change", 200),
    ("DELETE", 1): ("remove", 204),
    ("PATCH", 2): ("toggle", 200),
}


class BaselineApplication:
    """An ASGI application on a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._secret = os.environ["BETTER_AUTH_SECRET"]
        self._subjects: dict[bytes, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the application."""
        if scope["type"] == "lifespan":
            for function, event in (("open", "startup"), ("close", "shutdown")):
                await receive()
                await self._store[function]()
                await send({"type": f"lifespan.{event}.complete"})
            return
        status, content = await self._respond(scope, receive)
        body = b"" if content is None else orjson.dumps(content, option=_OPTIONS)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if status == 201:  # noqa: PLR2004  Created
            headers.append((b"location", f"{scope['path']}/{content['id']}".encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _respond(self, scope: Scope, receive: Receive) -> tuple[int, Any]:
        """The status and the content of the response."""
        subject = next((self._subject(value) for name, value in scope["headers"] if name == b"authorization"), None)
        _, _, user, _, *segments = scope["path"].split("/")
        if subject != user:
            return 403 if subject else 401, {}
        function, status = _OPERATIONS[scope["method"], len(segments)]
        arguments: list[Any] = [user, *segments[:1]]
        if function == "page":
            arguments.append({"limit": _MAX_LIMIT, **dict(parse_qsl(scope["query_string"].decode()))})
            if not 1 <= int(arguments[-1]["limit"]) <= _MAX_LIMIT:
                return 422, {}
        elif function in ("create", "change"):
            arguments.append(orjson.loads(await _read(receive)))
            title = arguments[-1].get("title", None if function == "change" else "")
            if title is not None and not (title.strip() and len(title) <= _MAX_TITLE):
                return 422, {}
        try:
            return status, await self._store[function](*arguments)
        except TaskNotFound:
            return 404, {}

    def _subject(self, authorization: bytes) -> str | None:
        subject = self._subjects.get(authorization)
        if subject is None:
            try:
                claims = jwt.decode(authorization.removeprefix(b"Bearer "), self._secret, algorithms=["HS256"])
            except jwt.InvalidTokenError:
                return None
            self._subjects[authorization] = subject = claims["sub"]
        return subject


async def _read(receive: Receive) -> bytes:
    message = await receive()
    content: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        content += message["body"]
    return content
