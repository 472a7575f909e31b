"""What every handler takes and gives."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers.principal import Principal
from persistence.postgres.database import Database


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is there for all requests."""

    database: Database
    keeps_trash: bool
    """Whether a deleted task can be restored."""
    event_loop_lag: Callable[[], float]
    """How late the event loop was at its worst lately, in seconds."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler knows of its request beside the parameters of the contract."""

    surroundings: Surroundings
    path: str
    """The request's path as it was sent, percent-encoded."""
    caller: Principal | None
    """Whom the token names; None in an operation that the contract makes public."""

    @property
    def database(self) -> Database:
        """Where everything is kept."""
        return self.surroundings.database

    @property
    def principal(self) -> Principal:
        """Whom the token names, in an operation that the contract secures."""
        if self.caller is None:
            raise LookupError("this operation is public")
        return self.caller


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer on lines, which is written while it is sent."""

    media_type: str
    pages: AsyncIterator[list[dict[str, Any]]]
    """The values on the lines, some at a time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: its status, what is written as its body (None for no body), and headers by lower-case name.

    The body is a JSON value or `Rows`.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
