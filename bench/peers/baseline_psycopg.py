"""The floor on psycopg's pool as it comes, without what the service's `Database` adds or saves, its SQL written out.

It takes every user for known, so its INSERT is shorter than the service's.
"""

import os
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from bench.peers.baseline import BareApplication, Store
from persistence.collation import title_key
from persistence.errors import TaskNotFound
from persistence.tasks import Page

_PAGE: Final = {
    "all": b"""
        SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
        WHERE user_id = %(user_id)s ORDER BY created_at, id LIMIT %(limit)s""",
    "pending": b"""
        SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
        WHERE user_id = %(user_id)s AND NOT completed ORDER BY created_at, id LIMIT %(limit)s""",
    "completed": b"""
        SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
        WHERE user_id = %(user_id)s AND completed ORDER BY created_at, id LIMIT %(limit)s""",
}
_CREATE: Final = b"""
    INSERT INTO tasks (user_id, id, title, title_key, description, completed)
    VALUES (%(user_id)s, %(id)s, %(title)s, %(title_key)s, %(description)s, %(completed)s)
    RETURNING id, user_id, title, description, completed, created_at, updated_at"""
_GET: Final = b"""
    SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
    WHERE user_id = %(user_id)s AND id = %(id)s"""
_CHANGE: Final = b"""
    UPDATE tasks
    SET title = coalesce(%(title)s, title), title_key = coalesce(%(title_key)s, title_key),
        description = CASE WHEN %(described)s THEN %(description)s ELSE description END,
        completed = coalesce(%(completed)s, completed), updated_at = now()
    WHERE user_id = %(user_id)s AND id = %(id)s
    RETURNING id, user_id, title, description, completed, created_at, updated_at"""
_TOGGLE: Final = b"""
    UPDATE tasks SET completed = NOT completed, updated_at = now() WHERE user_id = %(user_id)s AND id = %(id)s
    RETURNING id, user_id, title, description, completed, created_at, updated_at"""
_REMOVE: Final = b"DELETE FROM tasks WHERE user_id = %(user_id)s AND id = %(id)s RETURNING id"


class _Tasks:
    """The functions of `persistence.tasks`, on a stock pool."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        self._pool = pool

    async def page(self, user_id: str, *, status: str, limit: int, **_: object) -> Page:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_PAGE[status], {"user_id": user_id, "limit": limit}, binary=True)
            return Page(await cursor.fetchall(), None)

    async def create(self, user_id: str, *, email: str | None, name: str | None, **members: Any) -> DictRow:
        del email, name
        key = title_key(members["title"])
        return await self._one(_CREATE, {"user_id": user_id, "id": uuid7(), "title_key": key, **members})

    async def get(self, user_id: str, task_id: UUID) -> DictRow:
        return await self._one(_GET, {"user_id": user_id, "id": task_id})

    async def change(self, user_id: str, task_id: UUID, changes: Mapping[str, Any]) -> DictRow:
        parameters = {
            "user_id": user_id,
            "id": task_id,
            "title": changes.get("title"),
            "title_key": title_key(changes["title"]) if "title" in changes else None,
            "described": "description" in changes,
            "description": changes.get("description"),
            "completed": changes.get("completed"),
        }
        return await self._one(_CHANGE, parameters)

    async def toggle(self, user_id: str, task_id: UUID) -> DictRow:
        return await self._one(_TOGGLE, {"user_id": user_id, "id": task_id})

    async def remove(self, user_id: str, task_id: UUID) -> None:
        await self._one(_REMOVE, {"user_id": user_id, "id": task_id})

    async def _one(self, statement: bytes, parameters: Mapping[str, Any]) -> DictRow:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, parameters, binary=True)
            row = await cursor.fetchone()
        if row is None:
            raise TaskNotFound
        return row


def create_app() -> BareApplication:
    """The application that uvicorn runs."""
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        os.environ["DATABASE_URL"],
        min_size=1,
        max_size=10,
        kwargs={"autocommit": True, "row_factory": dict_row, "options": "-c timezone=UTC"},
        open=False,
    )
    tasks = _Tasks(pool)
    store = Store(
        open=pool.open,
        close=pool.close,
        page=tasks.page,
        create=tasks.create,
        get=tasks.get,
        change=tasks.change,
        toggle=tasks.toggle,
        remove=tasks.remove,
    )
    return BareApplication(store, os.environ["BETTER_AUTH_SECRET"])
