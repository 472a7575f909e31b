"""Liveness and readiness."""

from handlers.types import Answer, Context, NotConfigured
from persistence import readiness


async def get_health(context: Context) -> Answer:  # noqa: ARG001  liveness must not touch the database
    """Alive, if this is answered at all."""
    return Answer(200, {"status": "ok"})


async def get_readiness(context: Context) -> Answer:
    """Ready, if requests can be served. Raises `DatabaseNotReady` and `NotConfigured`."""
    if context.services.missing_setting is not None:
        raise NotConfigured(context.services.missing_setting)
    await readiness.check(context.database)
    return Answer(200, {"status": "ready"})
