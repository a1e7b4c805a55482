"""The records of a bootstrap file. Sizes are bytes; field names are those of ZStack's inventories."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol, Self, TypeVar

from pydantic import ConfigDict, FailFast, Field, PrivateAttr, field_serializer, model_validator

from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE, State, Status
from imagestore_sim.backup_storage.zones import ZONE_TYPE
from imagestore_sim.bootstrap.errors import BootstrapError, RecordProblem
from imagestore_sim.bootstrap.origin import Origin
from imagestore_sim.identity.quotas import NAMES
from imagestore_sim.images.rows import READY
from imagestore_sim.plain_numbers import PlainNumbers
from imagestore_sim.rest.accounts import ADMIN_NAME

NAMESPACE = uuid.UUID("6f1d1a3e-3d0c-4a55-9a2e-6f2f6a0b7c10")
"""Makes uuids of names, see `stable_uuid`."""
MOST_MEMBERS = 100
"""Members of a record that are read."""


class Record(PlainNumbers):
    """Base class of records: frozen, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def check_members(cls, value: object) -> object:
        """Refuse a record with more than MOST_MEMBERS members, each of which could be an error.

        Pydantic holds the GIL while it validates a list. This validator is Python code, so other threads can run
        between two records.
        """
        if isinstance(value, Mapping) and len(value) > MOST_MEMBERS:
            raise ValueError(f"has {len(value)} members, and {MOST_MEMBERS} at most are read")
        return value

    @field_serializer("createDate", "lastOpDate", when_used="json", check_fields=False)
    def write_date(self, moment: datetime | None) -> str | None:
        """Return a date as `YYYY-MM-DD HH:MM:SS`."""
        return None if moment is None else moment.isoformat(sep=" ", timespec="seconds")


class Sealed(Record):
    """A secret in a snapshot, encrypted with the key file of its node."""

    sealed: str


Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Field(min_length=1, max_length=255)]
Text = Annotated[str, Field(max_length=255)]
"""May be empty, as ZStack lets names and the like be: a snapshot holds whatever a call has stored."""
Bytes = Annotated[int, Field(ge=0, lt=2**63)]
QuotaName = Literal[NAMES]  # type: ignore[valid-type]  # they are strings


class TagRecord(Record):
    """A tag with all its fields, as in a snapshot; people write the text alone."""

    uuid: Uuid | None = None
    tag: str
    inherent: bool = False
    tagPatternUuid: Uuid | None = None
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class ZoneRecord(Record):
    """A zone."""

    uuid: Uuid | None = None
    name: Text
    description: str | None = None
    state: State = State.ENABLED
    type: str = ZONE_TYPE
    isDefault: bool = False
    createDate: datetime | None = None
    lastOpDate: datetime | None = None
    systemTags: tuple[str | TagRecord, ...] = ()
    userTags: tuple[str | TagRecord, ...] = ()


class BackupStorageRecord(Record):
    """A backup storage; capacities in bytes. A simulator storage has no host, and is never tracked."""

    uuid: Uuid | None = None
    name: Text
    description: str | None = None
    type: Literal["ImageStoreBackupStorage", "SftpBackupStorage", "SimulatorBackupStorage"] = IMAGE_STORE_TYPE
    hostname: Name | None = None
    username: Text = "root"
    password: str | Sealed = Field("password", repr=False)
    sshPort: int = Field(22, ge=1, le=65535)
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    totalCapacity: Bytes = 0
    availableCapacity: Bytes = 0
    state: State = State.ENABLED
    status: Status = Status.CONNECTED
    createDate: datetime | None = None
    lastOpDate: datetime | None = None
    attachedZoneUuids: tuple[Uuid, ...] = ()
    systemTags: tuple[str | TagRecord, ...] = ()
    userTags: tuple[str | TagRecord, ...] = ()
    tracked: bool = True


