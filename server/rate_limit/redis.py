"""Moving windows that all processes share, in Redis, and what happens while it is away."""

import asyncio
import contextlib
import time
from typing import Final

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter, Gauge
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from server.rate_limit.memory import Standing, standing_of

_log = structlog.get_logger()

PATIENCE: Final = 0.25
"""How many seconds a request waits for Redis, at most."""

_PAUSE: Final = 1.0
_CONNECTIONS: Final = 16
_PREFIX: Final = "tasks-api:rate-limit"
# So many that none is refused: a probe has to write.
_PROBE: Final = RateLimitItemPerSecond(1_000_000, namespace="probe")

OUTAGES: Final = Counter("rate_limit_redis_outages", "How often Redis was lost, so that each process counts by itself.")
DOWN: Final = Gauge("rate_limit_redis_down", "Whether Redis is away (1) or not (0).", multiprocess_mode="mostrecent")


class RedisWindows:
    """The windows of all limits, in Redis.

    Once Redis fails, or lets a request wait for `PATIENCE` seconds, no request asks it until it has answered again:
    meanwhile `None` says that the process has to count by itself.
    """

    def __init__(self, url: str) -> None:
        # A connection that was idle may be gone, which shows when it is used: hence the one retry. How long all of
        # that may take is said in one place, where it is asked.
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=None,
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        # The address without a host is not used, for the library is given the pool.
        storage = RedisStorage("redis://", implementation="redispy", key_prefix=_PREFIX, connection_pool=self._pool)  # type: ignore[arg-type]
        self._limiter = MovingWindowRateLimiter(storage)
        self._finding: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Find out whether Redis is there, so that no request has to. Never fails."""
        DOWN.set(0)
        await self.take(_PROBE, "")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._finding is not None:
            self._finding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._finding
        await self._pool.aclose()

    async def take(self, rate: RateLimitItem, client: str) -> Standing | None:
        """Count a request of the client, if it has one left. None while Redis is away."""
        return await self._standing(rate, client, counts=True)

    async def look(self, rate: RateLimitItem, client: str) -> Standing | None:
        """What `take` would say, without counting. None while Redis is away."""
        return await self._standing(rate, client, counts=False)

    async def _standing(self, rate: RateLimitItem, client: str, *, counts: bool) -> Standing | None:
        if self._finding is not None:
            return None
        try:
            return await self._ask(rate, client, counts=counts)
        except Exception as error:  # noqa: BLE001 - whatever it is, requests are answered without it
            self._lose(error)
            return None

    async def _ask(self, rate: RateLimitItem, client: str, *, counts: bool) -> Standing:
        async with asyncio.timeout(PATIENCE):
            granted = await self._limiter.hit(rate, client) if counts else None
            stats = await self._limiter.get_window_stats(rate, client)
        return standing_of(rate, stats, granted=granted)

    def _lose(self, error: Exception) -> None:
        """Stop asking, and say so: once, however many requests were waiting."""
        if self._finding is None:
            OUTAGES.inc()
            DOWN.set(1)
            # Only the name: a message may hold the address, and that the password.
            _log.warning("rate_limit.redis_lost", reason=type(error).__name__)
            self._finding = asyncio.create_task(self._find())

    async def _find(self) -> None:
        """Wait until Redis counts again. That it answers a PING would say less: it may refuse to write."""
        lost_at = time.monotonic()
        while True:
            await asyncio.sleep(_PAUSE)
            with contextlib.suppress(Exception):
                await self._ask(_PROBE, "", counts=True)
                break
        DOWN.set(0)
        _log.info("rate_limit.redis_found", after_seconds=round(time.monotonic() - lost_at, 1))
        self._finding = None
