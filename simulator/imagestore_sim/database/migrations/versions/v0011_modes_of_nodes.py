"""Add the cluster mode that a management node runs in.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column `mode`: NULL for nodes of an older version, which may be running."""
    op.add_column("ManagementNodeVO", sa.Column("mode", sa.String(16)))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("ManagementNodeVO", "mode")
