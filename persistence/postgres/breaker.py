"""A circuit breaker: while the database is away, requests are refused at once, and one probe looks for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
import structlog

_log = structlog.get_logger()

_PAUSE_SECONDS = 0.1


class Breaker:
    """Open while no connection can be made. A background task then makes one attempt after the other."""

    def __init__(self, connect: Callable[[], Awaitable[None]]) -> None:
        """`connect` makes a connection usable, or raises `psycopg.OperationalError` after a second or so."""
        self._connect = connect
        self._probe: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def is_open(self) -> bool:
        """True while the database is away."""
        return self._probe is not None

    def open(self) -> None:
        """Begin to look for the database, unless that is being done already."""
        if self._probe is None and not self._ended:
            _log.warning("database.away")
            self._probe = asyncio.get_running_loop().create_task(self._look())

    async def close(self) -> None:
        """End the probe, and begin no other."""
        self._ended = True
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe})

    async def _look(self) -> None:
        start = time.monotonic()
        while True:
            try:
                await self._connect()
            except psycopg.OperationalError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                break
        self._probe = None
        _log.info("database.back", after_seconds=round(time.monotonic() - start, 1))
