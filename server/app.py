"""The composition root: which stages a request passes, in which order, and what they are made of."""

import asyncio
import contextlib
import gc
import os
import random
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import ModuleType
from typing import Final

import structlog
from connexion import AsyncApp
from connexion.exceptions import InvalidSpecification
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.options import SwaggerUIOptions
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from handlers import auth, health, tasks, users
from handlers.types import Surroundings
from persistence import migrations
from persistence.admin.embedded import embedded_server
from persistence.errors import DatabaseUnavailable
from persistence.postgres.database import Database
from persistence.retention import purge
from server.auth.tokens import KeySet, TokenVerifier
from server.contract.schemas import ContractError, larger_bodies, load_document
from server.event_loop_lag import EventLoopLag
from server.middleware.access_log import ObservabilityMiddleware, configure_logging
from server.middleware.cors import CrossOriginMiddleware
from server.middleware.request_limits import GuardMiddleware
from server.middleware.security_headers import security_headers
from server.pages import pages
from server.pipeline import (
    DispatchApi,
    RequestValidationMiddleware,
    ResponseValidationMiddleware,
    RoutingMiddleware,
    SecurityMiddleware,
)
from server.pipeline.resolver import HandlerResolver
from server.problems import ProblemMiddleware
from server.rate_limit.policies import RateLimits, read_rate
from server.settings import Settings, SettingsError, load_settings

_log = structlog.get_logger()

HANDLERS: Final[dict[str, ModuleType]] = {"tasks": tasks, "users": users, "auth": auth, "health": health}
"""The tags of the contract, in lower case, and the modules that answer them."""

_MIGRATION_PAUSE = 2.0
_EMBEDDED_WAIT = 5.0
# Soon, for some hosts put a service to sleep and start it anew several times a day.
_FIRST_PURGE = 300.0
_PURGE_PAUSE = 3600.0
_COLLECT_AFTER = 20_000


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The service as an ASGI application, for `uvicorn --factory server.app:create_app`.

    Raises `SettingsError` and `ContractError` instead of starting with what it could not enforce.
    """
    settings = settings or load_settings()
    configure_logging(level=settings.log_level, json=settings.environment == "production")
    document = load_document(settings.openapi_overlays, root_path=settings.root_path)
    database = Database(
        size=settings.database_pool_size,
        wait=settings.database_wait_seconds,
        statement_timeout=settings.database_statement_seconds,
    )
    verifier = token_verifier(settings)
    limits = rate_limits(settings)
    metrics = None if "PROMETHEUS_MULTIPROC_DIR" in os.environ else REGISTRY
    site = pages(document, metrics=metrics)

    lag = EventLoopLag()
    app = AsyncApp(
        __name__,
        lifespan=partial(_lifespan, settings, database, verifier, limits, lag),
        middlewares=[
            partial(
                ObservabilityMiddleware,
                root_path=settings.root_path,
                headers=security_headers(production=settings.environment == "production"),
            ),
            partial(CrossOriginMiddleware, origins=settings.cors_origins),
            ProblemMiddleware,
            partial(GuardMiddleware, max_body_bytes=settings.max_body_bytes, larger_bodies=larger_bodies(document)),
            LifespanMiddleware,
            partial(RoutingMiddleware, pages=site, limits=limits),
            SecurityMiddleware,
            RequestValidationMiddleware,
            ResponseValidationMiddleware,
        ],
        swagger_ui_options=SwaggerUIOptions(serve_spec=False, swagger_ui=False),
    )
    app._middleware_app.api_cls = DispatchApi  # noqa: SLF001  Connexion has no public way to replace its dispatch
    try:
        app.add_api(
            document,
            base_path="",
            resolver=HandlerResolver(document, HANDLERS),
            validate_responses=settings.validate_responses,
            surroundings=Surroundings(
                database, keeps_trash=settings.trash_retention_days > 0, event_loop_lag=lambda: lag.seconds
            ),
            verifier=verifier,
            limits=limits,
        )
        # Connexion compiles its stages at the first request; here, so that a bad contract stops the start.
        stack: ASGIApp
        stack, _ = app.middleware._build_middleware_stack()  # noqa: SLF001
    except InvalidSpecification as error:
        message = f"the contract is not OpenAPI 3.0: {error.message[:200]} (at {error.json_path})"
        raise ContractError(message) from error
    return stack


def token_verifier(settings: Settings) -> TokenVerifier:
    """What the settings say of tokens. Raises `SettingsError` for a secret that cannot be one."""
    try:
        return TokenVerifier(
            secret=settings.secret(),
            key_set=KeySet(settings.key_set_url) if settings.key_set_url else None,
            audience=settings.audience,
            issuer=settings.issuer,
        )
    except ValueError as error:
        message = f"BETTER_AUTH_SECRET: {error}"
        raise SettingsError(message) from None


def rate_limits(settings: Settings) -> RateLimits:
    """What the settings say of limits, counted in Redis where there is one."""
    user = read_rate(settings.rate_limit)
    if user is None:
        return RateLimits(user=None, anonymous=None, refused_tokens=None)
    shared = None
    if settings.redis_url is not None:
        # Takes a quarter of a second to import, which few need.
        from server.rate_limit.redis import RedisWindows  # noqa: PLC0415

        shared = RedisWindows(settings.redis_url.get_secret_value())
    return RateLimits(
        user=user,
        anonymous=read_rate(settings.rate_limit_anonymous),
        refused_tokens=read_rate(settings.rate_limit_refused_tokens),
        shared=shared,
    )


@contextlib.contextmanager
def database_address(settings: Settings) -> Iterator[str]:
    """The address of the configured database, or that of the embedded one, which runs meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    else:
        with embedded_server(settings.data_dir / "postgres") as url:
            yield url


