"""Reading all tasks of a user, in pages that are bounded by their size."""

from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import Integer, Text, Uuid, bindparam, cast, func, literal_column, or_, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import tasks
from persistence.tasks import OWNER, STATUSES, VISIBLE

PAGE_BYTES: Final = 131_072
"""The maximum size of a page as JSON. Only a single task may be larger."""

_PAGE_TASKS: Final = 512
"""The maximum number of tasks of a page. This many of the shortest tasks have about `PAGE_BYTES`."""

_FIRST_TASKS: Final = 128
_MEMBERS_BYTES: Final = literal_column("190", Integer)
"""The size of the rest of a task as JSON: member names, the id, timestamps."""


def _json_bytes(text: ColumnElement[Any]) -> ColumnElement[int]:
    return func.octet_length(cast(func.to_json(text), Text))


def _page_statement(status: str, *, after: bool) -> Statement:
    place = tuple_(tasks.c.created_at, tasks.c.id)
    description = func.coalesce(_json_bytes(tasks.c.description), literal_column("0"))
    size = _MEMBERS_BYTES + _json_bytes(tasks.c.user_id) + _json_bytes(tasks.c.title) + description
    total = func.sum(size).over(order_by=[tasks.c.created_at, tasks.c.id], rows=(None, 0)).label("total")
    number = func.row_number().over(order_by=[tasks.c.created_at, tasks.c.id]).label("number")
    candidates = (
        select(*VISIBLE, total, number)
        .where(tasks.c.user_id == OWNER, STATUSES[status])
        .order_by(tasks.c.created_at, tasks.c.id)
        .limit(bindparam("count", type_=Integer))
    )
    if after:
        position = bindparam("position", type_=tasks.c.created_at.type)
        candidates = candidates.where(place > tuple_(position, bindparam("last_id", type_=Uuid)))
    page = candidates.subquery("candidates")
    fits = or_(page.c.total <= literal_column(str(PAGE_BYTES)), page.c.number == literal_column("1"))
    return compile_statement(
        select(*(page.c[column.name] for column in VISIBLE)).where(fits).order_by(page.c.created_at, page.c.id),
        "export_tasks",
    )


_PAGE: Final = {(status, after): _page_statement(status, after=after) for status in STATUSES for after in (False, True)}


class Export:
    """The pages of all tasks of a user, in the order of their creation.

    Each page is read when it is asked for: a task that is created or deleted meanwhile may or may not be among them,
    and every other task is, once. There is always a first page, which may be empty. Reading raises
    `DatabaseUnavailable`.

    This is no generator because that would keep each page in memory until the next.
    """

    def __init__(self, database: Database, user_id: str, *, status: str) -> None:
        self._database = database
        self._user_id = user_id
        self._status = status
        self._count = _FIRST_TASKS
        self._last: tuple[datetime, UUID] | None = None
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Row]:
        """The next page."""
        if self._is_over:
            raise StopAsyncIteration
        parameters: dict[str, Any] = {"user_id": self._user_id, "count": self._count}
        if self._last is not None:
            parameters["position"], parameters["last_id"] = self._last
        rows = await self._database.fetch_all(_PAGE[self._status, self._last is not None], parameters)
        if rows:
            self._last = rows[-1]["created_at"], rows[-1]["id"]
            # PostgreSQL computes the size of each candidate, so there are few more of them than fit.
            self._count = min(_PAGE_TASKS, 2 * len(rows))
        else:
            self._is_over = True
            if self._last is not None:
                raise StopAsyncIteration
        return rows
