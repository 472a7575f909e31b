"""A storage of `limits` in the memory of this process, for its strategy "moving window"."""

import math
import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from itertools import repeat
from typing import Final, NamedTuple

from limits import RateLimitItem, WindowStats
from limits.storage import MovingWindowSupport, Storage

MAX_CLIENTS: Final = 100_000
"""The maximum number of clients that a process counts, for each limit."""

_SECOND: Final = 1_000_000_000


class Quota(NamedTuple):
    """The state of a client's limit after a request (draft-ietf-httpapi-ratelimit-headers)."""

    granted: bool
    remaining: int
    seconds: int
    """The seconds until more requests are allowed, rounded up; at least 1."""


def to_quota(rate: RateLimitItem, stats: WindowStats, *, granted: bool | None = None) -> Quota:
    """The quota from the library's statistics. Without `granted`, no request was counted."""
    if granted is None:
        granted = stats.remaining > 0
    # A float of seconds since 1970 is inexact: the end of a window of 60 seconds may be 61 away, rounded up.
    seconds = min(rate.get_expiry(), max(1, math.ceil(stats.reset_time - time.time())))
    # A refused request may have some left by now.
    return Quota(granted, stats.remaining if granted else 0, seconds)


class BoundedMemoryStorage(Storage, MovingWindowSupport):
    """The windows of one limit. Not thread-safe.

    A client takes about 300 bytes, and eight for each request in its window. A client without requests in its window is
    removed; beyond `max_clients`, so is the client whose last request is the oldest.
    """

    STORAGE_SCHEME = None

    def __init__(self, *, max_clients: int = MAX_CLIENTS, clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__()
        self._max_clients = max_clients
        self._clock = clock
        # The times of granted requests, oldest first, in nanoseconds of the clock.
        self._windows: OrderedDict[str, array[int]] = OrderedDict()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` requests if the limit allows them."""
        now = self._clock()
        window = self._window(key, now - expiry * _SECOND)
        if window is None:
            self._evict(now - expiry * _SECOND)
            window = self._windows[key] = array("q")
        granted = len(window) + amount <= limit
        if granted:
            window.extend(repeat(now, amount))
        return granted

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """The begin of the window, in seconds since 1970, and the number of requests in it."""
        now = self._clock()
        window = self._window(key, now - expiry * _SECOND)
        # The clock is monotonic.
        age = (now - window[0]) / _SECOND if window else 0
        return time.time() - age, len(window or ())

    def _window(self, key: str, start: int) -> "array[int] | None":
        """The client's window without expired requests."""
        window = self._windows.get(key)
        if window is not None:
            self._windows.move_to_end(key)
            del window[: bisect_right(window, start)]
        return window

    def _evict(self, start: int) -> None:
        """Remove up to two expired clients, so that no request pays for many, and more are removed than come."""
        for _ in range(min(2, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            if window and window[-1] > start and len(self._windows) < self._max_clients:
                return
            del self._windows[key]

    def __len__(self) -> int:
        return len(self._windows)

    def check(self) -> bool:
        """True: the storage is always available."""
        return True

    def clear(self, key: str) -> None:
        """Remove a client."""
        self._windows.pop(key, None)

    def reset(self) -> None:
        """Remove all clients."""
        self._windows.clear()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of the storage: none."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not needed by this strategy."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Not needed by this strategy."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Not needed by this strategy."""
        raise NotImplementedError
