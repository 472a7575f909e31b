"""FastAPI with SQLModel on psycopg, synchronous: the stack of most tutorials, as an expert would write it.

Endpoints run in threads, each with a session of its own. A change is one UPDATE ... RETURNING, and nothing that was
written is read again. Every request verifies its token, as is the custom.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import StringConstraints
from sqlalchemy import DateTime, make_url
from sqlmodel import Field, Session, SQLModel, col, create_engine, delete, func, not_, select, update
from uuid_utils.compat import uuid7

_Title = Annotated[str, StringConstraints(pattern=r"\S", max_length=200)]
_Description = Annotated[str, StringConstraints(max_length=1000)] | None


class TaskCreate(SQLModel):
    """What makes a task."""

    title: _Title
    description: _Description = None
    completed: bool = False


class TaskUpdate(SQLModel):
    """What changes a task: the members that are given. The defaults of the others are never read."""

    title: _Title = ""
    description: _Description = None
    completed: bool = False


class TaskRead(SQLModel):
    """What is told of a task."""

    id: UUID
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


def _moment() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


class Task(SQLModel, table=True):
    """A row of `tasks`."""

    __tablename__ = "tasks"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: str = Field(primary_key=True)
    title: str
    description: str | None = None
    completed: bool = False
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class Status(StrEnum):
    """Which tasks a list has."""

    ALL = "all"
    PENDING = "pending"
    COMPLETED = "completed"


def _session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine, expire_on_commit=False) as session:
        yield session


# It only calculates, so it stays on the event loop.
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


_Session = Annotated[Session, Depends(_session)]
_Owner = Annotated[str, Depends(_owner)]

router = APIRouter(prefix="/api/{user_id}/tasks")


def _found(task: Task | None) -> Task:
    if task is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return task


@router.get("", response_model=list[TaskRead])
def list_tasks(
    owner: _Owner,
    session: _Session,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    status: Status = Status.ALL,
) -> Any:
    """The first tasks of the user."""
    statement = select(Task).where(Task.user_id == owner)
    if status is not Status.ALL:
        statement = statement.where(col(Task.completed).is_(status is Status.COMPLETED))
    return session.exec(statement.order_by(col(Task.created_at), col(Task.id)).limit(limit)).all()


@router.post("", response_model=TaskRead, status_code=status.HTTP_201_CREATED)
def create_task(owner: _Owner, session: _Session, body: TaskCreate, response: Response) -> Any:
    """A new task."""
    task = Task(user_id=owner, **body.model_dump())
    session.add(task)
    session.commit()
    response.headers["Location"] = f"/api/{owner}/tasks/{task.id}"
    return task


@router.get("/{task_id}", response_model=TaskRead)
def get_task(owner: _Owner, session: _Session, task_id: UUID) -> Any:
    """One task."""
    return _found(session.exec(select(Task).where(Task.user_id == owner, Task.id == task_id)).one_or_none())


@router.put("/{task_id}", response_model=TaskRead)
def update_task(owner: _Owner, session: _Session, task_id: UUID, body: TaskUpdate) -> Any:
    """The task with the given members changed."""
    return _changed(session, owner, task_id, body.model_dump(exclude_unset=True))


@router.patch("/{task_id}/complete", response_model=TaskRead)
def toggle_task(owner: _Owner, session: _Session, task_id: UUID) -> Any:
    """The task with `completed` flipped."""
    return _changed(session, owner, task_id, {"completed": not_(Task.completed)})


def _changed(session: Session, owner: str, task_id: UUID, values: dict[str, Any]) -> Task:
    statement = (
        update(Task)
        .where(col(Task.user_id) == owner, col(Task.id) == task_id)
        .values(**values, updated_at=func.now())
        .returning(Task)
    )
    task = _found(session.exec(statement).scalar_one_or_none())
    session.commit()
    return task


@router.delete("/{task_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_task(owner: _Owner, session: _Session, task_id: UUID) -> None:
    """Nothing, and the task is gone."""
    if not session.exec(delete(Task).where(col(Task.user_id) == owner, col(Task.id) == task_id)).rowcount:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    session.commit()


def create_app() -> FastAPI:
    """The application that uvicorn runs."""
    app = FastAPI()
    app.state.secret = os.environ["BETTER_AUTH_SECRET"]
    app.state.engine = create_engine(
        make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg"),
        pool_size=10,
        max_overflow=0,
        connect_args={"options": "-c timezone=UTC"},
    )
    app.include_router(router)
    return app
