"""The state of a process as metrics, once a second: its connections to the database and its requests in progress."""

import asyncio
from collections import Counter
from typing import Final

from persistence.postgres.database import Database
from server.observability import exemplars, metrics
from server.request_context import RequestContext

_INTERVAL_SECONDS: Final = 1.0

in_progress: Final[dict[int, RequestContext]] = {}
"""The requests that this process is processing, by `id`."""


class ProcessState:
    """Shows the state while it is started. Counting each change instead would cost every request something."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to show the state."""
        self._tick(asyncio.get_running_loop())

    def stop(self) -> None:
        """End it."""
        if self._timer is not None:
            self._timer.cancel()

    def show(self) -> None:
        """Show the state at this moment."""
        pool = self._database.pool_state
        if pool is not None:
            metrics.show_pool(pool)
        numbers = Counter(request.operation_id or metrics.NO_OPERATION for request in in_progress.values())
        metrics.show_in_progress(numbers, seen=self._seen)
        exemplars.write()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_INTERVAL_SECONDS, self._tick, loop)
        self.show()
