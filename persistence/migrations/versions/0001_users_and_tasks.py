"""Users and their tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _readable(column: str, table: str) -> sa.CheckConstraint:
    condition = f"{column} >= '0001-01-01 00:00:00+00' AND {column} < '10000-01-01 00:00:00+00'"
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{column}_readable"))


def _length(column: str, table: str, least: int, most: int) -> sa.CheckConstraint:
    condition = f"char_length({column}) BETWEEN {least} AND {most}"
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{column}_length"))


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        _length("id", "users", 1, 255),
        _length("email", "users", 1, 320),
        _length("name", "users", 1, 255),
        _readable("created_at", "users"),
        _readable("updated_at", "users"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_key", sa.LargeBinary(), nullable=False, comment="persistence.collation.title_key(title)"),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("completed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_tasks")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tasks_user_id_users"), ondelete="CASCADE"),
        _length("title", "tasks", 1, 65535),
        _length("description", "tasks", 0, 65535),
        sa.CheckConstraint("octet_length(title_key) BETWEEN 1 AND 1500", name=op.f("ck_tasks_title_key_length")),
        _readable("created_at", "tasks"),
        _readable("updated_at", "tasks"),
    )
    for columns in (
        ["user_id", "created_at", "id"],
        ["user_id", "title_key", "id"],
        ["user_id", "updated_at", "id"],
        ["user_id", "completed", "created_at", "id"],
    ):
        op.create_index(op.f(f"ix_tasks_{'_'.join(columns)}"), "tasks", columns)


def downgrade() -> None:
    op.drop_table("tasks")
    op.drop_table("users")
