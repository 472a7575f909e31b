"""FastAPI with SQLAlchemy's asyncio extension on asyncpg, in the way of an expert.

Each request has a session. The engine is in autocommit mode, because no request has more than one statement. Every
request verifies its token, as is usual with FastAPI.
"""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from sqlalchemy import DateTime, delete, func, insert, make_url, not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from bench.peers.fastapi_common import Limit, Owner, Status, TaskCreate, TaskRead, TaskUpdate, create_app, found, router

__all__ = ["create_app"]


class _Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012  its type is SQLAlchemy's


class _Task(_Base):
    __tablename__ = "tasks"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    description: Mapped[str | None]
    completed: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


_url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")
_engine = create_async_engine(_url, isolation_level="AUTOCOMMIT", pool_size=10, max_overflow=0)
_sessions = async_sessionmaker(_engine, expire_on_commit=False)


async def _session() -> AsyncIterator[AsyncSession]:
    async with _sessions() as session:
        yield session


_Session = Annotated[AsyncSession, Depends(_session)]


@router.get("", response_model=list[TaskRead])
async def _list_tasks(owner: Owner, session: _Session, limit: Limit = 1000, status: Status = "all") -> Any:
    statement = select(_Task).where(_Task.user_id == owner)
    if status != "all":
        statement = statement.where(_Task.completed.is_(status == "completed"))
    return (await session.scalars(statement.order_by(_Task.created_at, _Task.id).limit(limit))).all()


@router.post("", response_model=TaskRead, status_code=201)
async def _create_task(owner: Owner, session: _Session, body: TaskCreate, response: Response) -> Any:
    statement = insert(_Task).values(user_id=owner, id=uuid7(), **body.model_dump()).returning(_Task)
    task = (await session.scalars(statement)).one()
    response.headers["Location"] = f"/api/{owner}/tasks/{task.id}"
    return task


@router.get("/{task_id}", response_model=TaskRead)
async def _get_task(owner: Owner, session: _Session, task_id: UUID) -> Any:
    return found(await session.scalar(select(_Task).where(_Task.user_id == owner, _Task.id == task_id)))


@router.put("/{task_id}", response_model=TaskRead)
async def _update_task(owner: Owner, session: _Session, task_id: UUID, body: TaskUpdate) -> Any:
    return await _changed(session, owner, task_id, body.model_dump(exclude_unset=True))


@router.patch("/{task_id}/complete", response_model=TaskRead)
async def _toggle_task(owner: Owner, session: _Session, task_id: UUID) -> Any:
    return await _changed(session, owner, task_id, {"completed": not_(_Task.completed)})


async def _changed(session: AsyncSession, owner: str, task_id: UUID, values: dict[str, Any]) -> _Task:
    statement = update(_Task).where(_Task.user_id == owner, _Task.id == task_id).returning(_Task)
    return found(await session.scalar(statement.values(**values, updated_at=func.now())))


@router.delete("/{task_id}", status_code=204)
async def _delete_task(owner: Owner, session: _Session, task_id: UUID) -> None:
    found(await session.scalar(delete(_Task).where(_Task.user_id == owner, _Task.id == task_id).returning(_Task.id)))
