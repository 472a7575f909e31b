"""An unused client address."""

import pytest

from tests.rate_limit.policies import addresses


@pytest.fixture
def address() -> str:
    """An address that no client has used."""
    return next(addresses)
