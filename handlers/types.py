"""The types that every handler takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers.principal import Principal
from persistence.postgres.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """The services of the application for every request."""

    database: Database
    keeps_trash: bool
    """True if a deleted task can be restored."""
    missing_setting: str | None = None
    """A sentence about a setting that requests need and that is not set."""


class NotConfigured(Exception):
    """The operator has not set what requests need. The message is for the client, and holds no value of a setting."""


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a request for a handler, beside the parameters of the document."""

    services: Services
    path: str
    """The request's path as it was sent, percent-encoded."""
    authenticated: Principal | None
    """The user that the token identifies; None in an operation that the document makes public."""

    @property
    def database(self) -> Database:
        """The database of all data."""
        return self.services.database

    @property
    def user(self) -> Principal:
        """The user that the token identifies. Raises `LookupError` in a public operation."""
        if self.authenticated is None:
            raise LookupError("this operation is public")
        return self.authenticated


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: its status, what is written as its body (None for no body), and headers by lower-case name.

    The body is a JSON value, or an asynchronous iterator of pages of records in an operation with a parameter that
    chooses the media type (`x-media-types`).
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
