"""The authenticated user of a request."""

from dataclasses import dataclass, field
from datetime import datetime

from persistence.users import Owner


@dataclass(frozen=True, slots=True)
class Principal(Owner):
    """The user that a verified token identifies.

    `id` is the claim `sub`: 1-255 characters without NUL. `email` is the claim of that name if it is a string of 1-320
    characters without NUL, and `name` if it is one of 1-255.
    """

    expires_at: datetime = field(kw_only=True)
    """The claim `exp`: aware, in UTC."""
