"""Liveness and readiness."""

from handlers.types import Answer, Context
from persistence import readiness


async def get_health(context: Context) -> Answer:  # noqa: ARG001  liveness must not touch the database
    """Alive, if this is answered at all."""
    return Answer(200, {"status": "ok"})


async def get_readiness(context: Context) -> Answer:
    """Ready, if the database can serve requests. Raises `DatabaseUnavailable`."""
    await readiness.check(context.database)
    return Answer(200, {"status": "ready"})
