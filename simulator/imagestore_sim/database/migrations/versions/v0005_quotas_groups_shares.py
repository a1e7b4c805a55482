"""Add quotas, groups, policies, roles and shared resources; existing accounts but admin get ZStack's default quotas.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import sqlite

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SQLITE_DATE = sqlite.DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so
MOMENT = sa.DateTime().with_variant(_SQLITE_DATE, "sqlite")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
QUOTAS = UUID("1c0b6c1e-5d0c-4f7c-9f35-3f5a8d0f6a11")
ACCOUNTS = sa.table("AccountVO", sa.column("uuid"), sa.column("createDate", MOMENT))
OPTIONS = sa.table("GlobalConfigVO", sa.column("category"), sa.column("name"), sa.column("value"))


def upgrade() -> None:
    """Create the tables, and the quotas of existing accounts."""
    quotas = op.create_table(
        "QuotaVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("identityUuid", sa.String(32), _account(), nullable=False),
        sa.Column("identityType", sa.String(255), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.UniqueConstraint("identityUuid", "name"),
    )
    op.create_table(
        "UserGroupVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("accountUuid", sa.String(32), _account(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT),
        sa.UniqueConstraint("accountUuid", "name"),
    )
    op.create_table(
        "PolicyVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("accountUuid", sa.String(32), _account(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("statements", sa.Text(), nullable=False),
    )
    op.create_table(
        "RoleVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("accountUuid", sa.String(32), _account(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("identity", sa.String(255)),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("statements", sa.Text(), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
    )
    for table in ("PolicyVO", "RoleVO"):
        op.create_index(f"ix_{table}_accountUuid", table, ["accountUuid"])
    op.create_table(
        "SharedResourceVO",
        sa.Column("id", SERIAL, primary_key=True, autoincrement=True),
        sa.Column("ownerAccountUuid", sa.String(32), _account(), nullable=False),
        sa.Column("receiverAccountUuid", sa.String(32), _account()),
        sa.Column("toPublic", sa.Boolean(), nullable=False),
        sa.Column("resourceType", sa.String(255), nullable=False),
        sa.Column("resourceUuid", sa.String(32), sa.ForeignKey("ImageVO.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
    )
    for column in ("ownerAccountUuid", "receiverAccountUuid", "resourceUuid"):
        op.create_index(f"ix_SharedResourceVO_{column}", "SharedResourceVO", [column])
    connection = op.get_bind()
    defaults = connection.execute(sa.select(OPTIONS.c.name, OPTIONS.c.value).where(OPTIONS.c.category == "quota")).all()
    for uuid, created in connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.uuid != ADMIN)).all():
        for name, value in defaults:
            row = {"uuid": uuid5(QUOTAS, f"{uuid}/{name}").hex, "name": name, "value": int(value)}
            dates = {"createDate": created, "lastOpDate": created}
            connection.execute(sa.insert(quotas).values(identityUuid=uuid, identityType="AccountVO", **row, **dates))


def _account() -> sa.ForeignKey:
    return sa.ForeignKey("AccountVO.uuid", ondelete="CASCADE")


def downgrade() -> None:
    """Drop the tables."""
    for table in ("SharedResourceVO", "RoleVO", "PolicyVO", "UserGroupVO", "QuotaVO"):
        op.drop_table(table)
