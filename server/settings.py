"""The settings, read from the environment once. `make docs` writes docs/settings.md and .env.example from them."""

import os
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    AnyUrl,
    BeforeValidator,
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
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.auth.development_secret import kept_secret
from server.auth.secret_strength import MIN_STRENGTH_BITS
from server.configuration import values
from server.configuration.variables import UnknownVariable, describe_error, names_of, unknown_variables
from server.process_environment import forget_postgresql_variables

_List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.split)]
_Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(values.networks)]
# RedisDsn would accept a URL without a host, as one of localhost.
_RedisUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["redis", "rediss"], host_required=True)]
_Rate = Annotated[str, AfterValidator(values.rate)]
ENV_FILE = ".env"


class SettingsError(Exception):
    """A setting is wrong or missing. The message is for the operator."""


class Settings(BaseSettings):
    """Every setting, by the name of its environment variable in lower case."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "staging", "production"] = Field(
        default="development",
        description="`production` refuses to start without a way to verify tokens, with a weak secret, without a "
        "database, with `*` in `CORS_ORIGINS`, with `LOG_LEVEL=debug` or with a mistyped variable. It logs JSON and "
        "sends `Strict-Transport-Security`. `staging` has the same rules.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("database_url", "neon_db_url"),
        description="The connection URI of PostgreSQL (`postgresql://` or `postgres://`); `NEON_DB_URL` is another "
        "name of it. Without it, the service starts an embedded PostgreSQL with its data in `DATA_DIR`. Variables "
        "`PG*` are ignored.",
    )
    embedded_database: bool = Field(
        default=False,
        description="Allow the embedded PostgreSQL in production, if `DATABASE_URL` is not set. In development it "
        "is always allowed.",
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
    better_auth_url: Annotated[str, AfterValidator(values.front_end)] | None = Field(
        default=None,
        description="The base URL of the front end with Better Auth. The keys are fetched from `/api/auth/jwks` "
        "there. Tokens that these keys verify must have it as `aud` and `iss`, unless `JWT_AUDIENCE` and `JWT_ISSUER` "
        "say otherwise; HS256 tokens may have neither claim, but no other value.",
    )
    jwks_url: Annotated[str, AfterValidator(values.http_url)] | None = Field(
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
    reload: bool = Field(
        default=False,
        description="Restart when a source file or the document changes; in development and with one process only.",
    )
    root_path: Annotated[str, AfterValidator(values.path_prefix)] = Field(
        default="",
        description="The path prefix, such as `/tasks-api`, that a proxy removes before it forwards a request.",
    )
    space_host: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="The public host of a Hugging Face Space, which sets it. See [deployment.md](deployment.md).",
    )
    forwarded_allow_ips: _Networks = Field(
        default=(IPv4Network("127.0.0.1"),),
        description="The addresses and networks of trusted proxies, separated by commas. `X-Forwarded-For` is read "
        "from them only. `*` trusts every client, which can then choose its address.",
    )
    rate_limit: _Rate = Field(
        default="1000/minute",
        description="The requests that a user may make, such as `1000/minute` or `20/2 second`; `off` turns all rate "
        "limits off. Without `REDIS_URL` each of the `WORKERS` counts separately.",
    )
    rate_limit_anonymous: _Rate = Field(
        default="300/minute",
        description="The requests that an address (IPv6: a /64 network) may make without a valid token; or `off`.",
    )
    rate_limit_refused_tokens: _Rate = Field(
        default="30/minute",
        description="The invalid tokens that an address may send. After that its tokens are refused unverified, "
        "except those verified before. Or `off`.",
    )
    rate_limit_probes: _Rate = Field(
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
    metrics_token: SecretStr | None = Field(
        default=None,
        description="The bearer token that `/metrics` demands, at least 16 characters. Without it `/metrics` is open "
        "to everybody in development, and to nobody in production.",
    )
    metrics_enabled: bool = Field(default=True, description="Count what `/metrics` shows; without it, there is none.")
    docs_enabled: bool = Field(default=True, description="Serve Swagger UI at `/docs`.")
    openapi_overlays: _List = Field(
        default=(), description="Paths of OpenAPI Overlay 1.0 files that adapt the document, separated by commas."
    )
    validate_responses: bool = Field(
        default=True, description="Validate responses against the document. An invalid response is replaced by a 500."
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return values.origins(value, production=_is_production(info))

    @field_validator("better_auth_secret", "better_auth_secret_previous")
    @classmethod
    def _is_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            values.check_secret(value.get_secret_value(), production=_is_production(info))
        return value

    @field_validator("metrics_token")
    @classmethod
    def _is_bearer_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            values.check_metrics_token(value.get_secret_value())
        return value

    @field_validator("database_url", "migrations_database_url")
    @classmethod
    def _is_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            values.check_database_url(value.get_secret_value())
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

    @model_validator(mode="after")
    def _can_check_tokens(self) -> Self:
        if self.is_without_keys and self.space_host is None:
            raise ValueError("in production, set BETTER_AUTH_SECRET (at least 32 bytes), BETTER_AUTH_URL or JWKS_URL")
        if self.better_auth_secret_previous is not None and self.better_auth_secret is None:
            raise ValueError("BETTER_AUTH_SECRET_PREVIOUS: needs BETTER_AUTH_SECRET, the current secret, beside it")
        return self

    @model_validator(mode="after")
    def _can_reload(self) -> Self:
        if self.reload and (self.is_production or self.workers > 1):
            raise ValueError("RELOAD: works in development and with WORKERS=1 only")
        return self

    @property
    def is_production(self) -> bool:
        """True where the rules of production apply."""
        return self.environment != "development"

    @property
    def is_without_keys(self) -> bool:
        """True if no token can be verified. In development a missing secret is generated."""
        return self.is_production and self.better_auth_secret is None and self.key_set_url is None

    @property
    def key_set_url(self) -> str | None:
        """The URL of the key set, or None if tokens are signed with the shared secret only."""
        if self.jwks_url or self.better_auth_url is None:
            return self.jwks_url
        return f"{self.better_auth_url}/api/auth/jwks"

    def check_embedded_database(self) -> None:
        """Raise `SettingsError` where the embedded database is to be used and is not allowed."""
        if self.is_production and self.database_url is None and not self.embedded_database:
            raise SettingsError("in production, set DATABASE_URL, or EMBEDDED_DATABASE=true for a database in DATA_DIR")

    def secret(self) -> str | None:
        """The key of HS256 tokens. In development a missing one is generated and kept.

        Raises `SettingsError` where `DATA_DIR` cannot hold it.
        """
        if self.better_auth_secret is not None:
            return self.better_auth_secret.get_secret_value()
        if self.is_production:
            return None
        try:
            return kept_secret(self.data_dir / "secret")
        except OSError as error:
            raise SettingsError(f"DATA_DIR: {error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise SettingsError(f"DATA_DIR: {error}") from error


def _is_production(info: ValidationInfo) -> bool:
    return info.data.get("environment") in ("staging", "production")


def load_settings() -> Settings:
    """Read the environment. Raises `SettingsError` with one line for each setting that is wrong.

    In production that includes the variables that were probably meant as settings.
    """
    forget_postgresql_variables()
    unknown = mistaken_variables()
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(
            "\n".join([*map(describe_error, error.errors(include_url=False)), *map(str, unknown)])
        ) from None
    if unknown and settings.is_production:
        raise SettingsError("\n".join(map(str, unknown)))
    return settings


def mistaken_variables() -> list[UnknownVariable]:
    """The variables of `.env` that are no settings, and those of the environment whose names are near misses."""
    return unknown_variables(os.environ, {ENV_FILE: dotenv_values(ENV_FILE)}, names_of(Settings))
