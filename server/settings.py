"""The settings, read from the environment once. `make docs` writes docs/settings.md and .env.example from them."""

import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AliasChoices,
    AnyUrl,
    Field,
    IPvAnyNetwork,
    Secret,
    SecretStr,
    UrlConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.auth.development_secret import kept_secret
from server.auth.secret_strength import MIN_STRENGTH_BITS, strength_bits
from server.auth.tokens import MIN_SECRET_BYTES
from server.middleware.cors import as_browsers_write
from server.process_environment import forget_postgresql_variables
from server.rate_limit.policies import read_rate

_ORIGIN = r"(?i)https?://[^/?#\s]+/?"
_List = Annotated[tuple[str, ...], NoDecode]
_Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode]
# RedisDsn would accept a URL without a host, as one of localhost.
_RedisUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["redis", "rediss"], host_required=True)]
_EVERY_NETWORK = ("0.0.0.0/0", "::/0")


class SettingsError(Exception):
    """A setting is wrong or missing. The message is for the operator."""


class Settings(BaseSettings):
    """Every setting, by the name of its environment variable in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "production"] = Field(
        default="development",
        description="`production` refuses to start without a way to verify tokens, with a weak secret, with `*` in "
        "`CORS_ORIGINS` or with `LOG_LEVEL=debug`. It logs JSON and sends `Strict-Transport-Security`.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("database_url", "neon_db_url"),
        description="The connection URI of PostgreSQL (`postgresql://` or `postgres://`); `NEON_DB_URL` is another "
        "name of it. Without it, the service starts an embedded PostgreSQL with its data in `DATA_DIR`. Variables "
        "`PG*` are ignored.",
    )
    migrations_database_url: SecretStr | None = Field(
        default=None,
        description="The connection URI for migrations, if they do not go to `DATABASE_URL`: for Neon, the host "
        "without `-pooler`.",
    )
    migrate_on_start: bool = Field(
        default=True, description="Apply the migrations at start. If `false`, run `tasks-api migrate`."
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=1000, description="The maximum number of database connections per process."
    )
    database_wait_seconds: float = Field(
        default=5.0, gt=0, le=60, description="The maximum time that a request waits for a free connection; then 503."
    )
    database_statement_seconds: float = Field(
        default=5.0,
        gt=0,
        le=3600,
        description="The maximum time of a statement; then 503. Bulk operations get six times as long.",
    )
    better_auth_secret: SecretStr | None = Field(
        default=None,
        description="The shared secret of HS256 tokens, at least 32 bytes. In development a missing secret is "
        "generated and kept in `DATA_DIR`. In production its strength is estimated: words of examples count for "
        f"nothing, and zxcvbn must need 2^{MIN_STRENGTH_BITS} guesses for the rest. The estimate cannot know every "
        "published secret: use a random one.",
    )
    better_auth_secret_previous: SecretStr | None = Field(
        default=None,
        description="The secret before `BETTER_AUTH_SECRET`. Tokens signed with it are still accepted while the secret "
        "is [rotated](operations.md#rotate-the-shared-secret). The same rules apply.",
    )
    better_auth_url: str | None = Field(
        default=None,
        description="The base URL of the front end with Better Auth. The keys are fetched from `/api/auth/jwks` "
        "there. Tokens that these keys verify must have it as `aud` and `iss`, unless `JWT_AUDIENCE` and `JWT_ISSUER` "
        "say otherwise; HS256 tokens may have neither claim, but no other value.",
    )
    jwks_url: str | None = Field(
        default=None,
        description="The URL of the JSON Web Key Set, if it is not below `BETTER_AUTH_URL`. Its keys verify EdDSA "
        "(Ed25519), ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384 and PS512, each key the one algorithm that "
        "its `alg` names. Without `alg` that is EdDSA, that of the curve, or RS256.",
    )
    jwt_audience: str | None = Field(
        default=None, description="The `aud` claim that every token must have, also HS256 tokens."
    )
    jwt_issuer: str | None = Field(
        default=None, description="The `iss` claim that every token must have, also HS256 tokens."
    )
    jwt_max_age: int | None = Field(
        default=None,
        ge=1,
        description="A token whose `exp` claim is more than this many seconds away is refused. Not set: any `exp` is "
        "accepted.",
    )
    cors_origins: _List = Field(
        default=("http://localhost:3000", "http://localhost"),
        description="The origins that may call the service from a browser, separated by commas.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on; `0.0.0.0` for all interfaces.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on.")
    workers: int = Field(default=1, ge=1, le=64, description="The number of server processes.")
    root_path: str = Field(
        default="",
        description="The path prefix, such as `/tasks-api`, that a proxy removes before it forwards a request.",
    )
    forwarded_allow_ips: _Networks = Field(
        default=(IPv4Network("127.0.0.1"),),
        description="The addresses and networks of trusted proxies, separated by commas. `X-Forwarded-For` is read "
        "from them only. `*` trusts every client, which can then choose its address.",
    )
    rate_limit: str = Field(
        default="1000/minute",
        description="The requests that a user may make, such as `1000/minute` or `20/2 second`; `off` turns all rate "
        "limits off. Without `REDIS_URL` each of the `WORKERS` counts separately.",
    )
    rate_limit_anonymous: str = Field(
        default="300/minute",
        description="The requests that an address (IPv6: a /64 network) may make without a valid token; or `off`.",
    )
    rate_limit_refused_tokens: str = Field(
        default="30/minute",
        description="The invalid tokens that an address may send. After that its tokens are refused unverified, "
        "except those verified before. Or `off`.",
    )
    rate_limit_probes: str = Field(
        default="600/minute",
        description="The requests for `/health` and `/health/ready` that an address may make to one process; or `off`. "
        "No other limit counts them. The default is far above what an orchestrator sends.",
    )
    redis_url: Secret[_RedisUrl] | None = Field(
        default=None,
        description="The URL of Redis (`redis://` or `rediss://`), which counts requests for all processes together. "
        "While Redis is unavailable each process counts separately.",
    )
    header_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="The maximum time to receive the header section of a request; then 408.",
    )
    body_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="The maximum time to receive a body, plus one second for each 32 KiB received; then 408. A client"
        " that reads its response more slowly than that is disconnected.",
    )
    request_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="The maximum time that the service takes to begin a response; then 503.",
    )
    shutdown_seconds: int = Field(
        default=10,
        ge=1,
        le=3600,
        description="The maximum time that requests in progress may take after SIGTERM; then 503.",
    )
    max_connections: int = Field(
        default=10000,
        ge=1,
        description="The maximum number of client connections per process; fewer where the system allows fewer open "
        "files.",
    )
    max_body_bytes: int = Field(
        default=65536, ge=1024, description="The maximum size of a request body in bytes; then 413."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The minimum severity of a log line."
    )
    data_dir: Path = Field(
        default=Path("data"), description="The directory of the embedded PostgreSQL and of the development secret."
    )
    trash_retention_days: int = Field(
        default=30,
        ge=0,
        le=36500,
        description="The number of days in which a deleted task can be restored. With 0 it is removed at once.",
    )
    openapi_overlays: _List = Field(
        default=(), description="Paths of OpenAPI Overlay 1.0 files that adapt the document, separated by commas."
    )
    validate_responses: bool = Field(
        default=True, description="Validate responses against the document. An invalid response is replaced by a 500."
    )

    @field_validator("cors_origins", "forwarded_allow_ips", "openapi_overlays", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _is_origin(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "*" in value and _is_production(info):
            raise ValueError("in production, must name the origins instead of `*`")
        for origin in value:
            if origin != "*" and re.fullmatch(_ORIGIN, origin) is None:
                raise ValueError(f"{origin!r} is not an origin such as http://localhost:3000")
        return tuple(map(as_browsers_write, value))

    @field_validator("forwarded_allow_ips", mode="before")
    @classmethod
    def _every_network(cls, value: object) -> object:
        return _EVERY_NETWORK if value == "*" else value

    @field_validator("rate_limit", "rate_limit_anonymous", "rate_limit_refused_tokens", "rate_limit_probes")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        read_rate(value)
        return value

    @field_validator("better_auth_secret", "better_auth_secret_previous")
    @classmethod
    def _is_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes long (try: openssl rand -base64 32)")
        if value is not None and _is_production(info) and strength_bits(value.get_secret_value()) < MIN_STRENGTH_BITS:
            raise ValueError("in production, must be neither an example nor a pattern (try: openssl rand -base64 32)")
        return value

    @field_validator("database_url", "migrations_database_url")
    @classmethod
    def _is_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgres://", "postgresql://")):
            raise ValueError("must start with postgresql:// or postgres://")
        try:
            parts = conninfo_to_dict(value.get_secret_value() if value else "")
        except psycopg.ProgrammingError:
            # The message of libpq may quote the password.
            raise ValueError("is not an address that PostgreSQL's client understands") from None
        # libpq splits the URL at such a character of a password, and its errors would show the parts.
        names = (str(parts.get("host", "")), str(parts.get("dbname", "")))
        if any("@" in name[1:] for name in names) or not re.fullmatch("[0-9,]*", str(parts.get("port", ""))):
            raise ValueError(
                "needs the characters @ : / ? # of its user and password percent-encoded, such as %40 for @"
            )
        return value

    @field_validator("better_auth_url")
    @classmethod
    def _has_no_path(cls, value: str | None) -> str | None:
        # The tokens of Better Auth name its origin, and its key set is at a fixed path.
        if value is not None and re.fullmatch(_ORIGIN, value) is None:
            raise ValueError("must be an origin such as https://app.example.com, without a path")
        return value and value.rstrip("/")

    @field_validator("jwks_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("log_level")
    @classmethod
    def _is_discreet(cls, value: str, info: ValidationInfo) -> str:
        if value == "debug" and _is_production(info):
            raise ValueError("in production, must not be `debug`, which may log personal data")
        return value

    @field_validator("root_path")
    @classmethod
    def _is_prefix(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError("must start with /")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _can_check_tokens(self) -> Self:
        if self.environment == "production" and self.better_auth_secret is None and self.key_set_url is None:
            raise ValueError("in production, set BETTER_AUTH_SECRET (at least 32 bytes), BETTER_AUTH_URL or JWKS_URL")
        if self.better_auth_secret_previous is not None and self.better_auth_secret is None:
            raise ValueError("BETTER_AUTH_SECRET_PREVIOUS: needs BETTER_AUTH_SECRET, the current secret, beside it")
        return self

    @property
    def key_set_url(self) -> str | None:
        """The URL of the key set, or None if tokens are signed with the shared secret only."""
        if self.jwks_url or self.better_auth_url is None:
            return self.jwks_url
        return f"{self.better_auth_url}/api/auth/jwks"

    def secret(self) -> str | None:
        """The key of HS256 tokens. In development a missing one is generated and kept.

        Raises `SettingsError` where `DATA_DIR` cannot hold it.
        """
        if self.better_auth_secret is not None:
            return self.better_auth_secret.get_secret_value()
        if self.environment == "production":
            return None
        try:
            return kept_secret(self.data_dir / "secret")
        except OSError as error:
            raise SettingsError(f"DATA_DIR: {error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise SettingsError(f"DATA_DIR: {error}") from error


def _is_production(info: ValidationInfo) -> bool:
    return info.data.get("environment") == "production"


def load_settings() -> Settings:
    """Read the environment. Raises `SettingsError` with one line for each setting that is wrong."""
    forget_postgresql_variables()
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_line, error.errors(include_url=False)))) from None


def _line(error: ErrorDetails) -> str:
    name, *items = map(str, error["loc"] or ("",))
    message = error["msg"].removeprefix("Value error, ")
    if items:
        # No item of a list is a secret.
        message = f"{error['input']!r} {message.removeprefix('value ')}"
    return f"{name.upper()}: {message}" if name else message
