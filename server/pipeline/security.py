"""The stage that verifies the token, and that the path names the user whom it names."""

from collections.abc import Sequence
from typing import Any

import structlog
from connexion.middleware.abstract import RoutedMiddleware
from connexion.operations import AbstractOperation

from handlers.security import InvalidToken, TokenVerifier
from server.contract import ContractError, token_claim
from server.exchange import Exchange, Response
from server.pipeline.stage import Operation, StageApi, parameters_of
from server.problems import FORBIDDEN, Problem

_log = structlog.get_logger()


class _SecurityOperation:
    """Verifies the bearer token, and that the path names the user whom it names. No query is made."""

    def __init__(self, next_operation: Operation, verifier: TokenVerifier, owners: Sequence[str]) -> None:
        self.next_operation = next_operation
        self.verifier = verifier
        self.owners = owners

    async def __call__(self, exchange: Exchange) -> Response:
        principal = await self.verifier.verify(_bearer_token(exchange.fields.get(b"authorization")))
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
        return await self.next_operation(exchange)


def _bearer_token(authorization: bytes | None) -> str:
    """The token of the only `Authorization` header (RFC 6750, section 2.1). Raises `InvalidToken`."""
    if authorization is None:
        raise InvalidToken("no Authorization header")
    # Several are a list by now, and no token has a comma in it.
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        raise InvalidToken("not a bearer token")
    return token.strip(b" ").decode("latin-1")


class _SecurityApi(StageApi):
    def __init__(self, *args: Any, verifier: TokenVerifier, **kwargs: Any) -> None:
        self.verifier = verifier
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        owners = [parameter["name"] for parameter in parameters_of(operation) if token_claim(parameter)]
        if not operation.security:
            if owners:
                raise ContractError(f"{operation.operation_id} is public, so it has no token to compare {owners} with")
            return self.next_operation(operation)
        if operation.security != [{"bearerAuth": []}]:
            raise ContractError(f"{operation.operation_id} asks for a security that is not enforced")
        return _SecurityOperation(self.next_operation(operation), self.verifier, owners)


class SecurityMiddleware(RoutedMiddleware[_SecurityApi]):
    """The security requirements of the document."""

    api_cls = _SecurityApi
