"""The innermost stage: it calls the handler and writes its answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from connexion.operations import AbstractOperation
from starlette.routing import Router

from handlers.types import Answer, Context, Services
from server.auth.expiry import expiry_check
from server.contract.document import JSON, ContractError, record_array
from server.contract.parameters import IF_NONE_MATCH
from server.formats import RECORD_FORMATS
from server.formats.content_coding import described
from server.formats.entity_tags import entity_tag, is_listed
from server.formats.stream import Stream
from server.formats.strict_json import ORJSON_OPTIONS
from server.pipeline.content_negotiation import choose_media_type
from server.pipeline.stage import Operation, StageApi, unique_parameters
from server.request_context import Headers, RequestContext, Response

_VARY: Final = (b"vary", b"Authorization")
_VARY_ACCEPT: Final = (b"vary", b"Accept")
_CONTENT_TYPE: Final = (b"content-type", JSON.encode())
_REPLAYED: Final = "idempotent-replayed"
_OF_CONTENT: Final = (b"content-type", b"content-length", b"content-encoding")

Handler = Callable[..., Awaitable[Answer]]
"""A function of `handlers/`: it takes a `Context` and the parameters of its operation, by name."""


class _DispatchOperation:
    """Calls the handler and writes its answer."""

    def __init__(self, handler: Handler, services: Services, headers: Headers) -> None:
        self.handler = handler
        self.services = services
        self.headers = headers

    async def __call__(self, request: RequestContext) -> Response:
        answer = await self.handler(Context(self.services, request.path, request.user), **request.arguments)
        headers = [*self.headers, *_encoded(answer.headers)]
        request.replayed = _REPLAYED in answer.headers
        if answer.body is None:
            return Response(answer.status, headers, b"")
        body = orjson.dumps(answer.body, option=ORJSON_OPTIONS)
        headers += [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
        return Response(answer.status, headers, body)


class _StreamOperation:
    """Calls the handler, and writes the records of its answer while they are sent."""

    def __init__(self, handler: Handler, services: Services, headers: Headers, media_types: "_MediaTypes") -> None:
        self.handler = handler
        self.services = services
        self.headers = headers
        self.media_types = media_types

    async def __call__(self, request: RequestContext) -> Response:
        media_type = self._choose(request)
        answer = await self.handler(Context(self.services, request.path, request.user), **request.arguments)
        stream = Stream(answer.body, RECORD_FORMATS[media_type], self.media_types.names)
        if request.user is not None:
            stream.add_check(expiry_check(request.user))
        headers = [*self.headers, _VARY_ACCEPT, *_encoded(answer.headers), (b"content-type", media_type.encode())]
        return Response(answer.status, headers, stream)

    def _choose(self, request: RequestContext) -> str:
        """The media type that the parameter chooses, or without it `Accept`. Raises `Problem` (406)."""
        parameter, by_value, _ = self.media_types
        given = request.arguments[parameter]
        if given is not None:
            return by_value[given]
        media_type = choose_media_type(request.fields.get(b"accept"), list(by_value.values()))
        request.arguments[parameter] = next(value for value, of_value in by_value.items() if of_value == media_type)
        return media_type


def _encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class _ConditionalOperation:
    """Answers a read with its entity tag, and with 304 whoever has that already (RFC 9110, section 13.1.2)."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    async def __call__(self, request: RequestContext) -> Response:
        response = await self.operation(request)
        if isinstance(response.body, Stream):
            raise TypeError("a stream has no entity tag")
        tag = dict(response.headers).get(b"etag")
        if tag is None:
            # Of where the list goes on, too.
            tag = entity_tag(response.body, dict(response.headers).get(b"link", b""))
            response.headers.append((b"etag", tag))
        known = request.fields.get(b"if-none-match")
        if known is None:
            return response
        headers = described(response.headers, response.body, request.fields)
        if not is_listed(dict(headers)[b"etag"], known):
            return response
        return Response(304, [field for field in headers if field[0] not in _OF_CONTENT], b"")


class DispatchApi(StageApi):
    """The innermost stage: `resolver` has found a handler for each operation."""

    def __init__(self, *args: Any, services: Services, **kwargs: Any) -> None:
        self.services = services
        # Connexion mounts it for paths without an operation, which our routing stage never lets through.
        self.router = Router()
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """The handler, ready to be called."""
        headers = _cache_headers(operation)
        try:
            media_types = _media_types(operation)
        except ContractError as error:
            message = f"{operation.operation_id}: {error}"
            raise ContractError(message) from error
        if media_types is not None:
            return _StreamOperation(operation.function, self.services, headers, media_types)
        dispatch = _DispatchOperation(operation.function, self.services, headers)
        if any(parameter["name"] == IF_NONE_MATCH for parameter in unique_parameters(operation)):
            return _ConditionalOperation(dispatch)
        return dispatch


def _cache_headers(operation: AbstractOperation) -> Headers:
    """The header fields for caches: the only value that the document allows for `Cache-Control`, or `no-store`.

    What a cache may store depends on the token (RFC 9111, section 4.1). Raises `ContractError` for several values.
    """
    described = (response.get("headers", {}) for status, response in operation.responses.items() if status < "4")
    values = {
        value
        for headers in described
        if "Cache-Control" in headers
        for value in headers["Cache-Control"]["schema"].get("enum", ("",))
    } or {"no-store"}
    if len(values) > 1 or "" in values:
        raise ContractError(f"{operation.operation_id}: Cache-Control must have an enum of one value")
    (value,) = values
    field = (b"cache-control", value.encode())
    return [field] if value == "no-store" else [field, _VARY]


class _MediaTypes(NamedTuple):
    """The media types of a response of records, of which a parameter of the query chooses one (`x-media-types`)."""

    parameter: str
    by_value: Mapping[str, str]
    """The media types by the value of the parameter, the preferred one first."""
    names: Sequence[str]
    """The names of the members of a record."""


def _media_types(operation: AbstractOperation) -> _MediaTypes | None:
    """The media types of an operation with `x-media-types`; None for another operation, whose response is JSON.

    Raises `ContractError` unless these are the media types of the response and the values of the parameter.
    """
    content = {
        media_type: media
        for status, response in operation.responses.items()
        if status < "4"
        for media_type, media in response.get("content", {}).items()
        if media_type in RECORD_FORMATS
    }
    array = record_array(content)
    by_value: dict[str, str] = {}
    chooser = ""
    for parameter in unique_parameters(operation):
        if parameter["in"] == "query" and (media_types := parameter["schema"].get("x-media-types")):
            chooser, by_value = parameter["name"], media_types
            if by_value.keys() != set(parameter["schema"].get("enum", ())):
                raise ContractError("x-media-types must name the values of enum")
    if set(by_value.values()) != (set() if array is None else content.keys()):
        raise ContractError("x-media-types must name the media types of the response")
    return None if array is None else _MediaTypes(chooser, by_value, list(array["items"]["properties"]))
