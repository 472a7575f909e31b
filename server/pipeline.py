"""Connexion's stages, each compiled once at start: routing, security, validation of both directions, dispatch.

Each stage is a middleware of Connexion's with an `api_cls` of ours: Connexion reads the document and calls
`make_operation` once for every operation, and what comes out of that is all that runs for a request.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson
import structlog
from connexion.middleware.abstract import ROUTING_CONTEXT, RoutedAPI, RoutedMiddleware, SpecMiddleware
from connexion.operations import AbstractOperation
from connexion.spec import Specification
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from handlers.exchange import Answer, Context
from handlers.security import InvalidToken, TokenVerifier
from persistence.database import Database
from server.contract import (
    ContractError,
    Parameter,
    Validator,
    body_defaults,
    compile_parameter,
    compile_path,
    operations,
    shown,
    token_claim,
)
from server.exchange import Exchange, exchange_of
from server.guard import parse_json
from server.problems import (
    FORBIDDEN,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    Violation,
    validation_failed,
)

_log = structlog.get_logger()

_JSON: Final = "application/json"

Handler = Callable[..., Awaitable[Answer]]


# Routing


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


# Security


class _SecurityOperation:
    """Verifies the bearer token, and that the path names the user whom it names. No query is made."""

    def __init__(self, next_app: ASGIApp, verifier: TokenVerifier, owners: Sequence[str]) -> None:
        self.next_app = next_app
        self.verifier = verifier
        self.owners = owners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        principal = await self.verifier.verify(_bearer_token(scope["headers"]))
        exchange.principal = principal
        for owner in self.owners:
            named = exchange.path_parameters[owner]
            if named != principal.subject:
                _log.warning(
                    "security.path_user_mismatch",
                    request_id=exchange.request_id,
                    operation=exchange.operation_id,
                    user=principal.subject,
                    path_user=named[:255],
                )
                raise Problem(FORBIDDEN)
        await self.next_app(scope, receive, send)


def _bearer_token(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of the only `Authorization` header (RFC 6750, section 2.1). Raises `InvalidToken`."""
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise InvalidToken("no Authorization header" if not values else "several Authorization headers")
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise InvalidToken("not a bearer token")
    return token.strip(b" ").decode("latin-1")


