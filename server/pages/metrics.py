"""The metrics, in Prometheus' text format, for those who may read them."""

import hmac

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.middleware.access_log import access_log
from server.problems import UNAUTHENTICATED, Problem
from server.request_context import current_request

_HEADERS = {"cache-control": "no-store", "content-type": CONTENT_TYPE_LATEST}
_DETAIL = "The bearer token of the setting METRICS_TOKEN is required."


class MetricsPage:
    """An ASGI application that shows a registry."""

    def __init__(self, registry: CollectorRegistry | None, token: str | None) -> None:
        """`registry` is None for that of all worker processes, and `token` None where everybody may read."""
        self._registry = registry
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the metrics. Raises `Problem` without the token (RFC 6750, section 3)."""
        if self._expected is not None:
            scheme, _, given = current_request(scope).fields.get(b"authorization", b"").partition(b" ")
            # In constant time, or the token could be guessed byte by byte.
            if not hmac.compare_digest(scheme.capitalize() + b" " + given.strip(b" "), self._expected):
                raise Problem(UNAUTHENTICATED, _DETAIL, headers={"www-authenticate": 'Bearer realm="metrics"'})
        access_log.write()
        registry = self._registry
        if registry is None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        await Response(generate_latest(registry), headers=_HEADERS)(scope, receive, send)
