"""The context of a request, which its stages share in the ASGI scope."""

import re
import string
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Receive, Scope

from handlers.principal import Principal
from server.formats.stream import Stream

_KEY: Final = "tasks_api.request_context"

Headers = list[tuple[bytes, bytes]]
"""Header fields in the form of ASGI, with names in lower case."""

TARGET_BYTES: Final = 8_192
"""The maximum size of path and query together (RFC 9110, section 4.1 asks for at least 8,000 octets)."""


@dataclass(slots=True)
class RequestContext:
    """A request, and its response as far as it is known."""

    scope: Scope
    receive: Receive
    root_path: str
    request_id: str
    fields: dict[bytes, bytes]
    """The request's header fields; a repeated one is a list (RFC 9110, section 5.3)."""
    response_headers: Headers
    """The header fields of every response to this request, a success or a problem."""
    status: int | None = None
    """The status of the response, once it has begun."""
    operation_id: str | None = None
    code: str | None = None
    """The code of the problem that is the response, or that ended it."""
    replayed: bool = False
    """True if the response repeats that of an earlier request with the same idempotency key."""
    path_parameters: dict[str, str] = field(default_factory=dict)
    user: Principal | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    """The handler's arguments: the coerced parameters, and `body`."""

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encoded, with the prefix of `root_path`.

        It is cut at `TARGET_BYTES`: a longer one is refused, and the refusal must not cost more.
        """
        path: bytes = self.scope["raw_path"][:TARGET_BYTES]
        if path.translate(None, _UNRESERVED):
            path = _UNENCODED.sub(lambda match: b"%%%02X" % match[0][0], path)
        return self.root_path + path.decode("ascii")


_UNRESERVED: Final = (string.ascii_letters + string.digits + "-._~/").encode()

# Characters that RFC 3986, section 3.3, wants percent-encoded, and clients may send as they are: `|`, `"`, a lone `%`.
_UNENCODED: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")


@dataclass(frozen=True, slots=True)
class Response:
    """A success to be sent."""

    status: int
    headers: Headers
    body: bytes | Stream
    """The first part of a stream is generated before anything is sent, because that may fail."""


def combine_fields(headers: Headers) -> dict[bytes, bytes]:
    """The header fields by name. Repeated ones are joined into a list (RFC 9110, section 5.3)."""
    fields = dict(headers)
    if len(fields) == len(headers):
        return fields
    # In one pass, because the request limits count the fields only later.
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return {name: b", ".join(parts) for name, parts in values.items()}


def join_vary(headers: Headers) -> Headers:
    """The header fields with all `Vary` fields in one, the last."""
    values = [value for name, value in headers if name == b"vary"]
    if len(values) <= 1:
        return headers
    joined = [field for field in headers if field[0] != b"vary"]
    joined.append((b"vary", b", ".join(values)))
    return joined


def attach(request: RequestContext) -> None:
    """Attach the context to the scope of its request."""
    request.scope[_KEY] = request


def detach(scope: Scope) -> None:
    """Detach the context of a request that has ended.

    It and its scope refer to each other. Left to the garbage collector, they would take memory, and the processor's
    caches, from later requests until then.
    """
    del scope[_KEY]


def current_request(scope: Scope) -> RequestContext:
    """The context of the request with this scope."""
    request: RequestContext = scope[_KEY]
    return request
