"""Tags on backup storages, zones and images, with ZStack's rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Insert, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import BackupStorageError, InvalidRequest, OperationFailed
from imagestore_sim.backup_storage.resource_types import RESOURCE_TYPES
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.collated import general_ci
from imagestore_sim.database.models import (
    Account,
    BackupStorage,
    Image,
    ResourceConfig,
    SystemTag,
    User,
    UserGroup,
    UserTag,
    Zone,
)
from imagestore_sim.ids import new_uuid

Resource = BackupStorage | Zone | Image | Account | User | UserGroup
TAGGED: Mapping[str, type[BackupStorage | Zone | Image]] = MappingProxyType(
    {"BackupStorageVO": BackupStorage, "ZoneVO": Zone, "ImageVO": Image}
)
"""The tables of the resource types that can have system tags here."""
RESOURCES = (*TAGGED.values(), Account, User, UserGroup)
"""The tables of all resources that can have user tags here."""
SEPARATOR = "::"
NETWORK = "backupStorage::data::network::cidr::{}"
BOOT_MODE = "bootMode::{}"
BOOT_MODES = ("Legacy", "UEFI", "UEFI_WITH_CSM")
SYSTEM_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BackupStorageVO": (
            "remote",
            "allowbackup",
            "onlybackup",
            "ceph::predefinedPool",
            "extraips::{}",
            "iscsiInitiatorName::{}",
            NETWORK,
        ),
        "ZoneVO": ("host::reservedCpu::{}", "host::reservedMemory::{}"),
        "ImageVO": (
            "qemuga",
            "remote",
            "packer",
            "temporary",
            "CreatedBySystem",
            "marketplace::true",
            BOOT_MODE,
            "sourceType::{}",
            "buildapp::{}",
            "applianceType::{}",
            "GuestTools::{}",
            "image::cert::{}",
            "imageName::{}::primaryStorageUuid::{}",
        ),
        "LongJobVO": ("uploadImage::{}",),
    }
)
"""The patterns of system tags for each resource type; `{}` stands for any text without `::`."""


class Tags:
    """The operations on tags."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create_system_tag(self, resource: str, resource_type: str, tag: str) -> str | None:
        """Tag a resource, and return the tag's uuid; None if it already has that tag.

        Raise InvalidRequest for a tag that the resource type does not have.
        """
        check_system_tag(resource_type, tag)
        async with self._database.transaction() as connection:
            if not await hold(connection, resource, TAGGED[resource_type]):
                # ZStack formats this text with a catalogue that drops quotes, and the apostrophe with them.
                raise InvalidRequest("The argument :resourceType doesnt match uuid")
            if await self._has_tag(connection, SystemTag, resource, resource_type, tag):
                return None
            return await self.insert(connection, SystemTag, resource, resource_type, tag)

    async def create_user_tag(self, resource: str, resource_type: str, tag: str) -> str:
        """Tag a resource, and return the tag's uuid. Raise InvalidRequest; OperationFailed for a duplicate."""
        check_resource_type(resource_type)
        async with self._database.transaction() as connection:
            if not await hold(connection, resource):
                raise is_gone(resource)
            if await self._has_tag(connection, UserTag, resource, resource_type, tag):
                where = f"resourceType:{resource_type}, resourceUuid:{resource}"
                raise OperationFailed(f"Duplicated Tag[tag:{tag}, type:User, {where}]")
            return await self.insert(connection, UserTag, resource, resource_type, tag)

    async def insert(
        self, connection: AsyncConnection, model: type[SystemTag | UserTag], resource: str, resource_type: str, tag: str
    ) -> str:
        """Insert a tag in the caller's transaction without checking any rule; return its uuid."""
        uuid = new_uuid()
        await connection.execute(self._new(model, uuid, resource, resource_type, tag))
        return uuid

    def new_system_tag(self, resource: str, resource_type: str, tag: str) -> Insert:
        """Return the statement that inserts a system tag, without checking any rule."""
        return self._new(SystemTag, new_uuid(), resource, resource_type, tag)

    def _new(self, model: type[SystemTag | UserTag], uuid: str, resource: str, resource_type: str, tag: str) -> Insert:
        now = self._clock.local()
        row = {"uuid": uuid, "resourceUuid": resource, "resourceType": resource_type, "tag": tag}
        kind = "System" if model is SystemTag else "User"
        return insert(model).values(**row, type=kind, createDate=now, lastOpDate=now)

    async def _has_tag(
        self,
        connection: AsyncConnection,
        model: type[SystemTag | UserTag],
        resource: str,
        resource_type: str,
        tag: str,
    ) -> bool:
        """Return whether a resource has a tag that the database takes for equal (observed 19)."""
        same = (model.resourceUuid == resource, model.resourceType == resource_type)
        found = select(model.uuid).where(*same, general_ci(model.tag) == general_ci(tag)).limit(1)
        return await connection.scalar(found) is not None

    async def change_system_tag(self, tag_uuid: str, tag: str) -> None:
        """Change the text of a system tag, if it exists. Raise InvalidRequest."""
        async with self._database.transaction() as connection:
            this = SystemTag.uuid == tag_uuid
            resource_type = await connection.scalar(select(SystemTag.resourceType).where(this))
            if resource_type is not None:
                check_system_tag(resource_type, tag)
                await connection.execute(update(SystemTag).where(this).values(tag=tag, lastOpDate=self._clock.local()))

    async def delete(self, tag_uuid: str) -> None:
        """Delete a system or user tag, if it exists. Raise OperationFailed for an inherent tag."""
        async with self._database.transaction() as connection:
            inherent = select(SystemTag.uuid).where(SystemTag.uuid == tag_uuid, SystemTag.inherent)
            if await connection.scalar(inherent):
                raise OperationFailed(f"tag[uuid:{tag_uuid}] is an inherent system tag, can not be removed")
            for model in (SystemTag, UserTag):
                await connection.execute(delete(model).where(model.uuid == tag_uuid))


