"""Returning freed memory to the operating system."""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Any, Final

_PAUSE_SECONDS: Final = 15.0


async def trim_memory() -> None:
    """Return freed memory to the operating system every 15 seconds. Ends at once if the C library cannot.

    glibc itself returns only the free memory at the end of its heap. After a burst of requests, one small object there
    keeps tens of megabytes below it.
    """
    trim = _malloc_trim()
    while trim is not None:
        await asyncio.sleep(_PAUSE_SECONDS)
        # In a thread, without the GIL: it takes 13 ms for 125 MB of freed memory.
        await asyncio.to_thread(trim, 0)


def _malloc_trim() -> Callable[[int], Any] | None:
    """`malloc_trim` of glibc, which other C libraries do not have."""
    try:
        function: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return function
