"""The stage that finds the operation for a method and a path."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from connexion.middleware.abstract import SpecMiddleware
from connexion.spec import Specification
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.contract.document import compile_path, operations
from server.contract.fields import accept_patch
from server.middleware.security_headers import permit_page
from server.pipeline.sending import Sender, in_pieces
from server.pipeline.stage import Operation, find_operation
from server.problems import MALFORMED_REQUEST, METHOD_NOT_ALLOWED, NOT_FOUND, Problem
from server.rate_limit.policies import RateLimits
from server.request_context import RequestContext, Response, current_request


@dataclass(frozen=True, slots=True)
class _Resource:
    """The operations of a path."""

    operations: Mapping[str, tuple[str, Operation]]
    """Method to the operation's id and the operation; HEAD stands beside every GET."""
    allow: str
    """The value of the `Allow` header field (RFC 9110, section 10.2.1)."""
    page: ASGIApp | None = None
    """The application of a path that is not in the document."""
    accept_patch: str | None = None
    """The value of `Accept-Patch` (RFC 5789, section 3.1), if there is a PATCH with a body."""


def _resource(operations: Mapping[str, tuple[str, Operation]], accept_patch: str | None) -> _Resource:
    methods = dict(operations)
    if "GET" in methods:
        methods["HEAD"] = methods["GET"]
    return _Resource(methods, ", ".join(sorted({*methods, "OPTIONS"})), accept_patch=accept_patch)


def _answer_options(resource: _Resource) -> Response:
    headers = [(b"allow", resource.allow.encode())]
    if resource.accept_patch is not None:
        headers.append((b"accept-patch", resource.accept_patch.encode()))
    return Response(204, headers, b"")


class RoutingMiddleware(SpecMiddleware):
    """Finds the operation for a method and a path, and answers OPTIONS itself.

    `pages` are the paths outside the contract, which answer GET and HEAD only; Hugging Face may frame them
    `in_space`. A trailing slash makes another path.
    Whatever is not an operation counts for the client's address, except OPTIONS: an answer of 429 would take as much
    work, and browsers ask before they call.
    """

    def __init__(self, app: ASGIApp, *, pages: Mapping[str, ASGIApp], limits: RateLimits, in_space: bool) -> None:
        self.app = app
        self.limits = limits
        self._in_space = in_space
        self._sender = Sender()
        self._exact = {path.encode(): _Resource({}, "GET, HEAD, OPTIONS", page) for path, page in pages.items()}
        self._templates: defaultdict[int, list[tuple[re.Pattern[bytes], _Resource]]] = defaultdict(list)
        """By the number of slashes, which no parameter adds to."""

    def add_api(self, specification: Specification, **_: Any) -> None:
        """Compile the paths. Those without a parameter are looked at first (OpenAPI 3.0.3, section 4.7.8)."""
        resources: dict[str, dict[str, tuple[str, Operation]]] = {}
        patches: dict[str, str | None] = {}
        for path, method, item in operations(specification):
            operation_id = item["operationId"]
            if method == "patch":
                patches[path] = accept_patch(specification, item)
            resources.setdefault(path, {})[method.upper()] = (operation_id, find_operation(self.app, operation_id))
        # The service itself, which OPTIONS can ask about (RFC 9110, section 9.3.7).
        every_method = {method for methods in resources.values() for method in methods} | {"HEAD", "OPTIONS"}
        self._exact[b"*"] = _Resource({}, ", ".join(sorted(every_method)))
        for path, methods in resources.items():
            if "{" in path:
                self._templates[path.count("/")].append((compile_path(path), _resource(methods, patches.get(path))))
            else:
                self._exact[path.encode()] = _resource(methods, patches.get(path))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the operation and send its response, or raise `Problem` for 404 and 405."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = current_request(scope)
        method = scope["method"]
        resource = self._find(scope, request)
        if resource is None:
            await self.limits.count_anonymous(request)
            raise Problem(NOT_FOUND)
        found = resource.operations.get(method)
        if found is not None:
            request.operation_id, operation = found
            await self._sender.send(await operation(request), request, send)
        elif method == "OPTIONS":
            await self._sender.send(_answer_options(resource), request, send)
        elif resource.page is not None and method in ("GET", "HEAD"):
            await self.limits.count_anonymous(request)
            permit_page(request.response_headers, in_space=self._in_space)
            await resource.page(
                {**scope, "method": "GET"}, receive, in_pieces(send) if method == "GET" else _without_body(send)
            )
        else:
            await self.limits.count_anonymous(request)
            raise Problem(METHOD_NOT_ALLOWED, headers={"allow": resource.allow})

    def _find(self, scope: Scope, request: RequestContext) -> _Resource | None:
        path: bytes = scope["raw_path"]
        resource = self._exact.get(path)
        if resource is not None:
            return resource
        for pattern, resource in self._templates.get(path.count(b"/"), ()):
            if match := pattern.fullmatch(path):
                request.path_parameters = {name: _decoded(part) for name, part in match.groupdict().items()}
                return resource
        return None


def _decoded(segment: bytes) -> str:
    """A path segment with its percent-encoding undone. An encoded slash is part of the value, not of the path."""
    try:
        return (unquote_to_bytes(segment) if b"%" in segment else segment).decode()
    except UnicodeDecodeError:
        raise Problem(MALFORMED_REQUEST, "The decoded path is not valid UTF-8.") from None


def _without_body(send: Send) -> Send:
    """The same for a page."""

    async def head_send(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return head_send
