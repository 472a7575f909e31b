"""Counting in Redis for all processes, and the fallback while Redis is unavailable."""

import asyncio
import contextlib
import math
import time
from typing import Final

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond, WindowStats
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter, Gauge
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from server.rate_limit.memory import Quota

_log = structlog.get_logger()

TIMEOUT_SECONDS: Final = 0.25
"""The maximum time that a request waits for Redis."""

_CHECK_INTERVAL_SECONDS: Final = 1.0
_CONNECTIONS: Final = 16
_PREFIX: Final = "tasks-api:rate-limit"
# A limit that is never reached: a health check has to write.
_PROBE: Final = RateLimitItemPerSecond(1_000_000, namespace="probe")

OUTAGES: Final = Counter(
    "rate_limit_redis_outages", "Times that Redis became unavailable, so that each process counts separately."
)
DOWN: Final = Gauge("rate_limit_redis_down", "1 while Redis is unavailable, else 0.", multiprocess_mode="mostrecent")


class RedisCounter:
    """Counts the requests of all limits in Redis.

    After a failure, or a timeout of `TIMEOUT_SECONDS`, no request uses Redis until a check in the background succeeds.
    Until then the methods return None, and the process counts separately.
    """

    def __init__(self, url: str) -> None:
        # An idle connection may be lost, which shows at its next use: hence one retry. `_ask` bounds the time of both.
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=None,
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        # The URL is not used, because the storage is given the pool.
        storage = RedisStorage("redis://", implementation="redispy", key_prefix=_PREFIX, connection_pool=self._pool)  # type: ignore[arg-type]
        self._limiter = MovingWindowRateLimiter(storage)
        self._recovering: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Check Redis, so that no request has to. Never fails."""
        DOWN.set(0)
        await self.count(_PROBE, "")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._recovering is not None:
            self._recovering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recovering
        await self._pool.aclose()

    async def count(self, rate: RateLimitItem, client: str) -> Quota | None:
        """Count a request if the limit allows it. None while Redis is unavailable."""
        return await self._quota(rate, client, counts=True)

    async def peek(self, rate: RateLimitItem, client: str) -> Quota | None:
        """The result of `count`, without counting. None while Redis is unavailable."""
        return await self._quota(rate, client, counts=False)

    async def _quota(self, rate: RateLimitItem, client: str, *, counts: bool) -> Quota | None:
        if self._recovering is not None:
            return None
        try:
            return await self._ask(rate, client, counts=counts)
        except Exception as error:  # noqa: BLE001 - no failure of Redis may fail a request
            self._fail(error)
            return None

    async def _ask(self, rate: RateLimitItem, client: str, *, counts: bool) -> Quota:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            granted = await self._limiter.hit(rate, client) if counts else None
            stats = await self._limiter.get_window_stats(rate, client)
        return to_quota(rate, stats, granted=granted)

    def _fail(self, error: Exception) -> None:
        """Stop using Redis, and log it once."""
        if self._recovering is None:
            OUTAGES.inc()
            DOWN.set(1)
            # Not the message, which may hold the URL with its password.
            _log.warning("rate_limit.redis_unavailable", reason=type(error).__name__)
            self._recovering = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        """Wait until Redis counts again. A PING is not enough: Redis may refuse to write."""
        failed_at = time.monotonic()
        while True:
            await asyncio.sleep(_CHECK_INTERVAL_SECONDS)
            with contextlib.suppress(Exception):
                await self._ask(_PROBE, "", counts=True)
                break
        DOWN.set(0)
        _log.info("rate_limit.redis_available", after_seconds=round(time.monotonic() - failed_at, 1))
        self._recovering = None


def to_quota(rate: RateLimitItem, stats: WindowStats, *, granted: bool | None = None) -> Quota:
    """The quota from the library's statistics. Without `granted`, no request was counted."""
    if granted is None:
        granted = stats.remaining > 0
    # A float of seconds since 1970 is inexact: the end of a window of 60 seconds may be 61 away, rounded up.
    seconds = min(rate.get_expiry(), max(1, math.ceil(stats.reset_time - time.time())))
    # A refused request may have some left by now.
    return Quota(granted, stats.remaining if granted else 0, seconds)
