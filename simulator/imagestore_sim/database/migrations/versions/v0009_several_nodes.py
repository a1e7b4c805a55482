"""Let several management nodes share a store: their heartbeats, the epoch of the cluster, and who owns each storage.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
NODES, STORAGES = "ManagementNodeVO", "BackupStorageVO"


def upgrade() -> None:
    """Add the columns and the table. A node that has the store for itself is running, and writes none of them."""
    op.add_column(NODES, sa.Column("port", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(NODES, sa.Column("state", sa.String(32), nullable=False, server_default="RUNNING"))
    op.add_column(NODES, sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(NODES, sa.Column("beatAt", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "ClusterVO",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
    )
    op.add_column(STORAGES, sa.Column("ownerUuid", sa.String(32)))
    op.add_column(STORAGES, sa.Column("ownerEpoch", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    for table, column in (
        (STORAGES, "ownerEpoch"), (STORAGES, "ownerUuid"),
        (NODES, "beatAt"), (NODES, "epoch"), (NODES, "state"), (NODES, "port"),
    ):  # fmt: skip
        op.drop_column(table, column)
    op.drop_table("ClusterVO")
