"""The claims of a token whose signature is verified (RFC 7519, section 4.1)."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from handlers.principal import Principal
from persistence.schema import MAX_EMAIL, MAX_NAME, MAX_USER_ID
from server.auth.errors import ExpiredToken, InvalidToken, Reason

LEEWAY_SECONDS: Final = 30.0
"""The tolerated difference between the clocks of the issuer and the service."""

_TIMES: Final = ("exp", "nbf", "iat")
_COOKIE_AUDIENCE: Final = "better-auth:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """The rules for claims.

    `audience` and `issuer`, where given, are required of every token. `front_end`, the origin of a Better Auth, stands
    in for each that is not given: it is required of tokens that a key of the key set verifies, and other tokens that
    have the claim must name it. A token whose `exp` is more than `max_age` seconds away is refused. `leeway` is the
    tolerance in seconds. `clock` gives seconds since 1970.
    """

    audience: str | None = None
    issuer: str | None = None
    front_end: str | None = None
    max_age: float = math.inf
    leeway: float = LEEWAY_SECONDS
    clock: Callable[[], float] = time.time

    def principal(self, claims: Mapping[str, Any], *, of_key_set: bool) -> Principal:
        """Return the user that the claims name. `exp` and `sub` must be there.

        Raises `ExpiredToken` if the claims break no other rule, else `InvalidToken`; `ValueError` and `OverflowError`
        for a time that is not of the years 1 to 9999.
        """
        # PyJWT also takes strings and booleans for times; RFC 7519, section 2, has numbers only.
        if any(name in claims and type(claims[name]) not in (int, float) for name in _TIMES):
            raise InvalidToken(Reason.TIME)
        now = self.clock()
        # `int` raises for an infinity.
        if any(int(claims.get(name, 0)) > now + self.leeway for name in ("nbf", "iat")):
            raise InvalidToken(Reason.NOT_YET_VALID)
        if claims["exp"] > now + self.max_age + self.leeway:
            raise InvalidToken(Reason.TOO_FAR)
        if self._is_cookie(claims.get("aud")):
            raise InvalidToken(Reason.COOKIE)
        self._check(claims, "aud", self.audience, of_key_set=of_key_set)
        self._check(claims, "iss", self.issuer, of_key_set=of_key_set)
        principal = _principal(claims)
        # The last check: only a token that is right in all else is said to have expired.
        if claims["exp"] <= now - self.leeway:
            raise ExpiredToken(Reason.EXPIRED)
        return principal

    def _check(self, claims: Mapping[str, Any], name: str, required: str | None, *, of_key_set: bool) -> None:
        expected = required or self.front_end
        if expected is None:
            return
        if name not in claims:
            if required is not None or of_key_set:
                raise InvalidToken(f"claim {name} is missing")
        elif name == "aud" and not _is_among(expected, claims[name]):
            raise InvalidToken(Reason.AUDIENCE)
        elif name == "iss" and claims[name] != expected:
            raise InvalidToken(Reason.ISSUER)

    def _is_cookie(self, audience: object) -> bool:
        """True for a session cookie of Better Auth, which is signed with the same secret for another use."""
        members = audience if isinstance(audience, list) else [audience]
        return any(
            isinstance(member, str) and member.startswith(_COOKIE_AUDIENCE) and member != self.audience
            for member in members
        )


def _is_among(expected: str, audience: object) -> bool:
    """True if the audience, a string or a list of strings, has the expected one."""
    members = audience if isinstance(audience, list) else [audience]
    return expected in members and all(isinstance(member, str) for member in members)


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject = usable_text(claims["sub"], MAX_USER_ID)
    if subject is None:
        raise InvalidToken(Reason.SUB)
    return Principal(
        id=subject,
        email=usable_text(claims.get("email"), MAX_EMAIL),
        name=usable_text(claims.get("name"), MAX_NAME),
        # A time before 1970 is as old as can be, and may be one that has no date.
        issued_at=datetime.fromtimestamp(max(claims["iat"], 0), UTC) if "iat" in claims else None,
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def usable_text(value: object, longest: int) -> str | None:
    """Return a string of 1 to `longest` characters without NUL (PostgreSQL cannot store it), else None."""
    if isinstance(value, str) and 0 < len(value) <= longest and "\0" not in value:
        return value
    return None
