"""The stage that verifies the token, and that the path names the user whom it names."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog
from connexion.middleware.abstract import RoutedMiddleware
from connexion.operations import AbstractOperation

from handlers.principal import Principal
from persistence.schema import MAX_USER_ID
from server.auth.errors import ExpiredToken, InvalidToken, KeysUnavailable, MissingToken
from server.auth.tokens import TokenVerifier
from server.contract.document import ContractError
from server.contract.parameters import token_claim
from server.pipeline.stage import Operation, StageApi, unique_parameters
from server.problems import FORBIDDEN, Problem
from server.rate_limit.policies import RateLimits
from server.request_context import RequestContext, Response

_log = structlog.get_logger()


class _SecurityOperation:
    """Verifies the bearer token, and that its user is the user of the path. Makes no query.

    Each request counts once: for the user, or for the address where there is no valid token. One with the path of
    another user counts as well, for it is logged.
    """

    def __init__(
        self, next_operation: Operation, verifier: TokenVerifier, limits: RateLimits, owners: Sequence[str]
    ) -> None:
        self.next_operation = next_operation
        self.verifier = verifier
        self.limits = limits
        self.owners = owners

    async def __call__(self, request: RequestContext) -> Response:
        user = await self._authenticate(request)
        request.user = user
        await self.limits.count_user(request, user.id)
        for owner in self.owners:
            named = request.path_parameters[owner]
            if named != user.id:
                _log.warning(
                    "security.path_user_mismatch",
                    request_id=request.request_id,
                    operation=request.operation_id,
                    user=user.id,
                    path_user=named[:MAX_USER_ID],
                )
                raise Problem(FORBIDDEN)
        return await self.next_operation(request)

    async def _authenticate(self, request: RequestContext) -> Principal:
        """The user of the token. Raises `InvalidToken`, `KeysUnavailable` and `Problem` (429)."""
        try:
            token = _bearer_token(request.fields.get(b"authorization"))
            return await self.verifier.verify(token, admit=partial(self.limits.before_verifying, request))
        except (MissingToken, ExpiredToken, KeysUnavailable):
            # Not an attack: a page that was left open must not use up the strict limit of its address.
            await self.limits.count_anonymous(request)
            raise
        except InvalidToken:
            await self.limits.count_refused_token(request)
            raise


class _PublicOperation:
    """Needs no token. Its requests count for the address."""

    def __init__(self, next_operation: Operation, count: Callable[[RequestContext], Awaitable[None]]) -> None:
        self.next_operation = next_operation
        self.count = count

    async def __call__(self, request: RequestContext) -> Response:
        await self.count(request)
        return await self.next_operation(request)


def _bearer_token(authorization: bytes | None) -> str:
    """The token of the only `Authorization` header (RFC 6750, section 2.1). Raises `MissingToken`."""
    if authorization is None:
        raise MissingToken("no Authorization header")
    # Several fields are one list here, and a token contains no comma.
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip(b" "):
        raise MissingToken("not a bearer token")
    return token.strip(b" ").decode("latin-1")


class _SecurityApi(StageApi):
    def __init__(
        self, *args: Any, verifier: TokenVerifier, limits: RateLimits, probes: frozenset[str], **kwargs: Any
    ) -> None:
        self.verifier = verifier
        self.limits = limits
        self.probes = probes
        super().__init__(*args, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> Operation:
        owners = [parameter["name"] for parameter in unique_parameters(operation) if token_claim(parameter)]
        if not operation.security:
            if owners:
                raise ContractError(f"{operation.operation_id} is public, so it has no token to compare {owners} with")
            # Probes have a separate limit, so that no other request from an address can have its probes refused.
            is_probe = operation.operation_id in self.probes
            count = self.limits.count_probe if is_probe else self.limits.count_anonymous
            return _PublicOperation(self.next_operation(operation), count)
        if operation.security != [{"bearerAuth": []}]:
            raise ContractError(f"{operation.operation_id} asks for a security that is not enforced")
        return _SecurityOperation(self.next_operation(operation), self.verifier, self.limits, owners)


class SecurityMiddleware(RoutedMiddleware[_SecurityApi]):
    """The security requirements of the document."""

    api_cls = _SecurityApi
