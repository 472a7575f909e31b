"""Problem details (RFC 9457): the kinds with their statuses and words, and the exception that carries them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

INTERRUPTION: Final = "tasks_api.interruption"
"""The key of an `Interruption` in the ASGI scope. A server sets it before it cancels the task of the request."""

CUT: Final = "tasks_api.cut"
"""A stage sets this in the scope of a request to have the server close its connection during the response."""

PAGE = "/problems"
"""The path of the page that explains the codes. The `type` of a problem is a fragment of it."""

CURSOR_IN_WORDS = "taken from a Link header of a list with the same sort"
"""The rule for a cursor, to follow "must be": for a malformed one and for one of another sort order."""

NOT_READY = "The database cannot be reached or cannot be used. The log of the service has the reason."
"""The detail of a readiness check that failed for the database."""

_MEDIA_TYPE = b"application/problem+json"
_INSTANCE_LENGTH = 512
_POINTER_LENGTH = 1024
_DETAIL_LENGTH = 1024

MOST_VIOLATIONS = 100
"""The maximum number of violations in a response, except those of records."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A code of the contract's problems, with its status and the words for people."""

    code: str
    status: int
    title: str
    detail: str
    retry_after: int | None = None
    """The value of `Retry-After` in seconds, for kinds that a client should try again."""


MALFORMED_REQUEST = Kind(
    "malformed-request",
    400,
    "Malformed request",
    "The request is not valid HTTP, or its body is not valid JSON in UTF-8.",
)
UNAUTHENTICATED = Kind("unauthenticated", 401, "Unauthenticated", "A valid bearer token is required.")
TOKEN_EXPIRED = Kind("token-expired", 401, "Token expired", "The bearer token has expired. Get a new one.")
FORBIDDEN = Kind("forbidden", 403, "Forbidden", "The user in the path is not the user whom the token names.")
NOT_FOUND = Kind("not-found", 404, "Not found", "No resource has this path.")
TASK_NOT_FOUND = Kind("task-not-found", 404, "Task not found", "The user has no task with this id.")
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed",
    405,
    "Method not allowed",
    "The resource does not support this method; `Allow` lists the methods that it supports.",
)
NOT_ACCEPTABLE = Kind(
    "not-acceptable", 406, "Not acceptable", "The response is not available in a media type that `Accept` allows."
)
REQUEST_TIMEOUT = Kind("request-timeout", 408, "Request timeout", "The request did not arrive in time.")
REQUEST_IN_PROGRESS = Kind(
    "request-in-progress",
    409,
    "Request in progress",
    "A request with the same `Idempotency-Key` is still in progress.",
    retry_after=1,
)
PRECONDITION_FAILED = Kind(
    "precondition-failed", 412, "Precondition failed", "The resource does not satisfy `If-Match` or `If-None-Match`."
)
CONTENT_TOO_LARGE = Kind("content-too-large", 413, "Content too large", "The body is larger than the service accepts.")
URI_TOO_LONG = Kind("uri-too-long", 414, "URI too long", "The path and query are longer than the service accepts.")
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
    "too-many-requests", 429, "Too many requests", "The rate limit is exceeded. Try again later.", retry_after=1
)
HEADERS_TOO_LARGE = Kind(
    "header-fields-too-large",
    431,
    "Header fields too large",
    "The header fields are larger than the service accepts.",
)
INTERNAL_ERROR = Kind(
    "internal-error",
    500,
    "Internal error",
    "An unexpected error occurred. Its log entry has the id in the `X-Request-ID` header of this response.",
)
SERVICE_UNAVAILABLE = Kind(
    "service-unavailable",
    503,
    "Service unavailable",
    "The service cannot process the request now. Try again later.",
    retry_after=1,
)
KINDS = tuple(value for value in list(vars().values()) if isinstance(value, Kind))


@dataclass(frozen=True, slots=True)
class Violation:
    """A location in the request and the rule that it breaks.

    `place` is `pointer` (into the body, RFC 6901), `parameter` (a name) or `line` (the number of a record's first line,
    from 1). The detail never repeats the value.
    """

    place: str
    where: str | int
    detail: str

    def as_json(self) -> dict[str, str | int]:
        """Return the item of `errors`."""
        where = self.where if isinstance(self.where, int) else self.where[:_POINTER_LENGTH]
        return {self.place: where, "detail": self.detail[:_DETAIL_LENGTH]}


class Problem(Exception):
    """An error that ends a request, as the client sees it. Header names are in lower case.

    `detail` and `retry_after` replace those of the kind.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail or kind.detail
        self.headers = dict(headers or {})
        seconds = kind.retry_after if retry_after is None else retry_after
        if seconds is not None:
            self.headers["retry-after"] = str(seconds)
        self.violations = violations

    def as_json(self, instance: str) -> dict[str, Any]:
        """Return the members of the problem; `instance` is the path of the request."""
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

    def render(self, instance: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """The header fields and the content of the response, as ASGI has them."""
        content = orjson.dumps(self.as_json(instance))
        fields = [
            (b"content-type", _MEDIA_TYPE),
            (b"content-length", b"%d" % len(content)),
            (b"cache-control", b"no-store"),
            *((name.encode(), value.encode()) for name, value in self.headers.items()),
        ]
        return fields, content


@dataclass(frozen=True, slots=True)
class Interruption:
    """The reason to end a request from outside. `problem` is None if no response can be sent any more."""

    problem: Problem | None


def _shortened(path: str) -> str:
    """Truncate a path to the length that the document allows, without splitting a percent-encoding."""
    return path if len(path) <= _INSTANCE_LENGTH else re.sub("%.?$", "", path[:_INSTANCE_LENGTH])


def validation_failed(violations: Sequence[Violation], *, most: int = MOST_VIOLATIONS) -> Problem:
    """Make a 422 of the distinct violations of a request, `most` at most."""
    return Problem(VALIDATION_FAILED, violations=list(dict.fromkeys(violations))[:most])
