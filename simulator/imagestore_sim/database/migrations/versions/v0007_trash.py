"""Add the trash of backup storages.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table `InstallPathRecycleVO`."""
    op.create_table(
        "InstallPathRecycleVO",
        sa.Column("trashId", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("resourceUuid", sa.String(32), nullable=False),
        sa.Column(
            "storageUuid", sa.String(32), sa.ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("installPath", sa.String(2048), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("createDate", sa.DateTime, nullable=False),
    )
    op.create_index("ix_InstallPathRecycleVO_storageUuid", "InstallPathRecycleVO", ["storageUuid"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("InstallPathRecycleVO")
