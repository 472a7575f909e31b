"""Clocks that are half a minute off: the issuer's, and the service's own."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx2
import jwt
import pytest

from tests.faults.load import CLIENTS, Load
from tests.faults.probes import assert_nothing_unexpected
from tests.support.figures import Figures
from tests.support.service import SECRET, Service, running_service

_OFF = 30
# A little less, for the token has to arrive.
_WITHIN_LEEWAY = 28
_BEYOND_LEEWAY = 45
_MINUTE = 60
_LIBRARY = Path("/usr/lib", f"{os.uname().machine}-linux-gnu", "faketime", "libfaketimeMT.so.1")


def _of_a_clock(seconds_ahead: float) -> Callable[[str], str]:
    """Return a function that signs tokens like an issuer whose clock is ahead; by that clock they live a minute."""

    def authorize(user: str) -> str:
        now = int(time.time() + seconds_ahead)
        # A clock that is behind makes tokens that expire early; here, which have.
        lifetime = 0 if seconds_ahead < 0 else _MINUTE
        claims = {"sub": user, "iat": now, "nbf": now, "exp": now + lifetime}
        return f"Bearer {jwt.encode(claims, SECRET)}"

    return authorize


@pytest.mark.parametrize("off", [_WITHIN_LEEWAY, -_WITHIN_LEEWAY], ids=["ahead", "behind"])
def test_tokens_of_an_issuer_whose_clock_is_off_are_accepted(off: int, service: Service, figures: Figures) -> None:
    answers = [_list(service, f"eve-{n}", _of_a_clock(off)) for n in range(50)]
    figures("Tokens of a clock 30 s off", len(answers), sum(answer.is_success for answer in answers))
    too_much = _list(service, "eve", _of_a_clock(_BEYOND_LEEWAY if off > 0 else -_BEYOND_LEEWAY))
    assert too_much.status_code == httpx2.codes.UNAUTHORIZED


def _list(service: Service, user: str, authorize: Callable[[str], str]) -> httpx2.Response:
    return service.client(authorization=authorize(user)).get(f"/api/{user}/tasks")


@pytest.fixture
def faketime() -> str:
    if not _LIBRARY.exists():
        reason = "libfaketime is not installed"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return str(_LIBRARY)


@pytest.mark.parametrize("off", [_OFF, -_OFF], ids=["forwards", "back"])
def test_a_clock_of_the_service_that_jumps_disturbs_nobody(
    off: int, faketime: str, database: str, tmp_path: Path, figures: Figures
) -> None:
    """The moments of tasks are the database's, whose clock is right; tokens have the leeway."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    with running_service(
        tmp_path,
        DATABASE_URL=database,
        LD_PRELOAD=faketime,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ) as service:
        assert abs(_clock_of(service)) < _OFF / 2
        load = Load(service)
        with load.running():
            load.goes_on()
            clock.write_text(f"{off:+}")
            load.goes_on(300)
            assert abs(_clock_of(service) - off) < _OFF / 2
            clock.write_text("+0")
            load.goes_on()
        assert load.count(503) == 0
        load.record(figures, "The service's clock jumps by 30 s")
        for number in range(CLIENTS):
            tasks = load.client(number).get("/api/tasks?sort=created").json()
            moments = [datetime.fromisoformat(task["created_at"]) for task in tasks]
            assert moments == sorted(moments)
            assert max(moments).timestamp() - time.time() < 1
            assert min(moments).timestamp() - time.time() > -_MINUTE
            assert all(task["created_at"] <= task["updated_at"] for task in tasks)
        assert_nothing_unexpected(service)


def _clock_of(service: Service) -> float:
    """Return the seconds by which the service's clock is ahead, read from the log line of a request."""
    mark = service.client().get("/health").headers["x-request-id"]
    (line,) = (line for line in service.read_log().splitlines() if mark in line)
    return datetime.fromisoformat(line.split()[0]).timestamp() - time.time()
