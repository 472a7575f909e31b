"""The composition root: which stages a request passes, in which order, and what they are made of."""

import asyncio
import contextlib
import gc
import os
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
from handlers.security import KeySet, TokenVerifier
from persistence import migrations
from persistence.database import Database
from persistence.embedded import embedded_server
from server.contract import ContractError, load_document
from server.cors import CrossOriginMiddleware
from server.guard import GuardMiddleware
from server.headers import security_headers
from server.observability import ObservabilityMiddleware, configure_logging
from server.pipeline import (
    DispatchApi,
    RequestValidationMiddleware,
    ResponseValidationMiddleware,
    RoutingMiddleware,
    SecurityMiddleware,
)
from server.problems import ProblemMiddleware
from server.resolver import HandlerResolver
from server.settings import Settings, SettingsError, load_settings
from server.site import pages

_log = structlog.get_logger()

HANDLERS: Final[dict[str, ModuleType]] = {"tasks": tasks, "users": users, "auth": auth, "health": health}
"""The tags of the contract, in lower case, and the modules that answer them."""

_MIGRATION_PAUSE = 5.0
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
    metrics = None if "PROMETHEUS_MULTIPROC_DIR" in os.environ else REGISTRY
    site = pages(document, metrics=metrics)

    app = AsyncApp(
        __name__,
        lifespan=partial(_lifespan, settings, database, verifier),
        middlewares=[
            partial(
                ObservabilityMiddleware,
                root_path=settings.root_path,
                headers=security_headers(production=settings.environment == "production"),
            ),
            partial(CrossOriginMiddleware, origins=settings.cors_origins),
            ProblemMiddleware,
            partial(GuardMiddleware, max_body_bytes=settings.max_body_bytes),
            LifespanMiddleware,
            partial(RoutingMiddleware, pages=site),
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
            database=database,
            verifier=verifier,
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
    settings: Settings, database: Database, verifier: TokenVerifier, _app: ASGIApp
) -> AsyncIterator[None]:
    with database_address(settings) as url:
        await database.open(url)
        migrating = asyncio.create_task(_migrate(settings, url)) if settings.migrate_on_start else None
        try:
            if migrating is not None and settings.database_url is None:
                # Long enough for an embedded database, and not for ever: a service that starts cannot be stopped.
                await asyncio.wait({migrating}, timeout=_MIGRATION_PAUSE)
            _spare_garbage_collection()
            yield
        finally:
            if migrating is not None:
                migrating.cancel()
            await verifier.aclose()
            await database.close()


def _spare_garbage_collection() -> None:
    """Have the collector look at what requests leave, not at what the start made, and less often.

    A page of a thousand tasks makes more objects than its default threshold; it then cost a third more (issue 3).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])


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
