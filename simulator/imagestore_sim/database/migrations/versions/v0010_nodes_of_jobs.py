"""Add the management node that carries out a job.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column `managementNodeUuid`."""
    op.add_column("RestAPIVO", sa.Column("managementNodeUuid", sa.String(32)))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("RestAPIVO", "managementNodeUuid")
