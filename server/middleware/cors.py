"""Cross-origin requests: Starlette's decisions, on answers of every kind."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.contract.fields import methods, request_fields, response_fields
from server.request_context import current_request

_REQUEST_ID: Final = "X-Request-ID"
"""A header field that every request may have, and that the document names for the responses only."""

IGNORED_FIELDS: Final = (
    # Added to each request of a page by tracing (W3C Trace Context and Baggage, Sentry) and by libraries such as axios.
    *("traceparent", "tracestate", "baggage", "sentry-trace", "X-Requested-With"),
    # Fields that a page may set although no operation honours them (RFC 7240; RFC 9111; RFC 9110, section 13.1.3).
    *("Prefer", "Cache-Control", "If-Modified-Since"),
)
"""Header fields that a request may have without an effect on its response."""


def as_browsers_write(origin: str) -> str:
    """An origin in lower case, without the default port of its scheme (RFC 6454, section 6.1)."""
    scheme, separator, host = origin.lower().rstrip("/").partition("://")
    return f"{scheme}{separator}{host.removesuffix(':80' if scheme == 'http' else ':443')}"


class CrossOriginMiddleware(CORSMiddleware):
    """Encloses the middleware for errors, so that a page can read why its request failed.

    A preflight is answered by the routing stage like any OPTIONS, with 204 and `Allow`, and gets here the headers
    that permit the request; without them a browser refuses it, which is all that a refusal takes.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...], document: Mapping[str, Any]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=methods(document),
            allow_headers=[*request_fields(document), _REQUEST_ID, *IGNORED_FIELDS],
            expose_headers=response_fields(document),
            # Pages may send cookies, which the service does not read. Browsers do not accept that with any origin.
            allow_credentials="*" not in origins,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and add the header fields of the Fetch standard to the response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = current_request(scope)
        if b"origin" not in request.fields:
            # A cache must not use this response for a page: it lacks the header fields for the page's origin.
            request.response_headers.append((b"vary", b"Origin"))
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await self.app(scope, receive, self._preflight_send(headers, send))
        else:
            await self.simple_response(scope, receive, send, request_headers=headers)

    def _preflight_send(self, request_headers: Headers, send: Send) -> Send:
        decision = self.preflight_response(request_headers)
        allowed = decision.status_code == 200  # noqa: PLR2004  Starlette answers 400 to a refused preflight

        async def preflight_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in decision.headers.items():
                    if name == "vary" or (allowed and name.startswith("access-control-")):
                        headers[name] = value
            await send(message)

        return preflight_send
