"""Zones, and attaching backup storages to them (domain 2.2, 2.4)."""

from __future__ import annotations

from typing import Annotated

from simulator.api.queries import QueryMessage, answer
from simulator.api.services import Services, new_uuid
from simulator.query import BACKUP_STORAGE, ZONE
from simulator.rest.messages import AsyncMessage, Call, CreateMessage, DeleteMessage, Handlers, Reply
from simulator.rest.parameters import Rule

PACKAGE = "org.zstack.header.zone"
BACKUP_STORAGE_PACKAGE = "org.zstack.header.storage.backup"
ATTACHMENT = "/zones/{zoneUuid}/backup-storage/{backupStorageUuid}"
NAME_REGEX = r"(?! )[\u4e00-\u9fa5a-zA-Z0-9\-_.():+\" ]*(?<! )"
handlers = Handlers[Services]()


class APICreateZoneMsg(CreateMessage, method="POST", path="/zones", package=PACKAGE, reply=("inventory",)):
    """Make a zone."""

    name: Annotated[str, Rule(max_length=255, valid_regex=NAME_REGEX)]
    description: Annotated[str | None, Rule(max_length=2048)] = None
    isDefault: bool = False


@handlers.handles
async def create_zone(services: Services, message: APICreateZoneMsg, call: Call) -> Reply:
    """The new zone."""
    zone = new_uuid(message.resourceUuid)
    await services.zones.create(zone, message.name, message.description, is_default=message.isDefault)
    return await services.inventory(ZONE, zone)


class APIQueryZoneMsg(
    QueryMessage,
    method="GET",
    path="/zones",
    optional_paths=("/zones/{uuid}",),
    package=PACKAGE,
    reply=("inventories",),
):
    """Query zones."""

    inventory = ZONE


@handlers.handles
async def query_zone(services: Services, message: APIQueryZoneMsg, call: Call) -> Reply:
    """The zones asked for."""
    return await answer(services, message)


class APIDeleteZoneMsg(DeleteMessage, method="DELETE", path="/zones/{uuid}", package=PACKAGE):
    """Delete a zone; its backup storages stay."""

    uuid: Annotated[str, Rule(resource="ZoneVO", missing_is_done=True)]


@handlers.handles
async def delete_zone(services: Services, message: APIDeleteZoneMsg, call: Call) -> Reply:
    """Nothing."""
    await services.zones.delete(message.uuid)
    return Reply()


class APIAttachBackupStorageToZoneMsg(
    AsyncMessage, method="POST", path=ATTACHMENT, package=BACKUP_STORAGE_PACKAGE, reply=("inventory",)
):
    """Attach a backup storage to a zone."""

    zoneUuid: Annotated[str, Rule(resource="ZoneVO")]
    backupStorageUuid: Annotated[str, Rule(resource="BackupStorageVO")]


@handlers.handles
async def attach_backup_storage(services: Services, message: APIAttachBackupStorageToZoneMsg, call: Call) -> Reply:
    """The backup storage, attached."""
    await services.zones.attach(message.backupStorageUuid, message.zoneUuid)
    return await services.inventory(BACKUP_STORAGE, message.backupStorageUuid)


class APIDetachBackupStorageFromZoneMsg(
    AsyncMessage, method="DELETE", path=ATTACHMENT, package=BACKUP_STORAGE_PACKAGE, reply=("inventory",)
):
    """Detach a backup storage from a zone."""

    backupStorageUuid: Annotated[str, Rule(resource="BackupStorageVO")]
    zoneUuid: Annotated[str, Rule(resource="ZoneVO")]


@handlers.handles
async def detach_backup_storage(services: Services, message: APIDetachBackupStorageFromZoneMsg, call: Call) -> Reply:
    """The backup storage, detached."""
    await services.zones.detach(message.backupStorageUuid, message.zoneUuid)
    return await services.inventory(BACKUP_STORAGE, message.backupStorageUuid)
