"""Bearer tokens: whom a JSON Web Token names, and the keys that prove it (RFC 7519, 7515, 7517, 8725).

A token is signed either with the shared secret (HS256) or with a key of the issuer's JWKS (EdDSA, ES256,
RS256, PS256). Every key knows its one algorithm, and a token never chooses.

    InvalidToken        the token proves nothing: 401; ExpiredToken, that it once did
    KeysUnavailable     nobody can tell at the moment, because the JWKS cannot be had: 503

Messages of both are for the log. They hold neither the token nor anything that was in it.
"""

import asyncio
import hashlib
import math
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx2
import jiter
import jwt
import structlog
from cachetools import TLRUCache

MAX_TOKEN_BYTES: Final = 8192
MAX_KEY_SET_BYTES: Final = 1_000_000
MIN_SECRET_BYTES: Final = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as its hash."""

MAX_SUBJECT: Final = 255
MAX_NAME: Final = 255
MAX_EMAIL: Final = 320

_SYMMETRIC: Final = "HS256"
_KEY_TYPES: Final = {
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
}
"""What `kty` and `crv` of a JWK must be for each asymmetric algorithm (RFC 7518, RFC 8037)."""

_TYPES: Final = frozenset({"jwt", "at+jwt"})
_TIMES: Final = ("exp", "nbf", "iat")
_COOKIE_AUDIENCE: Final = "better-auth:"

# Without padding (RFC 7515, section 2); five parts would be encrypted, an empty third one unsigned.
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _Reason(StrEnum):
    """Why a token is refused, in words that are all ours."""

    SIZE = f"longer than {MAX_TOKEN_BYTES} bytes or not ASCII"
    FORM = "not a signed token in compact form"
    CRIT = "crit in the header"
    TYP = "typ is neither JWT nor at+jwt"
    ALG = "alg is none of ours"
    KID = "kid is not a string"
    NO_KEY = "no key is configured for this kind of algorithm"
    UNKNOWN_KEY = "no key of the set has this id"
    ALG_OF_KEY = "the algorithm is not the one of the key"
    TIME = "a time is not a number"
    COOKIE = "a session cookie is not an access token"
    SUB = "sub is not 1-255 characters without NUL"


_log = structlog.stdlib.get_logger()


class InvalidToken(Exception):
    """The token names nobody. The message is for the log and never holds the token or its claims."""


class ExpiredToken(InvalidToken):
    """The token is one of ours and too old."""


class KeysUnavailable(Exception):
    """The keys cannot be had now, so that no token of theirs can be judged."""

    def __init__(self, retry_after: int) -> None:
        """Say when another attempt is worth making: in `retry_after` seconds, at least 1."""
        super().__init__(f"the key set is unavailable, next attempt in {retry_after} s")
        self.retry_after = retry_after


class _Unusable(Exception):
    """What the issuer answered is no key set. The message is ours."""


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


class KeySet:
    """The issuer's public keys, fetched over HTTP when they are needed (RFC 7517).

    One fetch at a time, and none within `cooldown` seconds of the last, or `pause` seconds where that failed,
    whatever the tokens say. Keys older than `fresh_for` seconds are replaced in the background and used meanwhile;
    those older than `usable_for` seconds are not used at all. `timeout` seconds bound a whole fetch. `clock` counts
    seconds and never goes back. Belongs to one event loop.
    """

    def __init__(  # noqa: PLR0913 - all but the address are options
        self,
        url: str,
        *,
        timeout: float = 5.0,
        fresh_for: float = 300.0,
        usable_for: float = 3600.0,
        cooldown: float = 10.0,
        pause: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember where the keys are. Nothing is fetched before the first token asks for a key."""
        self._url = url
        self._timeout = timeout
        self._fresh_for = fresh_for
        self._usable_for = usable_for
        self._cooldown = cooldown
        self._pause = pause
        self._clock = clock
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._failed = True
        self._fetching: asyncio.Task[None] | None = None
        self._client: httpx2.AsyncClient | None = None

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """Return the key with this id, bound to its algorithm; without an id, the only key of the set.

        Raises `InvalidToken` if the issuer has no such key, `KeysUnavailable` if the issuer cannot be asked.
        """
        if self._age() >= self._fresh_for:
            self._refresh()
        found = self._find(kid)
        if found is None:
            await self._refreshed()
            found = self._find(kid)
        if found is not None:
            return found
        if self._failed:
            raise KeysUnavailable(self._retry_after())
        raise InvalidToken(_Reason.UNKNOWN_KEY)

    async def aclose(self) -> None:
        """Stop a running fetch and close the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
        if self._client is not None:
            await self._client.aclose()
        self._fetching = self._client = None

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _retry_after(self) -> int:
        return math.ceil(max(1.0, self._next_try() - self._clock()))

    def _next_try(self) -> float:
        return self._tried_at + (self._pause if self._failed else self._cooldown)

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if self._age() >= self._usable_for:
            return None
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == kid), None)

    def _refresh(self) -> None:
        """Start a fetch, unless one is running or it is too soon after the last one."""
        running = self._fetching is not None and not self._fetching.done()
        if not running and self._clock() >= self._next_try():
            self._fetching = asyncio.create_task(self._fetch())

    async def _refreshed(self) -> None:
        self._refresh()
        if self._fetching is not None:
            # Unlike `await`, this lets one waiter be cancelled without ending the fetch for the others.
            await asyncio.wait({self._fetching})

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                self._keys = _public_keys(await self._download())
        except Exception as error:  # noqa: BLE001 - whatever goes wrong on the way to the issuer is an outage
            self._failed = True
            _log.warning("security.jwks_fetch_failed", url=_shown(self._url), reason=_outage(error))
        else:
            self._failed = False
            self._fetched_at = self._clock()
        finally:
            self._tried_at = self._clock()

    async def _download(self) -> bytes:
        if self._client is None:
            # Reading the certificate authorities takes 10-30 ms, which the event loop has not to give.
            self._client = await asyncio.to_thread(_http_client, self._timeout)
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx2.codes.OK:
                message = f"status {response.status_code}"
                raise _Unusable(message)
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_KEY_SET_BYTES:
                    message = f"more than {MAX_KEY_SET_BYTES} bytes"
                    raise _Unusable(message)
        return bytes(body)


class TokenVerifier:
    """Turns a token into a `Principal`, or refuses it.

    `secret` verifies HS256, `key_set` everything else; at least one is needed. `audience` and `issuer` are
    demanded of every token when given. `leeway` is how many seconds the clocks may differ for `exp`, `nbf`
    and `iat`. Verified tokens are remembered by their digest: at most `cache_size`, of which the least
    recently used go first, for at most `cache_seconds` and never beyond their `exp`, leeway or not. `clock`
    is the wall clock of that memory, in seconds since 1970. Belongs to one event loop.
    """

    def __init__(  # noqa: PLR0913 - each is a setting, given by name
        self,
        *,
        secret: str | None,
        key_set: KeySet | None,
        audience: str | None,
        issuer: str | None,
        leeway: float = 30.0,
        cache_size: int = 10_000,
        cache_seconds: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Bind the keys. Raises `ValueError` for no key at all and for a secret that cannot be one."""
        if secret is None and key_set is None:
            message = "a token verifier needs a secret or a key set"
            raise ValueError(message)
        self._secret = None if secret is None else _secret_key(secret)
        self._key_set = key_set
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._cache_seconds = cache_seconds
        self._verified: TLRUCache[bytes, Principal, float] = TLRUCache(cache_size, self._forget_at, timer=clock)
        self._once_verified: TLRUCache[bytes, float, float] = TLRUCache(cache_size, _expiry, timer=clock)
        self._jwt = _StrictJWT({"require": ["exp", "sub"], "verify_aud": audience is not None})

    async def verify(self, token: str) -> Principal:
        """Return whom the token names.

        Raises `InvalidToken` for whatever is wrong with it, `KeysUnavailable` if its key cannot be had.
        """
        digest = _digest(token)
        try:
            return self._verified[digest]
        except KeyError:
            pass
        principal = await self._verify(token)
        self._verified[digest] = principal
        self._once_verified[digest] = principal.expires_at.timestamp()
        return principal

    def remembered(self, token: str) -> Principal | None:
        """Return whom the token names, if it was verified a moment ago. Raises `InvalidToken` for its size."""
        return self._verified.get(_digest(token))

    def was_verified(self, token: str) -> bool:
        """Whether this token was verified before, be it longer ago. Raises `InvalidToken` for its size."""
        return _digest(token) in self._once_verified

    async def aclose(self) -> None:
        """Close the key set's connections."""
        if self._key_set is not None:
            await self._key_set.aclose()

    async def _verify(self, token: str) -> Principal:
        try:
            algorithm, kid = _read_header(token)
            return self._read(token, await self._key(algorithm, kid))
        except (InvalidToken, KeysUnavailable):
            raise
        except jwt.ExpiredSignatureError as error:
            # Its signature was looked at before.
            raise ExpiredToken(type(error).__name__) from None
        except jwt.MissingRequiredClaimError as error:
            # Its words name a claim that we demand, nothing that was sent.
            raise InvalidToken(str(error)) from None
        except Exception as error:  # noqa: BLE001 - no token, however odd, may end as anything but a 401
            # Only the name: the messages of parsers quote what they read.
            raise InvalidToken(type(error).__name__) from None

    async def _key(self, algorithm: str, kid: str | None) -> jwt.PyJWK:
        """Choose the key by kind, then demand that `alg` is the key's own (RFC 8725, section 3.1)."""
        if algorithm == _SYMMETRIC:
            key = self._secret
        else:
            key = await self._key_set.key(kid) if self._key_set is not None else None
        if key is None:
            raise InvalidToken(_Reason.NO_KEY)
        if key.algorithm_name != algorithm:
            raise InvalidToken(_Reason.ALG_OF_KEY)
        return key

    def _read(self, token: str, key: jwt.PyJWK) -> Principal:
        claims = self._jwt.decode(token, key, audience=self._audience, issuer=self._issuer, leeway=self._leeway)
        # PyJWT also takes strings and booleans for times; RFC 7519, section 2, has numbers only.
        if any(name in claims and type(claims[name]) not in (int, float) for name in _TIMES):
            raise InvalidToken(_Reason.TIME)
        if self._is_cookie(claims.get("aud")):
            raise InvalidToken(_Reason.COOKIE)
        subject = _text(claims["sub"], MAX_SUBJECT)
        if subject is None:
            raise InvalidToken(_Reason.SUB)
        return Principal(
            subject=subject,
            email=_text(claims.get("email"), MAX_EMAIL),
            name=_text(claims.get("name"), MAX_NAME),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )

    def _is_cookie(self, audience: object) -> bool:
        """Whether this is a Better Auth session cookie: signed with the same secret, for another use."""
        members = audience if isinstance(audience, list) else [audience]
        return any(
            isinstance(member, str) and member.startswith(_COOKIE_AUDIENCE) and member != self._audience
            for member in members
        )

    def _forget_at(self, _digest: bytes, principal: Principal, now: float) -> float:
        return min(now + self._cache_seconds, principal.expires_at.timestamp())


