"""The trash, and the keys that make a creation safe to repeat."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LISTS = (
    ["user_id", "created_at", "id"],
    ["user_id", "title_key", "id"],
    ["user_id", "updated_at", "id"],
    ["user_id", "completed", "created_at", "id"],
)
_TRASHED = (
    ["user_id", "created_at", "id"],
    ["user_id", "title_key", "id"],
    ["user_id", "updated_at", "id"],
    ["deleted_at"],
)


def _readable(column: str) -> str:
    return f"{column} >= '0001-01-01 00:00:00+00' AND {column} < '10000-01-01 00:00:00+00'"


def _name(columns: list[str], kind: str = "") -> str:
    return op.f(f"ix_tasks_{kind}{'_'.join(columns)}")


def upgrade() -> None:
    op.add_column(
        "tasks",
        sa.Column("deleted_at", sa.DateTime(timezone=True), comment="When the task was put into the trash."),
    )
    op.create_check_constraint(op.f("ck_tasks_deleted_at_readable"), "tasks", _readable("deleted_at"))
    for columns in _LISTS:
        op.drop_index(_name(columns), "tasks")
        op.create_index(_name(columns), "tasks", columns, postgresql_where=sa.text("deleted_at IS NULL"))
    for columns in _TRASHED:
        condition = sa.text("deleted_at IS NOT NULL")
        op.create_index(_name(columns, "trashed_"), "tasks", columns, postgresql_where=condition)
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="The SHA-256 of what was asked for."),
        sa.Column("task_id", sa.Uuid(), nullable=False, comment="The task that was made, which may be gone since."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id_users"), ondelete="CASCADE"
        ),
        sa.CheckConstraint("char_length(key) BETWEEN 1 AND 255", name=op.f("ck_idempotency_keys_key_length")),
        sa.CheckConstraint("octet_length(fingerprint) = 32", name=op.f("ck_idempotency_keys_fingerprint_length")),
        sa.CheckConstraint(_readable("created_at"), name=op.f("ck_idempotency_keys_created_at_readable")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])


def downgrade() -> None:
    # The revision before knows no trash: what lies in it would be back in the lists.
    op.execute("DELETE FROM tasks WHERE deleted_at IS NOT NULL")
    op.drop_table("idempotency_keys")
    for columns in _TRASHED:
        op.drop_index(_name(columns, "trashed_"), "tasks")
    for columns in _LISTS:
        op.drop_index(_name(columns), "tasks")
        op.create_index(_name(columns), "tasks", columns)
    op.drop_constraint(op.f("ck_tasks_deleted_at_readable"), "tasks")
    op.drop_column("tasks", "deleted_at")
