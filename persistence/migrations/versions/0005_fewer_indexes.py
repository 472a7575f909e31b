"""One index for lists, and room in the pages of tasks, so that a change moves no index entry."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LIVE = "deleted_at IS NULL"
_TRASHED = "deleted_at IS NOT NULL"
_REMOVED = {
    "ix_tasks_user_id_title_key_id": (["user_id", "title_key", "id"], _LIVE),
    "ix_tasks_user_id_updated_at_id": (["user_id", "updated_at", "id"], _LIVE),
    "ix_tasks_user_id_completed_created_at_id": (["user_id", "completed", "created_at", "id"], _LIVE),
    "ix_tasks_trashed_user_id_title_key_id": (["user_id", "title_key", "id"], _TRASHED),
    "ix_tasks_trashed_user_id_updated_at_id": (["user_id", "updated_at", "id"], _TRASHED),
}


def upgrade() -> None:
    # No row is read or written, so the locks last for milliseconds. Replicas of the previous release go on; they sort.
    op.execute("ALTER TABLE tasks SET (fillfactor = 85)")
    for name in _REMOVED:
        op.drop_index(op.f(name), "tasks")


def downgrade() -> None:
    for name, (columns, condition) in _REMOVED.items():
        op.create_index(op.f(name), "tasks", columns, postgresql_where=sa.text(condition))
    op.execute("ALTER TABLE tasks RESET (fillfactor)")
