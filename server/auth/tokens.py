"""Verification of bearer tokens: JSON Web Tokens (RFC 7519, 7515, 8725).

A token is signed either with the shared secret (HS256) or with a key of the issuer's JWKS (`KEY_TYPES` has the
algorithms). Every key knows its one algorithm, and a token never chooses.

    InvalidToken        the token proves nothing: 401; ExpiredToken, that it once did
    KeysUnavailable     nobody can tell at the moment, because the JWKS cannot be had: 503

Messages of both are for the log. They hold neither the token nor anything that was in it.
"""

import contextlib
import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from cachetools import LRUCache, TLRUCache

from handlers.principal import Principal
from persistence.schema import MAX_USER_ID
from persistence.users import Owner
from server.auth.claims import ClaimRules, usable_text
from server.auth.errors import MAX_TOKEN_BYTES, InvalidToken, KeysUnavailable, Reason
from server.auth.jwks import KEY_TYPES, KeySet, json_object

MIN_SECRET_BYTES: Final = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as its hash."""

_SYMMETRIC: Final = "HS256"
_TYPES: Final = frozenset({"jwt", "at+jwt"})

# Without padding (RFC 7515, section 2); five parts would be encrypted, an empty third one unsigned.
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TokenVerifier:
    """Verifies tokens.

    `secrets` verify HS256, the current one first and then an older one; `key_set` everything else; at least one key is
    needed. `rules` are those for the claims; the clock of the cache is theirs. Verified tokens are cached by
    their digest: at most `cache_size`, of which the least recently used go first, for at most `cache_seconds`
    and never beyond their `exp`, leeway or not. Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[jwt.PyJWK] = (),
        key_set: KeySet | None = None,
        rules: ClaimRules | None = None,
        cache_size: int = 10_000,
        cache_seconds: float = 60.0,
    ) -> None:
        """`shared_key` makes the secrets. Raises `ValueError` for a verifier without any key."""
        if not secrets and key_set is None:
            message = "a token verifier needs a secret or a key set"
            raise ValueError(message)
        self._secrets = tuple(secrets)
        self._key_set = key_set
        self._rules = rules or ClaimRules()
        self._cache_seconds = cache_seconds
        clock = self._rules.clock
        self._clock = clock
        # Each with the time from which it is verified again. `TLRUCache` would take six times as long for a look-up.
        self._verified: LRUCache[bytes, tuple[Principal, float]] = LRUCache(cache_size)
        self._once_verified: TLRUCache[bytes, float, float] = TLRUCache(cache_size, _expiry, timer=clock)

    async def verify(self, token: str, *, admit: Callable[[], Awaitable[None]] | None = None) -> Principal:
        """Return the user that the token identifies.

        `admit` is awaited before a token is verified that was never verified before; what it raises ends the call.
        Raises `InvalidToken` for whatever is wrong with the token, `KeysUnavailable` if its key cannot be fetched.
        """
        digest = _digest(token)
        known = self._verified.get(digest)
        if known is not None and self._clock() < known[1]:
            return known[0]
        if admit is not None and digest not in self._once_verified:
            await admit()
        principal = await self._verify(token)
        expiry = principal.expires_at.timestamp()
        self._verified[digest] = principal, min(self._clock() + self._cache_seconds, expiry)
        self._once_verified[digest] = expiry
        return principal

    async def aclose(self) -> None:
        """Close the key set's connections."""
        if self._key_set is not None:
            await self._key_set.aclose()

    async def _verify(self, token: str) -> Principal:
        try:
            algorithm, kid = _read_header(token)
            claims = self._signed_claims(token, await self._keys(algorithm, kid))
            return self._rules.principal(claims, of_key_set=algorithm != _SYMMETRIC)
        except (InvalidToken, KeysUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - every token that cannot be verified is a 401
            # The messages of parsers quote the token.
            raise InvalidToken(_reason(error)) from None

    async def _keys(self, algorithm: str, kid: str | None) -> Sequence[jwt.PyJWK]:
        """Choose the keys by kind, then demand that `alg` is the key's own (RFC 8725, section 3.1)."""
        if algorithm == _SYMMETRIC:
            keys: Sequence[jwt.PyJWK] = self._secrets
        else:
            keys = [await self._key_set.key(kid)] if self._key_set is not None else []
        if not keys:
            raise InvalidToken(Reason.NO_KEY)
        if keys[0].algorithm_name != algorithm:
            raise InvalidToken(Reason.ALG_OF_KEY)
        return keys

    @staticmethod
    def _signed_claims(token: str, keys: Sequence[jwt.PyJWK]) -> dict[str, Any]:
        """Return the claims, once one of the keys verifies the signature."""
        for key in keys[:-1]:
            with contextlib.suppress(jwt.InvalidSignatureError):
                return _JWT.decode(token, key)
        return _JWT.decode(token, keys[-1])


def _reason(error: Exception) -> str:
    """The reason for the log, without a word of the token."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"claim {error.claim} is missing"
    return Reason.SIGNATURE if isinstance(error, jwt.InvalidSignatureError) else Reason.MALFORMED


def _digest(token: str) -> bytes:
    """The key of a token in the caches. Raises `InvalidToken` for one that is too long or not ASCII."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise InvalidToken(Reason.SIZE)
    return hashlib.sha256(token.encode("ascii")).digest()


def _expiry(_digest: bytes, expires_at: float, _now: float) -> float:
    return expires_at


def issue_token(
    secret: str, user: Owner, *, expires_in: timedelta, audience: str | None = None, issuer: str | None = None
) -> str:
    """Sign a token with the shared secret (HS256), for development and tests.

    Raises `ValueError` for a secret or a subject that would be refused.
    """
    if usable_text(user.id, MAX_USER_ID) is None:
        message = f"a subject is 1-{MAX_USER_ID} characters without NUL"
        raise ValueError(message)
    now = datetime.now(UTC)
    claims = {"sub": user.id, "email": user.email, "name": user.name, "aud": audience, "iss": issuer}
    present: dict[str, Any] = {claim: value for claim, value in claims.items() if value is not None}
    return jwt.encode({**present, "iat": now, "exp": now + expires_in}, shared_key(secret))


class _StrictJWT(jwt.PyJWT):
    """PyJWT with a strict JSON parser: no duplicate member, no NaN, no lone surrogate, no deep nesting."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        return json_object(decoded["payload"])


# `ClaimRules` checks what is turned off, in an order that PyJWT does not have.
_JWT: Final = _StrictJWT(
    {
        "require": ["exp", "sub"],
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
    }
)


def _read_header(token: str) -> tuple[str, str | None]:
    """Return `alg` and `kid`. Raises `InvalidToken` or `ValueError` for a header that is not accepted."""
    if _COMPACT.fullmatch(token) is None:
        raise InvalidToken(Reason.FORM)
    segment = token.partition(".")[0]
    header = json_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    # Critical extensions are not supported (RFC 7515, section 4.1.11).
    if "crit" in header:
        raise InvalidToken(Reason.CRIT)
    if "typ" in header and _media_type(header["typ"]) not in _TYPES:
        raise InvalidToken(Reason.TYP)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or (algorithm != _SYMMETRIC and algorithm not in KEY_TYPES):
        raise InvalidToken(Reason.ALG)
    if kid is not None and not isinstance(kid, str):
        raise InvalidToken(Reason.KID)
    return algorithm, kid


def _media_type(typ: object) -> str | None:
    """Normalize `typ`: its case is ignored, and `application/` is optional (RFC 7515, section 4.1.9)."""
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


def shared_key(secret: str) -> jwt.PyJWK:
    """Bind the shared secret to HS256. Raises `ValueError`, which does not quote it, for an unusable one."""
    try:
        octets = secret.encode()
    except UnicodeEncodeError:
        message = "the secret is not text"
        raise ValueError(message) from None
    if len(octets) < MIN_SECRET_BYTES:
        message = f"the secret is shorter than {MIN_SECRET_BYTES} bytes"
        raise ValueError(message)
    key = jwt.PyJWK({"kty": "oct", "k": urlsafe_b64encode(octets).decode()}, _SYMMETRIC)
    try:
        # PyJWT refuses asymmetric keys as secrets. Without this check the first token would show it.
        key.Algorithm.prepare_key(key.key)
    except jwt.InvalidKeyError:
        message = "the secret is an asymmetric key or a JWK"
        raise ValueError(message) from None
    return key
