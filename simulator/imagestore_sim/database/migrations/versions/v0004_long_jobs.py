"""Add the table of long jobs.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "LongJobVO"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        TABLE,
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("apiId", sa.String(32), nullable=False),
        sa.Column("jobName", sa.String(255), nullable=False),
        sa.Column("jobData", sa.Text(), nullable=False),
        sa.Column("jobResult", sa.Text()),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("targetResourceUuid", sa.String(32)),
        sa.Column("managementNodeUuid", sa.String(32)),
        sa.Column("executeTime", sa.BigInteger()),
        sa.Column("accountUuid", sa.String(32), sa.ForeignKey("AccountVO.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("createDate", sa.DateTime(), nullable=False),
        sa.Column("lastOpDate", sa.DateTime()),
    )
    op.create_index(f"ix_{TABLE}_accountUuid", TABLE, ["accountUuid"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(TABLE)
