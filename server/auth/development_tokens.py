"""Tokens that the service itself makes, for trying it out in development."""

from datetime import timedelta
from typing import Final

from persistence.users import Owner
from server.auth.errors import InvalidToken
from server.auth.tokens import TokenVerifier, issue_token
from server.contract.fields import FieldLimits
from server.settings import Settings

DEMO_USER: Final = "demo"


async def demo_token(settings: Settings, verifier: TokenVerifier, limits: FieldLimits) -> tuple[str, str]:
    """The id of a user to try the service with, and a token of that user. Raises like `accepted_token`."""
    return DEMO_USER, await accepted_token(settings, verifier, limits, Owner(DEMO_USER))


async def accepted_token(
    settings: Settings, verifier: TokenVerifier, limits: FieldLimits, user: Owner, *, expires: int = 3600
) -> str:
    """A token that the service accepts, for `expires` seconds or for as long as `JWT_MAX_AGE` allows.

    `verifier` is the one that the settings ask for, `limits` are those of the header fields. Raises `InvalidToken`
    where the service would refuse the token, `SettingsError` for `DATA_DIR`, `ValueError` for the user.
    """
    secret = settings.secret()
    if secret is None:
        raise AssertionError("development has a secret")
    made = issue_token(
        secret,
        user,
        # The service would refuse one that is valid for longer.
        expires_in=timedelta(seconds=min(expires, settings.jwt_max_age or expires)),
        audience=settings.jwt_audience or settings.better_auth_url,
        issuer=settings.jwt_issuer or settings.better_auth_url,
    )
    longest = limits.by_name.get(b"authorization", limits.default) - len("Bearer ")
    if len(made) > longest:
        raise InvalidToken(f"it has {len(made)} bytes, and {longest} are allowed")
    await verifier.verify(made)
    return made
