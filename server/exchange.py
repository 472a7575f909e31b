"""What the stages of one request tell each other, kept in the ASGI scope."""

from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from handlers.security import Principal

_KEY = "tasks_api.exchange"


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as far as it has come."""

    request_id: str
    path: str
    """The path as it was sent, percent-encoded, with the prefix of `root_path`."""
    operation_id: str | None = None
    path_parameters: dict[str, str] = field(default_factory=dict)
    principal: Principal | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    """The handler's arguments: the coerced parameters, and `body`."""


def begin(scope: Scope, exchange: Exchange) -> None:
    """Attach the exchange to the scope of its request."""
    scope[_KEY] = exchange


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of this request."""
    exchange: Exchange = scope[_KEY]
    return exchange
