"""The innermost stage: it calls the handler and writes its answer."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from connexion.operations import AbstractOperation
from starlette.routing import Router

from handlers.types import Answer, Context, Rows, Services
from server.auth.expiry import until_expiry
from server.contract.document import JSON, ContractError
from server.contract.parameters import IF_NONE_MATCH
from server.formats.tabular import FORMATS
from server.pipeline.content_negotiation import check_accept
from server.pipeline.stage import Operation, StageApi, unique_parameters
from server.request_context import ORJSON_OPTIONS, RequestContext, Response, Stream

_NOT_KEPT: Final = (b"cache-control", b"no-store")
_CONTENT_TYPE: Final = (b"content-type", JSON.encode())
_OF_CONTENT: Final = (b"content-type", b"content-length")
_OPAQUE_TAG: Final = re.compile(rb'"[^"]*"')

Handler = Callable[..., Awaitable[Answer]]
"""A function of `handlers/`: it takes a `Context` and the parameters of its operation, by name."""


class _DispatchOperation:
    """Calls the handler and writes its answer."""

    def __init__(self, handler: Handler, services: Services, records: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        self.handler = handler
        self.services = services
        self.records = records

    async def __call__(self, request: RequestContext) -> Response:
        answer = await self.handler(Context(self.services, request.path, request.user), **request.arguments)
        headers = [_NOT_KEPT]
        for name, value in answer.headers.items():
            headers.append((name.encode(), value.encode()))
        body: bytes | Stream = b""
        if isinstance(answer.body, Rows):
            media_type, names = self.records[answer.body.format]
            # Which of the operation's types it is depends on its parameters.
            check_accept(request.fields.get(b"accept"), media_type)
            headers.append((b"content-type", media_type.encode()))
            write = FORMATS[media_type].write(names)
            body = Stream(answer.body.pages, until_expiry(write, request.user))
        elif answer.body is not None:
            body = orjson.dumps(answer.body, option=ORJSON_OPTIONS)
            headers += [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
        return Response(answer.status, headers, body)


class _ConditionalOperation:
    """Answers a read with its entity tag, and with 304 whoever has that already (RFC 9110, section 13.1.2)."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    async def __call__(self, request: RequestContext) -> Response:
        response = await self.operation(request)
        tag = dict(response.headers).get(b"etag")
        if tag is None:
            tag = _entity_tag(response)
            response.headers.append((b"etag", tag))
        known = request.fields.get(b"if-none-match")
        if known is None or not _matches(known, tag):
            return response
        return Response(304, [field for field in response.headers if field[0] not in _OF_CONTENT], b"")


def _entity_tag(response: Response) -> bytes:
    """A strong entity tag of the content, and of where it goes on."""
    if isinstance(response.body, Stream):
        raise TypeError("a stream has no entity tag")
    digest = hashlib.blake2b(response.body, digest_size=15)
    digest.update(dict(response.headers).get(b"link", b""))
    return b'"%s"' % base64.urlsafe_b64encode(digest.digest())


def _matches(known: bytes, tag: bytes) -> bool:
    """The comparison is weak: a `W/` makes no difference."""
    return known in (tag, b"*") or tag in _OPAQUE_TAG.findall(known)


class DispatchApi(StageApi):
    """The innermost stage: `resolver` has found a handler for each operation."""

    def __init__(self, *args: Any, services: Services, **kwargs: Any) -> None:
        self.services = services
        # Connexion mounts it for paths without an operation, which our routing stage never lets through.
        self.router = Router()
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """The handler, ready to be called."""
        dispatch = _DispatchOperation(operation.function, self.services, _records(operation))
        if any(parameter["name"] == IF_NONE_MATCH for parameter in unique_parameters(operation)):
            return _ConditionalOperation(dispatch)
        return dispatch


def _records(operation: AbstractOperation) -> dict[str, tuple[str, list[str]]]:
    """Media type and member names of the records of a response, by the value of the parameter with `x-media-types`.

    Raises `ContractError` unless these are the media types of the response and the values of the parameter.
    """
    members = {
        media_type: list(media["schema"]["items"]["properties"])
        for response in operation.responses.values()
        for media_type, media in response.get("content", {}).items()
        if media_type in FORMATS
    }
    schemas = [parameter["schema"] for parameter in unique_parameters(operation)]
    chosen: dict[str, str] = {}
    for schema in schemas:
        media_types = schema.get("x-media-types", {})
        if media_types and media_types.keys() != set(schema.get("enum", ())):
            raise ContractError(f"{operation.operation_id}: x-media-types must name the values of enum")
        chosen |= media_types
    if set(chosen.values()) != members.keys():
        raise ContractError(f"{operation.operation_id}: x-media-types must name the media types of the response")
    return {value: (media_type, members[media_type]) for value, media_type in chosen.items()}
