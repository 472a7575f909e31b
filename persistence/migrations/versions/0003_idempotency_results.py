"""The results of operations with an idempotency key that create no single task."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "idempotency_keys",
        "task_id",
        existing_type=sa.Uuid(),
        nullable=True,
        comment="The task that was created, which may be gone since.",
        existing_comment="The task that was made, which may be gone since.",
    )
    op.create_table(
        "idempotency_results",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False, comment="What the operation returned, if it was not a create."),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_results")),
        sa.ForeignKeyConstraint(
            ["user_id", "key"],
            ["idempotency_keys.user_id", "idempotency_keys.key"],
            name=op.f("fk_idempotency_results_user_id_idempotency_keys"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("octet_length(result::text) <= 1048576", name=op.f("ck_idempotency_results_result_length")),
    )


def downgrade() -> None:
    op.drop_table("idempotency_results")
    # The revision before knows keys of creates only.
    op.execute("DELETE FROM idempotency_keys WHERE task_id IS NULL")
    op.alter_column(
        "idempotency_keys",
        "task_id",
        existing_type=sa.Uuid(),
        nullable=False,
        comment="The task that was made, which may be gone since.",
        existing_comment="The task that was created, which may be gone since.",
    )
