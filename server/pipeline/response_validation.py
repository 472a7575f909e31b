"""The stage that holds a success against the document before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn

import orjson
import structlog
from connexion.middleware.abstract import RoutedMiddleware
from connexion.operations import AbstractOperation

from server.contract.document import JSON
from server.contract.schemas import Validator
from server.formats.records import Page
from server.formats.stream import Stream
from server.pipeline.stage import Operation, StageApi
from server.request_context import Headers, RequestContext, Response

_log = structlog.get_logger()

_ADDED_LATER: Final = b"x-request-id"
"""The header field that a middleware adds to every response, so that an answer does not have it yet."""


class ResponseError(Exception):
    """A handler's answer breaks the contract, so it is kept back. The message names the place, not the value."""


@dataclass(frozen=True, slots=True)
class _Success:
    """A response of the document, compiled."""

    validator: Validator | None
    required_headers: frozenset[bytes]
    headers: Mapping[bytes, Validator]

    def check(self, body: bytes) -> None:
        """Raise `ResponseError` if the content breaks the document, or the document has none."""
        if self.validator is None:
            if body:
                _refuse("there is a body")
        else:
            self.check_value(orjson.loads(body))

    def check_value(self, value: Any) -> None:
        """Raise `ResponseError` if the content breaks the document."""
        if self.validator is not None and (found := self.validator.violations(value, "pointer")):
            _refuse("; ".join(f"{violation.where} {violation.detail}" for violation in found[:3]))

    def check_headers(self, headers: Headers) -> None:
        """Raise `ResponseError` if one is missing or breaks the document."""
        if not self.headers and not self.required_headers:
            return
        present = dict(headers)
        if missing := self.required_headers - present.keys():
            _refuse(f"the headers {sorted(missing)} are missing")
        for name, validator in self.headers.items():
            if name in present and not validator.is_valid(present[name].decode("latin-1")):
                _refuse(f"the header {name.decode()} is not as described")


def _refuse(reason: str) -> NoReturn:
    raise ResponseError(reason)


class _ResponseOperation:
    """Holds an answer back until it has been checked. Problems do not come by here: `problems` makes them."""

    def __init__(self, next_operation: Operation, operation_id: str, successes: Mapping[int, _Success]) -> None:
        self.next_operation = next_operation
        self.operation_id = operation_id
        self.successes = successes

    async def __call__(self, request: RequestContext) -> Response:
        response = await self.next_operation(request)
        try:
            success = self.successes.get(response.status)
            if success is None:
                _refuse(f"the status {response.status} is not described")
            success.check_headers(response.headers)
            if isinstance(response.body, Stream):
                response.body.add_check(partial(self._check_page, success))
            else:
                success.check(response.body)
        except ResponseError as error:
            self._report(error)
            raise
        return response

    def _check_page(self, success: _Success, page: Page) -> None:
        try:
            success.check_value(page.values)
        except ResponseError as error:
            self._report(error)
            raise

    def _report(self, error: ResponseError) -> None:
        _log.error("contract.response_violation", operation=self.operation_id, reason=str(error))


class _ResponseApi(StageApi):
    def __init__(self, *args: Any, validate_responses: bool = True, **kwargs: Any) -> None:
        self.validate_responses = validate_responses
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        next_operation = self.next_operation(operation)
        if not self.validate_responses:
            return next_operation
        successes = {
            int(status): _compile_success(item) for status, item in operation.responses.items() if status < "4"
        }
        return _ResponseOperation(next_operation, operation.operation_id, successes)


def _compile_success(response: Mapping[str, Any]) -> _Success:
    content = response.get("content")
    headers = {name.lower().encode(): header for name, header in response.get("headers", {}).items()}
    headers.pop(_ADDED_LATER, None)
    return _Success(
        # The schema of JSON is that of the records in the other media types too.
        Validator(content[JSON]["schema"]) if content else None,
        frozenset(name for name, header in headers.items() if header.get("required")),
        {name: Validator(header["schema"]) for name, header in headers.items() if header["schema"]["type"] == "string"},
    )


class ResponseValidationMiddleware(RoutedMiddleware[_ResponseApi]):
    """Validates successes against the document."""

    api_cls = _ResponseApi
