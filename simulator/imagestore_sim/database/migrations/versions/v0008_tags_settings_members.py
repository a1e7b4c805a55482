"""Add patterns of tags, settings of resources, the members of groups, and the policies of users and groups.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
REFS = (
    ("UserGroupUserRefVO", ("userUuid", "UserVO"), ("groupUuid", "UserGroupVO")),
    ("UserPolicyRefVO", ("userUuid", "UserVO"), ("policyUuid", "PolicyVO")),
    ("UserGroupPolicyRefVO", ("groupUuid", "UserGroupVO"), ("policyUuid", "PolicyVO")),
)


def upgrade() -> None:
    """Add the tables. Each pattern that a tag names gets a row; each user gets the policy DEFAULT-READ."""
    op.create_table(
        "TagPatternVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("accountUuid", sa.String(32), sa.ForeignKey("AccountVO.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("color", sa.String(32)),
        sa.Column("type", sa.String(32), nullable=False),
        *_dates(),
    )
    op.create_index("ix_TagPatternVO_accountUuid", "TagPatternVO", ["accountUuid"])
    op.create_table(
        "ResourceConfigVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("resourceUuid", sa.String(32), nullable=False),
        sa.Column("resourceType", sa.String(255), nullable=False),
        sa.Column("accountUuid", sa.String(32), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(1024), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        *_dates(),
        sa.UniqueConstraint("resourceUuid", "category", "name"),
    )
    for table, *columns in REFS:
        op.create_table(
            table,
            sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
            *(
                sa.Column(name, sa.String(32), sa.ForeignKey(f"{parent}.uuid", ondelete="CASCADE"), nullable=False)
                for name, parent in columns
            ),
            *_dates(),
            sa.UniqueConstraint(*(name for name, _ in columns)),
        )
        op.create_index(f"ix_{table}_{columns[1][0]}", table, [columns[1][0]])
    _fill()


def _dates() -> tuple[sa.Column[object], ...]:
    return sa.Column("createDate", sa.DateTime, nullable=False), sa.Column("lastOpDate", sa.DateTime, nullable=False)


def _fill() -> None:
    op.execute(
        "INSERT INTO TagPatternVO (uuid, accountUuid, name, value, type, createDate, lastOpDate) "
        "SELECT tagPatternUuid, '36c27e8ff05c4780bf6d2fa65700f22e', MIN(tag), MIN(tag), 'simple', MIN(createDate), "
        "MIN(createDate) "
        "FROM UserTagVO WHERE tagPatternUuid IS NOT NULL GROUP BY tagPatternUuid"
    )
    op.execute(
        "INSERT INTO UserPolicyRefVO (userUuid, policyUuid, createDate, lastOpDate) "
        "SELECT UserVO.uuid, PolicyVO.uuid, UserVO.createDate, UserVO.createDate "
        "FROM UserVO JOIN PolicyVO ON PolicyVO.accountUuid = UserVO.accountUuid AND PolicyVO.name = 'DEFAULT-READ'"
    )


def downgrade() -> None:
    """Drop them."""
    for table in (*(one for one, *_ in REFS), "ResourceConfigVO", "TagPatternVO"):
        op.drop_table(table)
