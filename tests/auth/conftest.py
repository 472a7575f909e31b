"""An issuer, its keys, and a clock."""

from collections.abc import AsyncIterator, Iterator

import pytest

from server.auth.jwks import KeySet
from tests.auth.verifiers import Clock
from tests.support.servers.issuer import (
    Issuer,
    running_issuer,
)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as served:
        yield served


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
async def key_set(issuer: Issuer, clock: Clock) -> AsyncIterator[KeySet]:
    keys = KeySet(issuer.url, clock=clock)
    yield keys
    await keys.aclose()
