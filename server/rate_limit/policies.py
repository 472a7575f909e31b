"""The rate-limit policies: one for each user, and three for each address without a valid token."""

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, Final

import structlog
from limits import RateLimitItem, parse_many
from prometheus_client import Counter

from server.problems import TOO_MANY_REQUESTS, Problem
from server.rate_limit.memory import MovingWindows, Quota
from server.request_context import RequestContext

if TYPE_CHECKING:
    from server.rate_limit.redis import RedisCounter

_log = structlog.get_logger()

OFF: Final = "off"

REFUSALS: Final = Counter("rate_limit_refusals", "Requests refused with 429.", ["policy"])

_MAX_REQUESTS: Final = 1_000_000
_MAX_SECONDS: Final = 86_400
_MAX_ADDRESS_LENGTH: Final = 64
_NO_ADDRESS: Final = "unknown"
_ZERO_PERIOD: Final = re.compile(r"(?i)(/|per)\s*0+\s*[a-z]")
_FORM: Final = "must be `off`, or a number of requests and a time such as 1000/minute or 20/2 second"


def read_rate(text: str) -> RateLimitItem | None:
    """Parse a rate in the notation of `limits`; None for `off`. Raises `ValueError` for anything else."""
    if text.strip().lower() == OFF:
        return None
    try:
        rates = parse_many(text)
    except ValueError:
        raise ValueError(_FORM) from None
    # The library reads 0 seconds as one.
    if len(rates) != 1 or _ZERO_PERIOD.search(text):
        raise ValueError(_FORM)
    (rate,) = rates
    if not 1 <= rate.amount <= _MAX_REQUESTS:
        raise ValueError(f"must be a number of requests from 1 to {_MAX_REQUESTS}")
    if rate.get_expiry() > _MAX_SECONDS:
        raise ValueError("must be a time of one day at most")
    return rate


class _Policy:
    """One limit and its header fields (draft-ietf-httpapi-ratelimit-headers)."""

    def __init__(self, name: str, rate: RateLimitItem, shared: "RedisCounter | None", detail: str) -> None:
        # The namespace separates the policies in Redis.
        self._rate = type(rate)(rate.amount, rate.multiples, namespace=name)
        self._shared = shared
        self._windows = MovingWindows(rate)
        self._detail = detail
        self._refusals = REFUSALS.labels(name)
        self._policy_field = (b"ratelimit-policy", f'"{name}";q={rate.amount};w={rate.get_expiry()}'.encode())
        self._field = f'"{name}";r=%d;t=%d'.encode()

    async def count(self, request: RequestContext, client: str) -> None:
        """Count the request, and add the header fields. Raises `Problem` (429) beyond the limit."""
        quota = None if self._shared is None else await self._shared.count(self._rate, client)
        if quota is None:
            quota = self._windows.count(client)
        self._add_fields(request, quota)
        if not quota.granted:
            raise self._refusal(quota)

    async def require(self, request: RequestContext, client: str) -> None:
        """Raise `Problem` (429) if the limit is reached. Nothing is counted."""
        quota = None if self._shared is None else await self._shared.peek(self._rate, client)
        if quota is None:
            quota = self._windows.peek(client)
        if not quota.granted:
            self._add_fields(request, quota)
            raise self._refusal(quota)

    def _add_fields(self, request: RequestContext, quota: Quota) -> None:
        request.response_headers += (
            self._policy_field,
            (b"ratelimit", self._field % (quota.remaining, quota.seconds)),
        )

    def _refusal(self, quota: Quota) -> Problem:
        self._refusals.inc()
        return Problem(TOO_MANY_REQUESTS, self._detail, retry_after=quota.seconds)


def _policy(name: str, rate: RateLimitItem | None, shared: "RedisCounter | None", detail: str) -> _Policy | None:
    return None if rate is None else _Policy(name, rate, shared, detail)


class RateLimits:
    """The policies of this process. One that is None is not enforced."""

    def __init__(
        self,
        *,
        user: RateLimitItem | None,
        anonymous: RateLimitItem | None,
        refused_tokens: RateLimitItem | None,
        probes: RateLimitItem | None,
        shared: "RedisCounter | None" = None,
    ) -> None:
        self._shared = shared
        self._trusts_proxy = True
        self._user = _policy("user", user, shared, "The user has made too many requests. Try again later.")
        self._anonymous = _policy(
            "anonymous",
            anonymous,
            shared,
            "Too many requests without a valid token came from this address. Try again later.",
        )
        self._refused_tokens = _policy(
            "refused-tokens", refused_tokens, shared, "Too many tokens of this address were refused. Try again later."
        )
        # Each process counts separately: a node probes all of its replicas, and no probe should wait for Redis.
        self._probes = _policy(
            "probes", probes, None, "Too many health checks came from this address. Try again later."
        )

    async def open(self) -> None:
        """Connect to Redis, if it is configured. Never fails."""
        if self._shared is not None:
            await self._shared.open()

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._shared.aclose()

    async def count_user(self, request: RequestContext, subject: str) -> None:
        """Count a request with a valid token. Raises `Problem` (429)."""
        if self._user is not None:
            await self._user.count(request, subject)

    async def count_anonymous(self, request: RequestContext) -> None:
        """Count a request without one. Raises `Problem` (429)."""
        if self._anonymous is not None:
            await self._anonymous.count(request, self._address(request))

    async def count_probe(self, request: RequestContext) -> None:
        """Count a health check. Raises `Problem` (429)."""
        if self._probes is not None:
            await self._probes.count(request, self._address(request))

    async def count_refused_token(self, request: RequestContext) -> None:
        """Count a token that was refused. Raises `Problem` (429) for one too many."""
        if self._refused_tokens is not None:
            await self._refused_tokens.count(request, self._address(request))

    async def before_verifying(self, request: RequestContext) -> None:
        """Raise `Problem` (429) if too many tokens of the address were refused."""
        if self._refused_tokens is not None:
            await self._refused_tokens.require(request, self._address(request))

    def _address(self, request: RequestContext) -> str:
        """The client address by which a request without a valid token is counted.

        uvicorn's proxy middleware has replaced it by that of `X-Forwarded-For` if a trusted proxy sent the field.
        """
        client = request.scope.get("client")
        host = client[0] if client else ""
        forwarded = request.fields.get(b"x-forwarded-for")
        if forwarded and self._trusts_proxy and host not in forwarded.decode("latin-1"):
            # All clients of an untrusted proxy share one limit. Logged once, because every client can send the field.
            self._trusts_proxy = False
            _log.warning("rate_limit.proxy_not_trusted", address=host, setting="FORWARDED_ALLOW_IPS")
        return _network(host) if len(host) <= _MAX_ADDRESS_LENGTH else _NO_ADDRESS


@functools.lru_cache(maxsize=8192)
def _network(host: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 one: a single subscriber has at least a /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _NO_ADDRESS
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
