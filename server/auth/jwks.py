"""The public keys of the issuer: a JSON Web Key Set (RFC 7517), fetched when needed and cached."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx2
import jiter
import jwt
import structlog
from jwt.utils import base64url_decode

from server.auth.ed25519 import has_small_order
from server.auth.errors import InvalidToken, KeysUnavailable, Reason
from server.auth.token_bucket import TokenBucket

MAX_KEY_SET_BYTES: Final = 1_000_000

KEY_TYPES: Final = {
    "EdDSA": ("OKP", "Ed25519"),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
}
"""The `kty` and `crv` of a JWK for each asymmetric algorithm (RFC 7518, RFC 8037)."""

_log = structlog.stdlib.get_logger()


class _Unusable(Exception):
    """The issuer's response is not a key set. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """When keys are fetched, in seconds.

    `timeout` bounds a whole fetch. Keys older than `fresh_for` are replaced in the background and used meanwhile; those
    older than `usable_for` are not used at all. `burst` fetches may succeed in a row, and then one in each `interval`.
    A fetch that failed is followed by none within `pause`.
    """

    timeout: float = 5.0
    fresh_for: float = 300.0
    usable_for: float = 3600.0
    burst: int = 4
    interval: float = 10.0
    pause: float = 3.0


class KeySet:
    """The issuer's public keys, fetched over HTTP when they are needed (RFC 7517).

    One fetch at a time, and no more than the policy allows, whatever tokens arrive. `clock` counts seconds and never
    goes back. Belongs to one event loop.
    """

    def __init__(
        self, url: str, policy: FetchPolicy | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is fetched before the first token needs a key."""
        self._url = url
        self._policy = policy or FetchPolicy()
        self._clock = clock
        self._permits = TokenBucket(self._policy.burst, self._policy.interval, clock)
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._keys_as_of = -math.inf
        self._fetched_at = -math.inf
        self._paused_until = -math.inf
        self._failed = True
        self._closed = False
        self._fetching: asyncio.Task[None] | None = None
        self._client: httpx2.AsyncClient | None = None

    async def key(self, kid: str | None) -> jwt.PyJWK:
        """Return the key with this id, bound to its algorithm; without an id, the only key of the set.

        Raises `InvalidToken` if a set that was asked for after the call has no such key, `KeysUnavailable` if the
        issuer cannot be asked now.
        """
        called_at = self._clock()
        if self._age() >= self._policy.fresh_for:
            self._refresh()
        while (found := self._find(kid)) is None:
            if self._keys_as_of >= called_at:
                raise InvalidToken(Reason.UNKNOWN_KEY)
            fetch = self._refresh()
            if fetch is None:
                raise KeysUnavailable(math.ceil(max(1.0, self._wait())), failed=self._failed)
            # Unlike `await`, this does not cancel the fetch if one of its waiters is cancelled.
            await asyncio.wait({fetch})
        return found

    async def usable_keys(self) -> int:
        """Fetch the set now and return the number of its usable keys. Raises `ConnectionError` with the reason."""
        try:
            async with asyncio.timeout(self._policy.timeout):
                return len(_public_keys(await self._download()))
        except Exception as error:
            raise ConnectionError(_outage(error)) from error

    async def aclose(self) -> None:
        """Stop a running fetch and close the connections."""
        self._closed = True
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
        if self._client is not None:
            await self._client.aclose()
        self._fetching = self._client = None

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _wait(self) -> float:
        """The number of seconds until a fetch may start."""
        return max(self._paused_until - self._clock(), self._permits.wait())

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if self._age() >= self._policy.usable_for:
            return None
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == kid), None)

    def _refresh(self) -> asyncio.Task[None] | None:
        """Return the running fetch, or one that it starts; None if none may start yet."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._closed or self._wait() > 0:
            return None
        self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._policy.timeout):
                self._keys = _public_keys(await self._download())
        except Exception as error:  # noqa: BLE001 - every failure of a fetch is an outage
            self._failed = True
            self._paused_until = self._clock() + self._policy.pause
            _log.warning("security.jwks_fetch_failed", url=shown(self._url), reason=_outage(error))
        else:
            self._failed = False
            self._keys_as_of = asked_at
            self._fetched_at = self._clock()
            # Only a success counts: after an outage the next attempt is due when the pause is over.
            self._permits.take()

    async def _download(self) -> bytes:
        if self._client is None:
            # Loading the certificate authorities takes 10-30 ms, too long for the event loop.
            self._client = await asyncio.to_thread(_http_client, self._policy.timeout)
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


def json_object(data: bytes) -> dict[str, Any]:
    """Parse strictly. Raises `ValueError`, whose message may quote the data."""
    value = jiter.from_json(data, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    if isinstance(value, dict):
        return value
    message = "not a JSON object"
    raise ValueError(message)


def _http_client(timeout: float) -> httpx2.AsyncClient:
    """An HTTP client that follows no redirects and reads nothing from the environment."""
    return httpx2.AsyncClient(timeout=timeout, trust_env=False, headers={"Accept-Encoding": "identity"})


def shown(url: str) -> str:
    """An address without its user, password and query, which may be secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=host, query="", fragment=""))
    except ValueError:
        return "not a URL"


def _outage(error: Exception) -> str:
    """The reason of a failed fetch. Messages that may quote the URL or the response are left out."""
    own = isinstance(error, httpx2.NetworkError | _Unusable)
    return f"{type(error).__name__}: {error}" if own else type(error).__name__


def _public_keys(body: bytes) -> tuple[jwt.PyJWK, ...]:
    """The usable keys of a JWK set (RFC 7517, section 5). Raises `ValueError` or `_Unusable` if it is not one."""
    members = json_object(body).get("keys")
    if isinstance(members, list):
        return tuple(key for key in map(_public_key, members) if key is not None)
    message = "no list of keys"
    raise _Unusable(message)


def _public_key(member: object) -> jwt.PyJWK | None:
    """Return the key bound to its own `alg`, else to that of its type; nothing for an unusable one.

    That is a symmetric key, a private one (published, so known to everybody), one for another use or
    algorithm, an RSA key below 2048 bits, or an Ed25519 key of small order.
    """
    if not isinstance(member, dict) or "d" in member or not _may_verify(member):
        return None
    try:
        key = jwt.PyJWK(member)
    except Exception:  # noqa: BLE001 - an unusable key does not affect the others
        return None
    if KEY_TYPES.get(key.algorithm_name) != (member.get("kty"), member.get("crv")):
        return None
    if key.algorithm_name == "EdDSA" and has_small_order(base64url_decode(member["x"])):
        return None
    return key if key.Algorithm.check_key_length(key.key) is None else None


def _may_verify(member: dict[str, Any]) -> bool:
    """True if `use` and `key_ops`, where present, allow verification (RFC 7517, sections 4.2 and 4.3)."""
    operations = member.get("key_ops", ["verify"])
    may = isinstance(operations, list) and "verify" in operations
    return may and member.get("use", "sig") == "sig"
