"""The authenticated user of a request."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a verified token names."""

    subject: str
    """`sub`: 1-255 characters without NUL."""
    email: str | None
    """`email`, if it is a string of 1-320 characters without NUL."""
    name: str | None
    """`name`, if it is a string of 1-255 characters without NUL."""
    expires_at: datetime
    """`exp`: aware, in UTC."""
