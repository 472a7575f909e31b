"""The end of a streamed response whose token expires while it is sent."""

import time
from collections.abc import Callable
from typing import Any

from handlers.principal import Principal
from server.auth.errors import ExpiredToken, Reason
from server.auth.tokens import LEEWAY_SECONDS

Write = Callable[[list[Any]], bytes]


def until_expiry(write: Write, user: Principal | None) -> Write:
    """Return `write`, which raises `ExpiredToken` from when a new request with the user's token would be refused.

    None is the user of a public operation, whose response has no such end.
    """
    if user is None:
        return write
    end = user.expires_at.timestamp() + LEEWAY_SECONDS

    def checked(page: list[Any]) -> bytes:
        if time.time() > end:
            raise ExpiredToken(Reason.EXPIRED_MEANWHILE)
        return write(page)

    return checked
