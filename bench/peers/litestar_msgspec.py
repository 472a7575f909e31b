"""Litestar with msgspec's structs, and plain SQL on asyncpg's pool, as an expert would write it.

A token is verified at every request by Litestar's own JWT backend.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
from litestar import Controller, Litestar, Request, Response, delete, get, patch, post, put
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import NotFoundException, PermissionDeniedException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.security.jwt import JWTAuth, Token
from litestar.status_codes import HTTP_422_UNPROCESSABLE_ENTITY
from msgspec import UNSET, Meta, Struct, UnsetType
from uuid_utils.compat import uuid7

_Title = Annotated[str, Meta(pattern=r"\S", max_length=200)]
_Description = Annotated[str, Meta(max_length=1000)] | None
_Limit = Annotated[int, Parameter(ge=1, le=1000)]
_Status = Literal["all", "pending", "completed"]

_LIST: Final[dict[_Status, str]] = {
    "all": """
        SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
        WHERE user_id = $1 ORDER BY created_at, id LIMIT $2""",
    "pending": """
        SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
        WHERE user_id = $1 AND NOT completed ORDER BY created_at, id LIMIT $2""",
    "completed": """
        SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
        WHERE user_id = $1 AND completed ORDER BY created_at, id LIMIT $2""",
}
_CREATE: Final = """
    INSERT INTO tasks (user_id, id, title, description, completed) VALUES ($1, $2, $3, $4, $5)
    RETURNING id, user_id, title, description, completed, created_at, updated_at"""
_GET: Final = """
    SELECT id, user_id, title, description, completed, created_at, updated_at FROM tasks
    WHERE user_id = $1 AND id = $2"""
_UPDATE: Final = """
    UPDATE tasks
    SET title = coalesce($3, title), description = CASE WHEN $4 THEN $5 ELSE description END,
        completed = coalesce($6, completed), updated_at = now()
    WHERE user_id = $1 AND id = $2
    RETURNING id, user_id, title, description, completed, created_at, updated_at"""
_TOGGLE: Final = """
    UPDATE tasks SET completed = NOT completed, updated_at = now() WHERE user_id = $1 AND id = $2
    RETURNING id, user_id, title, description, completed, created_at, updated_at"""
_DELETE: Final = "DELETE FROM tasks WHERE user_id = $1 AND id = $2 RETURNING id"


class TaskCreate(Struct):
    """What makes a task."""

    title: _Title
    description: _Description = None
    completed: bool = False


class TaskUpdate(Struct):
    """What changes a task: the members that are given."""

    title: _Title | UnsetType = UNSET
    description: _Description | UnsetType = UNSET
    completed: bool | UnsetType = UNSET


class Task(Struct):
    """What is told of a task, in the order of the statements' columns."""

    id: UUID
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


async def _task(state: State, statement: str, *parameters: object) -> Task:
    row = await state.pool.fetchrow(statement, *parameters)
    if row is None:
        raise NotFoundException
    return Task(*row)


class TaskController(Controller):
    """The six operations."""

    path = "/api/{user_id:str}/tasks"

    @get()
    async def list_tasks(self, state: State, user_id: str, limit: _Limit = 1000, status: _Status = "all") -> list[Task]:
        """The first tasks of the user."""
        return [Task(*row) for row in await state.pool.fetch(_LIST[status], user_id, limit)]

    @post()
    async def create_task(self, state: State, user_id: str, data: TaskCreate) -> Response[Task]:
        """A new task."""
        task = await _task(state, _CREATE, user_id, uuid7(), data.title, data.description, data.completed)
        return Response(task, headers={"Location": f"/api/{user_id}/tasks/{task.id}"})

    @get("/{task_id:uuid}")
    async def get_task(self, state: State, user_id: str, task_id: UUID) -> Task:
        """One task."""
        return await _task(state, _GET, user_id, task_id)

    @put("/{task_id:uuid}")
    async def update_task(self, state: State, user_id: str, task_id: UUID, data: TaskUpdate) -> Task:
        """The task with the given members changed."""
        title, description, completed = (
            None if value is UNSET else value for value in (data.title, data.description, data.completed)
        )
        described = data.description is not UNSET
        return await _task(state, _UPDATE, user_id, task_id, title, described, description, completed)

    @patch("/{task_id:uuid}/complete")
    async def toggle_task(self, state: State, user_id: str, task_id: UUID) -> Task:
        """The task with `completed` flipped."""
        return await _task(state, _TOGGLE, user_id, task_id)

    @delete("/{task_id:uuid}")
    async def delete_task(self, state: State, user_id: str, task_id: UUID) -> None:
        """Nothing, and the task is gone."""
        if await state.pool.fetchval(_DELETE, user_id, task_id) is None:
            raise NotFoundException


async def _subject(token: Token, _connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return token.sub


def _is_owner(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    if connection.path_params["user_id"] != connection.user:
        raise PermissionDeniedException


def _invalid(_request: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
    return Response({"detail": error.detail, "extra": error.extra}, status_code=HTTP_422_UNPROCESSABLE_ENTITY)


async def _keep(_connection: object) -> None:
    """The pool would reset a session after every use, which is a round trip. No statement here leaves anything."""


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=10, reset=_keep) as pool:
        app.state.pool = pool
        yield


def create_app() -> Litestar:
    """The application that uvicorn runs."""
    return Litestar(
        route_handlers=[TaskController],
        guards=[_is_owner],
        on_app_init=[JWTAuth[str](os.environ["BETTER_AUTH_SECRET"], _subject).on_app_init],
        exception_handlers={ValidationException: _invalid},
        lifespan=[_lifespan],
        openapi_config=None,
        logging_config=None,
    )
