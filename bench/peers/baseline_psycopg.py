"""The baseline on `psycopg_pool` as it comes and the SQL of the peers, without the service's connection pool."""

import os
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from bench.peers import STATEMENTS
from bench.peers.baseline import BaselineApplication, Store
from persistence.errors import TaskNotFound

_OPTIONS = {"autocommit": True, "row_factory": dict_row, "cursor_factory": AsyncRawCursor, "options": "-c timezone=UTC"}


def create_app() -> BaselineApplication:
    """The application that uvicorn runs."""
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        os.environ["DATABASE_URL"], min_size=1, max_size=10, kwargs=_OPTIONS, open=False
    )

    async def rows(statement: str, *parameters: Any) -> list[DictRow]:
        async with pool.connection() as connection:
            cursor = await connection.execute(STATEMENTS[statement].encode(), parameters, binary=True)
            return await cursor.fetchall()

    async def one(statement: str, *parameters: Any) -> DictRow:
        for row in await rows(statement, *parameters):
            return row
        raise TaskNotFound

    async def remove(user: str, task: str) -> None:
        await one("delete", user, task)

    store: Store = {
        "open": pool.open,
        "close": pool.close,
        "page": lambda user, query: rows(query.get("status", "all"), user, int(query["limit"])),
        "create": lambda user, body: one(
            "create", user, body["title"], body.get("description"), body.get("completed", False)
        ),
        "get": lambda user, task: one("get", user, task),
        "change": lambda user, task, body: one(
            "update",
            user,
            task,
            body.get("title"),
            "description" in body,
            body.get("description"),
            body.get("completed"),
        ),
        "toggle": lambda user, task: one("toggle", user, task),
        "remove": remove,
    }
    return BaselineApplication(store)
