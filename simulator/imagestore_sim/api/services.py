"""The parts that handlers work with, and what many handlers need: lookups, inventories as replies, uuids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVarTuple

from sqlalchemy import Row, Select, select

from imagestore_sim import ids
from imagestore_sim.api.long_job_runner import LongJobRunner
from imagestore_sim.api.node_record import NodeRecord
from imagestore_sim.api.rights import Rights
from imagestore_sim.backup_storage.event_web_hooks import EventWebHooks
from imagestore_sim.backup_storage.image_life import ImageLife
from imagestore_sim.backup_storage.lifecycle import Lifecycle
from imagestore_sim.backup_storage.resource_config import ResourceConfigs
from imagestore_sim.backup_storage.tag_patterns import TagPatterns
from imagestore_sim.backup_storage.tags import Tags
from imagestore_sim.backup_storage.zones import Zones
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.models import (
    AccessKey,
    Account,
    BackupStorage,
    Image,
    ImageStoreBackupStorage,
    LongJob,
    Policy,
    Role,
    SftpBackupStorage,
    SystemTag,
    TagPattern,
    User,
    UserGroup,
    WebHook,
    Zone,
)
from imagestore_sim.identity.access_keys import AccessKeys
from imagestore_sim.identity.accounts import AccountRecords
from imagestore_sim.identity.members import Members
from imagestore_sim.identity.quotas import Quotas
from imagestore_sim.identity.shares import Shares
from imagestore_sim.images.copies import ImageCopies
from imagestore_sim.images.deletion import ImageDeletion
from imagestore_sim.images.exports import Exports
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.images import Images
from imagestore_sim.images.trash import Trash
from imagestore_sim.images.uploads import Uploads
from imagestore_sim.query import Inventory, QueryEngine
from imagestore_sim.rest.errors import missing_resource
from imagestore_sim.rest.leniency import LENIENT, Leniency
from imagestore_sim.rest.messages import Reply
from imagestore_sim.rest.sessions import Sessions
from imagestore_sim.rest.versions import DEFAULT, ZStackVersion
from imagestore_sim.units import write_date

Ts = TypeVarTuple("Ts")
RESOURCES = {
    "AccessKeyVO": (AccessKey.uuid,),
    "AccountVO": (Account.uuid,),
    "UserVO": (User.uuid,),
    "UserGroupVO": (UserGroup.uuid,),
    "PolicyVO": (Policy.uuid,),
    "RoleVO": (Role.uuid,),
    "BackupStorageVO": (BackupStorage.uuid,),
    "ImageStoreBackupStorageVO": (ImageStoreBackupStorage.uuid,),
    "SftpBackupStorageVO": (SftpBackupStorage.uuid,),
    "ImageVO": (Image.uuid,),
    "LongJobVO": (LongJob.uuid,),
    "SystemTagVO": (SystemTag.uuid,),
    "TagPatternVO": (TagPattern.uuid,),
    "WebhookVO": (WebHook.uuid,),
    "ZoneVO": (Zone.uuid,),
    "VmNicVO": (),
    "VolumeVO": (),
    "VolumeSnapshotVO": (),
    "ReservedIpRangeVO": (),
    "VolumeSnapshotGroupVO": (),
    "ResourceVO": (BackupStorage.uuid, Image.uuid, Zone.uuid, Account.uuid, User.uuid, UserGroup.uuid),
}
"""The columns with the uuids of the resources of a type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of a node that handlers work with."""

    clock: Clock
    database: Database
    queries: QueryEngine
    sessions: Sessions
    lifecycle: Lifecycle
    zones: Zones
    images: Images
    image_copies: ImageCopies
    image_life: ImageLife
    uploads: Uploads
    long_jobs: LongJobRunner
    image_deletion: ImageDeletion
    exports: Exports
    garbage: Garbage
    trash: Trash
    tags: Tags
    tag_patterns: TagPatterns
    configuration: GlobalConfiguration
    resource_configs: ResourceConfigs
    node: NodeRecord
    web_hooks: EventWebHooks
    rights: Rights
    accounts: AccountRecords
    members: Members
    access_keys: AccessKeys
    quotas: Quotas
    shares: Shares
    leniency: Leniency = LENIENT
    version: ZStackVersion = DEFAULT

    def write_now(self) -> str:
        """Return the current time as inventories show it."""
        return write_date(self.clock.local())

    async def missing(self, resource: str, uuids: Sequence[str]) -> list[str]:
        """Return those of the uuids that no resource of the type has."""
        if resource == "SessionVO":  # their uuids are not stored
            return [one for one in uuids if not await self.sessions.exists(one)]
        found: set[str] = set()
        for column in RESOURCES[resource]:
            found |= {str(row[0]) for row in await self.database.read(select(column).where(column.in_(uuids)))}
        return [one for one in uuids if one not in found]

    async def row(self, statement: Select[*Ts], field: str, uuid: str, resource: str) -> Row[*Ts]:
        """Return the one row of a statement, of the resource that a field of a message names.

        Raise ApiError SYS.1003 if another call has deleted that since the message was validated.
        """
        if not (rows := await self.database.read(statement)):
            raise missing_resource(field, uuid, resource)
        return rows[0]

    async def inventory(self, inventory: Inventory, resource_uuid: str) -> Reply:
        """Return the reply `{"inventory": {…}}`, or `{}` if the resource does not exist any more."""
        found = await self.queries.find(inventory, resource_uuid)
        if not found.rows:
            return Reply()
        return Reply({"inventory": found.rows[0]}, found.schema_of("inventory"))


def new_uuid(chosen: str | None) -> str:
    """Return the uuid for a new resource: the one that the client chose, or a new one."""
    return chosen or ids.new_uuid()
