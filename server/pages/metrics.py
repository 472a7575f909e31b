"""The metrics, in the format of Prometheus or of OpenMetrics, for those who may read them."""

import asyncio
import contextlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.middleware.access_log import access_log
from server.observability import exemplars
from server.observability.process_state import ProcessState
from server.problems import UNAUTHENTICATED, Problem
from server.request_context import current_request

_DETAIL = "The bearer token of the setting METRICS_TOKEN is required."


class MetricsPage:
    """An ASGI application that shows the metrics of all worker processes."""

    def __init__(self, token: str | None, state: ProcessState) -> None:
        """`token` is None where everybody may read; `state` is that of this process."""
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the metrics. Raises `Problem` without the token (RFC 6750, section 3)."""
        fields = current_request(scope).fields
        if self._expected is not None:
            scheme, _, given = fields.get(b"authorization", b"").partition(b" ")
            # In constant time, or the token could be guessed byte by byte.
            if not hmac.compare_digest(scheme.capitalize() + b" " + given.strip(b" "), self._expected):
                raise Problem(UNAUTHENTICATED, _DETAIL, headers={"www-authenticate": 'Bearer realm="metrics"'})
        access_log.write()
        self._state.show()
        encode, media_type = choose_encoder(fields.get(b"accept", b"").decode("latin-1"))
        # In a thread: thousands of series take longer than any request may hold the event loop.
        content = await asyncio.to_thread(lambda: encode(_registry()))
        headers = {"cache-control": "no-store", "content-type": media_type, "vary": "Accept"}
        await Response(content, headers=headers)(scope, receive, send)


def _registry() -> Collector:
    directory = os.environ.get(exemplars.DIRECTORY)
    if directory is None:
        return REGISTRY
    registry = CollectorRegistry()
    registry.register(_Workers(directory))
    return registry


class _Workers(Collector):
    """The metrics of all worker processes, which share a directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def collect(self) -> Iterator[Metric]:
        """The metrics. What describes a process that has ended, such as its connections, is not among them."""
        for path in Path(self._directory).glob("gauge_live*_*.db"):
            process = int(path.stem.rpartition("_")[2])
            if not psutil.pid_exists(process):
                # Another worker may be doing the same at this moment.
                with contextlib.suppress(FileNotFoundError):
                    mark_process_dead(process, self._directory)  # type: ignore[no-untyped-call]
        collected = MultiProcessCollector(None, self._directory).collect()  # type: ignore[no-untyped-call]
        yield from exemplars.with_exemplars(collected, exemplars.read(self._directory))
