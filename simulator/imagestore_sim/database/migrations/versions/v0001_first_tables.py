"""The first tables.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import sqlite

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQLITE_DATE = sqlite.DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so
MOMENT = sa.DateTime().with_variant(_SQLITE_DATE, "sqlite")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (
    "AccountVO",
    "BackupStorageVO",
    "EventVO",
    "GlobalConfigVO",
    "ImageVO",
    "ManagementNodeVO",
    "RestAPIVO",
    "SystemTagVO",
    "UserTagVO",
    "WebhookVO",
    "ZoneVO",
    "AccessKeyVO",
    "BackupStorageCapacityHistoryVO",
    "BackupStorageZoneRefVO",
    "ImageBackupStorageRefVO",
    "ImageStoreBackupStorageVO",
    "SessionVO",
    "SftpBackupStorageVO",
    "UserVO",
)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "AccountVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "BackupStorageVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("totalCapacity", sa.BigInteger(), nullable=False),
        sa.Column("availableCapacity", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.Column("addedByJob", sa.String(length=32), nullable=True),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_BackupStorageVO_addedByJob"), "BackupStorageVO", ["addedByJob"], unique=False)
    op.create_index(op.f("ix_BackupStorageVO_name"), "BackupStorageVO", ["name"], unique=False)
    op.create_index(
        "ix_BackupStorageVO_most_available",
        "BackupStorageVO",
        [sa.column("availableCapacity").desc(), "uuid", "name"],
        unique=False,
    )
    _create_folded_indexes("BackupStorageVO", "name")
    op.create_table(
        "EventVO",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("resourceUuid", sa.String(length=32), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("correlation", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_event_path", "EventVO", ["path", "id"], unique=False)
    op.create_index(op.f("ix_EventVO_resourceUuid"), "EventVO", ["resourceUuid"], unique=False)
    op.create_index(op.f("ix_EventVO_time"), "EventVO", ["time"], unique=False)
    op.create_table(
        "WebhookVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("opaque", sa.Text(), nullable=True),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_WebhookVO_type"), "WebhookVO", ["type"], unique=False)
    op.create_table(
        "GlobalConfigVO",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("defaultValue", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("category", "name"),
    )
    op.create_table(
        "ImageVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("state", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("actualSize", sa.BigInteger(), nullable=False),
        sa.Column("md5Sum", sa.String(length=255), nullable=True),
        sa.Column("url", sa.String(length=2048), nullable=True),
        sa.Column("mediaType", sa.String(length=32), nullable=False),
        sa.Column("guestOsType", sa.String(length=255), nullable=True),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("platform", sa.String(length=255), nullable=True),
        sa.Column("architecture", sa.String(length=32), nullable=True),
        sa.Column("format", sa.String(length=255), nullable=False),
        sa.Column("system", sa.Boolean(), nullable=False),
        sa.Column("virtio", sa.Boolean(), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_ImageVO_name"), "ImageVO", ["name"], unique=False)
    op.create_table(
        "ManagementNodeVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("hostName", sa.String(length=255), nullable=False),
        sa.Column("joinDate", MOMENT, nullable=False),
        sa.Column("heartBeat", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_table(
        "RestAPIVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("apiMessageName", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("createDate", sa.BigInteger(), nullable=False),
        sa.Column("lastOpDate", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_RestAPIVO_createDate"), "RestAPIVO", ["createDate"], unique=False)
    op.create_index(op.f("ix_RestAPIVO_state"), "RestAPIVO", ["state"], unique=False)
    op.create_table(
        "SystemTagVO",
        sa.Column("inherent", sa.Boolean(), nullable=False),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("resourceUuid", sa.String(length=32), nullable=False),
        sa.Column("resourceType", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_SystemTagVO_resourceUuid"), "SystemTagVO", ["resourceUuid"], unique=False)
    op.create_table(
        "UserTagVO",
        sa.Column("tagPatternUuid", sa.String(length=32), nullable=True),
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("resourceUuid", sa.String(length=32), nullable=False),
        sa.Column("resourceType", sa.String(length=64), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_UserTagVO_resourceUuid"), "UserTagVO", ["resourceUuid"], unique=False)
    op.create_index(op.f("ix_UserTagVO_tagPatternUuid"), "UserTagVO", ["tagPatternUuid"], unique=False)
    op.create_table(
        "ZoneVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("isDefault", sa.Boolean(), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_ZoneVO_name"), "ZoneVO", ["name"], unique=False)
    op.create_table(
        "AccessKeyVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("accountUuid", sa.String(length=32), nullable=False),
        sa.Column("userUuid", sa.String(length=32), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("AccessKeyID", sa.String(length=128), nullable=False),
        sa.Column("AccessKeySecret", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["accountUuid"], ["AccountVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid"),
        sa.UniqueConstraint("AccessKeyID"),
    )
    op.create_index(op.f("ix_AccessKeyVO_accountUuid"), "AccessKeyVO", ["accountUuid"], unique=False)
    op.create_table(
        "BackupStorageCapacityHistoryVO",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("backupStorageUuid", sa.String(length=32), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("totalCapacity", sa.BigInteger(), nullable=False),
        sa.Column("availableCapacity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["backupStorageUuid"], ["BackupStorageVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_capacity_history", "BackupStorageCapacityHistoryVO", ["backupStorageUuid", "time"], unique=False
    )
    op.create_table(
        "BackupStorageZoneRefVO",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("backupStorageUuid", sa.String(length=32), nullable=False),
        sa.Column("zoneUuid", sa.String(length=32), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["backupStorageUuid"], ["BackupStorageVO.uuid"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["zoneUuid"], ["ZoneVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_BackupStorageZoneRefVO_backupStorageUuid"),
        "BackupStorageZoneRefVO",
        ["backupStorageUuid"],
        unique=False,
    )
    op.create_index(op.f("ix_BackupStorageZoneRefVO_zoneUuid"), "BackupStorageZoneRefVO", ["zoneUuid"], unique=False)
    op.create_table(
        "ImageBackupStorageRefVO",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("imageUuid", sa.String(length=32), nullable=False),
        sa.Column("backupStorageUuid", sa.String(length=32), nullable=False),
        sa.Column("installPath", sa.String(length=2048), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("exportMd5Sum", sa.String(length=255), nullable=True),
        sa.Column("exportUrl", sa.String(length=2048), nullable=True),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["backupStorageUuid"], ["BackupStorageVO.uuid"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["imageUuid"], ["ImageVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("imageUuid", "backupStorageUuid"),
    )
    op.create_index(
        op.f("ix_ImageBackupStorageRefVO_backupStorageUuid"),
        "ImageBackupStorageRefVO",
        ["backupStorageUuid"],
        unique=False,
    )
    op.create_table(
        "ImageStoreBackupStorageVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("sshPort", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["uuid"], ["BackupStorageVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid"),
        sa.UniqueConstraint("hostname"),
    )
    _create_folded_indexes("ImageStoreBackupStorageVO", "hostname")
    op.create_table(
        "SessionVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("accountUuid", sa.String(length=32), nullable=False),
        sa.Column("userUuid", sa.String(length=32), nullable=False),
        sa.Column("expiredDate", sa.BigInteger(), nullable=False),
        sa.Column("createDate", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["accountUuid"], ["AccountVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_index(op.f("ix_SessionVO_accountUuid"), "SessionVO", ["accountUuid"], unique=False)
    op.create_index(op.f("ix_SessionVO_userUuid"), "SessionVO", ["userUuid"], unique=False)
    op.create_table(
        "SftpBackupStorageVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("sshPort", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["uuid"], ["BackupStorageVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid"),
        sa.UniqueConstraint("hostname"),
    )
    _create_folded_indexes("SftpBackupStorageVO", "hostname")
    op.create_table(
        "UserVO",
        sa.Column("uuid", sa.String(length=32), nullable=False),
        sa.Column("accountUuid", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=2048), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.Column("createDate", MOMENT, nullable=False),
        sa.Column("lastOpDate", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["accountUuid"], ["AccountVO.uuid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uuid"),
        sa.UniqueConstraint("accountUuid", "name"),
    )


def _create_folded_indexes(table: str, column: str) -> None:
    """Create the indexes by which SQLite finds text regardless of case and trailing spaces; see the models."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.create_index(f"ix_{table}_{column}_folded", table, [sa.text(f"upper(rtrim({column}, ' '))")], unique=False)
    others = sa.text(f"length({column}) <> length(CAST({column} AS BLOB))")
    op.create_index(f"ix_{table}_{column}_not_ascii", table, [column, "uuid"], unique=False, sqlite_where=others)


def downgrade() -> None:
    """Drop every table, beginning with those that refer to others."""
    for table in reversed(TABLES):
        op.drop_table(table)
