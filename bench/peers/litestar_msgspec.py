"""Litestar with msgspec structs and plain SQL on asyncpg's pool, in the way of an expert.

Litestar's own JWT backend verifies the token of every request.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
from litestar import Litestar, Request, Response, delete, get, patch, post, put
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import NotFoundException, PermissionDeniedException, ValidationException
from litestar.params import Parameter
from litestar.security.jwt import JWTAuth, Token
from msgspec import UNSET, Meta, Struct, UnsetType

from bench.peers import STATEMENTS

_Title = Annotated[str, Meta(pattern=r"\S", max_length=200)]
_Description = Annotated[str, Meta(max_length=1000)] | None
_Limit = Annotated[int, Parameter(ge=1, le=1000)]
_Status = Literal["all", "pending", "completed"]


class _TaskCreate(Struct):
    title: _Title
    description: _Description = None
    completed: bool = False


class _TaskUpdate(Struct):
    title: _Title | UnsetType = UNSET
    description: _Description | UnsetType = UNSET
    completed: bool | UnsetType = UNSET


class _Task(Struct):
    # The members have the order of the columns in the statements.
    id: UUID
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


async def _task(state: State, statement: str, *parameters: object) -> _Task:
    row = await state.pool.fetchrow(STATEMENTS[statement], *parameters)
    if row is None:
        raise NotFoundException
    return _Task(*row)


@get()
async def _list_tasks(state: State, user_id: str, limit: _Limit = 1000, status: _Status = "all") -> list[_Task]:
    return [_Task(*row) for row in await state.pool.fetch(STATEMENTS[status], user_id, limit)]


@post()
async def _create_task(state: State, user_id: str, data: _TaskCreate) -> Response[_Task]:
    task = await _task(state, "create", user_id, data.title, data.description, data.completed)
    return Response(task, headers={"Location": f"/api/{user_id}/tasks/{task.id}"})


@get("/{task_id:uuid}")
async def _get_task(state: State, user_id: str, task_id: UUID) -> _Task:
    return await _task(state, "get", user_id, task_id)


@put("/{task_id:uuid}")
async def _update_task(state: State, user_id: str, task_id: UUID, data: _TaskUpdate) -> _Task:
    values = [None if value is UNSET else value for value in (data.title, data.description, data.completed)]
    values.insert(1, data.description is not UNSET)
    return await _task(state, "update", user_id, task_id, *values)


@patch("/{task_id:uuid}/complete")
async def _toggle_task(state: State, user_id: str, task_id: UUID) -> _Task:
    return await _task(state, "toggle", user_id, task_id)


@delete("/{task_id:uuid}")
async def _delete_task(state: State, user_id: str, task_id: UUID) -> None:
    if await state.pool.fetchval(STATEMENTS["delete"], user_id, task_id) is None:
        raise NotFoundException


async def _subject(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    if connection.path_params["user_id"] != token.sub:
        raise PermissionDeniedException
    return token.sub


def _invalid(_request: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
    return Response({"detail": error.detail, "extra": error.extra}, status_code=422)


async def _no_reset(_connection: object) -> None:
    """Replace the reset of a session after every use, a round trip that these statements do not need."""


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=10, reset=_no_reset) as pool:
        app.state.pool = pool
        yield


def create_app() -> Litestar:
    """The application that uvicorn runs."""
    return Litestar(
        path="/api/{user_id:str}/tasks",
        route_handlers=[_list_tasks, _create_task, _get_task, _update_task, _toggle_task, _delete_task],
        on_app_init=[JWTAuth[str](os.environ["BETTER_AUTH_SECRET"], _subject).on_app_init],
        exception_handlers={ValidationException: _invalid},
        lifespan=[_lifespan],
        openapi_config=None,
        logging_config=None,
    )
