"""Purges of several processes at once."""

import asyncio

from persistence.postgres.database import Database
from persistence.retention import Purged, purge


async def purges(url: str, count: int) -> list[Purged]:
    """As many of the service's processes as may run, each with its own connections."""
    databases = [Database(size=1) for _ in range(count)]
    for database in databases:
        await database.open(url)
    try:
        return await asyncio.gather(*(purge(database, retention_days=30) for database in databases))
    finally:
        for database in databases:
            await database.close()
