"""The innermost stage: it calls the handler and writes its answer."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from connexion.operations import AbstractOperation
from starlette.routing import Router

from handlers.exchange import Answer, Context
from persistence.database import Database
from server.contract import JSON
from server.exchange import Exchange, Response
from server.pipeline.stage import Operation, StageApi

_MOMENTS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_NOT_KEPT: Final = (b"cache-control", b"no-store")
_CONTENT_TYPE: Final = (b"content-type", JSON.encode())

Handler = Callable[..., Awaitable[Answer]]
"""A function of `handlers/`: it takes a `Context` and the parameters of its operation, by name."""


class _DispatchOperation:
    """Calls the handler and writes its answer."""

    def __init__(self, handler: Handler, database: Database) -> None:
        self.handler = handler
        self.database = database

    async def __call__(self, exchange: Exchange) -> Response:
        context = Context(self.database, exchange.path, exchange.principal)
        answer = await self.handler(context, **exchange.arguments)
        headers = [_NOT_KEPT]
        body = b""
        if answer.body is not None:
            body = orjson.dumps(answer.body, option=_MOMENTS)
            headers += [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
        for name, value in answer.headers.items():
            headers.append((name.encode(), value.encode()))
        return Response(answer.status, headers, body)


class DispatchApi(StageApi):
    """The innermost stage: `resolver` has found a handler for each operation."""

    def __init__(self, *args: Any, database: Database, **kwargs: Any) -> None:
        self.database = database
        # Connexion mounts it for paths without an operation, which our routing stage never lets through.
        self.router = Router()
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        """The handler, ready to be called."""
        return _DispatchOperation(operation.function, self.database)
