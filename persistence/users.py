"""Statements about users. The first statement that needs a user's row inserts it."""

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
    """The common table expression that upserts the user's row from the claims of the token.

    It writes nothing and locks no row if the row equals the claims, so concurrent writes of one user do not wait for
    each other. A claim that the token does not have leaves its column unchanged.
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
    # The statement's snapshot does not see rows that its own CTE writes: a new row is in the CTE only, an old one in
    # the table only.
    existing = select(users).where(users.c.id == _ID, ~select(literal_column("1")).select_from(written).exists())
    return select(select(written).union_all(existing).subquery("user"))


_KNOWN = _with_counts(select(users).where(_AS_CLAIMED))
_FIRST_SEEN = _with_counts(_first_seen())
_REMOVE = compile_statement(delete(users).where(users.c.id == _ID))


async def remove(database: Database, user_id: str) -> None:
    """Delete the user with all their data; the foreign keys cascade.

    Raises `DatabaseUnavailable`.
    """
    await database.fetch_all(_REMOVE, {"user_id": user_id}, bulk=True)


async def profile(database: Database, owner: Owner) -> Row:
    """The user's row and task counts: id, email, name, created_at, total, completed, pending.

    Raises `DatabaseUnavailable`.
    """
    parameters = owner.parameters()
    # A standby refuses a statement that may write, even if there is nothing to write.
    known = await database.fetch_first(_KNOWN, parameters)
    return known or await database.fetch_one(_FIRST_SEEN, parameters)
