"""When the tokens were issued whose claims the users have."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CLAIMS = ("email", "name")


def upgrade() -> None:
    # Columns without a default or a constraint: no row is read or written, and replicas of the previous release go on.
    for claim in _CLAIMS:
        comment = f"The iat of the token with this {claim}."
        op.add_column("users", sa.Column(f"{claim}_as_of", sa.DateTime(timezone=True), comment=comment))


def downgrade() -> None:
    for claim in _CLAIMS:
        op.drop_column("users", f"{claim}_as_of")
