"""Cooperative multitasking for long computations on the event loop."""

import asyncio
import time
from typing import Final

_SLICE_SECONDS: Final = 0.01


class Cooperative:
    """A long computation that yields to the event loop every 10 ms. Call `checkpoint` between two steps."""

    def __init__(self) -> None:
        self._yields_at = time.monotonic() + _SLICE_SECONDS

    async def checkpoint(self) -> None:
        """Yield to the event loop if 10 ms have passed since it last ran."""
        if time.monotonic() > self._yields_at:
            await asyncio.sleep(0)
            self._yields_at = time.monotonic() + _SLICE_SECONDS
