"""Turns exceptions into problem responses (RFC 9457). The only module that maps errors to statuses."""

import asyncio

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.types import NotConfigured
from persistence.errors import (
    DatabaseNotReady,
    DatabaseUnavailable,
    InvalidCursor,
    KeyInUse,
    KeyReused,
    TaskChanged,
    TaskNotFound,
)
from server.auth.errors import ExpiredToken, InvalidToken, KeysUnavailable, MissingToken
from server.formats.content_coding import encode
from server.logging import describe_error
from server.observability.metrics import TOKEN_REFUSALS
from server.problems import (
    CURSOR_IN_WORDS,
    INTERNAL_ERROR,
    INTERRUPTION,
    NOT_READY,
    PRECONDITION_FAILED,
    REQUEST_IN_PROGRESS,
    SERVICE_UNAVAILABLE,
    TASK_NOT_FOUND,
    TOKEN_EXPIRED,
    UNAUTHENTICATED,
    Interruption,
    Problem,
    Violation,
    validation_failed,
)
from server.request_context import Headers, RequestContext, current_request

_log = structlog.get_logger()

# RFC 6750, section 3: a request without a token gets no error code. The description is the same for every refused token
# but one that is right in all but its expiry, whose client should fetch a new one.
_REALM = 'Bearer realm="tasks-api"'
_REFUSED = f'{_REALM}, error="invalid_token", error_description="The token is not valid."'
_EXPIRED = f'{_REALM}, error="invalid_token", error_description="The token has expired."'


def to_problem(error: Exception) -> Problem:
    """The problem that describes an error of any package to the client. An unknown error is an opaque 500."""
    match error:
        case Problem():
            problem = error
        case TaskNotFound():
            problem = Problem(TASK_NOT_FOUND)
        case TaskChanged():
            problem = Problem(PRECONDITION_FAILED)
        case KeyInUse():
            problem = Problem(REQUEST_IN_PROGRESS)
        case KeyReused():
            problem = validation_failed([Violation("parameter", "Idempotency-Key", "was used with another request")])
        case InvalidCursor():
            problem = validation_failed([Violation("parameter", "cursor", f"must be {CURSOR_IN_WORDS}")])
        case InvalidToken():
            problem = _token_problem(error)
        case NotConfigured():
            problem = Problem(SERVICE_UNAVAILABLE, str(error))
        case DatabaseUnavailable() | KeysUnavailable():
            detail = NOT_READY if isinstance(error, DatabaseNotReady) else None
            problem = Problem(SERVICE_UNAVAILABLE, detail, retry_after=getattr(error, "retry_after", None))
        case _:
            problem = Problem(INTERNAL_ERROR)
    return problem


def _token_problem(error: InvalidToken) -> Problem:
    match error:
        case MissingToken():
            return Problem(UNAUTHENTICATED, headers={"www-authenticate": _REALM})
        case ExpiredToken():
            return Problem(TOKEN_EXPIRED, headers={"www-authenticate": _EXPIRED})
        case _:
            return Problem(UNAUTHENTICATED, headers={"www-authenticate": _REFUSED})


class ProblemMiddleware:
    """Turns exceptions of the later stages into problems."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call on, and answer in the place of a stage that raised."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = current_request(scope)
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            answer = _answer_to(error, request)
            if request.status is not None:
                raise
        except asyncio.CancelledError:
            interruption: Interruption | None = scope.get(INTERRUPTION)
            task = asyncio.current_task()
            if interruption is None or task is None:
                raise
            task.uncancel()
            code = interruption.problem.kind.code if interruption.problem else None
            _log.warning("interrupted", request_id=request.request_id, code=code)
            if interruption.problem is None or request.status is not None:
                return
            answer = _render(interruption.problem, request)
        else:
            return
        # Sent after the exception has been freed: its traceback holds the frames of all stages with their request
        # bodies, and sending may wait for the client. No variable here refers to it, which would make a cycle.
        status, headers, content = answer
        headers, content = await encode(headers, content, request.fields)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def _answer_to(error: Exception, request: RequestContext) -> tuple[int, Headers, bytes]:
    problem = to_problem(error)
    _report(error, problem, request.request_id)
    return _render(problem, request)


def _render(problem: Problem, request: RequestContext) -> tuple[int, Headers, bytes]:
    request.code = problem.kind.code
    headers, content = problem.render(request.path)
    return problem.kind.status, headers, content


def _report(error: Exception, problem: Problem, request_id: str) -> None:
    """Log an error that the operator must know of."""
    if isinstance(error, DatabaseUnavailable | KeysUnavailable):
        _log.warning("unavailable", request_id=request_id, reason=str(error))
    elif isinstance(error, InvalidToken):
        TOKEN_REFUSALS.labels(str(error)).inc()
        _log.info("security.token_refused", request_id=request_id, reason=str(error))
    elif problem.kind is INTERNAL_ERROR:
        _log.error("unexpected_error", request_id=request_id, **describe_error(error))
