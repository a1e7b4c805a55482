"""The inventories that can be queried: their fields, in the order of the JSON, and their joins.

Declare a new inventory, field or path here (query-semantics 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from types import MappingProxyType

from sqlalchemy import Table

from imagestore_sim.database import models
from imagestore_sim.database.models import Model
from imagestore_sim.query.declarations import DeclaredInventory, declarations


class Kind(Enum):
    """The kind of a field: it decides how values compare (query-semantics 3) and how they are written."""

    TEXT = "text"
    UUID = "uuid"
    """Text of lower-case hex digits only, which an index finds."""
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    JSON = "JSON"
    """A list of objects that is only shown."""
    TEXT_AS_NUMBER = "text as number"
    """No field has it: a text field that is compared with an unquoted number."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an inventory, and the column of the same name behind it.

    A Java `primitive` is in every row, even if a query names other fields (query-semantics 7). `indexed` text has
    indexes over its folded form. A field that is only `shown` cannot be queried. An `integer` is one of Java's, of 32
    bits; other numbers are Longs. `text` says what it is where its name does not, and in which unit.
    """

    name: str
    kind: Kind = Kind.TEXT
    primitive: bool = False
    indexed: bool = False
    shown: bool = False
    integer: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """A field that lists references of a resource: the `foreign` column of the rows whose `own` column has its uuid.

    With an `inventory`, it lists those rows as objects of that inventory; conditions still test the `foreign` column.
    """

    name: str
    table: Table
    own: str
    foreign: str
    inventory: str | None = None


@dataclass(frozen=True, slots=True)
class Expansion:
    """A step of a nested path: the rows of `inventory` whose field `foreign` equals the field `own` of a row here."""

    inventory: str
    own: str = "uuid"
    foreign: str = "uuid"


@dataclass(frozen=True, eq=False)
class Inventory:
    """An inventory of ZStack. The first table has the row; the others add columns by the same uuid.

    An inventory without tables is not emulated: its names are valid, and it has no rows.
    """

    java_class: str
    tables: tuple[Table, ...]
    fields: tuple[Field, ...]
    key: str = "uuid"
    collections: tuple[Collection, ...] = ()
    expansions: Mapping[str, Expansion] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner: str | None = None
    """The column with the account that owns a row; if None, every account sees every row."""
    shared: bool = False
    """Whether an owner can let other accounts see a row."""
    children: Mapping[str, Inventory] = field(default_factory=dict)
    """The inventories of rows by their `type`."""
    other_children: dict[str, Inventory] = field(default_factory=dict)
    """The other inventories by `type`: those that are not emulated, and children of inventories that are not."""
    lists: frozenset[str] = frozenset()
    """The names of fields that list objects of which no table is emulated."""

    @property
    def is_absent(self) -> bool:
        """Return whether the inventory is not emulated, and so has no rows."""
        return not self.tables

    @property
    def entity(self) -> str:
        """Return the Java class of its entity, which Hibernate's errors name."""
        declared = declarations()["inventories"].get(self.name)
        return declared["entity"] if declared else f"{self.java_class.removesuffix('Inventory')}VO"

    @property
    def name(self) -> str:
        """Return the Java class without its package."""
        return self.java_class.rpartition(".")[2]

    @property
    def target(self) -> str:
        """Return the name in ZStack's query language."""
        return self.name.removesuffix("Inventory").lower()

    def field(self, name: str) -> Field | None:
        """Return the field of that name, case-sensitive, or None."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, Field]:
        return {one.name: one for one in self.fields if not one.shown}

    def collection(self, name: str) -> Collection | None:
        """Return the collection of that name, or None."""
        return next((one for one in self.collections if one.name == name), None)


def _table(model: type[Model]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


UUID = Field("uuid", Kind.UUID)
DATES = (Field("createDate", Kind.DATE), Field("lastOpDate", Kind.DATE))
COMMON = (
    UUID,
    Field("name", indexed=True),
    Field("url"),
    Field("description"),
    Field("totalCapacity", Kind.NUMBER, text="Bytes."),
    Field("availableCapacity", Kind.NUMBER, text="Bytes that are free, as the last probe or connect has seen."),
    Field("type"),
    Field("state"),
    Field("status"),
    *DATES,
)
SSH_HOST = (Field("hostname", indexed=True), Field("username"), Field("sshPort", Kind.NUMBER, integer=True))
ATTACHED_ZONES = Collection("attachedZoneUuids", _table(models.BackupStorageZoneRef), "backupStorageUuid", "zoneUuid")
STORAGE_EXPANSIONS = {
    "zoneRef": Expansion("BackupStorageZoneRefInventory", foreign="backupStorageUuid"),
    "imageRef": Expansion("ImageBackupStorageRefInventory", foreign="backupStorageUuid"),
    "volumeSnapshotRef": Expansion("VolumeSnapshotBackupStorageRefInventory", foreign="backupStorageUuid"),
}
STORAGE_ALIASES = {
    "zone": ("zoneRef", "zone"),
    "image": ("imageRef", "image"),
    "volumeSnapshot": ("volumeSnapshotRef", "volumeSnapshot"),
}


def _storage_with_host(java_class: str, model: type[Model]) -> Inventory:
    return Inventory(
        java_class,
        (_table(models.BackupStorage), _table(model)),
        (*SSH_HOST, *COMMON),
        collections=(ATTACHED_ZONES,),
        expansions=STORAGE_EXPANSIONS,
        aliases=STORAGE_ALIASES,
    )


IMAGE_STORE_BACKUP_STORAGE = _storage_with_host(
    "org.zstack.storage.backup.imagestore.ImageStoreBackupStorageInventory", models.ImageStoreBackupStorage
)
SFTP_BACKUP_STORAGE = _storage_with_host(
    "org.zstack.storage.backup.sftp.SftpBackupStorageInventory", models.SftpBackupStorage
)
BACKUP_STORAGE = Inventory(
    "org.zstack.header.storage.backup.BackupStorageInventory",
    (_table(models.BackupStorage),),
    COMMON,
    collections=(ATTACHED_ZONES,),
    expansions=STORAGE_EXPANSIONS,
    aliases=STORAGE_ALIASES,
    children={
        "ImageStoreBackupStorage": IMAGE_STORE_BACKUP_STORAGE,
        "SftpBackupStorage": SFTP_BACKUP_STORAGE,
    },
)
BACKUP_STORAGE_ZONE_REF = Inventory(
    "org.zstack.header.storage.backup.BackupStorageZoneRefInventory",
    (_table(models.BackupStorageZoneRef),),
    (
        Field("id", Kind.NUMBER, primitive=True),
        Field("backupStorageUuid", Kind.UUID),
        Field("zoneUuid", Kind.UUID),
        *DATES,
    ),
    key="id",
    expansions={
        "backupStorage": Expansion("BackupStorageInventory", own="backupStorageUuid"),
        "zone": Expansion("ZoneInventory", own="zoneUuid"),
    },
)
ZONE = Inventory(
    "org.zstack.header.zone.ZoneInventory",
    (_table(models.Zone),),
    (
        UUID,
        Field("name"),
        Field("description"),
        Field("state"),
        Field("type"),
        Field("isDefault", Kind.BOOLEAN, primitive=True),
        *DATES,
    ),
    expansions={
        "backupStorageRef": Expansion("BackupStorageZoneRefInventory", foreign="zoneUuid"),
        **{
            name: Expansion(f"{name[0].upper()}{name[1:]}Inventory", foreign="zoneUuid")
            for name in ("vmInstance", "cluster", "host", "primaryStorage", "l2Network", "l3Network")
        },
    },
    aliases={"backupStorage": ("backupStorageRef", "backupStorage")},
)
IMAGE = Inventory(
    "org.zstack.header.image.ImageInventory",
    (_table(models.Image),),
    (
        UUID,
        Field("name"),
        Field("description"),
        Field("state"),
        Field("status"),
        Field("size", Kind.NUMBER, text="Bytes of the disk that the image holds."),
        Field("actualSize", Kind.NUMBER, text="Bytes that the image takes up."),
        Field("md5Sum"),
        Field("url"),
        Field("mediaType"),
        Field("guestOsType"),
        Field("type"),
        Field("platform"),
        Field("architecture"),
        Field("format"),
        Field("system", Kind.BOOLEAN),
        Field("virtio", Kind.BOOLEAN),
        *DATES,
    ),
    collections=(
        Collection(
            "backupStorageRefs",
            _table(models.ImageBackupStorageRef),
            "imageUuid",
            "backupStorageUuid",
            inventory="ImageBackupStorageRefInventory",
        ),
    ),
    lists=frozenset({"systemTags"}),
    expansions={
        "backupStorageRef": Expansion("ImageBackupStorageRefInventory", foreign="imageUuid"),
        "backupStorageRefs": Expansion("ImageBackupStorageRefInventory", foreign="imageUuid"),
        "volume": Expansion("VolumeInventory", foreign="rootImageUuid"),
    },
    aliases={"backupStorage": ("backupStorageRef", "backupStorage")},
    owner="accountUuid",
    shared=True,
)
IMAGE_BACKUP_STORAGE_REF = Inventory(
    "org.zstack.header.image.ImageBackupStorageRefInventory",
    (_table(models.ImageBackupStorageRef),),
    (
        Field("id", Kind.NUMBER, primitive=True, shown=True),
        Field("imageUuid", Kind.UUID),
        Field("backupStorageUuid", Kind.UUID),
        Field("installPath"),
        Field("status"),
        Field("exportMd5Sum"),
        Field("exportUrl"),
        *DATES,
    ),
    key="id",
    expansions={
        "backupStorage": Expansion("BackupStorageInventory", own="backupStorageUuid"),
        "image": Expansion("ImageInventory", own="imageUuid"),
    },
)
TAG = (UUID, Field("resourceUuid", Kind.UUID), Field("resourceType"), Field("tag"), Field("type"), *DATES)
SYSTEM_TAG = Inventory(
    "org.zstack.header.tag.SystemTagInventory",
    (_table(models.SystemTag),),
    (Field("inherent", Kind.BOOLEAN), *TAG),
)
USER_TAG = Inventory(
    "org.zstack.header.tag.UserTagInventory",
    (_table(models.UserTag),),
    (Field("tagPatternUuid", Kind.UUID), *TAG),
    lists=frozenset({"tagPattern"}),
    expansions={"tagPattern": Expansion("TagPatternInventory", own="tagPatternUuid")},
)
GLOBAL_CONFIG = Inventory(
    "org.zstack.core.config.GlobalConfigInventory",
    (_table(models.GlobalConfig),),
    (
        Field("id", Kind.NUMBER),
        Field("name"),
        Field("category"),
        Field("description"),
        Field("defaultValue"),
        Field("value"),
    ),
    key="id",
)
MANAGEMENT_NODE = Inventory(
    "org.zstack.header.managementnode.ManagementNodeInventory",
    (_table(models.ManagementNodeRecord),),
    (UUID, Field("hostName"), Field("joinDate", Kind.DATE), Field("heartBeat", Kind.DATE)),
)
WEB_HOOK = Inventory(
    "org.zstack.header.core.webhooks.WebhookInventory",
    (_table(models.WebHook),),
    (UUID, Field("name"), Field("description"), Field("url"), Field("type"), Field("opaque"), *DATES),
)

ACCOUNT = Inventory(
    "org.zstack.header.identity.AccountInventory",
    (_table(models.Account),),
    (UUID, Field("name"), Field("description"), Field("type"), *DATES),
    expansions={
        "user": Expansion("UserInventory", foreign="accountUuid"),
        "group": Expansion("UserGroupInventory", foreign="accountUuid"),
        "policy": Expansion("PolicyInventory", foreign="accountUuid"),
        "quota": Expansion("QuotaInventory", foreign="identityUuid"),
    },
)
LONG_JOB = Inventory(
    "org.zstack.header.longjob.LongJobInventory",
    (_table(models.LongJob),),
    (
        UUID,
        Field("name"),
        Field("description"),
        Field("apiId"),
        Field("jobName"),
        Field("jobData"),
        Field("jobResult"),
        Field("state"),
        Field("targetResourceUuid"),
        Field("managementNodeUuid"),
        *DATES,
        Field("executeTime", Kind.NUMBER, text="Seconds from the start to the end of the job."),
    ),
    owner="accountUuid",
)
OF_ACCOUNT = {"account": Expansion("AccountInventory", own="accountUuid")}
USER = Inventory(
    "org.zstack.header.identity.UserInventory",
    (_table(models.User),),
    (UUID, Field("accountUuid", Kind.UUID), Field("name"), Field("description"), *DATES),
    expansions={
        **OF_ACCOUNT,
        "groupRef": Expansion("UserGroupUserRefInventory", foreign="userUuid"),
        "policyRef": Expansion("UserPolicyRefInventory", foreign="userUuid"),
    },
    aliases={"group": ("groupRef", "group"), "policy": ("policyRef", "policy")},
    owner="accountUuid",
)
USER_GROUP = Inventory(
    "org.zstack.header.identity.UserGroupInventory",
    (_table(models.UserGroup),),
    (UUID, Field("accountUuid", Kind.UUID), Field("name"), Field("description"), *DATES),
    expansions={
        **OF_ACCOUNT,
        "userRef": Expansion("UserGroupUserRefInventory", foreign="groupUuid"),
        "policyRef": Expansion("UserGroupPolicyRefInventory", foreign="groupUuid"),
    },
    aliases={"user": ("userRef", "user"), "policy": ("policyRef", "policy")},
    owner="accountUuid",
)


def _reference(name: str, model: type[models.Model], **ends: Expansion) -> Inventory:
    """Return the inventory of a table that connects two others; each end is a step of a path."""
    own = tuple(Field(one.own, Kind.UUID) for one in ends.values())
    return Inventory(f"org.zstack.header.identity.{name}", (_table(model),), (*own, *DATES), key="id", expansions=ends)


USER_GROUP_USER_REF = _reference(
    "UserGroupUserRefInventory",
    models.UserGroupUserRef,
    user=Expansion("UserInventory", own="userUuid"),
    group=Expansion("UserGroupInventory", own="groupUuid"),
)
USER_POLICY_REF = _reference(
    "UserPolicyRefInventory",
    models.UserPolicyRef,
    user=Expansion("UserInventory", own="userUuid"),
    policy=Expansion("PolicyInventory", own="policyUuid"),
)
USER_GROUP_POLICY_REF = _reference(
    "UserGroupPolicyRefInventory",
    models.UserGroupPolicyRef,
    group=Expansion("UserGroupInventory", own="groupUuid"),
    policy=Expansion("PolicyInventory", own="policyUuid"),
)
STATEMENTS = Field("statements", Kind.JSON, shown=True)
POLICY = Inventory(
    "org.zstack.header.identity.PolicyInventory",
    (_table(models.Policy),),
    (STATEMENTS, Field("name"), UUID, Field("accountUuid", Kind.UUID)),
    expansions={
        **OF_ACCOUNT,
        "groupRef": Expansion("UserGroupPolicyRefInventory", foreign="policyUuid"),
        "userRef": Expansion("UserPolicyRefInventory", foreign="policyUuid"),
    },
    aliases={"group": ("groupRef", "group"), "user": ("userRef", "user")},
    owner="accountUuid",
    lists=frozenset({"statements"}),
)
ROLE = Inventory(
    "org.zstack.header.identity.role.RoleInventory",
    (_table(models.Role),),
    (
        UUID,
        Field("name"),
        Field("description"),
        Field("identity"),
        Field("type"),
        Field("state"),
        *DATES,
        STATEMENTS,
    ),
    owner="accountUuid",
    lists=frozenset({"statements", "policies"}),
)
QUOTA = Inventory(
    "org.zstack.header.identity.QuotaInventory",
    (_table(models.Quota),),
    (
        UUID,
        Field("name"),
        Field("identityUuid", Kind.UUID),
        Field("identityType"),
        Field("value", Kind.NUMBER),
        *reversed(DATES),
    ),
    expansions={"account": Expansion("AccountInventory", own="identityUuid")},
    owner="identityUuid",
)
SHARED_RESOURCE = Inventory(
    "org.zstack.header.identity.SharedResourceInventory",
    (_table(models.SharedResource),),
    (
        Field("ownerAccountUuid", Kind.UUID),
        Field("receiverAccountUuid", Kind.UUID),
        Field("toPublic", Kind.BOOLEAN),
        Field("resourceType"),
        Field("resourceUuid", Kind.UUID),
        *reversed(DATES),
    ),
    key="id",
)
ACCESS_KEY = Inventory(
    "org.zstack.accessKey.AccessKeyInventory",
    (_table(models.AccessKey),),
    (
        UUID,
        Field("description"),
        Field("accountUuid", Kind.UUID),
        Field("userUuid", Kind.UUID),
        Field("AccessKeyID", text="What requests that are signed with the key name it by."),
        Field("state"),
        *DATES,
    ),
    expansions=OF_ACCOUNT,
    owner="accountUuid",
)
TAG_PATTERN = Inventory(
    "org.zstack.header.tag.TagPatternInventory",
    (_table(models.TagPattern),),
    (UUID, Field("name"), Field("value"), Field("description"), Field("color"), Field("type"), *DATES),
    expansions={"tag": Expansion("UserTagInventory", foreign="tagPatternUuid")},
    owner="accountUuid",
)
RESOURCE_CONFIG = Inventory(
    "org.zstack.resourceconfig.ResourceConfigInventory",
    (_table(models.ResourceConfig),),
    (
        UUID,
        Field("resourceUuid", Kind.UUID),
        Field("resourceType"),
        Field("name"),
        Field("description"),
        Field("category"),
        Field("value"),
        *DATES,
    ),
    owner="accountUuid",
)
EMULATED = (
    ACCESS_KEY,
    ACCOUNT,
    BACKUP_STORAGE,
    BACKUP_STORAGE_ZONE_REF,
    GLOBAL_CONFIG,
    IMAGE,
    IMAGE_BACKUP_STORAGE_REF,
    IMAGE_STORE_BACKUP_STORAGE,
    LONG_JOB,
    MANAGEMENT_NODE,
    POLICY,
    QUOTA,
    RESOURCE_CONFIG,
    ROLE,
    SFTP_BACKUP_STORAGE,
    SHARED_RESOURCE,
    SYSTEM_TAG,
    TAG_PATTERN,
    USER,
    USER_GROUP,
    USER_GROUP_POLICY_REF,
    USER_GROUP_USER_REF,
    USER_POLICY_REF,
    USER_TAG,
    WEB_HOOK,
    ZONE,
)
DECLARED_KINDS = {"text": Kind.TEXT, "number": Kind.NUMBER, "date": Kind.DATE, "boolean": Kind.BOOLEAN}


def _absent(name: str, declared: DeclaredInventory) -> Inventory:
    fields = [field.partition(":") for field in declared["fields"].split()]
    names = [field for field, _, _ in fields]
    return Inventory(
        f"{declared['entity'].rpartition('.')[0]}.{name}",
        (),
        tuple(Field(field, DECLARED_KINDS[kind or "text"]) for field, _, kind in fields if kind != "list"),
        key=next((one for one in ("uuid", "id") if one in names), names[0]),
        expansions={step: Expansion(*path.split()) for step, path in declared.get("expansions", {}).items()},
        aliases={alias: tuple(path.split(".")) for alias, path in declared.get("aliases", {}).items()},
        lists=frozenset(field for field, _, kind in fields if kind == "list"),
    )


def _all_inventories() -> dict[str, Inventory]:
    """Return the emulated and the declared inventories by name; fill in `other_children`."""
    found = {one.name: one for one in EMULATED}
    declared = declarations()["inventories"]
    found |= {name: _absent(name, one) for name, one in declared.items() if name not in found}
    for name, one in declared.items():
        children = {kind: found[child] for kind, child in one.get("children", {}).items()}
        if children:
            found[name].other_children.update(children)
    return found


INVENTORIES: Mapping[str, Inventory] = MappingProxyType(_all_inventories())
BY_TARGET: Mapping[str, Inventory] = MappingProxyType({one.target: one for one in INVENTORIES.values()})
TAGS: Mapping[str, tuple[Table, str]] = MappingProxyType(
    {
        "__systemTag__": (_table(models.SystemTag), "tag"),
        "__userTag__": (_table(models.UserTag), "tag"),
        "__tagUuid__": (_table(models.UserTag), "tagPatternUuid"),
    }
)
"""The pseudo fields of every inventory, with the column that each tests (query-semantics 4.5)."""
