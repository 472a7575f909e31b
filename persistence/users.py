"""Statements about users. A row is made on first sight of a subject, inside the statement that needs it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, Select, Text, and_, bindparam, delete, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import insert

from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import tasks, users


@dataclass(frozen=True, slots=True)
class Owner:
    """A user, as the claims of a token describe them. `email` and `name` are None where there is no such claim."""

    id: str
    email: str | None = None
    name: str | None = None

    def parameters(self) -> dict[str, Any]:
        """The parameters of a statement with `known_user`."""
        return {"user_id": self.id, "email": self.email, "name": self.name}


_ID = bindparam("user_id", type_=Text)
_EMAIL = bindparam("email", type_=Text)
_NAME = bindparam("name", type_=Text)
_AS_CLAIMED = and_(
    users.c.id == _ID,
    or_(_EMAIL.is_(None), users.c.email == _EMAIL),
    or_(_NAME.is_(None), users.c.name == _NAME),
)


def known_user() -> CTE:
    """The common table expression that makes the user's row, or updates it from claims that have changed.

    It writes nothing, and takes no row lock, where the row already says what the claims say: parallel writes of
    one user do not queue behind each other. A claim that the token does not carry leaves the column as it is.
    """
    as_claimed: Select[Any] = select(literal_column("1")).where(_AS_CLAIMED)
    new = insert(users).from_select(["id", "email", "name"], select(_ID, _EMAIL, _NAME).where(~as_claimed.exists()))
    return (
        new.on_conflict_do_update(
            index_elements=[users.c.id],
            set_={
                "email": func.coalesce(new.excluded.email, users.c.email),
                "name": func.coalesce(new.excluded.name, users.c.name),
                "updated_at": func.clock_timestamp(),
            },
        )
        .returning(users)
        .cte("known_user")
    )


def _with_counts(user: Select[Any]) -> Statement:
    row = user.subquery("profile")
    counts = (
        select(
            func.count().label("total"),
            func.count().filter(tasks.c.completed).label("completed"),
            func.count().filter(~tasks.c.completed).label("pending"),
        )
        .where(tasks.c.user_id == _ID, tasks.c.deleted_at.is_(None))
        .subquery("counts")
    )
    return compile_statement(
        select(
            row.c.id, row.c.email, row.c.name, row.c.created_at, counts.c.total, counts.c.completed, counts.c.pending
        )
    )


def _first_seen() -> Select[Any]:
    written = known_user()
    # A data-modifying CTE and the table are one snapshot apart: the row stands in the first when it was written
    # by this statement and in the second when it was there before.
    there_before = select(users).where(users.c.id == _ID, ~select(literal_column("1")).select_from(written).exists())
    return select(select(written).union_all(there_before).subquery("user"))


_KNOWN = _with_counts(select(users).where(_AS_CLAIMED))
_FIRST_SEEN = _with_counts(_first_seen())


_REMOVE = compile_statement(delete(users).where(users.c.id == _ID))


async def remove(database: Database, user_id: str) -> None:
    """Remove everything that is kept of the user; the foreign keys see to what belongs to the row.

    Raises `DatabaseUnavailable`.
    """
    await database.fetch_all(_REMOVE, {"user_id": user_id}, many=True)


async def profile(database: Database, owner: Owner) -> Row:
    """The user's row with the numbers of its tasks: id, email, name, created_at, total, completed, pending.

    Raises `DatabaseUnavailable`.
    """
    parameters = owner.parameters()
    # A statement that could write is refused by a standby, even where there is nothing to write.
    known = await database.fetch_first(_KNOWN, parameters)
    return known or await database.fetch_one(_FIRST_SEEN, parameters)
