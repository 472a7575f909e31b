"""A token bucket: a few actions at once, and then one in each interval."""

from collections.abc import Callable


class TokenBucket:
    """Holds up to `size` permits, and gets one every `seconds`. `clock` counts seconds and never goes back."""

    def __init__(self, size: int, seconds: float, clock: Callable[[], float]) -> None:
        """The bucket is full."""
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._left = float(size)
        self._counted_at = clock()

    def wait(self) -> float:
        """Return the number of seconds until there is a permit: 0 if there is one."""
        self._refill()
        return max(0.0, (1 - self._left) * self._seconds)

    def take(self) -> None:
        """Take a permit, which must be there."""
        self._refill()
        self._left -= 1

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(float(self._size), self._left + (now - self._counted_at) / self._seconds)
        self._counted_at = now
