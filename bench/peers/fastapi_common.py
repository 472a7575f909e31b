"""The schemas, the authentication and the list parameters of both peers on FastAPI."""

import os
from datetime import datetime
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, StringConstraints

_Title = Annotated[str, StringConstraints(pattern=r"\S", max_length=200)]
_Description = Annotated[str, StringConstraints(max_length=1000)] | None
_T = TypeVar("_T")
_SECRET = os.environ["BETTER_AUTH_SECRET"]

Limit = Annotated[int, Query(ge=1, le=1000)]
Status = Literal["all", "pending", "completed"]


class TaskCreate(BaseModel):
    """The body of a create."""

    title: _Title
    description: _Description = None
    completed: bool = False


class TaskUpdate(TaskCreate):
    """The body of an update. Defaults are never read: only the members that were sent are used."""

    title: _Title = ""


class TaskRead(BaseModel):
    """A task in a response."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


# It needs no I/O, so it runs on the event loop and not in a thread.
async def _owner(user_id: str, credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    required = ["sub", "exp"]
    try:
        claims = jwt.decode(credentials.credentials, _SECRET, algorithms=["HS256"], options={"require": required})
    except jwt.InvalidTokenError:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None
    if claims["sub"] != user_id:
        raise HTTPException(403)
    return user_id


Owner = Annotated[str, Depends(_owner)]
router = APIRouter(prefix="/api/{user_id}/tasks")


def found(task: _T | None) -> _T:
    """The task. Raises the exception for a 404 when there is none."""
    if task is None:
        raise HTTPException(404)
    return task


def create_app() -> FastAPI:
    """The application that uvicorn runs, once the module of a peer has defined the routes."""
    app = FastAPI()
    app.include_router(router)
    return app
