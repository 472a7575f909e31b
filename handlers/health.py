"""Whether the service is alive, and whether it can do its work."""

from handlers.types import Answer, Context
from persistence import readiness


async def get_health(context: Context) -> Answer:  # noqa: ARG001  liveness must not touch the database
    """Alive, if this is answered at all."""
    return Answer(200, {"status": "ok"})


async def get_readiness(context: Context) -> Answer:
    """Ready, if the database can serve requests, and how late the event loop is. Raises `DatabaseUnavailable`."""
    await readiness.check(context.database)
    lag = context.services.event_loop_lag()
    return Answer(200, {"status": "ready", "event_loop_lag_ms": round(lag * 1000, 1)})
