"""The innermost stage: it calls the handler and writes its answer."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from connexion.middleware.abstract import RoutedAPI
from connexion.operations import AbstractOperation
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.exchange import Answer, Context
from persistence.database import Database
from server.contract import JSON
from server.exchange import exchange_of

_MOMENTS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

Handler = Callable[..., Awaitable[Answer]]
"""A function of `handlers/`: it takes a `Context` and the parameters of its operation, by name."""


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
            body = orjson.dumps(answer.body, option=_MOMENTS)
            headers += [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
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
