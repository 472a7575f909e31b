"""Long work on the event loop, cut into slices so that others are served meanwhile."""

import asyncio
import time
from typing import Final

_SLICE: Final = 0.01


class Slices:
    """One piece of work. Between two steps of it, `pause` is called."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + _SLICE

    async def pause(self) -> None:
        """Let others go on, if this slice is used up."""
        if time.monotonic() > self._ends_at:
            await asyncio.sleep(0)
            self._ends_at = time.monotonic() + _SLICE
