"""FastAPI with SQLModel on psycopg, synchronous: the stack of most tutorials, in the way of an expert.

Endpoints run in threads, each with its own session. An update is one UPDATE ... RETURNING, and nothing that was
written is read again. Every request verifies its token, as is usual with FastAPI.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from sqlalchemy import DateTime, make_url
from sqlmodel import Field, Session, SQLModel, col, create_engine, delete, func, not_, select, update
from uuid_utils.compat import uuid7

from bench.peers.fastapi_common import Limit, Owner, Status, TaskCreate, TaskRead, TaskUpdate, create_app, found, router

__all__ = ["create_app"]


def _timestamp() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class _Task(SQLModel, table=True):
    __tablename__ = "tasks"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: str = Field(primary_key=True)
    title: str
    description: str | None = None
    completed: bool = False
    created_at: datetime = _timestamp()
    updated_at: datetime = _timestamp()


_url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg")
_engine = create_engine(_url, pool_size=10, max_overflow=0, connect_args={"options": "-c timezone=UTC"})


def _session() -> Iterator[Session]:
    with Session(_engine, expire_on_commit=False) as session:
        yield session


_Session = Annotated[Session, Depends(_session)]


@router.get("", response_model=list[TaskRead])
def _list_tasks(owner: Owner, session: _Session, limit: Limit = 1000, status: Status = "all") -> Any:
    statement = select(_Task).where(_Task.user_id == owner)
    if status != "all":
        statement = statement.where(col(_Task.completed).is_(status == "completed"))
    return session.exec(statement.order_by(col(_Task.created_at), col(_Task.id)).limit(limit)).all()


@router.post("", response_model=TaskRead, status_code=201)
def _create_task(owner: Owner, session: _Session, body: TaskCreate, response: Response) -> Any:
    task = _Task(user_id=owner, **body.model_dump())
    session.add(task)
    session.commit()
    response.headers["Location"] = f"/api/{owner}/tasks/{task.id}"
    return task


@router.get("/{task_id}", response_model=TaskRead)
def _get_task(owner: Owner, session: _Session, task_id: UUID) -> Any:
    return found(session.exec(select(_Task).where(_Task.user_id == owner, _Task.id == task_id)).one_or_none())


@router.put("/{task_id}", response_model=TaskRead)
def _update_task(owner: Owner, session: _Session, task_id: UUID, body: TaskUpdate) -> Any:
    return _changed(session, owner, task_id, body.model_dump(exclude_unset=True))


@router.patch("/{task_id}/complete", response_model=TaskRead)
def _toggle_task(owner: Owner, session: _Session, task_id: UUID) -> Any:
    return _changed(session, owner, task_id, {"completed": not_(_Task.completed)})


def _changed(session: Session, owner: str, task_id: UUID, values: dict[str, Any]) -> _Task:
    statement = update(_Task).where(col(_Task.user_id) == owner, col(_Task.id) == task_id).returning(_Task)
    found_rows = session.exec(statement.values(**values, updated_at=func.now()))
    task: _Task = found(found_rows.scalar_one_or_none())
    session.commit()
    return task


@router.delete("/{task_id}", status_code=204)
def _delete_task(owner: Owner, session: _Session, task_id: UUID) -> None:
    found(session.exec(delete(_Task).where(col(_Task.user_id) == owner, col(_Task.id) == task_id)).rowcount or None)
    session.commit()
