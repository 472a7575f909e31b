"""Cross-origin requests: Starlette's decisions, on answers of every kind."""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.request_context import exchange_of

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "X-Request-ID",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
)
_EXPOSED_HEADERS: Final = (
    "ETag",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)


class CrossOriginMiddleware(CORSMiddleware):
    """Stands outside of `problems`, so that a page may read why its request failed.

    A preflight is answered by the routing stage like any OPTIONS, with 204 and `Allow`, and gets here the headers
    that permit the request; without them a browser refuses it, which is all that a refusal takes.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call on, with the headers of the Fetch standard added to the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        if b"origin" not in exchange.fields:
            # A cache must not give this answer to a page: it lacks the headers that the page's origin would get.
            exchange.answer_headers.append((b"vary", b"Origin"))
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await self.app(scope, receive, self._preflight_send(headers, send))
        else:
            await self.simple_response(scope, receive, send, request_headers=headers)

    def _preflight_send(self, request_headers: Headers, send: Send) -> Send:
        decision = self.preflight_response(request_headers)
        allowed = decision.status_code == 200  # noqa: PLR2004  Starlette's yes; its no is a 400

        async def preflight_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in decision.headers.items():
                    if name == "vary" or (allowed and name.startswith("access-control-")):
                        headers[name] = value
            await send(message)

        return preflight_send
