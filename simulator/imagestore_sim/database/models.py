"""The tables, with ZStack's names for tables and columns (domain 1). Capacities and sizes are bytes.

Dates are in the node's local time without a zone, in whole seconds, as ZStack stores them; SQLite holds them as
`YYYY-MM-DD HH:MM:SS`, which sorts and compares as text.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import sqlite

from imagestore_sim.database.declaring import Model as Model
from imagestore_sim.database.declaring import column

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapped

_SQLITE_DATE = sqlite.DATETIME(truncate_microseconds=True)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so
LocalDateTime = DateTime().with_variant(_SQLITE_DATE, "sqlite")
SerialNumber = BigInteger().with_variant(Integer, "sqlite")
UUID_LENGTH = 32
ADMIN_UUID = "36c27e8ff05c4780bf6d2fa65700f22e"
"""The uuid that the account `admin` has in every ZStack."""


FOLDED_TEXTS: list[tuple[str, str]] = []
"""The tables and columns of text by which records are found, each with the indexes below."""


def _folded_indexes(table: str, column: str) -> tuple[Index, ...]:
    """Return indexes by which SQLite finds text regardless of ASCII case and trailing spaces.

    Text that is not ASCII is folded by our own collation, not by SQLite's upper(), so it has an index of its own.
    """
    FOLDED_TEXTS.append((table, column))
    not_ascii = text(f"length({column}) <> length(CAST({column} AS BLOB))")
    folded = Index(f"ix_{table}_{column}_folded", text(f"upper(rtrim({column}, ' '))"))
    others = Index(f"ix_{table}_{column}_not_ascii", column, "uuid", sqlite_where=not_ascii)
    return tuple(index.ddl_if(dialect="sqlite") for index in (folded, others))


class Dated:
    """Columns for the time of creation and of the last change by an operation."""

    createDate: Mapped[datetime] = column(LocalDateTime)
    lastOpDate: Mapped[datetime] = column(LocalDateTime)


class BackupStorage(Dated, Model):
    """The columns that backup storages of all types have (domain 1.1)."""

    __tablename__ = "BackupStorageVO"
    __table_args__ = _folded_indexes(__tablename__, "name")

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    name: Mapped[str] = column(String(255), index=True)
    url: Mapped[str] = column(String(2048))
    description: Mapped[str | None] = column(String(2048))
    totalCapacity: Mapped[int] = column(BigInteger, default=0)
    availableCapacity: Mapped[int] = column(BigInteger, default=0)
    type: Mapped[str] = column(String(32))
    state: Mapped[str] = column(String(32))
    status: Mapped[str] = column(String(32))
    tracked: Mapped[bool] = column(Boolean, default=True, doc="False: stands as written, is never probed")
    addedByJob: Mapped[str | None] = column(
        String(UUID_LENGTH), index=True, doc="The job that is adding it; empty once that job's result is stored"
    )
    ownerUuid: Mapped[str | None] = column(String(UUID_LENGTH), doc="The node that owns it, of several", sort_order=1)
    ownerEpoch: Mapped[int] = column(
        BigInteger, default=0, server_default="0", doc="The epoch at which that node took it", sort_order=1
    )


# It includes the name, so that a search by name in this order need not read the rows that it skips.
Index(
    "ix_BackupStorageVO_most_available", BackupStorage.availableCapacity.desc(), BackupStorage.uuid, BackupStorage.name
)


class SshHost:
    """How to log in to the host of a backup storage. The hostname is unique without the port."""

    uuid: Mapped[str] = column(
        String(UUID_LENGTH), ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"), primary_key=True
    )
    hostname: Mapped[str] = column(String(255), unique=True)
    username: Mapped[str] = column(String(255))
    password: Mapped[str] = column(Text, doc="Encrypted with the key beside the database")
    sshPort: Mapped[int] = column(Integer, default=22)


class ImageStoreBackupStorage(SshHost, Model):
    """The columns of an ImageStore backup storage (domain 1.2)."""

    __tablename__ = "ImageStoreBackupStorageVO"
    __table_args__ = _folded_indexes(__tablename__, "hostname")


class SftpBackupStorage(SshHost, Model):
    """The columns of an Sftp backup storage, the predecessor of ImageStore (domain 1.2)."""

    __tablename__ = "SftpBackupStorageVO"
    __table_args__ = _folded_indexes(__tablename__, "hostname")


class Zone(Dated, Model):
    """A zone, to which backup storages are attached (domain 1.4)."""

    __tablename__ = "ZoneVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    name: Mapped[str] = column(String(255), index=True)
    description: Mapped[str | None] = column(String(2048))
    state: Mapped[str] = column(String(32))
    type: Mapped[str] = column(String(255))
    isDefault: Mapped[bool] = column(Boolean, default=False)


class BackupStorageZoneRef(Dated, Model):
    """An attachment of a backup storage to a zone. As in ZStack, only the API prevents duplicates (domain 1.4)."""

    __tablename__ = "BackupStorageZoneRefVO"

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    backupStorageUuid: Mapped[str] = column(ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"), index=True)
    zoneUuid: Mapped[str] = column(ForeignKey("ZoneVO.uuid", ondelete="CASCADE"), index=True)


class Image(Dated, Model):
    """An image: the columns that queries, candidates and export need."""

    __tablename__ = "ImageVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(
        String(UUID_LENGTH), default=ADMIN_UUID, server_default=ADMIN_UUID, doc="The owner", sort_order=1
    )
    name: Mapped[str] = column(String(255), index=True)
    description: Mapped[str | None] = column(String(2048))
    state: Mapped[str] = column(String(255))
    status: Mapped[str] = column(String(255))
    size: Mapped[int] = column(BigInteger, default=0)
    actualSize: Mapped[int] = column(BigInteger, default=0)
    md5Sum: Mapped[str | None] = column(String(255))
    url: Mapped[str | None] = column(String(2048))
    mediaType: Mapped[str] = column(String(32), default="RootVolumeTemplate")
    guestOsType: Mapped[str | None] = column(String(255))
    type: Mapped[str] = column(String(255), default="zstack")
    platform: Mapped[str | None] = column(String(255))
    architecture: Mapped[str | None] = column(String(32))
    format: Mapped[str] = column(String(255), default="qcow2")
    system: Mapped[bool] = column(Boolean, default=False)
    virtio: Mapped[bool] = column(Boolean, default=False)
    addedByJob: Mapped[str | None] = column(
        String(UUID_LENGTH),
        index=True,
        sort_order=2,
        doc="The job that is adding it; empty once that job's result is stored",
    )


class ImageBackupStorageRef(Dated, Model):
    """A copy of an image on a backup storage; deleted with either of them."""

    __tablename__ = "ImageBackupStorageRefVO"
    __table_args__ = (UniqueConstraint("imageUuid", "backupStorageUuid"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    imageUuid: Mapped[str] = column(ForeignKey("ImageVO.uuid", ondelete="CASCADE"))
    backupStorageUuid: Mapped[str] = column(ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"), index=True)
    installPath: Mapped[str] = column(String(2048))
    status: Mapped[str] = column(String(32))
    exportMd5Sum: Mapped[str | None] = column(String(255))
    exportUrl: Mapped[str | None] = column(String(2048))
    addUuid: Mapped[str | None] = column(
        String(UUID_LENGTH),
        sort_order=1,
        doc="The add of an image that its client sends; a later image of the same uuid has another",
    )


class ImageGarbage(Model):
    """Bits of an image that is gone, still to be removed from the host of a storage."""

    __tablename__ = "ImageGarbageVO"

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    imageUuid: Mapped[str] = column(String(UUID_LENGTH), index=True)
    backupStorageUuid: Mapped[str] = column(ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"), index=True)
    installPath: Mapped[str] = column(String(2048))


class InstallPathRecycle(Model):
    """An item of the trash of a backup storage: bits that an image has left there when it moved (domain 2.2)."""

    __tablename__ = "InstallPathRecycleVO"

    trashId: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    resourceUuid: Mapped[str] = column(String(UUID_LENGTH))
    storageUuid: Mapped[str] = column(ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"), index=True)
    installPath: Mapped[str] = column(String(2048))
    size: Mapped[int] = column(BigInteger)
    createDate: Mapped[datetime] = column(DateTime)


class Account(Dated, Model):
    """An account. `password` is a keyed hash of the SHA-512 hex that clients send (wire-protocol 2.4)."""

    __tablename__ = "AccountVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    name: Mapped[str] = column(String(255), unique=True)
    description: Mapped[str | None] = column(String(2048))
    password: Mapped[str] = column(String(255))
    type: Mapped[str] = column(String(32))


class User(Dated, Model):
    """A user of an account; the name is unique within the account (wire-protocol 2.5)."""

    __tablename__ = "UserVO"
    __table_args__ = (UniqueConstraint("accountUuid", "name"),)

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"))
    name: Mapped[str] = column(String(255))
    description: Mapped[str | None] = column(String(2048))
    password: Mapped[str] = column(String(255))


class Session(Model):
    """A login session. `uuid` is a keyed hash of the session's uuid.

    `expiredDate` is in epoch seconds, since every call moves it and no query compares it with a date.
    """

    __tablename__ = "SessionVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    userUuid: Mapped[str] = column(String(UUID_LENGTH), index=True)
    expiredDate: Mapped[int] = column(BigInteger)
    createDate: Mapped[int] = column(BigInteger)


class AccessKey(Dated, Model):
    """A key pair that signs requests in place of a session (wire-protocol 2.7)."""

    __tablename__ = "AccessKeyVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    userUuid: Mapped[str] = column(String(UUID_LENGTH))
    description: Mapped[str | None] = column(String(2048))
    AccessKeyID: Mapped[str] = column(String(128), unique=True)
    AccessKeySecret: Mapped[str] = column(Text, doc="Encrypted with the key beside the database")
    state: Mapped[str] = column(String(32), default="Enabled")


class UserGroup(Model):
    """A group of users of an account. ZStack never writes `lastOpDate`."""

    __tablename__ = "UserGroupVO"
    __table_args__ = (UniqueConstraint("accountUuid", "name"),)

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"))
    name: Mapped[str] = column(String(255))
    description: Mapped[str | None] = column(String(2048))
    createDate: Mapped[datetime] = column(LocalDateTime)
    lastOpDate: Mapped[datetime | None] = column(LocalDateTime)


class UserGroupUserRef(Dated, Model):
    """A user in a group."""

    __tablename__ = "UserGroupUserRefVO"
    __table_args__ = (UniqueConstraint("userUuid", "groupUuid"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    userUuid: Mapped[str] = column(ForeignKey("UserVO.uuid", ondelete="CASCADE"))
    groupUuid: Mapped[str] = column(ForeignKey("UserGroupVO.uuid", ondelete="CASCADE"), index=True)


class UserPolicyRef(Dated, Model):
    """A policy of a user."""

    __tablename__ = "UserPolicyRefVO"
    __table_args__ = (UniqueConstraint("userUuid", "policyUuid"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    userUuid: Mapped[str] = column(ForeignKey("UserVO.uuid", ondelete="CASCADE"))
    policyUuid: Mapped[str] = column(ForeignKey("PolicyVO.uuid", ondelete="CASCADE"), index=True)


class UserGroupPolicyRef(Dated, Model):
    """A policy of a group, which is one of each user in it."""

    __tablename__ = "UserGroupPolicyRefVO"
    __table_args__ = (UniqueConstraint("groupUuid", "policyUuid"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    groupUuid: Mapped[str] = column(ForeignKey("UserGroupVO.uuid", ondelete="CASCADE"))
    policyUuid: Mapped[str] = column(ForeignKey("PolicyVO.uuid", ondelete="CASCADE"), index=True)


class Policy(Model):
    """Statements of what users of an account may do (observed 21)."""

    __tablename__ = "PolicyVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    name: Mapped[str] = column(String(255))
    statements: Mapped[str] = column(Text, doc="JSON")


class Role(Dated, Model):
    """Statements of what accounts may do. They are kept, and mean nothing here."""

    __tablename__ = "RoleVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    name: Mapped[str] = column(String(255))
    description: Mapped[str | None] = column(String(2048))
    identity: Mapped[str | None] = column(String(255))
    type: Mapped[str] = column(String(32))
    state: Mapped[str] = column(String(32))
    statements: Mapped[str] = column(Text, doc="JSON")


class Quota(Dated, Model):
    """How much of something an account may have; admin has no quotas (observed 7)."""

    __tablename__ = "QuotaVO"
    __table_args__ = (UniqueConstraint("identityUuid", "name"),)

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    name: Mapped[str] = column(String(255))
    identityUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"))
    identityType: Mapped[str] = column(String(255), default="AccountVO")
    value: Mapped[int] = column(BigInteger)


class SharedResource(Dated, Model):
    """A resource that its owner lets another account see, or all accounts (observed 10)."""

    __tablename__ = "SharedResourceVO"

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    ownerAccountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    receiverAccountUuid: Mapped[str | None] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    toPublic: Mapped[bool] = column(Boolean, default=False)
    resourceType: Mapped[str] = column(String(255))
    resourceUuid: Mapped[str] = column(ForeignKey("ImageVO.uuid", ondelete="CASCADE"), index=True)


class Job(Model):
    """An asynchronous call. `state` is Processing, Done or Failed; `result` is the body that a poll returns.

    `managementNodeUuid` is the node that carries it out; empty once that has left before the end. `givenTo` is another
    node, which may take it; once that cannot any more, it is the node that carries it out. `webHook` is the URL that
    its end is posted to, and empty after that. A job that is `lost` tells that its work goes on; polls do not find it.
    """

    __tablename__ = "RestAPIVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    apiMessageName: Mapped[str] = column(String(255))
    state: Mapped[str] = column(String(32), index=True)
    result: Mapped[str | None] = column(Text)
    createDate: Mapped[int] = column(BigInteger, index=True, doc="Epoch seconds")
    lastOpDate: Mapped[int] = column(BigInteger, doc="Epoch seconds")
    managementNodeUuid: Mapped[str | None] = column(String(UUID_LENGTH))
    givenTo: Mapped[str | None] = column(String(UUID_LENGTH))
    webHook: Mapped[str | None] = column(Text)
    lost: Mapped[bool | None] = column(Boolean)


class LongJob(Model):
    """A long job: an API that runs after the call that submitted it has been answered. The columns are ZStack's.

    `apiId` is the id of the call that submitted it or ran it again. `jobData` and `jobResult` are JSON: the message,
    and its answer or error. `lastOpDate` is empty until the job has changed for the first time.
    """

    __tablename__ = "LongJobVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    name: Mapped[str] = column(String(255))
    description: Mapped[str | None] = column(String(2048))
    apiId: Mapped[str] = column(String(UUID_LENGTH))
    jobName: Mapped[str] = column(String(255))
    jobData: Mapped[str] = column(Text)
    jobResult: Mapped[str | None] = column(Text)
    state: Mapped[str] = column(String(32))
    targetResourceUuid: Mapped[str | None] = column(String(UUID_LENGTH))
    managementNodeUuid: Mapped[str | None] = column(String(UUID_LENGTH))
    executeTime: Mapped[int | None] = column(BigInteger, doc="Seconds, from its creation to its end")
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    createDate: Mapped[datetime] = column(LocalDateTime)
    lastOpDate: Mapped[datetime | None] = column(LocalDateTime)


class ManagementNodeRecord(Model):
    """A management node. The only one of a store keeps its row and its uuid for the life of the database.

    Of several that share a store each has a row while it is a member. `beatAt` is the heartbeat in epoch milliseconds.
    """

    __tablename__ = "ManagementNodeVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    hostName: Mapped[str] = column(String(255))
    joinDate: Mapped[datetime] = column(LocalDateTime)
    heartBeat: Mapped[datetime] = column(LocalDateTime)
    port: Mapped[int] = column(Integer, default=0, server_default="0")
    state: Mapped[str] = column(String(32), default="RUNNING", server_default="RUNNING", doc="JOINING or RUNNING")
    epoch: Mapped[int] = column(BigInteger, default=0, server_default="0", doc="The cluster's when it began to join")
    beatAt: Mapped[int] = column(BigInteger, default=0, server_default="0")
    mode: Mapped[str | None] = column(String(16), doc="Its cluster mode; NULL for one that has its store for itself")


class Cluster(Model):
    """The management nodes that share this store, in the only row of its table.

    `epoch` is raised by one with each change of the members.
    """

    __tablename__ = "ClusterVO"

    id: Mapped[int] = column(Integer, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = column(BigInteger)


class SharedState(Model):
    """What management nodes that share this store change one at a time, by its name (`database.turns`).

    `changes` is raised by one with each change. `content` is JSON; NULL where all of it is in other tables.
    """

    __tablename__ = "SharedStateVO"

    name: Mapped[str] = column(String(32), primary_key=True)
    changes: Mapped[int] = column(BigInteger)
    content: Mapped[str | None] = column(Text)


class GlobalConfig(Model):
    """An option of the global configuration: its declaration and its current value."""

    __tablename__ = "GlobalConfigVO"
    __table_args__ = (UniqueConstraint("category", "name"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    category: Mapped[str] = column(String(64))
    name: Mapped[str] = column(String(255))
    description: Mapped[str] = column(String(1024))
    defaultValue: Mapped[str] = column(Text)
    value: Mapped[str] = column(Text)


class Tag(Dated):
    """The columns of a tag on a resource of any type."""

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    resourceUuid: Mapped[str] = column(String(UUID_LENGTH), index=True)
    resourceType: Mapped[str] = column(String(64))
    tag: Mapped[str] = column(Text)
    type: Mapped[str] = column(String(32))


class SystemTag(Tag, Model):
    """A tag with a meaning to the system."""

    __tablename__ = "SystemTagVO"

    inherent: Mapped[bool] = column(Boolean, default=False)


class UserTag(Tag, Model):
    """A tag that users choose freely."""

    __tablename__ = "UserTagVO"

    tagPatternUuid: Mapped[str | None] = column(String(UUID_LENGTH), index=True)


class TagPattern(Dated, Model):
    """A pattern that user tags are made of. `value` is their text, or with tokens: `name::{token}::{token}`."""

    __tablename__ = "TagPatternVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    accountUuid: Mapped[str] = column(ForeignKey("AccountVO.uuid", ondelete="CASCADE"), index=True)
    name: Mapped[str] = column(String(128))
    value: Mapped[str] = column(String(128))
    description: Mapped[str | None] = column(String(2048))
    color: Mapped[str | None] = column(String(32))
    type: Mapped[str] = column(String(32))


class ResourceConfig(Dated, Model):
    """The value that an option of the global configuration has for one resource."""

    __tablename__ = "ResourceConfigVO"
    __table_args__ = (UniqueConstraint("resourceUuid", "category", "name"),)

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    resourceUuid: Mapped[str] = column(String(UUID_LENGTH))
    resourceType: Mapped[str] = column(String(255))
    accountUuid: Mapped[str] = column(String(UUID_LENGTH), doc="The owner of the resource")
    category: Mapped[str] = column(String(64))
    name: Mapped[str] = column(String(255))
    description: Mapped[str] = column(String(1024))
    value: Mapped[str] = column(Text)


class CapacityHistory(Model):
    """A capacity that a backup storage had from `time` on (epoch milliseconds)."""

    __tablename__ = "BackupStorageCapacityHistoryVO"
    __table_args__ = (Index("ix_capacity_history", "backupStorageUuid", "time"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    backupStorageUuid: Mapped[str] = column(ForeignKey("BackupStorageVO.uuid", ondelete="CASCADE"))
    time: Mapped[int] = column(BigInteger)
    totalCapacity: Mapped[int] = column(BigInteger)
    availableCapacity: Mapped[int] = column(BigInteger)


class Event(Model):
    """An event at `time` (epoch milliseconds). `content` is JSON. It is kept when its resource is deleted."""

    __tablename__ = "EventVO"
    __table_args__ = (Index("ix_event_path", "path", "id"),)

    id: Mapped[int] = column(SerialNumber, primary_key=True, autoincrement=True)
    time: Mapped[int] = column(BigInteger, index=True)
    path: Mapped[str] = column(String(255))
    resourceUuid: Mapped[str] = column(String(UUID_LENGTH), index=True)
    content: Mapped[str] = column(Text)
    correlation: Mapped[str | None] = column(String(UUID_LENGTH), doc="The request or ping that caused it")


class WebHook(Dated, Model):
    """An address that events are posted to (domain 1.6). `opaque` is the path of the events, or a glob of paths."""

    __tablename__ = "WebhookVO"

    uuid: Mapped[str] = column(String(UUID_LENGTH), primary_key=True)
    name: Mapped[str] = column(String(255))
    description: Mapped[str | None] = column(String(2048))
    url: Mapped[str] = column(String(2048))
    type: Mapped[str] = column(String(255), index=True)
    opaque: Mapped[str | None] = column(Text)
