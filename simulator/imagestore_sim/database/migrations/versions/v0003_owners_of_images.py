"""Add the account that owns an image; existing images belong to admin.

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
    """Add the column `accountUuid`."""
    op.add_column("ImageVO", sa.Column("accountUuid", sa.String(32), nullable=False, server_default=ADMIN))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("ImageVO", "accountUuid")
