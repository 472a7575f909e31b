"""What the page `/` tells the operator of a Hugging Face Space, who sees that page before any log."""

import os
from collections.abc import Iterator
from typing import Final

from server.settings import Settings

NO_KEYS: Final = (
    "No token can be verified, because neither BETTER_AUTH_SECRET nor BETTER_AUTH_URL is set. "
    "Set one of them as a secret in the settings of the Space."
)
_NOT_KEPT: Final = (
    "All tasks are lost when this Space restarts, because it has no persistent storage. "
    "Add persistent storage to the Space, or set DATABASE_URL."
)


def notices(settings: Settings) -> list[str]:
    """A sentence or two about each thing that is wrong with the Space; none outside of Hugging Face."""
    return list(_notices(settings)) if settings.space_host is not None else []


def _notices(settings: Settings) -> Iterator[str]:
    if settings.is_without_keys:
        yield NO_KEYS
    if settings.database_url is None and not os.path.ismount(settings.data_dir):
        yield _NOT_KEPT
