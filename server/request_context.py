"""What the stages of one request tell each other, kept in the ASGI scope."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope

from handlers.principal import Principal

_KEY: Final = "tasks_api.exchange"

ORJSON_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
"""How orjson writes moments: those of `persistence` are naive and in UTC."""

Headers = list[tuple[bytes, bytes]]
"""Header fields as ASGI has them: names in lower case."""


TARGET_BYTES: Final = 8_192
"""The longest path and query taken together (RFC 9110, section 4.1 asks for at least 8,000 octets)."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as far as it has come."""

    scope: Scope
    receive: Receive
    root_path: str
    request_id: str
    fields: dict[bytes, bytes]
    """The request's header fields; a repeated one is a list (RFC 9110, section 5.3)."""
    answer_headers: Headers
    """What every answer to this request carries, be it a success or a problem."""
    status: int | None = None
    """That of the answer, once that has begun."""
    operation_id: str | None = None
    path_parameters: dict[str, str] = field(default_factory=dict)
    user: Principal | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    """The handler's arguments: the coerced parameters, and `body`."""

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encoded, with the prefix of `root_path`.

        One that is longer than `TARGET_BYTES` is cut, for it is refused, and what refuses it must not cost more.
        """
        path = _NOT_OF_A_PATH.sub(lambda match: b"%%%02X" % match[0][0], self.scope["raw_path"][:TARGET_BYTES])
        return self.root_path + path.decode("ascii")


# A client may leave as they are what RFC 3986, section 3.3, wants percent-encoded, such as `|`, `"` and a lone `%`.
_NOT_OF_A_PATH: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")


@dataclass(frozen=True, slots=True)
class Stream:
    """Content that is made while it is sent."""

    pages: AsyncIterator[list[Any]]
    """What it is made of, some JSON values at a time. Taking one may fail, the first before anything is sent."""
    write: Callable[[list[Any]], bytes]
    """How a page becomes content. It is called once for each page, in their order."""


@dataclass(frozen=True, slots=True)
class Response:
    """A success, ready to be sent."""

    status: int
    headers: Headers
    body: bytes | Stream


def fields_of(headers: Headers) -> dict[bytes, bytes]:
    """The header fields by name."""
    fields = dict(headers)
    if len(fields) == len(headers):
        return fields
    # One pass: how many there are is looked at later, by the guard.
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return {name: b", ".join(parts) for name, parts in values.items()}


def begin(exchange: Exchange) -> None:
    """Attach the exchange to the scope of its request."""
    exchange.scope[_KEY] = exchange


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of this request."""
    exchange: Exchange = scope[_KEY]
    return exchange
