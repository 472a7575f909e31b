"""The stage that finds the operation for a method and a path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
from connexion.spec import Specification
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.contract import (
    compile_path,
    operations,
)
from server.exchange import Exchange, exchange_of
from server.problems import (
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    Problem,
)


@dataclass(frozen=True, slots=True)
class _Resource:
    """What can be done at one path."""

    operations: Mapping[str, str]
    """Method to operation id; HEAD stands beside every GET."""
    allow: str
    """The value of the `Allow` header field (RFC 9110, section 10.2.1)."""
    page: ASGIApp | None = None
    """What answers a path that is not in the document."""


def _resource(operation_ids: Mapping[str, str], page: ASGIApp | None = None) -> _Resource:
    methods = dict(operation_ids)
    if "GET" in methods:
        methods["HEAD"] = methods["GET"]
    return _Resource(methods, ", ".join(sorted({*methods, "OPTIONS"})), page)


class RoutingMiddleware(SpecMiddleware):
    """Finds the operation for a method and a path, and answers OPTIONS itself.

    `pages` are the paths outside the contract, which answer GET and HEAD only. A trailing slash makes another path.
    """

    def __init__(self, app: ASGIApp, *, pages: Mapping[str, ASGIApp]) -> None:
        self.app = app
        self._exact = {path.encode(): _resource({"GET": "page"}, page) for path, page in pages.items()}
        self._templates: list[tuple[re.Pattern[bytes], _Resource]] = []

    def add_api(self, specification: Specification, **_: Any) -> None:
        """Compile the paths. Those without a parameter are looked at first (OpenAPI 3.0.3, section 4.7.8)."""
        ids: dict[str, dict[str, str]] = {}
        for path, method, operation in operations(specification):
            ids.setdefault(path, {})[method.upper()] = operation["operationId"]
        for path, methods in ids.items():
            if "{" in path:
                self._templates.append((compile_path(path), _resource(methods)))
            else:
                self._exact[path.encode()] = _resource(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call on with the operation's id, or raise `Problem` for 404 and 405."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        resource = self._find(scope, exchange)
        method = scope["method"]
        operation_id = resource.operations.get(method)
        if operation_id is None:
            if method == "OPTIONS":
                await _send_options(resource.allow, send)
                return
            raise Problem(METHOD_NOT_ALLOWED, headers={"allow": resource.allow})
        if method == "HEAD":
            send = _without_body(send)
        if resource.page is not None:
            await resource.page({**scope, "method": "GET"}, receive, send)
            return
        exchange.operation_id = operation_id
        scope["extensions"] = {
            **scope.get("extensions", {}),
            ROUTING_CONTEXT: {"api_base_path": "", "operation_id": operation_id},
        }
        await self.app(scope, receive, send)

    def _find(self, scope: Scope, exchange: Exchange) -> _Resource:
        path: bytes = scope["raw_path"]
        resource = self._exact.get(path)
        if resource is not None:
            return resource
        for pattern, resource in self._templates:
            if match := pattern.fullmatch(path):
                exchange.path_parameters = {name: _decoded(part) for name, part in match.groupdict().items()}
                return resource
        raise Problem(NOT_FOUND)


def _decoded(segment: bytes) -> str:
    """A path segment with its percent-encoding undone. An encoded slash is part of the value, not of the path."""
    try:
        return (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise Problem(MALFORMED_REQUEST, "The path is not UTF-8 when decoded.") from None


async def _send_options(allow: str, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allow.encode())]})
    await send({"type": "http.response.body"})


def _without_body(send: Send) -> Send:
    """HEAD: the answer to a GET without its content, the header fields unchanged (RFC 9110, section 9.3.2)."""

    async def head_send(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return head_send
