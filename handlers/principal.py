"""The authenticated user of a request."""

from dataclasses import dataclass, field
from datetime import datetime

from persistence.users import Owner


@dataclass(frozen=True, slots=True)
class Principal(Owner):
    """The user that a verified token identifies.

    `id` is the claim `sub`. `email` and `name` are the claims of those names, or None where they are not strings. All
    are without NUL and within the lengths of the schemas `UserId`, `UserEmail` and `UserName` of the OpenAPI document.
    `issued_at` is the claim `iat`, not before 1970, or None.
    """

    expires_at: datetime = field(kw_only=True)
    """The claim `exp`: aware, in UTC."""
