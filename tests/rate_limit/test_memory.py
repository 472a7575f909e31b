"""Rate limits counted in memory: exact, by a clock that is moved by hand."""

import math
import time
import tracemalloc
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond, WindowStats

from server.rate_limit.memory import MovingWindows
from server.rate_limit.redis import to_quota


class Clock:
    """A clock that only moves when told, in whole nanoseconds."""

    now = 0

    def __call__(self) -> int:
        return self.now


MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
_MOMENTS = st.integers(0, 15_000) | st.sampled_from([0, 100, 1000, 9_999, 10_000])


@given(amount=st.integers(1, 8), steps=st.lists(_MOMENTS, max_size=80))
def test_a_window_grants_exactly_what_was_not_used_within_it(amount: int, steps: list[int]) -> None:
    """The windows are compared with the definition: the moments of all granted requests."""
    clock = Clock()
    windows = MovingWindows(RateLimitItemPerSecond(amount, 10), clock=clock)
    granted: list[int] = []
    for milliseconds in steps:
        clock.now += milliseconds * MILLISECOND
        in_window = [moment for moment in granted if moment > clock.now - 10 * SECOND]
        has_room = len(in_window) < amount
        assert windows.peek("ada").granted == has_room
        quota = windows.count("ada")
        assert quota.granted == has_room
        if has_room:
            granted.append(clock.now)
            in_window.append(clock.now)
        assert quota.remaining == amount - len(in_window)
        assert quota.seconds == math.ceil((in_window[0] - clock.now) / SECOND + 10)
        assert windows.peek("ada")[1:] == quota[1:]


@given(
    reset=st.floats(-100, 100),
    remaining=st.integers(0, 5),
    granted=st.none() | st.booleans(),
)
def test_retry_after_is_between_a_second_and_a_window(reset: float, remaining: int, *, granted: bool | None) -> None:
    """The clocks of two replicas may differ."""
    rate = RateLimitItemPerSecond(5, 60)
    left = to_quota(rate, WindowStats(time.time() + reset, remaining), granted=granted)
    assert 1 <= left.seconds <= 60
    assert left.seconds == pytest.approx(min(60, max(1, reset)), abs=1)
    assert left.granted == (remaining > 0 if granted is None else granted)
    assert left.remaining == (remaining if left.granted else 0)


def test_the_number_of_clients_kept_is_bounded() -> None:
    """Clients that keep asking stay among those that are kept, even while they are refused."""
    rate = RateLimitItemPerMinute(300)
    windows = MovingWindows(rate, max_clients=1000)
    granted = 0
    for number in range(1_000_000 // 50):
        windows.count(str(number))
        granted += windows.count("busy").granted
        assert len(windows) <= 1000
    assert windows.peek("19999").remaining == 299
    assert windows.peek("0").remaining == 300
    # A client that goes on asking is not forgotten, although it is refused.
    assert granted == 300


def test_whoever_was_quiet_for_a_window_is_forgotten() -> None:
    clock = Clock()
    rate = RateLimitItemPerMinute(300)
    windows = MovingWindows(rate, clock=clock)
    for number in range(100):
        windows.count(str(number))
    clock.now += 61 * SECOND
    for _ in range(50):
        windows.count(uuid.uuid4().hex)
    assert len(windows) == 50


def test_a_busy_client_takes_eight_bytes_per_counted_request() -> None:
    clock = Clock()
    rate = RateLimitItemPerSecond(1000, 10)
    tracemalloc.start()
    try:
        windows = MovingWindows(rate, clock=clock)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20_000):
            clock.now += MILLISECOND
            windows.count("ada")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert windows.peek("ada").remaining == 0
    assert after - before < 1000 * 8 * 1.25 + 1000
