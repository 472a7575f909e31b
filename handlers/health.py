"""Whether the service is alive, and whether it can do its work."""

from handlers.types import Answer, Context
from persistence import migrations
from persistence.errors import DatabaseUnavailable


async def get_health(context: Context) -> Answer:  # noqa: ARG001  liveness must not touch the database
    """Alive, if this is answered at all."""
    return Answer(200, {"status": "ok"})


async def get_readiness(context: Context) -> Answer:
    """Ready, if the database answers and the migrations are applied, and how late the event loop is.

    Raises `DatabaseUnavailable`.
    """
    if not await migrations.applied(context.database):
        raise DatabaseUnavailable("the migrations are not applied")
    lag = context.services.event_loop_lag()
    return Answer(200, {"status": "ready", "event_loop_lag_ms": round(lag * 1000, 1)})
