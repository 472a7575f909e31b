"""How much was tried, for the table that `make torture` prints."""

import pytest


def tried(request: pytest.FixtureRequest, count: int) -> None:
    """Say that this test tries so many things; one that says nothing tries one. It survives them when it passes."""
    request.node.user_properties.append(("tried", count))
