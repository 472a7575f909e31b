"""Where `limits` keeps its moving windows in the memory of this process, and what it says of one."""

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

MOST_CLIENTS: Final = 100_000
"""Of how many clients a process keeps a window, for each limit."""

_SECOND: Final = 1_000_000_000


class Standing(NamedTuple):
    """What a client has left."""

    granted: bool
    remaining: int
    seconds: int
    """Until there is more, rounded up; at least 1."""


def standing_of(rate: RateLimitItem, stats: WindowStats, *, granted: bool | None = None) -> Standing:
    """What the library says of a window: of a request that was granted or not, or of one that is still to come."""
    if granted is None:
        granted = stats.remaining > 0
    # Fractions of the epoch are not exact: the end of a window of 60 seconds may be 61 away, rounded up.
    seconds = min(rate.get_expiry(), max(1, math.ceil(stats.reset_time - time.time())))
    # There may be some left by now for a request that was refused.
    return Standing(granted, stats.remaining if granted else 0, seconds)


class WindowStorage(Storage, MovingWindowSupport):
    """The windows of one limit, for the strategy "moving window" of `limits`. Not for many threads.

    A client takes some 300 bytes, and eight for each request that still counts. Whoever was quiet for a whole window
    is forgotten; beyond `most` clients, so is whoever was quiet for longest.
    """

    STORAGE_SCHEME = None

    def __init__(self, *, most: int = MOST_CLIENTS, clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        # When requests were granted, oldest first, in nanoseconds of the clock.
        self._windows: OrderedDict[str, array[int]] = OrderedDict()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count so many requests, if there are so many left."""
        now = self._clock()
        window = self._window(key, now - expiry * _SECOND)
        if window is None:
            self._make_room(now - expiry * _SECOND)
            window = self._windows[key] = array("q")
        granted = len(window) + amount <= limit
        if granted:
            window.extend(repeat(now, amount))
        return granted

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the window begins, in seconds since the epoch, and how many requests are in it."""
        now = self._clock()
        window = self._window(key, now - expiry * _SECOND)
        # Counted by a clock that nobody sets.
        age = (now - window[0]) / _SECOND if window else 0
        return time.time() - age, len(window or ())

    def _window(self, key: str, start: int) -> "array[int] | None":
        """What still counts of a client, who was seen just now."""
        window = self._windows.get(key)
        if window is not None:
            self._windows.move_to_end(key)
            del window[: bisect_right(window, start)]
        return window

    def _make_room(self, start: int) -> None:
        """Forget who was quiet for longest: two at most, so that no request pays for many, and more than come."""
        for _ in range(min(2, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            if window and window[-1] > start and len(self._windows) < self._most:
                return
            del self._windows[key]

    def __len__(self) -> int:
        return len(self._windows)

    def check(self) -> bool:
        """Whether it can be used."""
        return True

    def clear(self, key: str) -> None:
        """Forget a client."""
        self._windows.pop(key, None)

    def reset(self) -> None:
        """Forget everybody."""
        self._windows.clear()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What may go wrong: nothing."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """For another strategy."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """For another strategy."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """For another strategy."""
        raise NotImplementedError
