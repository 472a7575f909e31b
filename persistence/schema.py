"""The tables. The OpenAPI document limits the lengths of titles and descriptions; their columns are `text`.

The CHECK constraints refuse values that the service could not read back, but an operator's SQL could write: a year that
Python or RFC 3339 cannot express, an empty title, a text longer than any response may carry.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from persistence.collation import KEY_BYTES

MAX_USER_ID: Final = 255
MAX_EMAIL: Final = 320
MAX_NAME: Final = 255
MAX_KEY: Final = 255
"""The maximum lengths of a user's members and of an idempotency key in characters, as in the OpenAPI document."""

KEY_HOURS: Final = 24
"""The lifetime of an idempotency key in hours."""

MAX_RESULT: Final = 1_048_576
"""The maximum size of a stored result in bytes. A task with the longest texts that its columns take is smaller."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _timestamp(name: str) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _as_of(claim: str) -> Column[datetime]:
    """The `iat` of the token that had this claim. It is compared, and never read."""
    return Column(f"{claim}_as_of", DateTime(timezone=True), comment=f"The iat of the token with this {claim}.")


def _index(*columns: str, trashed: bool = False) -> Index:
    """A partial index on the tasks that are not deleted, or on those in the trash, so that a list scans no others."""
    name = f"ix_tasks_{'trashed_' if trashed else ''}{'_'.join(columns)}"
    return Index(name, *columns, postgresql_where=text(f"deleted_at IS {'NOT ' if trashed else ''}NULL"))


def _readable(column: str) -> CheckConstraint:
    """A timestamp that RFC 3339 can express: the years 1 to 9999, not an infinity."""
    condition = f"{column} >= '0001-01-01 00:00:00+00' AND {column} < '10000-01-01 00:00:00+00'"
    return CheckConstraint(condition, name=f"{column}_readable")


def _length(column: str, least: int, most: int) -> CheckConstraint:
    return CheckConstraint(f"char_length({column}) BETWEEN {least} AND {most}", name=f"{column}_length")


users = Table(
    "users",
    metadata,
    Column("id", Text, nullable=False),
    Column("email", Text),
    Column("name", Text),
    _as_of("email"),
    _as_of("name"),
    _timestamp("created_at"),
    _timestamp("updated_at"),
    PrimaryKeyConstraint("id"),
    _length("id", 1, MAX_USER_ID),
    _length("email", 1, MAX_EMAIL),
    _length("name", 1, MAX_NAME),
    _readable("created_at"),
    _readable("updated_at"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("user_id", Text, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_key", LargeBinary, nullable=False, comment="persistence.collation.title_key(title)"),
    Column("description", Text),
    Column("completed", Boolean, nullable=False, server_default=text("false")),
    _timestamp("created_at"),
    _timestamp("updated_at"),
    Column("deleted_at", DateTime(timezone=True), comment="When the task was put into the trash."),
    # The owner leads every key, so the table can be hash-distributed by user.
    PrimaryKeyConstraint("user_id", "id"),
    _length("title", 1, 65535),
    _length("description", 0, 65535),
    CheckConstraint(f"octet_length(title_key) BETWEEN 1 AND {KEY_BYTES}", name="title_key_length"),
    _readable("created_at"),
    _readable("updated_at"),
    _readable("deleted_at"),
    # One index for the default order of lists. In other orders the tasks of a user are sorted, which takes a
    # millisecond for a thousand: less than an index of their own would cost their writes (docs/decisions.md).
    _index("user_id", "created_at", "id"),
    _index("user_id", "created_at", "id", trashed=True),
    # For the purge, which reads the trash of all users.
    _index("deleted_at", trashed=True),
    # Room in each page for the next version of a row. No index has `updated_at` or `completed`, so that it needs no
    # new index entry (HOT).
    postgresql_with={"fillfactor": 85},
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Text, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False, comment="The SHA-256 of what was asked for."),
    Column("task_id", Uuid, comment="The task that was created, which may be gone since."),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("user_id", "key"),
    _length("key", 1, MAX_KEY),
    CheckConstraint("octet_length(fingerprint) = 32", name="fingerprint_length"),
    _readable("created_at"),
    Index(None, "created_at"),
)

idempotency_results = Table(
    "idempotency_results",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("result", JSON, nullable=False, comment="What the operation returned, if it was not a create."),
    PrimaryKeyConstraint("user_id", "key"),
    # It goes with its key: when the key expires, and when the user is deleted.
    ForeignKeyConstraint(["user_id", "key"], [idempotency_keys.c.user_id, idempotency_keys.c.key], ondelete="CASCADE"),
    CheckConstraint(f"octet_length(result::text) <= {MAX_RESULT}", name="result_length"),
)
