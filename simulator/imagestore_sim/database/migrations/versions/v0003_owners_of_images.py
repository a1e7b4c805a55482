"""The account that an image belongs to; those that there are already belong to admin.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"


def upgrade() -> None:
    """Add the column."""
    op.add_column("ImageVO", sa.Column("accountUuid", sa.String(32), nullable=False, server_default=ADMIN))


def downgrade() -> None:
    """Drop it: every image is everybody's again."""
    op.drop_column("ImageVO", "accountUuid")
