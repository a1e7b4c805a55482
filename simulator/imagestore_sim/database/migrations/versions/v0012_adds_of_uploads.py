"""Add the add that the upload of an image belongs to.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column `addUuid`: NULL for what an older version has added."""
    op.add_column("ImageBackupStorageRefVO", sa.Column("addUuid", sa.String(32)))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("ImageBackupStorageRefVO", "addUuid")
