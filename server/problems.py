"""Every error as `application/problem+json` (RFC 9457). The only place that knows which error is which status."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

INTERRUPTION: Final = "tasks_api.interruption"
"""Where a server puts an `Interruption` into the scope of a request before it cancels the request's task."""

PAGE = "/problems"
"""The page that explains the codes; a problem's `type` is a place in it."""

CURSOR_IN_WORDS = "taken from a Link header of a list with the same sort"
"""What a cursor must be, whether its form or its sort order shows that it is not."""

_INSTANCE_LENGTH = 512
_POINTER_LENGTH = 1024
_DETAIL_LENGTH = 1024

MOST_VIOLATIONS = 100
"""How many are told of one request, but for lines."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A code of the contract's `ProblemCode`: the status it comes with, and the words for people."""

    code: str
    status: int
    title: str
    detail: str


MALFORMED_REQUEST = Kind("malformed-request", 400, "Malformed request", "The request cannot be read.")
UNAUTHENTICATED = Kind("unauthenticated", 401, "Unauthenticated", "A valid bearer token is needed.")
FORBIDDEN = Kind("forbidden", 403, "Forbidden", "The token belongs to another user than the one in the path.")
NOT_FOUND = Kind("not-found", 404, "Not found", "There is nothing at this path.")
TASK_NOT_FOUND = Kind("task-not-found", 404, "Task not found", "The user has no task with this id.")
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed", 405, "Method not allowed", "The path does not take this method; `Allow` lists those it takes."
)
NOT_ACCEPTABLE = Kind("not-acceptable", 406, "Not acceptable", "This service answers in application/json.")
REQUEST_TIMEOUT = Kind("request-timeout", 408, "Request timeout", "The request did not arrive in time.")
REQUEST_IN_PROGRESS = Kind(
    "request-in-progress",
    409,
    "Request in progress",
    "A request with the same Idempotency-Key is still under way.",
)
PRECONDITION_FAILED = Kind(
    "precondition-failed",
    412,
    "Precondition failed",
    "The task has changed since the version that If-Match names.",
)
CONTENT_TOO_LARGE = Kind("content-too-large", 413, "Content too large", "The body is larger than this service takes.")
URI_TOO_LONG = Kind(
    "uri-too-long", 414, "URI too long", "The address of the request is longer than this service takes."
)
UNSUPPORTED_MEDIA_TYPE = Kind(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "The body must be application/json in UTF-8, without a content coding.",
)
VALIDATION_FAILED = Kind(
    "validation-failed", 422, "Validation failed", "The request does not satisfy the contract; see `errors`."
)
TOO_MANY_REQUESTS = Kind(
    "too-many-requests", 429, "Too many requests", "The limit of requests is reached. Try again later."
)
HEADERS_TOO_LARGE = Kind(
    "header-fields-too-large",
    431,
    "Header fields too large",
    "The header fields of the request are larger than this service takes.",
)
INTERNAL_ERROR = Kind(
    "internal-error",
    500,
    "Internal error",
    "Something went wrong. The request ID in the answer helps to find out what.",
)
SERVICE_UNAVAILABLE = Kind(
    "service-unavailable", 503, "Service unavailable", "The service cannot do this now. Try again later."
)
KINDS = tuple(value for value in list(vars().values()) if isinstance(value, Kind))


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a request breaks the contract: where, and what would be right.

    `place` is `pointer` (into the body, RFC 6901), `parameter` (a name) or `line` (its number, from 1). The value is
    never repeated.
    """

    place: str
    where: str | int
    detail: str

    def as_json(self) -> dict[str, str | int]:
        """The member of `errors`."""
        where = self.where if isinstance(self.where, int) else self.where[:_POINTER_LENGTH]
        return {self.place: where, "detail": self.detail[:_DETAIL_LENGTH]}


class Problem(Exception):
    """An error that ends a request, as the client gets to see it. Header names are in lower case."""

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail or kind.detail
        self.headers = headers or {}
        self.violations = violations

    def as_json(self, instance: str) -> dict[str, Any]:
        """The members of the problem; `instance` is the request's path."""
        members: dict[str, Any] = {
            "type": f"{PAGE}#{self.kind.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": _shortened(instance),
            "code": self.kind.code,
        }
        if self.violations:
            members["errors"] = [violation.as_json() for violation in self.violations]
        return members


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why a request is ended from outside: as this problem, or as nothing where nobody can be told any more."""

    problem: Problem | None


def _shortened(path: str) -> str:
    """The path as far as there is room, without half of a percent-encoding at its end."""
    return path if len(path) <= _INSTANCE_LENGTH else re.sub("%.?$", "", path[:_INSTANCE_LENGTH])


def validation_failed(violations: Sequence[Violation], *, most: int = MOST_VIOLATIONS) -> Problem:
    """All the violations of one request, as far as the contract has room for them."""
    return Problem(VALIDATION_FAILED, violations=list(dict.fromkeys(violations))[:most])
