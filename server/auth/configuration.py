"""The token verifier that the settings ask for."""

import math
import secrets

from jwt import PyJWK

from server.auth.claims import ClaimRules
from server.auth.jwks import KeySet
from server.auth.tokens import TokenVerifier, shared_key
from server.settings import Settings, SettingsError


def token_verifier(settings: Settings) -> TokenVerifier:
    """The token verifier for the settings. Raises `SettingsError` for an unusable secret."""
    older = settings.better_auth_secret_previous
    shared = {
        # Of a Space without a secret and key set: a key that nobody knows, so that every token is refused.
        "BETTER_AUTH_SECRET": secrets.token_urlsafe() if settings.is_without_keys else settings.secret(),
        "BETTER_AUTH_SECRET_PREVIOUS": older.get_secret_value() if older else None,
    }
    return TokenVerifier(
        secrets=[_shared_key(name, secret) for name, secret in shared.items() if secret is not None],
        key_set=KeySet(settings.key_set_url) if settings.key_set_url else None,
        rules=ClaimRules(
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            front_end=settings.better_auth_url,
            max_age=settings.jwt_max_age or math.inf,
        ),
    )


def _shared_key(name: str, secret: str) -> PyJWK:
    try:
        return shared_key(secret)
    except ValueError as error:
        message = f"{name}: {error}"
        raise SettingsError(message) from None
