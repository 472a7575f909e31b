"""Rate limits counted in the memory of this process, by moving windows."""

import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from limits import RateLimitItem

MAX_CLIENTS: Final = 100_000
"""The maximum number of clients that a process counts, for each limit."""

_SECOND: Final = 1_000_000_000


class Quota(NamedTuple):
    """The state of a client's limit after a request (draft-ietf-httpapi-ratelimit-headers)."""

    granted: bool
    remaining: int
    seconds: int
    """The seconds until more requests are allowed, rounded up; at least 1."""


class MovingWindows:
    """The windows of one limit. Not thread-safe.

    A client takes about 300 bytes, and eight for each request in its window. A client without requests in its window is
    removed; beyond `max_clients`, so is the client whose last request is the oldest.
    """

    def __init__(
        self,
        rate: RateLimitItem,
        *,
        max_clients: int = MAX_CLIENTS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._amount = rate.amount
        self._period = rate.get_expiry() * _SECOND
        self._max_clients = max_clients
        self._clock = clock
        # The times of granted requests, oldest first, in nanoseconds of the clock.
        self._windows: OrderedDict[str, array[int]] = OrderedDict()

    def count(self, client: str) -> Quota:
        """Count a request if the limit allows it. A refused one is not counted."""
        now = self._clock()
        window = self._window(client, now)
        if window is None:
            self._evict(now)
            window = self._windows[client] = array("q")
        granted = len(window) < self._amount
        if granted:
            window.append(now)
        return self._quota(window, now, granted=granted)

    def peek(self, client: str) -> Quota:
        """Return whether a request would be granted now. Nothing is counted."""
        now = self._clock()
        window = self._window(client, now) or ()
        return self._quota(window, now, granted=len(window) < self._amount)

    def _quota(self, window: Sequence[int], now: int, *, granted: bool) -> Quota:
        left = window[0] + self._period - now if window else self._period
        return Quota(granted, self._amount - len(window), -(-left // _SECOND))

    def _window(self, client: str, now: int) -> "array[int] | None":
        """The client's window without expired requests."""
        window = self._windows.get(client)
        if window is not None:
            self._windows.move_to_end(client)
            if window and window[0] <= now - self._period:
                del window[: bisect_right(window, now - self._period)]
        return window

    def _evict(self, now: int) -> None:
        """Remove up to two expired clients, so that no request pays for many, and more are removed than come."""
        for _ in range(min(2, len(self._windows))):
            client, window = next(iter(self._windows.items()))
            if window and window[-1] > now - self._period and len(self._windows) < self._max_clients:
                return
            del self._windows[client]

    def __len__(self) -> int:
        return len(self._windows)
