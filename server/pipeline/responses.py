"""The stage that holds a success against the document before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
import structlog
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.contract import (
    JSON,
    Validator,
)

_log = structlog.get_logger()


class ResponseError(Exception):
    """A handler's answer breaks the contract, so it is kept back. The message names the place, not the value."""


@dataclass(frozen=True, slots=True)
class _Success:
    """A response of the document, compiled."""

    validator: Validator | None
    required_headers: frozenset[bytes]
    headers: Mapping[bytes, Validator]

    def check(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Raise `ResponseError` where the answer is not what the document says."""
        present = dict(headers)
        if missing := self.required_headers - present.keys():
            _refuse(f"the headers {sorted(missing)} are missing")
        for name, validator in self.headers.items():
            if name in present and not validator.is_valid(present[name].decode("latin-1")):
                _refuse(f"the header {name.decode()} is not as described")
        if self.validator is None:
            if body:
                _refuse("there is a body")
        elif found := self.validator.violations(orjson.loads(body), "pointer"):
            _refuse("; ".join(f"{violation.where} {violation.detail}" for violation in found[:3]))


def _refuse(reason: str) -> NoReturn:
    raise ResponseError(reason)


class _ResponseOperation:
    """Holds an answer back until it has been checked. Problems do not come by here: `problems` makes them."""

    def __init__(self, next_app: ASGIApp, operation_id: str, successes: Mapping[int, _Success]) -> None:
        self.next_app = next_app
        self.operation_id = operation_id
        self.successes = successes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}

        async def checked_send(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            self._check(start, message["body"])
            await send(start)
            await send(message)

        await self.next_app(scope, receive, checked_send)

    def _check(self, start: Message, body: bytes) -> None:
        try:
            success = self.successes.get(start["status"])
            if success is None:
                _refuse(f"the status {start['status']} is not described")
            success.check(start["headers"], body)
        except ResponseError as error:
            _log.error("contract.response_violation", operation=self.operation_id, reason=str(error))
            raise


class _ResponseApi(RoutedAPI):
    def __init__(self, *args: Any, validate_responses: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.validate_responses = validate_responses
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        if not self.validate_responses:
            return self.next_app  # type: ignore[no-any-return]
        successes = {
            int(status): _compile_success(item) for status, item in operation.responses.items() if status < "3"
        }
        return _ResponseOperation(self.next_app, operation.operation_id, successes)


def _compile_success(response: Mapping[str, Any]) -> _Success:
    content = response.get("content")
    headers = {name.lower().encode(): header for name, header in response.get("headers", {}).items()}
    return _Success(
        Validator(content[JSON]["schema"]) if content else None,
        frozenset(name for name, header in headers.items() if header.get("required")),
        {name: Validator(header["schema"]) for name, header in headers.items() if header["schema"]["type"] == "string"},
    )


class ResponseValidationMiddleware(RoutedMiddleware[_ResponseApi]):
    """What the document says of successes."""

    api_cls = _ResponseApi
