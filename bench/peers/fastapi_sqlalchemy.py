"""FastAPI with SQLAlchemy's asyncio extension on asyncpg, as an expert would write it.

Each request has a session. The engine commits by itself, for no request has more than one statement. Every request
verifies its token, as is the custom.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import DateTime, delete, func, insert, make_url, not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

_Title = Annotated[str, StringConstraints(pattern=r"\S", max_length=200)]
_Description = Annotated[str, StringConstraints(max_length=1000)] | None


class TaskCreate(BaseModel):
    """What makes a task."""

    title: _Title
    description: _Description = None
    completed: bool = False


class TaskUpdate(BaseModel):
    """What changes a task: the members that are given. The defaults of the others are never read."""

    title: _Title = ""
    description: _Description = None
    completed: bool = False


class TaskRead(BaseModel):
    """What is told of a task."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


class _Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012  its type is SQLAlchemy's


class Task(_Base):
    """A row of `tasks`."""

    __tablename__ = "tasks"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    description: Mapped[str | None]
    completed: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Status(StrEnum):
    """Which tasks a list has."""

    ALL = "all"
    PENDING = "pending"
    COMPLETED = "completed"


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


async def _owner(
    request: Request, user_id: str, credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> str:
    try:
        claims = jwt.decode(
            credentials.credentials,
            request.app.state.secret,
            algorithms=["HS256"],
            options={"require": ["sub", "exp"]},
        )
    except jwt.InvalidTokenError:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"}) from None
    if claims["sub"] != user_id:
        raise HTTPException(status.HTTP_403_FORBIDDEN)
    return user_id


_Session = Annotated[AsyncSession, Depends(_session)]
_Owner = Annotated[str, Depends(_owner)]

router = APIRouter(prefix="/api/{user_id}/tasks")


def _found(task: Task | None) -> Task:
    if task is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return task


@router.get("", response_model=list[TaskRead])
async def list_tasks(
    owner: _Owner,
    session: _Session,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    status: Status = Status.ALL,
) -> Any:
    """The first tasks of the user."""
    statement = select(Task).where(Task.user_id == owner)
    if status is not Status.ALL:
        statement = statement.where(Task.completed.is_(status is Status.COMPLETED))
    return (await session.scalars(statement.order_by(Task.created_at, Task.id).limit(limit))).all()


@router.post("", response_model=TaskRead, status_code=status.HTTP_201_CREATED)
async def create_task(owner: _Owner, session: _Session, body: TaskCreate, response: Response) -> Any:
    """A new task."""
    statement = insert(Task).values(user_id=owner, id=uuid7(), **body.model_dump()).returning(Task)
    task = (await session.scalars(statement)).one()
    response.headers["Location"] = f"/api/{owner}/tasks/{task.id}"
    return task


@router.get("/{task_id}", response_model=TaskRead)
async def get_task(owner: _Owner, session: _Session, task_id: UUID) -> Any:
    """One task."""
    return _found(await session.scalar(select(Task).where(Task.user_id == owner, Task.id == task_id)))


@router.put("/{task_id}", response_model=TaskRead)
async def update_task(owner: _Owner, session: _Session, task_id: UUID, body: TaskUpdate) -> Any:
    """The task with the given members changed."""
    return await _changed(session, owner, task_id, body.model_dump(exclude_unset=True))


@router.patch("/{task_id}/complete", response_model=TaskRead)
async def toggle_task(owner: _Owner, session: _Session, task_id: UUID) -> Any:
    """The task with `completed` flipped."""
    return await _changed(session, owner, task_id, {"completed": not_(Task.completed)})


async def _changed(session: AsyncSession, owner: str, task_id: UUID, values: dict[str, Any]) -> Task:
    statement = (
        update(Task)
        .where(Task.user_id == owner, Task.id == task_id)
        .values(**values, updated_at=func.now())
        .returning(Task)
    )
    return _found(await session.scalar(statement))


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_task(owner: _Owner, session: _Session, task_id: UUID) -> None:
    """Nothing, and the task is gone."""
    statement = delete(Task).where(Task.user_id == owner, Task.id == task_id).returning(Task.id)
    if await session.scalar(statement) is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine = create_async_engine(
        make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
        isolation_level="AUTOCOMMIT",
        pool_size=10,
        max_overflow=0,
    )
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    yield
    await engine.dispose()


def create_app() -> FastAPI:
    """The application that uvicorn runs."""
    app = FastAPI(lifespan=_lifespan)
    app.state.secret = os.environ["BETTER_AUTH_SECRET"]
    app.include_router(router)
    return app
