"""Waiting for a condition. No test sleeps for a guessed time."""

import time
from collections.abc import Callable

MOST_SECONDS = 15


def until(condition: Callable[[], object], seconds: float = MOST_SECONDS) -> float:
    """Poll until the condition holds, and return how many seconds that took. Fails after `seconds`."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"the condition did not hold within {seconds} seconds"
        time.sleep(0.01)
    return time.monotonic() - start
