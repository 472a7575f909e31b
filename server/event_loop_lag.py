"""How late the event loop is: what everything that it runs has to wait for."""

import asyncio
from collections import deque
from typing import Final

from server.middleware.access_log import LAG

_PAUSE: Final = 0.1
_TIMES_A_SECOND: Final = 10


class EventLoopLag:
    """Asks ten times a second to be called at a certain moment, and sees how much later that is.

    The worst is remembered for about `remembered_seconds`, so that whoever asks now and then sees it.
    """

    def __init__(self, *, remembered_seconds: int = 10) -> None:
        self._worst: deque[float] = deque([0.0], maxlen=remembered_seconds)
        """Of each of the last seconds."""
        self._calls = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """The worst that is remembered."""
        return max(self._worst)

    def start(self) -> None:
        """Begin to measure the running event loop."""
        self._wait(asyncio.get_running_loop())

    def stop(self) -> None:
        """End it."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _PAUSE
        self._timer = loop.call_at(due, self._measure, loop, due)

    def _measure(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        late = max(0.0, loop.time() - due)
        self._calls += 1
        if self._calls % _TIMES_A_SECOND == 0:
            self._worst.append(late)
        else:
            self._worst[-1] = max(self._worst[-1], late)
        LAG.set(self.seconds)
        self._wait(loop)
