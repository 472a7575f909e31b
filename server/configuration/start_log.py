"""What the log says when the service starts: which database, which issuer, which mode, and what looks wrong."""

import structlog

from server.auth.jwks import shown
from server.configuration.database_url import describe, hosts_without_tls
from server.settings import Settings, mistaken_variables

_log = structlog.get_logger()


def database(settings: Settings) -> str:
    """The database in words, without user and password."""
    if settings.database_url is not None:
        return describe(settings.database_url.get_secret_value())
    return f"embedded in {settings.data_dir / 'postgres'}"


def issuer(settings: Settings) -> str:
    """Who issues the tokens, in words."""
    return settings.jwt_issuer or settings.better_auth_url or "any"


def keys(settings: Settings) -> str:
    """What verifies tokens, in words."""
    secret = "BETTER_AUTH_SECRET"  # noqa: S105  its name
    if settings.better_auth_secret is None:
        secret = "" if settings.is_production else f"the secret in {settings.data_dir / 'secret'}"
    return ", ".join(filter(None, (settings.key_set_url and shown(settings.key_set_url), secret)))


def hosts_in_plain_text(settings: Settings) -> dict[str, list[str]]:
    """The hosts to which a connection may be made without TLS, by the variable that names them."""
    urls = {
        "DATABASE_URL": settings.database_url,
        "MIGRATIONS_DATABASE_URL": settings.migrations_database_url,
    }
    found = {name: hosts_without_tls(url.get_secret_value()) for name, url in urls.items() if url is not None}
    return {name: hosts for name, hosts in found.items() if hosts}


def log_start(settings: Settings) -> None:
    """Log the configuration in one line, and a warning for each thing in it that is probably a mistake."""
    _log.info(
        "service.starting",
        environment=settings.environment,
        database=database(settings),
        issuer=issuer(settings),
        keys=keys(settings),
    )
    for variable in mistaken_variables():
        _log.warning("setting.unknown", reason=str(variable))
    for name, hosts in hosts_in_plain_text(settings).items():
        _log.warning(
            "database.without_tls", reason=f"{name}: no sslmode makes sure of TLS to {', '.join(hosts)}; add sslmode"
        )
