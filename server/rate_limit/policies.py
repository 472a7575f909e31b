"""Who may ask how often: a budget for each user, and three for each address where no token says who it is."""

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, Final

import structlog
from limits import RateLimitItem, parse_many
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import Counter

from server.problems import TOO_MANY_REQUESTS, Problem
from server.rate_limit.memory import Standing, WindowStorage, standing_of
from server.request_context import Exchange

if TYPE_CHECKING:
    from server.rate_limit.redis import RedisWindows

_log = structlog.get_logger()

OFF: Final = "off"

REFUSALS: Final = Counter("rate_limit_refusals", "Requests refused with 429.", ["policy"])

_MOST: Final = 1_000_000
_LONGEST: Final = 86_400
_LONGEST_ADDRESS: Final = 64
_NO_ADDRESS: Final = "unknown"
_ZERO_PERIOD: Final = re.compile(r"(?i)(/|per)\s*0+\s*[a-z]")
_FORM: Final = "must be `off`, or a number of requests and a time such as 1000/minute or 20/2 second"


def read_rate(text: str) -> RateLimitItem | None:
    """What is said in the notation of `limits`, or None for `off`. Raises `ValueError` for anything else."""
    if text.strip().lower() == OFF:
        return None
    try:
        rates = parse_many(text)
    except ValueError:
        raise ValueError(_FORM) from None
    # The library takes no second for one.
    if len(rates) != 1 or _ZERO_PERIOD.search(text):
        raise ValueError(_FORM)
    (rate,) = rates
    if not 1 <= rate.amount <= _MOST:
        raise ValueError(f"must be a number of requests from 1 to {_MOST}")
    if rate.get_expiry() > _LONGEST:
        raise ValueError("must be a time of one day at most")
    return rate


class _Budget:
    """One limit, and how the header fields tell of it (draft-ietf-httpapi-ratelimit-headers)."""

    def __init__(self, policy: str, rate: RateLimitItem, shared: "RedisWindows | None", detail: str) -> None:
        # The name keeps the limits apart where they are shared.
        self._rate = type(rate)(rate.amount, rate.multiples, namespace=policy)
        self._shared = shared
        self._limiter = MovingWindowRateLimiter(WindowStorage())
        self._detail = detail
        self._refusals = REFUSALS.labels(policy)
        self._policy_field = (b"ratelimit-policy", f'"{policy}";q={rate.amount};w={rate.get_expiry()}'.encode())
        self._field = f'"{policy}";r=%d;t=%d'.encode()

    async def take(self, exchange: Exchange, client: str) -> None:
        """Count the request, and have its answer say so. Raises `Problem` (429) if there is nothing left."""
        standing = None if self._shared is None else await self._shared.take(self._rate, client)
        if standing is None:
            standing = self._standing(client, granted=self._limiter.hit(self._rate, client))
        self._tell(exchange, standing)
        if not standing.granted:
            raise self._refusal(standing)

    async def require(self, exchange: Exchange, client: str) -> None:
        """Raise `Problem` (429) if there is nothing left. Nothing is counted."""
        standing = None if self._shared is None else await self._shared.look(self._rate, client)
        if standing is None:
            standing = self._standing(client)
        if not standing.granted:
            self._tell(exchange, standing)
            raise self._refusal(standing)

    def _standing(self, client: str, *, granted: bool | None = None) -> Standing:
        return standing_of(self._rate, self._limiter.get_window_stats(self._rate, client), granted=granted)

    def _tell(self, exchange: Exchange, standing: Standing) -> None:
        exchange.answer_headers += (
            self._policy_field,
            (b"ratelimit", self._field % (standing.remaining, standing.seconds)),
        )

    def _refusal(self, standing: Standing) -> Problem:
        self._refusals.inc()
        return Problem(TOO_MANY_REQUESTS, self._detail, retry_after=standing.seconds)


def _budget(policy: str, rate: RateLimitItem | None, shared: "RedisWindows | None", detail: str) -> _Budget | None:
    return None if rate is None else _Budget(policy, rate, shared, detail)


class RateLimits:
    """The limits of this process. One that is None is not enforced."""

    def __init__(
        self,
        *,
        user: RateLimitItem | None,
        anonymous: RateLimitItem | None,
        refused_tokens: RateLimitItem | None,
        probes: RateLimitItem | None,
        shared: "RedisWindows | None" = None,
    ) -> None:
        self._shared = shared
        self._trusts_proxy = True
        self._user = _budget("user", user, shared, "The user has made too many requests. Try again later.")
        self._anonymous = _budget(
            "anonymous",
            anonymous,
            shared,
            "Too many requests without a valid token came from this address. Try again later.",
        )
        self._refused_tokens = _budget(
            "refused-tokens", refused_tokens, shared, "Too many tokens of this address were refused. Try again later."
        )
        # Each process counts by itself: a node asks all of its replicas, and no probe should wait for Redis.
        self._probes = _budget(
            "probes", probes, None, "Too many health checks came from this address. Try again later."
        )

    async def open(self) -> None:
        """Look for what is shared. Never fails."""
        if self._shared is not None:
            await self._shared.open()

    async def aclose(self) -> None:
        """Let go of what is shared."""
        if self._shared is not None:
            await self._shared.aclose()

    async def count_user(self, exchange: Exchange, subject: str) -> None:
        """Count a request with a valid token. Raises `Problem` (429)."""
        if self._user is not None:
            await self._user.take(exchange, subject)

    async def count_anonymous(self, exchange: Exchange) -> None:
        """Count a request without one. Raises `Problem` (429)."""
        if self._anonymous is not None:
            await self._anonymous.take(exchange, self._address(exchange))

    async def count_probe(self, exchange: Exchange) -> None:
        """Count a health check. Raises `Problem` (429)."""
        if self._probes is not None:
            await self._probes.take(exchange, self._address(exchange))

    async def count_refused_token(self, exchange: Exchange) -> None:
        """Count a token that was refused. Raises `Problem` (429) for one too many."""
        if self._refused_tokens is not None:
            await self._refused_tokens.take(exchange, self._address(exchange))

    async def before_verifying(self, exchange: Exchange) -> None:
        """Raise `Problem` (429) for the tokens of an address that too many were refused of."""
        if self._refused_tokens is not None:
            await self._refused_tokens.require(exchange, self._address(exchange))

    def _address(self, exchange: Exchange) -> str:
        """Whom a request without a valid token is counted for.

        uvicorn has looked at `X-Forwarded-For` by now, as far as a trusted proxy has written it.
        """
        client = exchange.scope.get("client")
        host = client[0] if client else ""
        forwarded = exchange.fields.get(b"x-forwarded-for")
        if forwarded and self._trusts_proxy and host not in forwarded.decode("latin-1"):
            # If it is a proxy's, all its clients share one budget, and one of them can use it up for all. Said once,
            # for anybody can send this field.
            self._trusts_proxy = False
            _log.warning("rate_limit.proxy_not_trusted", address=host, setting="FORWARDED_ALLOW_IPS")
        return _network(host) if len(host) <= _LONGEST_ADDRESS else _NO_ADDRESS


@functools.lru_cache(maxsize=8192)
def _network(host: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one, for a single subscriber has at least that many addresses."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _NO_ADDRESS
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
