"""Add what the end of a job needs when its node does not come to it.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add `givenTo`, `webHook` and `lost`: NULL for jobs of nodes of an older version, which may be running."""
    op.add_column("RestAPIVO", sa.Column("givenTo", sa.String(32)))
    op.add_column("RestAPIVO", sa.Column("webHook", sa.Text))
    op.add_column("RestAPIVO", sa.Column("lost", sa.Boolean))


def downgrade() -> None:
    """Drop the columns."""
    for name in ("lost", "webHook", "givenTo"):
        op.drop_column("RestAPIVO", name)
