"""The delay of the event loop: the time that every callback waits beyond its due time."""

import asyncio
from collections import deque
from typing import Final

from server.observability.metrics import EVENT_LOOP_LAG

_INTERVAL_SECONDS: Final = 0.1
_SAMPLES_PER_SECOND: Final = 10


class EventLoopLag:
    """Schedules a callback ten times a second and measures its delay. Keeps the worst of the last `window_seconds`."""

    def __init__(self, *, window_seconds: int = 10) -> None:
        self._worst: deque[float] = deque([0.0], maxlen=window_seconds)
        """The worst delay of each of the last seconds."""
        self._samples = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """The worst delay of the window, in seconds."""
        return max(self._worst)

    def start(self) -> None:
        """Begin to measure the running event loop."""
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """End the measurement."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _INTERVAL_SECONDS
        self._timer = loop.call_at(due, self._measure, loop, due)

    def _measure(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        late = max(0.0, loop.time() - due)
        self._samples += 1
        if self._samples % _SAMPLES_PER_SECOND == 0:
            self._worst.append(late)
        else:
            self._worst[-1] = max(self._worst[-1], late)
        EVENT_LOOP_LAG.set(self.seconds)
        self._schedule(loop)