class ImageRefRecord(Record):
    """A backup storage that an image is on."""

    backupStorageUuid: Uuid
    status: str = READY
    installPath: str
    exportUrl: str | None = None
    exportMd5Sum: str | None = None
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class ImageRecord(Record):
    """An image; `account` is the name of the account that owns it, `sharedWith` has those of others that see it.

    With `toPublic` all others do.
    """

    uuid: Uuid | None = None
    name: Text
    account: str = ADMIN_NAME
    sharedWith: tuple[str, ...] = ()
    toPublic: bool = False
    description: str | None = None
    state: State = State.ENABLED
    status: str = READY
    size: Bytes = 0
    actualSize: Bytes = 0
    md5Sum: str | None = None
    url: str | None = None
    mediaType: str = "RootVolumeTemplate"
    guestOsType: str | None = None
    type: str = "zstack"
    platform: str | None = None
    architecture: str | None = None
    format: str = "qcow2"
    system: bool = False
    virtio: bool = False
    backupStorageRefs: tuple[ImageRefRecord, ...] = ()
    createDate: datetime | None = None
    lastOpDate: datetime | None = None
    systemTags: tuple[str | TagRecord, ...] = ()
    userTags: tuple[str | TagRecord, ...] = ()


class TrashRecord(Record):
    """An item of the trash of a backup storage; `resourceUuid` is that of the image that has left it."""

    storageUuid: Uuid
    resourceUuid: Uuid
    installPath: Annotated[str, Field(min_length=1, max_length=2048)]
    size: Bytes
    createDate: datetime | None = None


class TagPatternRecord(Record):
    """A pattern of user tags; `account` is the name of the account that owns it."""

    uuid: Uuid | None = None
    name: Annotated[str, Field(max_length=128)]
    value: Annotated[str, Field(max_length=128)]
    account: str = ADMIN_NAME
    description: str | None = None
    color: str | None = None
    type: Literal["simple", "withToken"] = "simple"
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class ResourceConfigRecord(Record):
    """The value that an option of the global configuration has for one resource."""

    uuid: Uuid | None = None
    resourceUuid: Uuid
    resourceType: Literal["BackupStorageVO", "ZoneVO"] = "BackupStorageVO"
    category: Name
    name: Name
    value: str
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class ImageSourceRecord(Record):
    """What the images weigh whose url matches a glob; sizes in bytes, `rate` in bytes per second."""

    url: Annotated[str, Field(min_length=1, max_length=1024)]
    size: Bytes | None = None
    actualSize: Bytes | None = None
    format: str | None = None
    rate: Annotated[int, Field(gt=0, lt=2**63)] | None = None
    error: str | None = None


class UserRecord(Record):
    """A user of an account, with the password in plain text, or the sealed hash of it.

    `policies` has the names of the account's policies that it has beside DEFAULT-READ, which `reads` stands for;
    the uuid in place of a name that the account has twice.
    """

    uuid: Uuid | None = None
    name: Text
    description: str | None = None
    password: str | Sealed = Field(repr=False)
    reads: bool = True
    policies: tuple[str, ...] = ()
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class UserGroupRecord(Record):
    """A group of users of an account, with the names of its users and policies."""

    uuid: Uuid | None = None
    name: Text
    description: str | None = None
    users: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class PolicyRecord(Record):
    """A policy of an account; `statements` is JSON."""

    uuid: Uuid | None = None
    name: Text
    statements: str = "[]"


class RoleRecord(PolicyRecord):
    """A role of an account."""

    description: str | None = None
    identity: str | None = None
    type: str = "Customized"
    state: State = State.ENABLED
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class AccountRecord(Record):
    """An account, with the password in plain text, or the sealed hash of it.

    `quotas` has those that differ from the options of the category `quota`. `reads` says whether it has the policy
    DEFAULT-READ, as accounts but admin have from the start; `policies` has all others.
    """

    uuid: Uuid | None = None
    name: Text
    description: str | None = None
    type: Literal["SystemAdmin", "Normal"] = "Normal"
    password: str | Sealed = Field(repr=False)
    quotas: Annotated[Mapping[QuotaName, Bytes], Field(max_length=len(NAMES))] = {}
    reads: bool = True
    createDate: datetime | None = None
    lastOpDate: datetime | None = None
    users: tuple[UserRecord, ...] = ()
    groups: tuple[UserGroupRecord, ...] = ()
    policies: tuple[PolicyRecord, ...] = ()
    roles: tuple[RoleRecord, ...] = ()


