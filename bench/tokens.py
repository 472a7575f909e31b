"""Tokens for the benchmark's users."""

import time
from typing import Final

import jwt

SECRET: Final = "a secret of the benchmark and of nothing else"  # noqa: S105
_LIFETIME_SECONDS = 24 * 3600


def issue(subject: str) -> str:
    """An HS256 token for this user, valid for a day."""
    now = int(time.time())
    return jwt.encode({"sub": subject, "iat": now, "exp": now + _LIFETIME_SECONDS}, SECRET, algorithm="HS256")
