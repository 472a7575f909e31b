"""Connections that the server ends while statements are sent: each statement is answered or fails at once."""

import asyncio
import time

import psycopg
import pytest
import uvloop
from sqlalchemy import text

from persistence.errors import DatabaseUnavailable
from persistence.postgres.database import Database
from persistence.postgres.statement import compile_statement

SECONDS = 6
LONGEST = 15
"""Half the time after which a bulk operation expires, in seconds."""
_ONE = compile_statement(text("SELECT 1"), "one")
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tasks-api'"


@pytest.mark.slow
def test_no_statement_waits_for_a_connection_that_has_ended(database_url: str) -> None:
    """On the event loop of the service, uvloop, and on a Unix socket."""
    assert uvloop.run(_longest(database_url)) < LONGEST


async def _longest(url: str) -> float:
    """The longest time of a statement in seconds."""
    database = Database()
    await database.open(url)
    end = time.monotonic() + SECONDS

    async def fetch() -> float:
        longest = 0.0
        while (begin := time.monotonic()) < end:
            try:
                await database.fetch_all(_ONE, {}, bulk=True)
            except DatabaseUnavailable:
                await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begin)
        return longest

    with psycopg.connect(url, autocommit=True) as connection:

        async def end_connections() -> float:
            while time.monotonic() < end:
                await asyncio.to_thread(connection.execute, _END)
                await asyncio.sleep(0.03)
            return 0.0

        times = await asyncio.gather(end_connections(), *(fetch() for _ in range(8)))
    await database.close()
    return max(times)
