"""Add what management nodes that share the store change one at a time.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. Its rows are made when they are first needed."""
    op.create_table(
        "SharedStateVO",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text()),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("SharedStateVO")
