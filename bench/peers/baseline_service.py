"""The baseline on the service's own connection pool and statements: no Python server on them can cost less."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.peers.baseline import BaselineApplication, Store
from persistence import tasks
from persistence.cursor import parse_cursor
from persistence.postgres.database import Database
from persistence.users import Owner


def create_app(database: Database | None = None) -> BaselineApplication:
    """The application that uvicorn runs, by default with ten connections to `DATABASE_URL`."""
    database = database or Database(size=10)

    async def page(user_id: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        chosen = {"status": "all", "sort": "created", **query, "limit": int(query["limit"])}
        chosen["cursor"] = parse_cursor(query["cursor"]) if "cursor" in query else None
        return (await tasks.page(database, user_id, tasks.PageRequest(**chosen))).tasks

    store: Store = {
        "open": lambda: database.open(os.environ["DATABASE_URL"]),
        "close": database.close,
        "page": page,
        "create": lambda user_id, body: tasks.create(database, Owner(user_id), tasks.NewTask(**body)),
        "get": partial(tasks.get, database),
        "change": partial(tasks.change, database),
        "toggle": partial(tasks.toggle, database),
        "remove": partial(tasks.delete_permanently, database),
    }
    return BaselineApplication(store)