def _digest(token: str) -> bytes:
    """Return what a token is remembered by. Raises `InvalidToken` for one that is not even looked at."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise InvalidToken(_Reason.SIZE)
    return hashlib.sha256(token.encode("ascii")).digest()


def _expiry(_digest: bytes, expires_at: float, _now: float) -> float:
    return expires_at


def issue_token(  # noqa: PLR0913 - each is a claim, given by name
    secret: str,
    subject: str,
    *,
    email: str | None = None,
    name: str | None = None,
    expires_in: timedelta,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """Sign a token with the shared secret (HS256), for development and tests.

    Raises `ValueError` for a secret or a subject that would be refused.
    """
    if _text(subject, MAX_SUBJECT) is None:
        message = "a subject is 1-255 characters without NUL"
        raise ValueError(message)
    now = datetime.now(UTC)
    claims = {"sub": subject, "email": email, "name": name, "aud": audience, "iss": issuer}
    present: dict[str, Any] = {claim: value for claim, value in claims.items() if value is not None}
    return jwt.encode({**present, "iat": now, "exp": now + expires_in}, _secret_key(secret))


class _StrictJWT(jwt.PyJWT):
    """PyJWT, reading payloads strictly: no duplicate member, no NaN, no lone surrogate, no deep nesting."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        return _json_object(decoded["payload"])


