"""The lifespan of the application: database, migrations, retention, key set, metrics of the event loop."""

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp

from persistence import migrations, readiness
from persistence.admin.embedded import embedded_server
from persistence.errors import DatabaseUnavailable, EmbeddedServerError, MigrationError
from persistence.postgres.database import Database, measure_database
from persistence.retention import purge
from server.auth.tokens import TokenVerifier
from server.memory import trim_memory
from server.middleware.access_log import access_log
from server.observability import metrics
from server.observability.event_loop_lag import EventLoopLag
from server.observability.process_state import ProcessState
from server.observability.trace import Tracer
from server.rate_limit.policies import RateLimits
from server.settings import Settings, SettingsError

_log = structlog.get_logger()
_MIGRATION_RETRY_SECONDS = 2.0
_EMBEDDED_WAIT_SECONDS = 5.0

# Early, because some hosts suspend a service and start it several times a day.
_FIRST_PURGE_SECONDS = 300.0
_PURGE_SECONDS = 3600.0
_COLLECTION_THRESHOLD = 20_000


Address = Callable[[Settings], contextlib.AbstractContextManager[str]]
"""A context manager with the URL of a database that runs meanwhile."""


@contextlib.contextmanager
def database_address(settings: Settings) -> Iterator[str]:
    """The URL of the configured database, or that of the embedded one, which runs meanwhile.

    Raises `SettingsError` where the embedded one is not allowed, or cannot run in `DATA_DIR`.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    settings.check_embedded_database()
    try:
        with embedded_server(settings.data_dir / "postgres") as url:
            yield url
    except EmbeddedServerError as error:
        raise SettingsError(f"DATA_DIR: {error}") from error


@dataclass(frozen=True)
class Resources:
    """The objects of an application that are opened when it starts and closed when it ends."""

    database: Database
    verifier: TokenVerifier
    limits: RateLimits
    lag: EventLoopLag
    state: ProcessState
    tracer: Tracer | None


@contextlib.asynccontextmanager
async def lifespan(settings: Settings, resources: Resources, address: Address, _app: ASGIApp) -> AsyncIterator[None]:
    """Open the database and what else the service uses, and close it at the end."""
    with address(settings) as url:
        await resources.database.open(url)
        await resources.limits.open()
        if settings.metrics_enabled:
            resources.lag.start()
            resources.state.start()
        migrating = None
        if settings.migrate_on_start:
            migrating = asyncio.create_task(_migrate(resources.database, settings, url))
        purging = asyncio.create_task(_purge(resources.database, settings.trash_retention_days))
        trimming = asyncio.create_task(trim_memory())
        try:
            if migrating is not None and settings.database_url is None:
                # Bounded, because a service cannot be stopped while it starts.
                await asyncio.wait({migrating}, timeout=_EMBEDDED_WAIT_SECONDS)
            _tune_garbage_collection()
            yield
        finally:
            trimming.cancel()
            purging.cancel()
            if migrating is not None:
                migrating.cancel()
            resources.lag.stop()
            resources.state.stop()
            await resources.verifier.aclose()
            await resources.limits.aclose()
            await resources.database.close()
            if resources.tracer is not None:
                # The last requests are written down first, for that ends their spans.
                access_log.write()
                await asyncio.to_thread(resources.tracer.close)


def _tune_garbage_collection() -> None:
    """Exclude the objects of the start from garbage collection, and collect less often.

    A page of a thousand tasks makes more objects than the default threshold, which made it cost a third more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTION_THRESHOLD, *gc.get_threshold()[1:])


async def _purge(database: Database, retention_days: int) -> None:
    """Purge the trash and idempotency keys every hour. Every process does, and they share the work."""
    pause = _FIRST_PURGE_SECONDS
    while True:
        # At random, because processes may have started together.
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # nosec B311  # noqa: S311  not for security
        pause = _PURGE_SECONDS
        statements = measure_database()
        try:
            purged = await purge(database, retention_days=retention_days)
        except DatabaseUnavailable as error:
            metrics.PURGE_FAILURES.inc()
            _log.warning("purge.postponed", reason=str(error))
        else:
            metrics.count_purge(purged)
            _log.info("purge.done", tasks=purged.tasks, keys=purged.keys)
        metrics.count_statements(statements.attempts)


async def _migrate(database: Database, settings: Settings, url: str) -> None:
    """Apply the migrations as soon as the database can be reached. Until then requests get a 503."""
    if settings.migrations_database_url is not None:
        url = settings.migrations_database_url.get_secret_value()
    metrics.MIGRATIONS_PENDING.set(1)
    current = await readiness.is_current(database)
    while not current:
        try:
            await asyncio.to_thread(_upgrade, url)
            current = True
        except MigrationError as error:
            metrics.MIGRATION_FAILURES.inc()
            _log.warning("migrations.postponed", reason=str(error), again_in_seconds=_MIGRATION_RETRY_SECONDS)
            await asyncio.sleep(_MIGRATION_RETRY_SECONDS)
    metrics.MIGRATIONS_PENDING.set(0)
    _log.info("migrations.applied", revision=migrations.head())


def _upgrade(url: str) -> None:
    from persistence.migrations import runner  # noqa: PLC0415  Alembic is a tenth of the time of a start

    runner.upgrade(url)