@contextlib.asynccontextmanager
async def _lifespan(
    settings: Settings,
    database: Database,
    verifier: TokenVerifier,
    limits: RateLimits,
    lag: EventLoopLag,
    _app: ASGIApp,
) -> AsyncIterator[None]:
    with database_address(settings) as url:
        await database.open(url)
        await limits.open()
        lag.start()
        migrating = asyncio.create_task(_migrate(settings, url)) if settings.migrate_on_start else None
        purging = asyncio.create_task(_purge(database, settings.trash_retention_days))
        try:
            if migrating is not None and settings.database_url is None:
                # Long enough for an embedded database, and not for ever: a service that starts cannot be stopped.
                await asyncio.wait({migrating}, timeout=_EMBEDDED_WAIT)
            _spare_garbage_collection()
            yield
        finally:
            purging.cancel()
            if migrating is not None:
                migrating.cancel()
            lag.stop()
            await verifier.aclose()
            await limits.aclose()
            await database.close()


def _spare_garbage_collection() -> None:
    """Have the collector look at what requests leave, not at what the start made, and less often.

    A page of a thousand tasks makes more objects than its default threshold; it then cost a third more (issue 3).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])


async def _purge(database: Database, retention_days: int) -> None:
    """Remove now and then what is kept for a time only. Every process does, and they share the work."""
    pause = _FIRST_PURGE
    while True:
        # Not all at the same moment, though they may have started together.
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  nothing depends on it
        pause = _PURGE_PAUSE
        try:
            purged = await purge(database, retention_days=retention_days)
        except DatabaseUnavailable as error:
            _log.warning("purge.postponed", reason=str(error))
        else:
            _log.info("purge.done", tasks=purged.tasks, keys=purged.keys)


async def _migrate(settings: Settings, url: str) -> None:
    """Apply the migrations as soon as the database can be reached. Until then the service says 503."""
    if settings.migrations_database_url is not None:
        url = settings.migrations_database_url.get_secret_value()
    while True:
        try:
            await asyncio.to_thread(migrations.upgrade, url)
        except migrations.MigrationError as error:
            _log.warning("migrations.postponed", reason=str(error), again_in_seconds=_MIGRATION_PAUSE)
        else:
            _log.info("migrations.applied", revision=migrations.head())
            return
        await asyncio.sleep(_MIGRATION_PAUSE)