class _SecurityApi(RoutedAPI):
    def __init__(self, *args: Any, verifier: TokenVerifier, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verifier = verifier
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        owners = [parameter["name"] for parameter in operation.parameters if token_claim(parameter)]
        if not operation.security:
            if owners:
                raise ContractError(f"{operation.operation_id} is public, so it has no token to compare {owners} with")
            return self.next_app  # type: ignore[no-any-return]
        if operation.security != [{"bearerAuth": []}]:
            raise ContractError(f"{operation.operation_id} asks for a security that is not enforced")
        return _SecurityOperation(self.next_app, self.verifier, owners)


class SecurityMiddleware(RoutedMiddleware[_SecurityApi]):
    """The security requirements of the document."""

    api_cls = _SecurityApi


# Request validation


@dataclass(frozen=True, slots=True)
class _Body:
    """A JSON request body, compiled."""

    validator: Validator
    required: bool
    defaults: Mapping[str, Any]

    async def read(self, scope: Scope, receive: Receive, violations: list[Violation]) -> Any:
        """The value for the handler. Raises `Problem` where there is no JSON to validate (400, 413, 415)."""
        if not _is_json(scope["headers"]):
            raise Problem(UNSUPPORTED_MEDIA_TYPE)
        value = parse_json(await _content(receive))
        violations += self.validator.violations(value, "pointer")
        if self.defaults and isinstance(value, dict):
            return {**self.defaults, **value}
        return value


class _ValidationOperation:
    """Checks a request and puts the handler's arguments together. All violations are told at once."""

    def __init__(
        self, next_app: ASGIApp, parameters: Sequence[Parameter], body: _Body | None, produces: str | None
    ) -> None:
        self.next_app = next_app
        self.path = [parameter for parameter in parameters if parameter.place == "path"]
        self.query = {parameter.name: parameter for parameter in parameters if parameter.place == "query"}
        self.absent = {parameter.name: parameter.default for parameter in self.query.values()}
        self.query_required = any(parameter.required for parameter in self.query.values())
        self.body = body
        self.produces = produces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        if self.produces is not None:
            _check_accept(scope["headers"], self.produces)
        violations: list[Violation] = []
        arguments = {
            parameter.name: parameter.read(exchange.path_parameters[parameter.name], violations)
            for parameter in self.path
        }
        query_string = scope["query_string"]
        if query_string or self.query_required:
            arguments |= self._read_query(query_string, violations)
        else:
            arguments |= self.absent
        if self.body is not None:
            arguments["body"] = await self.body.read(scope, receive, violations)
        if violations:
            raise validation_failed(violations)
        exchange.arguments = arguments
        await self.next_app(scope, receive, send)

    def _read_query(self, query_string: bytes, violations: list[Violation]) -> dict[str, Any]:
        given: dict[str, str] = {}
        for name, value in _query_pairs(query_string):
            if name not in self.query:
                violations.append(Violation("parameter", shown(name), "is not a parameter that the contract knows"))
            elif name in given:
                violations.append(Violation("parameter", name, "must be given once only"))
            given[name] = value
        return {name: parameter.read(given.get(name), violations) for name, parameter in self.query.items()}


def _query_pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise Problem(MALFORMED_REQUEST, "The query is not UTF-8 when decoded, or has too many fields.") from None


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The value of a header field; a repeated one is a list (RFC 9110, section 5.3)."""
    values = [value for key, value in headers if key == name]
    return b", ".join(values).decode("latin-1") if values else None


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the content is `application/json`, without or in the charset UTF-8, and not encoded."""
    content_type = _header(headers, b"content-type")
    if content_type != _JSON:
        media_type, options = parse_options_header(content_type)
        charset = options.pop("charset", "utf-8")
        if media_type.lower() != _JSON or options or charset.lower() != "utf-8":
            return False
    return _header(headers, b"content-encoding") in (None, "identity")


def _check_accept(headers: list[tuple[bytes, bytes]], produces: str) -> None:
    accept = _header(headers, b"accept")
    if not accept or accept in ("*/*", produces):
        return
    # JSON has no parameters that could make a difference (RFC 8259, section 11), but clients ask for a charset.
    ranges = parse_accept_header(_PARAMETERS_OF_JSON.sub(r"\1", accept), MIMEAccept)
    if ranges.quality(produces) <= 0:
        raise Problem(NOT_ACCEPTABLE)


_PARAMETERS_OF_JSON: Final = re.compile(r"(application/json)(?:\s*;\s*(?!q=)[^;,\s]+)+", re.IGNORECASE)


async def _content(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        _stop_if_gone(message)
        body: bytes = message.get("body", b"")
        return body
    chunks = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        _stop_if_gone(message)
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


def _stop_if_gone(message: Message) -> None:
    if message["type"] == "http.disconnect":
        raise Problem(MALFORMED_REQUEST, "The body ended early.")


class _ValidationApi(RoutedAPI):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        try:
            parameters = [compile_parameter(item) for item in operation.parameters if not token_claim(item)]
            return _ValidationOperation(self.next_app, parameters, _compile_body(operation), _produces(operation))
        except ContractError as error:
            message = f"{operation.operation_id}: {error}"
            raise ContractError(message) from error


def _compile_body(operation: AbstractOperation) -> _Body | None:
    body = operation.request_body
    if not body:
        return None
    if list(body["content"]) != [_JSON] or not body.get("required"):
        raise ContractError("the request body is not enforced: it must be required JSON")
    schema = body["content"][_JSON]["schema"]
    return _Body(Validator(schema), body["required"], body_defaults(schema))


def _produces(operation: AbstractOperation) -> str | None:
    """The media type of a success, where it has content."""
    types = {
        media_type
        for status, item in operation.responses.items()
        if status < "3"
        for media_type in item.get("content", ())
    }
    if types - {_JSON}:
        raise ContractError(f"a success is not {_JSON}")
    return _JSON if types else None


class RequestValidationMiddleware(RoutedMiddleware[_ValidationApi]):
    """What the document says of requests."""

    api_cls = _ValidationApi


# Response validation


class ResponseError(Exception):
    """A handler's answer breaks the contract, so it is kept back. The message names the place, not the value."""


@dataclass(frozen=True, slots=True)
class _Success:
    """A response of the document, compiled."""

    validator: Validator | None
    required_headers: frozenset[bytes]
    headers: Mapping[bytes, Validator]

    def check(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Raise `ResponseError` where the answer is not what the document says."""
        present = dict(headers)
        if missing := self.required_headers - present.keys():
            _refuse(f"the headers {sorted(missing)} are missing")
        for name, validator in self.headers.items():
            if name in present and not validator.is_valid(present[name].decode("latin-1")):
                _refuse(f"the header {name.decode()} is not as described")
        if self.validator is None:
            if body:
                _refuse("there is a body")
        elif found := self.validator.violations(orjson.loads(body), "pointer"):
            _refuse("; ".join(f"{violation.where} {violation.detail}" for violation in found[:3]))


def _refuse(reason: str) -> NoReturn:
    raise ResponseError(reason)


class _ResponseOperation:
    """Holds an answer back until it has been checked. Problems do not come by here: `problems` makes them."""

    def __init__(self, next_app: ASGIApp, operation_id: str, successes: Mapping[int, _Success]) -> None:
        self.next_app = next_app
        self.operation_id = operation_id
        self.successes = successes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}

        async def checked_send(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            self._check(start, message["body"])
            await send(start)
            await send(message)

        await self.next_app(scope, receive, checked_send)

    def _check(self, start: Message, body: bytes) -> None:
        try:
            success = self.successes.get(start["status"])
            if success is None:
                _refuse(f"the status {start['status']} is not described")
            success.check(start["headers"], body)
        except ResponseError as error:
            _log.error("contract.response_violation", operation=self.operation_id, reason=str(error))
            raise


class _ResponseApi(RoutedAPI):
    def __init__(self, *args: Any, validate_responses: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.validate_responses = validate_responses
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        if not self.validate_responses:
            return self.next_app  # type: ignore[no-any-return]
        successes = {
            int(status): _compile_success(item) for status, item in operation.responses.items() if status < "3"
        }
        return _ResponseOperation(self.next_app, operation.operation_id, successes)


def _compile_success(response: Mapping[str, Any]) -> _Success:
    content = response.get("content")
    headers = {name.lower().encode(): header for name, header in response.get("headers", {}).items()}
    return _Success(
        Validator(content[_JSON]["schema"]) if content else None,
        frozenset(name for name, header in headers.items() if header.get("required")),
        {name: Validator(header["schema"]) for name, header in headers.items() if header["schema"]["type"] == "string"},
    )


class ResponseValidationMiddleware(RoutedMiddleware[_ResponseApi]):
    """What the document says of successes."""

    api_cls = _ResponseApi


# Dispatch


class _DispatchOperation:
    """Calls the handler and writes its answer."""

    def __init__(self, handler: Handler, database: Database) -> None:
        self.handler = handler
        self.database = database

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        context = Context(self.database, exchange.path, exchange.principal)
        answer = await self.handler(context, **exchange.arguments)
        headers = [(b"cache-control", b"no-store")]
        headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        body = b""
        if answer.body is not None:
            body = orjson.dumps(answer.body, option=orjson.OPT_UTC_Z)
            headers += [(b"content-type", _JSON.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class DispatchApi(RoutedAPI):
    """The innermost stage: `resolver` has found a handler for each operation."""

    def __init__(self, *args: Any, database: Database, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.database = database
        # Connexion mounts it for paths without an operation, which our routing stage never lets through.
        self.router = Router()
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        """The handler, ready to be called."""
        return _DispatchOperation(operation.function, self.database)
