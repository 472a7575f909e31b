"""Run a program as another user of the system, which only root can do."""

import os
from typing import Final

import pytest

STRANGER: Final = 65_534
"""The user id of `nobody`."""


def becoming_stranger() -> str:
    """Python that makes its process one of `nobody`. Skips the test if this process may not do that.

    Such a program has to import its modules first: the checkout or Python itself may be closed to others.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    return f"import os; os.setgroups([]); os.setgid({STRANGER}); os.setuid({STRANGER})\n"
