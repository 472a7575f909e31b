"""The composition root: the stages that a request passes, in their order, and their parts."""

import os
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Final

from connexion import AsyncApp
from connexion.exceptions import InvalidSpecification
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.options import SwaggerUIOptions
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from handlers import auth, health, tasks, users
from handlers.types import Services
from persistence.cursor import parse_cursor
from persistence.postgres.database import Database
from server.auth.configuration import token_verifier
from server.auth.development_tokens import demo_token
from server.contract.document import ContractError, larger_bodies, load_document, operations, operations_with
from server.contract.fields import field_limits, methods, refused_fields
from server.contract.schemas import Format, Formats
from server.lifespan import Address, Resources, database_address, lifespan
from server.logging import configure_logging
from server.middleware.access_log import AccessLogMiddleware, access_log
from server.middleware.cors import CrossOriginMiddleware
from server.middleware.errors import ProblemMiddleware
from server.middleware.request_limits import RequestLimitsMiddleware
from server.middleware.security_headers import security_headers
from server.observability import metrics
from server.observability.event_loop_lag import EventLoopLag
from server.observability.process_state import ProcessState
from server.observability.trace import Tracer
from server.observability.variables import adopt_variables, collector
from server.pages.metrics import MetricsPage
from server.pages.notices import NO_KEYS, notices
from server.pages.routes import MakeToken, Options, pages
from server.pipeline import (
    DispatchApi,
    RequestValidationMiddleware,
    ResponseValidationMiddleware,
    RoutingMiddleware,
    SecurityMiddleware,
)
from server.pipeline.resolver import HandlerResolver
from server.problems import CURSOR_IN_WORDS
from server.rate_limit.policies import RateLimits, read_rate
from server.settings import ENV_FILE, Settings, load_settings

HANDLERS: Final[dict[str, ModuleType]] = {
    "My tasks": tasks,
    "Tasks": tasks,
    "Users": users,
    "Auth": auth,
    "Health": health,
}
"""The tags of the contract, and the modules with the handlers of their operations."""

FORMATS: Final[Formats] = {"cursor": Format(parse_cursor, CURSOR_IN_WORDS)}
"""The formats that only this contract has."""


def create_app(settings: Settings | None = None, *, address: Address = database_address) -> ASGIApp:
    """The service as an ASGI application, for `uvicorn --factory server.app:create_app`.

    `address` gives the address of the database, when the application starts.
    Raises `SettingsError`, and `ContractError` for a document that the service cannot enforce.
    """
    settings = settings or load_settings()
    configure_logging(level=settings.log_level, json=settings.is_production)
    document = load_document(settings.openapi_overlays, root_path=settings.root_path, host=settings.space_host)
    database = Database(
        size=settings.database_pool_size,
        wait=settings.database_wait_seconds,
        statement_timeout=settings.database_statement_seconds,
    )
    verifier = token_verifier(settings)
    limits = rate_limits(settings)
    access_log.counts = settings.metrics_enabled
    # The resolver refuses an operation without one.
    routes = {item["operationId"]: path for path, _, item in operations(document) if "operationId" in item}
    access_log.tracer = tracer = _tracer(routes, document["info"]["version"])
    metrics.describe_build(document["info"]["version"], routes)
    state = ProcessState(database)
    fields = field_limits(document)
    token_to_try = None if settings.is_production else partial(demo_token, settings, verifier, fields)
    documentation = pages(document, _pages(settings, state, token_to_try))

    lag = EventLoopLag()
    app = AsyncApp(
        __name__,
        lifespan=partial(lifespan, settings, Resources(database, verifier, limits, lag, state, tracer), address),
        middlewares=[
            partial(
                AccessLogMiddleware,
                root_path=settings.root_path,
                methods=methods(document),
                headers=security_headers(production=settings.is_production),
                tracer=tracer,
            ),
            partial(CrossOriginMiddleware, origins=settings.cors_origins, document=document),
            ProblemMiddleware,
            partial(
                RequestLimitsMiddleware,
                max_body_bytes=settings.max_body_bytes,
                larger_bodies=larger_bodies(document),
                fields=fields,
            ),
            partial(ProxyHeadersMiddleware, trusted_hosts=list(map(str, settings.forwarded_allow_ips))),
            LifespanMiddleware,
            partial(RoutingMiddleware, pages=documentation, limits=limits, in_space=settings.space_host is not None),
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
            services=Services(
                database,
                keeps_trash=settings.trash_retention_days > 0,
                missing_setting=NO_KEYS if settings.is_without_keys else None,
            ),
            formats=FORMATS,
            refused_fields=refused_fields(document),
            verifier=verifier,
            limits=limits,
            probes=operations_with(document, "x-rate-limit", "probes"),
        )
        # Connexion compiles its stages at the first request. Done here, so that an invalid document stops the start.
        stack: ASGIApp
        stack, _ = app.middleware._build_middleware_stack()  # noqa: SLF001
    except InvalidSpecification as error:
        message = f"the contract is not OpenAPI 3.0: {error.message[:200]} (at {error.json_path})"
        raise ContractError(message) from error
    return stack


def _tracer(routes: Mapping[str, str], version: str) -> Tracer | None:
    """What makes traces, if the variables `OTEL_*` turn them on."""
    adopt_variables(ENV_FILE)
    if collector(os.environ) is None:
        return None
    # Takes a quarter of a second to import, and few need it.
    from server.observability.tracing import OpenTelemetryTracer  # noqa: PLC0415

    return OpenTelemetryTracer(routes, version)


def _pages(settings: Settings, state: ProcessState, token_to_try: MakeToken | None) -> Options:
    """In production the metrics need a token, and no token is made for trying things out."""
    token = settings.metrics_token.get_secret_value() if settings.metrics_token is not None else None
    return Options(
        metrics=MetricsPage(token, state) if _shows_metrics(settings) else None,
        demo_token=token_to_try,
        reference=settings.docs_enabled,
        notices=notices(settings),
    )


def _shows_metrics(settings: Settings) -> bool:
    return settings.metrics_enabled and (settings.metrics_token is not None or not settings.is_production)


def rate_limits(settings: Settings) -> RateLimits:
    """The rate limits for the settings, counted in Redis if it is configured."""
    user = read_rate(settings.rate_limit)
    if user is None:
        return RateLimits(user=None, anonymous=None, refused_tokens=None, probes=None)
    shared = None
    if settings.redis_url is not None:
        # Takes a quarter of a second to import, and few need it.
        from server.rate_limit.redis import RedisCounter  # noqa: PLC0415

        shared = RedisCounter(str(settings.redis_url.get_secret_value()))
    return RateLimits(
        user=user,
        anonymous=read_rate(settings.rate_limit_anonymous),
        refused_tokens=read_rate(settings.rate_limit_refused_tokens),
        probes=read_rate(settings.rate_limit_probes),
        shared=shared,
    )
