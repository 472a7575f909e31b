"""The stage that verifies the token, and that the path names the user whom it names."""

from collections.abc import Sequence
from typing import Any

import structlog
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.security import InvalidToken, TokenVerifier
from server.contract import (
    ContractError,
    token_claim,
)
from server.exchange import exchange_of
from server.problems import (
    FORBIDDEN,
    Problem,
)

_log = structlog.get_logger()


class _SecurityOperation:
    """Verifies the bearer token, and that the path names the user whom it names. No query is made."""

    def __init__(self, next_app: ASGIApp, verifier: TokenVerifier, owners: Sequence[str]) -> None:
        self.next_app = next_app
        self.verifier = verifier
        self.owners = owners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        principal = await self.verifier.verify(_bearer_token(scope["headers"]))
        exchange.principal = principal
        for owner in self.owners:
            named = exchange.path_parameters[owner]
            if named != principal.subject:
                _log.warning(
                    "security.path_user_mismatch",
                    request_id=exchange.request_id,
                    operation=exchange.operation_id,
                    user=principal.subject,
                    path_user=named[:255],
                )
                raise Problem(FORBIDDEN)
        await self.next_app(scope, receive, send)


def _bearer_token(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of the only `Authorization` header (RFC 6750, section 2.1). Raises `InvalidToken`."""
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise InvalidToken("no Authorization header" if not values else "several Authorization headers")
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise InvalidToken("not a bearer token")
    return token.strip(b" ").decode("latin-1")


class _SecurityApi(RoutedAPI):
    def __init__(self, *args: Any, verifier: TokenVerifier, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verifier = verifier
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        owners = [parameter["name"] for parameter in operation.parameters if token_claim(parameter)]
        if not operation.security:
            if owners:
                raise ContractError(f"{operation.operation_id} is public, so it has no token to compare {owners} with")
            return self.next_app  # type: ignore[no-any-return]
        if operation.security != [{"bearerAuth": []}]:
            raise ContractError(f"{operation.operation_id} asks for a security that is not enforced")
        return _SecurityOperation(self.next_app, self.verifier, owners)


class SecurityMiddleware(RoutedMiddleware[_SecurityApi]):
    """The security requirements of the document."""

    api_cls = _SecurityApi