def _read_header(token: str) -> tuple[str, str | None]:
    """Return `alg` and `kid`. Raises `InvalidToken` or `ValueError` for a header that is not one of ours."""
    if _COMPACT.fullmatch(token) is None:
        raise InvalidToken(_Reason.FORM)
    segment = token.partition(".")[0]
    header = _json_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    # Extensions that must be understood: none is (RFC 7515, section 4.1.11).
    if "crit" in header:
        raise InvalidToken(_Reason.CRIT)
    if "typ" in header and _media_type(header["typ"]) not in _TYPES:
        raise InvalidToken(_Reason.TYP)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or (algorithm != _SYMMETRIC and algorithm not in _KEY_TYPES):
        raise InvalidToken(_Reason.ALG)
    if kid is not None and not isinstance(kid, str):
        raise InvalidToken(_Reason.KID)
    return algorithm, kid


def _media_type(typ: object) -> str | None:
    """Bring `typ` to one spelling: any case, `application/` may be left out (RFC 7515, section 4.1.9)."""
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


def _json_object(data: bytes) -> dict[str, Any]:
    """Parse strictly. Raises `ValueError`, whose message may quote the data."""
    value = jiter.from_json(data, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    if isinstance(value, dict):
        return value
    message = "not a JSON object"
    raise ValueError(message)


def _text(value: object, longest: int) -> str | None:
    """Return a string of 1 to `longest` characters without NUL (PostgreSQL cannot keep it), else nothing."""
    if isinstance(value, str) and 0 < len(value) <= longest and "\0" not in value:
        return value
    return None


def _secret_key(secret: str) -> jwt.PyJWK:
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
        # PyJWT refuses asymmetric keys as secrets, which would otherwise be noticed at the first token.
        key.Algorithm.prepare_key(key.key)
    except jwt.InvalidKeyError:
        message = "the secret is an asymmetric key or a JWK"
        raise ValueError(message) from None
    return key


def _http_client(timeout: float) -> httpx2.AsyncClient:
    """Make the client of a key set: no redirects, nothing taken from the environment."""
    return httpx2.AsyncClient(timeout=timeout, trust_env=False, headers={"Accept-Encoding": "identity"})


def _shown(url: str) -> str:
    """An address without its user, password and query, which may be secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
    except ValueError:
        return "not an address"


def _outage(error: Exception) -> str:
    """Why the keys cannot be had: in the network's words or ours, for others quote the address or the answer."""
    own = isinstance(error, httpx2.NetworkError | _Unusable)
    return f"{type(error).__name__}: {error}" if own else type(error).__name__


def _public_keys(body: bytes) -> tuple[jwt.PyJWK, ...]:
    """Return the usable keys of a JWK set. Raises `ValueError` or `_Unusable` if it is none (RFC 7517, section 5)."""
    members = _json_object(body).get("keys")
    if isinstance(members, list):
        return tuple(key for key in map(_public_key, members) if key is not None)
    message = "no list of keys"
    raise _Unusable(message)


def _public_key(member: object) -> jwt.PyJWK | None:
    """Return the key bound to its own `alg`, else to that of its type; nothing for an unusable one.

    That is a symmetric key, a private one (published, so known to everybody), one for another use or
    algorithm, or an RSA key below 2048 bits.
    """
    if not isinstance(member, dict) or "d" in member or not _may_verify(member):
        return None
    try:
        key = jwt.PyJWK(member)
    except Exception:  # noqa: BLE001 - one odd key must not cost the others
        return None
    if _KEY_TYPES.get(key.algorithm_name) != (member.get("kty"), member.get("crv")):
        return None
    return key if key.Algorithm.check_key_length(key.key) is None else None


def _may_verify(member: dict[str, Any]) -> bool:
    """Whether `use` and `key_ops`, where present, allow that (RFC 7517, sections 4.2 and 4.3)."""
    operations = member.get("key_ops", ["verify"])
    may = isinstance(operations, list) and "verify" in operations
    return may and member.get("use", "sig") == "sig"
