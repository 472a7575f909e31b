"""Every error as `application/problem+json` (RFC 9457). The only place that knows which error is which status."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from persistence.errors import DatabaseUnavailable, InvalidCursor, KeyInUse, KeyReused, TaskChanged, TaskNotFound
from server.auth.tokens import InvalidToken, KeysUnavailable
from server.middleware.access_log import told_of
from server.request_context import Exchange, exchange_of

_log = structlog.get_logger()

INTERRUPTION: Final = "tasks_api.interruption"
"""Where a server puts an `Interruption` into the scope of a request before it cancels the request's task."""

PAGE = "/problems"
"""The page that explains the codes; a problem's `type` is a place in it."""

CURSOR_IN_WORDS = "taken from a Link header of a list with the same sort"
"""What a cursor must be, whether its form or its sort order shows that it is not."""

_MEDIA_TYPE = b"application/problem+json"
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


# RFC 6750, section 3: a request without a token gets no error code, so neither does one with a bad token, which
# makes every failure the same.
_CHALLENGE = {"www-authenticate": 'Bearer realm="tasks-api"'}


def problem_of(error: Exception) -> Problem:
    """The problem that an error of any room is to a client. What is not known is an opaque 500."""
    match error:
        case Problem():
            problem = error
        case TaskNotFound():
            problem = Problem(TASK_NOT_FOUND)
        case TaskChanged():
            problem = Problem(PRECONDITION_FAILED)
        case KeyInUse():
            problem = Problem(REQUEST_IN_PROGRESS, headers={"retry-after": "1"})
        case KeyReused():
            problem = validation_failed([Violation("parameter", "Idempotency-Key", "was used with another body")])
        case InvalidCursor():
            problem = validation_failed([Violation("parameter", "cursor", f"must be {CURSOR_IN_WORDS}")])
        case InvalidToken():
            problem = Problem(UNAUTHENTICATED, headers=_CHALLENGE)
        case DatabaseUnavailable() | KeysUnavailable():
            # A database says nothing of when it will be back.
            problem = Problem(SERVICE_UNAVAILABLE, headers={"retry-after": str(getattr(error, "retry_after", 1))})
        case _:
            problem = Problem(INTERNAL_ERROR)
    return problem


class ProblemMiddleware:
    """Turns whatever the later stages raise into a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call on, and answer in the place of a stage that raised."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            exchange = exchange_of(scope)
            problem = problem_of(error)
            _report(error, problem, exchange.request_id)
            if exchange.status is not None:
                raise
            await _send_problem(problem, exchange, send)
        except asyncio.CancelledError:
            interruption: Interruption | None = scope.get(INTERRUPTION)
            task = asyncio.current_task()
            if interruption is None or task is None:
                raise
            task.uncancel()
            exchange = exchange_of(scope)
            code = interruption.problem.kind.code if interruption.problem else None
            _log.warning("interrupted", request_id=exchange.request_id, code=code)
            if interruption.problem is not None and exchange.status is None:
                await _send_problem(interruption.problem, exchange, send)


async def _send_problem(problem: Problem, exchange: Exchange, send: Send) -> None:
    body = orjson.dumps(problem.as_json(exchange.path))
    headers = [
        (b"content-type", _MEDIA_TYPE),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.kind.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if exchange.scope["method"] == "HEAD" else body})


def _report(error: Exception, problem: Problem, request_id: str) -> None:
    """Log what an operator must know of."""
    if isinstance(error, DatabaseUnavailable | KeysUnavailable):
        _log.warning("unavailable", request_id=request_id, reason=str(error))
    elif isinstance(error, InvalidToken):
        _log.info("security.token_refused", request_id=request_id, reason=str(error))
    elif problem.kind is INTERNAL_ERROR:
        _log.error("unexpected_error", request_id=request_id, **told_of(error))
