"""The end of a streamed response whose token expires while it is sent."""

import time

from handlers.principal import Principal
from server.auth.claims import LEEWAY_SECONDS
from server.auth.errors import ExpiredToken, Reason
from server.formats.records import Page
from server.formats.stream import Check


def expiry_check(user: Principal) -> Check:
    """Return a check that raises `ExpiredToken` from when a new request with the user's token would be refused."""
    end = user.expires_at.timestamp() + LEEWAY_SECONDS

    def check(_page: Page) -> None:
        if time.time() > end:
            raise ExpiredToken(Reason.EXPIRED_MEANWHILE)

    return check
