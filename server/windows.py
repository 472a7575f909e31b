"""Moving windows: how many requests of a client were granted within the last so many seconds."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from limits import RateLimitItem

BURSTS: Final = 20
"""Into how many parts a window is divided: requests within one part are forgotten together, when the last one is."""

MOST_CLIENTS: Final = 100_000
"""Of how many clients a process keeps a window, for each limit."""


_SECOND: Final = 1_000_000_000


class Standing(NamedTuple):
    """What a client has left."""

    granted: bool
    remaining: int
    seconds: int
    """Until there is more, rounded up; at least 1."""


@dataclass(slots=True)
class _Burst:
    """Requests that were granted close together, in nanoseconds of the clock."""

    first: int
    last: int
    count: int = 1


@dataclass(slots=True)
class _Window:
    """The requests of one client that still count, oldest first."""

    used: int = 0
    bursts: list[_Burst] = field(default_factory=list)


class Windows:
    """The windows of one limit, in the memory of this process.

    A client takes some hundred bytes, and at most `BURSTS` times sixty more, however high the limit is. Whoever was
    quiet for a whole window is forgotten; beyond `most` clients, so is whoever was quiet for longest.
    """

    def __init__(
        self, rate: RateLimitItem, *, most: int = MOST_CLIENTS, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._amount = rate.amount
        # Whole numbers: with fractions, the end of a window of 60 seconds may be 61 seconds away, rounded up.
        self._period = rate.get_expiry() * _SECOND
        self._part = self._period // BURSTS
        self._most = most
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, client: str) -> Standing:
        """Count a request of the client, if it has one left. A request that is refused does not count."""
        now = self._clock()
        window = self._windows.get(client)
        if window is None:
            self._make_room(now)
            window = self._windows[client] = _Window()
        else:
            self._windows.move_to_end(client)
            self._forget(window, now)
        granted = window.used < self._amount
        if granted:
            bursts = window.bursts
            if bursts and now - bursts[-1].first < self._part:
                bursts[-1].last = now
                bursts[-1].count += 1
            else:
                bursts.append(_Burst(now, now))
            window.used += 1
        return self._standing(window, now, granted=granted)

    def look(self, client: str) -> Standing:
        """What `take` would say, without counting."""
        now = self._clock()
        window = self._windows.get(client)
        if window is None:
            return Standing(granted=True, remaining=self._amount, seconds=1)
        self._forget(window, now)
        return self._standing(window, now, granted=window.used < self._amount)

    def _forget(self, window: _Window, now: int) -> None:
        """Forget what has left the window."""
        start = now - self._period
        while window.bursts and window.bursts[0].last <= start:
            window.used -= window.bursts.pop(0).count

    def _standing(self, window: _Window, now: int, *, granted: bool) -> Standing:
        ends = window.bursts[0].last + self._period if window.bursts else now
        return Standing(granted, self._amount - window.used, max(1, -((now - ends) // _SECOND)))

    def _make_room(self, now: int) -> None:
        """Forget who was quiet for longest: two at most, so that no request pays for many, and more than come."""
        for _ in range(2):
            if not self._windows:
                return
            client, window = next(iter(self._windows.items()))
            self._forget(window, now)
            if window.used and len(self._windows) < self._most:
                return
            del self._windows[client]
