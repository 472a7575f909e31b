"""Errors of authentication. Their messages are for the log and never hold the token or its claims."""

from enum import StrEnum
from typing import Final

from persistence.schema import MAX_USER_ID

MAX_TOKEN_BYTES: Final = 8192


class Reason(StrEnum):
    """The reason of a refusal, for the log."""

    EXPIRED = "expired"
    SIGNATURE = "signature"
    MALFORMED = "malformed"
    NOT_YET_VALID = "not valid yet"
    AUDIENCE = "another audience"
    ISSUER = "another issuer"
    SIZE = f"longer than {MAX_TOKEN_BYTES} bytes or not ASCII"
    FORM = "not a signed token in compact form"
    CRIT = "crit in the header"
    TYP = "typ is neither JWT nor at+jwt"
    ALG = "alg is not supported"
    KID = "kid is not a string"
    NO_KEY = "no key is configured for this kind of algorithm"
    UNKNOWN_KEY = "no key of the set has this id"
    ALG_OF_KEY = "the algorithm is not the one of the key"
    TIME = "a time is not a number"
    TOO_FAR = "exp is further away than JWT_MAX_AGE"
    EXPIRED_MEANWHILE = "expired while its response was sent"
    COOKIE = "a session cookie is not an access token"
    SUB = f"sub is not 1-{MAX_USER_ID} characters without NUL"


class InvalidToken(Exception):
    """The token is not valid. The message is for the log and never holds the token or its claims."""


class MissingToken(InvalidToken):
    """The request has no bearer token."""


class ExpiredToken(InvalidToken):
    """The token is valid in all but its expiry."""


class KeysUnavailable(Exception):
    """The key set cannot be fetched now, so tokens signed with keys that are not known cannot be verified."""

    def __init__(self, retry_after: int, *, failed: bool = True) -> None:
        """`retry_after` is the number of seconds until the next attempt, at least 1.

        `failed` is false if the last attempt succeeded, and the token's key was not in the set.
        """
        what = "the key set is unavailable" if failed else "the token's key is not in the key set"
        super().__init__(f"{what}, next attempt in {retry_after} s")
        self.retry_after = retry_after