class AccessKeyRecord(Record):
    """An access key; `account` and `user` are names."""

    accessKeyId: Name
    accessKeySecret: str | Sealed = Field(repr=False)
    account: str = ADMIN_NAME
    user: str | None = None
    uuid: Uuid | None = None
    description: str | None = None
    state: State = State.ENABLED
    createDate: datetime | None = None
    lastOpDate: datetime | None = None


class WebHookRecord(Record):
    """An address that events are posted to."""

    uuid: Uuid | None = None
    name: Text
    description: str | None = None
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    type: Text
    opaque: str | None = None
    createDate: datetime | None = None
    lastOpDate: datetime | None = None
    systemTags: tuple[str | TagRecord, ...] = ()
    userTags: tuple[str | TagRecord, ...] = ()


R = TypeVar("R", bound=Record)
Records = Annotated[tuple[R, ...], FailFast()]


class Bootstrap(Record):
    """The content of a bootstrap file."""

    zones: Records[ZoneRecord] = ()
    backupStorages: Records[BackupStorageRecord] = ()
    images: Records[ImageRecord] = ()
    imageSources: Records[ImageSourceRecord] = ()
    trash: Records[TrashRecord] = ()
    tags: Records[TagPatternRecord] = ()
    resourceConfigs: Records[ResourceConfigRecord] = ()
    accounts: Records[AccountRecord] = ()
    accessKeys: Records[AccessKeyRecord] = ()
    webHooks: Records[WebHookRecord] = ()
    globalConfig: Annotated[
        Mapping[str, Annotated[Mapping[str, str], Field(max_length=MOST_MEMBERS)]], Field(max_length=MOST_MEMBERS)
    ] = {}
    _origin: Origin | None = PrivateAttr(None)

    def __eq__(self, other: object) -> bool:
        """Return whether the records are the same, wherever they come from."""
        return isinstance(other, Bootstrap) and self.__dict__ == other.__dict__

    def coming_from(self, origin: Origin | None) -> Self:
        """Return the records with where they come from; None lets go of the text of the file."""
        copy = self.model_copy()
        copy._origin = origin
        return copy

    def error(self, problem: RecordProblem) -> BootstrapError:
        """Return the error of a record, which names file and line as well, if the records come from one."""
        return problem if self._origin is None else self._origin.error(problem.place, problem.text)


def stable_uuid(kind: str, name: str) -> str:
    """Return the uuid of a record without one in the file: always the same for the same kind and name."""
    return uuid.uuid5(NAMESPACE, f"{kind}/{name}").hex


def uuid_of(kind: str, record: ZoneRecord | BackupStorageRecord | ImageRecord | AccountRecord | WebHookRecord) -> str:
    """Return the uuid that the file gives a record, or else the one that follows from its name."""
    return record.uuid or stable_uuid(kind, record.name)


class Dated(Protocol):
    """A record that may say when it was made, and changed last."""

    @property
    def createDate(self) -> datetime | None:  # noqa: N802 - the name of the field
        """When it was made."""

    @property
    def lastOpDate(self) -> datetime | None:  # noqa: N802 - the name of the field
        """When it was changed last."""


def dates_of(record: Dated, now: datetime) -> dict[str, datetime]:
    """Return the dates of the row of a record; `now` stands for that of one that has none."""
    created = record.createDate or now
    return {"createDate": created, "lastOpDate": record.lastOpDate or created}
