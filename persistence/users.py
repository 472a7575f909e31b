"""Statements about users. The first statement that needs a user's row inserts it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from persistence.errors import DatabaseUnavailable
from persistence.postgres.database import Database
from persistence.postgres.statement import Row, Statement, compile_statement
from persistence.schema import tasks, users


@dataclass(frozen=True, slots=True)
class Owner:
    """A user, as the claims of a token describe them. What the token does not say is None."""

    id: str
    email: str | None = None
    name: str | None = None
    issued_at: datetime | None = None
    """When the token was issued: aware."""

    def parameters(self) -> dict[str, Any]:
        """The parameters of a statement with `known_user`."""
        return {"user_id": self.id, "email": self.email, "name": self.name, "issued_at": self.issued_at}


_ID = bindparam("user_id", type_=Text)
_ISSUED_AT = bindparam("issued_at", type_=DateTime(timezone=True))
_CLAIMS: Final[Mapping[Column[str], BindParameter[str]]] = {
    users.c.email: bindparam("email", type_=Text),
    users.c.name: bindparam("name", type_=Text),
}


def _as_of(column: Column[str]) -> Column[datetime]:
    """The column with the time at which the token that had this claim was issued; null if that is not known."""
    return users.c[f"{column.name}_as_of"]


def _known_as_of(column: Column[str]) -> ColumnElement[datetime]:
    return func.coalesce(_as_of(column), literal_column("'-infinity'", DateTime(timezone=True)))


def _says_more(column: Column[str], claim: BindParameter[str]) -> ColumnElement[bool]:
    """True if the row has no such claim, or one of an older token, or another one of the same time; else false or null.

    A token that does not say when it was issued is never newer.
    """
    newer = _known_as_of(column) < _ISSUED_AT
    other = and_(_as_of(column) == _ISSUED_AT, column != claim)
    return and_(claim.is_not(None), or_(column.is_(None), newer, other))


_HAS_NEWS = or_(*(_says_more(column, claim) for column, claim in _CLAIMS.items()))
_AS_CLAIMED = and_(users.c.id == _ID, _HAS_NEWS.is_not(true()))


def known_user() -> CTE:
    """The common table expression that upserts the user's row from the claims of the token.

    Each claim of the row is that of the newest token that has the claim. Nothing is written and no row locked if the
    row has that already, so concurrent writes of one user do not wait for each other. `updated_at` is the time of the
    last change of a claim, not of its time.
    """
    as_claimed: Select[Any] = select(literal_column("1")).where(_AS_CLAIMED)
    claimed = {column.name: claim for column, claim in _CLAIMS.items()}
    as_of = {_as_of(column).name: case((claim.is_not(None), _ISSUED_AT)) for column, claim in _CLAIMS.items()}
    given = select(_ID, *claimed.values(), *as_of.values()).where(~as_claimed.exists())
    new = insert(users).from_select(["id", *claimed, *as_of], given)
    return (
        new.on_conflict_do_update(index_elements=[users.c.id], set_=_newer_claims(new.excluded))
        .returning(users)
        .cte("known_user")
    )


def _newer_claims(excluded: ReadOnlyColumnCollection[str, Any]) -> dict[str, ColumnElement[Any]]:
    """The columns of the user's row after the upsert. What is inserted may have been overtaken by another statement."""
    changes: dict[str, ColumnElement[Any]] = {}
    differs = []
    for column in _CLAIMS:
        as_of = _as_of(column)
        no_older = excluded[as_of.name] >= _known_as_of(column)
        taken = and_(excluded[column.name].is_not(None), or_(column.is_(None), no_older))
        changes |= {each.name: case((taken, excluded[each.name]), else_=each) for each in (column, as_of)}
        differs.append(and_(taken, column.is_distinct_from(excluded[column.name])))
    changed_at = func.greatest(excluded["updated_at"], users.c.updated_at)
    changes["updated_at"] = case((or_(*differs), changed_at), else_=users.c.updated_at)
    return changes


def _with_counts(user: Select[Any], label: str) -> Statement:
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
            row.c.id,
            row.c.email,
            row.c.name,
            row.c.created_at,
            row.c.updated_at,
            counts.c.total,
            counts.c.completed,
            counts.c.pending,
        ),
        label,
    )


def _first_seen() -> Select[Any]:
    written = known_user()
    # The statement's snapshot does not see rows that its own CTE writes: a new row is in the CTE only, an old one in
    # the table only.
    existing = select(users).where(users.c.id == _ID, ~select(literal_column("1")).select_from(written).exists())
    return select(select(written).union_all(existing).subquery("user"))


# A read-only database, such as a standby, can record nothing, and tells what it has.
_READ_ONLY: ColumnElement[bool] = literal_column("current_setting('transaction_read_only') = 'on'", Boolean)
_KNOWN = _with_counts(select(users).where(users.c.id == _ID, or_(_HAS_NEWS.is_not(true()), _READ_ONLY)), "get_profile")
_FIRST_SEEN = _with_counts(_first_seen(), "create_profile")
# How often a profile is read at most, if the user is deleted meanwhile.
_ATTEMPTS = 3
_REMOVE = compile_statement(delete(users).where(users.c.id == _ID), "delete_user")


async def remove(database: Database, user_id: str) -> None:
    """Delete the user with all their data; the foreign keys cascade.

    Raises `DatabaseUnavailable`.
    """
    await database.fetch_all(_REMOVE, {"user_id": user_id}, bulk=True)


async def profile(database: Database, owner: Owner) -> Row:
    """The user's row and task counts: id, email, name, created_at, updated_at, total, completed, pending.

    Raises `DatabaseUnavailable`.
    """
    parameters = owner.parameters()
    for _ in range(_ATTEMPTS):
        # A standby refuses a statement that may write, even if there is nothing to write.
        row = await database.fetch_first(_KNOWN, parameters) or await database.fetch_first(_FIRST_SEEN, parameters)
        if row is not None:
            return row
        # On Citus, each part of a statement has its own snapshot: the first found the user, the next one did not.
    raise DatabaseUnavailable("the user is deleted again and again")
