"""The times that statements write: `now()`, the time of the database when the statement began.

One expression for every engine, which Citus takes in statements on distributed tables too: there, an update calls no
volatile function, `CASE` and `COALESCE` no function that is not immutable, and no stable function gets a column. The
clock of the service writes no time.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, DateTime, Interval, Text, case, func, literal_column

_UTC: Final[ColumnElement[str]] = literal_column("'UTC'", Text)
_MOMENT: Final = DateTime(timezone=True)
# LEAST with a later time is the other one.
_LATEST: Final[ColumnElement[datetime]] = literal_column("'infinity'", _MOMENT)


def later(column: ColumnElement[datetime], interval: str) -> ColumnElement[datetime]:
    """The time in the column plus an interval, such as `1 microsecond`.

    `timestamptz + interval` is not immutable, because a day has not 24 hours in every time zone; in UTC it is.
    """
    moved = func.timezone(_UTC, column, type_=DateTime()) + literal_column(f"interval '{interval}'", Interval)
    return func.timezone(_UTC, moved, type_=_MOMENT)


def after(column: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """Now, or a microsecond after the time in the column if that is later: the column only moves forward.

    So it does where a clock was set back, and where another node or a standby with another clock takes over.
    """
    return func.greatest(func.now(), later(column, "1 microsecond"), type_=_MOMENT)


def after_if(condition: ColumnElement[bool], column: ColumnElement[datetime]) -> ColumnElement[datetime]:
    """`after` if the condition holds, or else the time in the column."""
    moved = case((condition, later(column, "1 microsecond")), else_=column)
    now = func.least(func.now(), case((condition, _LATEST), else_=column), type_=_MOMENT)
    return func.greatest(moved, now, type_=_MOMENT)
