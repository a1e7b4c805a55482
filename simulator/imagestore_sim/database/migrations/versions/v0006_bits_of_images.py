"""Add the job that is adding an image, and the bits that are still to be removed from hosts.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column `addedByJob` and the table `ImageGarbageVO`."""
    op.add_column("ImageVO", sa.Column("addedByJob", sa.String(32)))
    op.create_index("ix_ImageVO_addedByJob", "ImageVO", ["addedByJob"])
    op.create_table(
        "ImageGarbageVO",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("imageUuid", sa.String(32), nullable=False),
        sa.Column(
            "backupStorageUuid",
            sa.String(32),
            sa.ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("installPath", sa.String(2048), nullable=False),
    )
    for column in ("imageUuid", "backupStorageUuid"):
        op.create_index(f"ix_ImageGarbageVO_{column}", "ImageGarbageVO", [column])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("ImageGarbageVO")
    op.drop_index("ix_ImageVO_addedByJob", "ImageVO")
    op.drop_column("ImageVO", "addedByJob")
