"""A token bucket: a few actions at once, and then one in each interval."""

import math
from collections.abc import Callable


class TokenBucket:
    """Holds up to `size` permits, and gets one every `seconds`. `clock` counts seconds and never goes back."""

    def __init__(self, size: int, seconds: float, clock: Callable[[], float]) -> None:
        """The bucket is full."""
        self._seconds = seconds
        self._clock = clock
        self._others = (size - 1) * seconds
        self._full_at = -math.inf

    def wait(self) -> float:
        """Return the number of seconds until there is a permit: 0 if there is one."""
        return max(0.0, self._full_at - self._others - self._clock())

    def take(self) -> None:
        """Take a permit, which must be there."""
        self._full_at = max(self._full_at, self._clock()) + self._seconds
