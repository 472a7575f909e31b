"""`If-None-Match: *` of a write (RFC 9110, section 13.1.2)."""

from connexion.operations import AbstractOperation

from server.pipeline.stage import Operation
from server.problems import PRECONDITION_FAILED, Problem
from server.request_context import RequestContext, Response


class _AbsenceOperation:
    """Refuses a write that asks that its resource does not exist."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    async def __call__(self, request: RequestContext) -> Response:
        if request.fields.get(b"if-none-match") == b"*":
            if "if_match" not in request.arguments:
                # A list, an import and a profile always exist.
                raise Problem(PRECONDITION_FAILED)
            # An If-Match that no version satisfies is a 412, and a task that does not exist is still a 404, as section
            # 13.2.1 asks.
            request.arguments["if_match"] = ""
        return await self.operation(request)


def with_preconditions(operation: AbstractOperation, next_operation: Operation) -> Operation:
    """The next operation, behind the precondition if it is a write with a 412 in the document."""
    is_write = operation.method != "get" and "412" in operation.responses
    return _AbsenceOperation(next_operation) if is_write else next_operation