async def hold(connection: AsyncConnection, resource: str, *models: type[Resource]) -> bool:
    """Return whether one of the tables has a resource; by default RESOURCES.

    If so, it is there until the transaction ends, and until then no other node gets past here with it: what belongs to
    it has no foreign key, and may have no constraint.
    """
    for model in models or RESOURCES:
        this = select(model.uuid).where(model.uuid == resource).with_for_update()
        if await connection.scalar(this) is not None:
            return True
    return False


def is_gone(resource: str) -> OperationFailed:
    """Return the error for a resource that was deleted after the call had been checked."""
    return OperationFailed(f"resource[uuid:{resource}] has been deleted")


def check_resource_type(resource_type: str) -> None:
    """Raise InvalidRequest unless resources of that type can be tagged."""
    if resource_type not in RESOURCE_TYPES:
        raise InvalidRequest(f"no resource type[{resource_type}] found in tag system")


def check_system_tag(resource_type: str, tag: str) -> None:
    """Raise InvalidRequest unless a resource of that type can have that system tag."""
    check_resource_type(resource_type)
    if not any(matches(pattern, tag) for pattern in SYSTEM_TAGS.get(resource_type, ())):
        raise InvalidRequest(f"no system tag matches[{tag}] for resourceType[{resource_type}]")
    if matches(NETWORK, tag):
        check_network(tag)
    if matches(BOOT_MODE, tag):
        check_boot_mode(tag)


def check_boot_mode(tag: str) -> None:
    """Raise InvalidRequest unless the boot mode in a tag is in BOOT_MODES."""
    mode = tag.rpartition(SEPARATOR)[2]
    if mode not in BOOT_MODES:
        raise InvalidRequest(f"[{mode}] specified in system tag [{tag}] is not a valid boot mode")


def check_network(tag: str) -> None:
    """Raise InvalidRequest unless the network in a tag is an IPv4 CIDR in its standard form."""
    cidr = tag.rpartition(SEPARATOR)[2]
    try:
        standard = str(ipaddress.IPv4Network(cidr, strict=False))
    except ValueError:
        raise BackupStorageError(f"Could not parse [{cidr}]") from None
    if standard != cidr:
        raise InvalidRequest(f"[{cidr}] is not a standard cidr, do you mean [{standard}]?")


async def delete_tags(connection: AsyncConnection, resources: Sequence[str] | Select[str]) -> None:
    """Delete every tag of deleted resources, and options of their own, as ZStack's foreign keys do.

    There is no foreign key here, because both belong to resources of any type. The caller has deleted the resources, or
    locked them, so that `hold` finds none of them from here on.
    """
    for model in (SystemTag, UserTag, ResourceConfig):
        await connection.execute(delete(model).where(model.resourceUuid.in_(resources)))


def matches(pattern: str, tag: str) -> bool:
    """Return whether a tag matches a pattern."""
    expected, actual = pattern.split(SEPARATOR), tag.split(SEPARATOR)
    if len(expected) != len(actual) or "" in actual:
        return False
    return all(one in ("{}", other) for one, other in zip(expected, actual, strict=True))
