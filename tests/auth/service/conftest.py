"""An issuer with one key."""

from collections.abc import Iterator

import pytest

from tests.support.servers.issuer import Issuer, running_issuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as served:
        yield served
