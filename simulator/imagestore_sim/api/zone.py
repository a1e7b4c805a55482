"""Zones, and attaching backup storages to them (domain 2.4)."""

from __future__ import annotations

from typing import Annotated

import orjson
from sqlalchemy.exc import IntegrityError

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.backup_storage.errors import constraint_violation
from imagestore_sim.backup_storage.lifecycle import STATE_AFTER, StateEvent
from imagestore_sim.backup_storage.zones import ZONE_TYPE
from imagestore_sim.database import UuidTaken
from imagestore_sim.query import BACKUP_STORAGE, ZONE
from imagestore_sim.rest.binding import NotAString
from imagestore_sim.rest.errors import ApiError, ErrorCode, internal_error
from imagestore_sim.rest.messages import (
    AsyncMessage,
    Call,
    CreateMessage,
    DeleteMessage,
    Handlers,
    Reply,
    SyncMessage,
)
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.zone"
BACKUP_STORAGE_PACKAGE = "org.zstack.header.storage.backup"
ACTIONS = "/zones/{uuid}/actions"
ATTACHMENT = "/zones/{zoneUuid}/backup-storage/{backupStorageUuid}"
NAME_REGEX = r'^(?! )[\u4e00-\u9fa5a-zA-Z0-9\-_.():+" ]*(?<! )$'
CREATE_ZONE = (
    "unhandled exception happened when calling private void org.zstack.compute.zone.ZoneManagerImpl.createZone("
    "org.zstack.header.zone.APICreateZoneMsg, org.zstack.header.core.ReturnValueCompletion)"
)
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="ZoneVO")]


class APICreateZoneMsg(CreateMessage, method="POST", path="/zones", package=PACKAGE, reply={"inventory": ZONE}):
    """Create a zone."""

    name: Annotated[str, Rule(max_length=255, valid_regex=NAME_REGEX)]
    """The name; several zones may have it."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    type: str | None = None
    """`zstack`, which is the default."""
    isDefault: bool = False
    """Whether it becomes the default zone, in place of the one that is."""


@handlers.handles
async def create_zone(services: Services, message: APICreateZoneMsg, call: Call) -> Reply:
    """Create the zone, and return it. An error names the method of ZStack that failed."""
    if message.type not in (None, ZONE_TYPE):
        raise internal_error(f"{CREATE_ZONE}, ZoneType type: {message.type} was not registered by any ZoneFactory")
    for tag in message.userTags or ():
        if isinstance(tag, NotAString):
            raise internal_error(f"{CREATE_ZONE}, {tag.complaint}")
    zone = new_uuid(message.resourceUuid)
    try:
        await services.zones.create(zone, message.name, message.description, is_default=message.isDefault)
    except (IntegrityError, UuidTaken):
        raise internal_error(f"{CREATE_ZONE}, {constraint_violation()}") from None
    return await services.inventory(ZONE, zone)


class APIQueryZoneMsg(
    QueryMessage,
    method="GET",
    path="/zones",
    optional_paths=("/zones/{uuid}",),
    package=PACKAGE,
):
    """Query zones."""

    inventory = ZONE


@handlers.handles
async def query_zone(services: Services, message: APIQueryZoneMsg, call: Call) -> Reply:
    """Return the zones that the query selects."""
    return await answer(services, message, call)


class APIGetZoneMsg(
    SyncMessage,
    method="GET",
    path="/zones/{uuid}/info",
    package=PACKAGE,
    reply={"inventories": [ZONE]},
    source="observed 19",
    deviation="the error shows the message with its uuid only: ZStack's shows the caller's session, too",
):
    """Get a zone. ZStack declares this API, but no service of it handles the message."""

    uuid: str
    """The uuid of the zone."""


@handlers.handles
async def get_zone(services: Services, message: APIGetZoneMsg, call: Call) -> Reply:
    """Raise ApiError SYS.1008, as ZStack does."""
    name = message.api.java_class
    shown = orjson.dumps({name: {"uuid": message.uuid}}).decode()
    raise ApiError(ErrorCode("SYS.1008", f"No service deals with message: {name} {shown}"))


class APIUpdateZoneMsg(AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply={"inventory": ZONE}):
    """Change the name or description of a zone, or make it the default."""

    name: Annotated[str | None, Rule(max_length=255, valid_regex=NAME_REGEX)] = None
    """The new name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    uuid: Existing
    isDefault: bool | None = None
    """Whether it becomes the default zone, in place of the one that is."""


@handlers.handles
async def update_zone(services: Services, message: APIUpdateZoneMsg, call: Call) -> Reply:
    """Update the record, and return the zone."""
    await services.zones.change(message.uuid, message.given("name", "description", "isDefault"))
    return await services.inventory(ZONE, message.uuid)


class APIChangeZoneStateMsg(AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply={"inventory": ZONE}):
    """Enable or disable a zone."""

    uuid: Existing
    stateEvent: Annotated[str, Rule(valid_values=tuple(StateEvent))]
    """`enable` or `disable`."""


@handlers.handles
async def change_zone_state(services: Services, message: APIChangeZoneStateMsg, call: Call) -> Reply:
    """Change the state, and return the zone."""
    await services.zones.change(message.uuid, {"state": STATE_AFTER[StateEvent(message.stateEvent)]})
    return await services.inventory(ZONE, message.uuid)


class APIDeleteZoneMsg(
    DeleteMessage,
    method="DELETE",
    path="/zones/{uuid}",
    package=PACKAGE,
    source="domain 2.4, 4",
    deviation="nothing can veto a deletion, so Permissive and Enforcing are the same",
):
    """Delete a zone, but not its backup storages."""

    uuid: Annotated[str, Rule(resource="ZoneVO", missing_is_done=True)]


@handlers.handles
async def delete_zone(services: Services, message: APIDeleteZoneMsg, call: Call) -> Reply:
    """Delete the zone, and return an empty reply."""
    await services.zones.delete(message.uuid)
    return Reply()


class APIAttachBackupStorageToZoneMsg(
    AsyncMessage,
    method="POST",
    path=ATTACHMENT,
    package=BACKUP_STORAGE_PACKAGE,
    reply={"inventory": BACKUP_STORAGE},
    source="domain 2.2, 4",
):
    """Attach a backup storage to a zone."""

    zoneUuid: Existing
    backupStorageUuid: Annotated[str, Rule(resource="BackupStorageVO")]


@handlers.handles
async def attach_backup_storage(services: Services, message: APIAttachBackupStorageToZoneMsg, call: Call) -> Reply:
    """Attach the storage, and return it."""
    await services.zones.attach(message.backupStorageUuid, message.zoneUuid)
    return await services.inventory(BACKUP_STORAGE, message.backupStorageUuid)


class APIDetachBackupStorageFromZoneMsg(
    AsyncMessage,
    method="DELETE",
    path=ATTACHMENT,
    package=BACKUP_STORAGE_PACKAGE,
    reply={"inventory": BACKUP_STORAGE},
    source="domain 2.2, 4",
):
    """Detach a backup storage from a zone."""

    backupStorageUuid: Annotated[str, Rule(resource="BackupStorageVO")]
    zoneUuid: Annotated[str, Rule(resource="ZoneVO")]


@handlers.handles
async def detach_backup_storage(services: Services, message: APIDetachBackupStorageFromZoneMsg, call: Call) -> Reply:
    """Detach the storage, and return it."""
    await services.zones.detach(message.backupStorageUuid, message.zoneUuid)
    return await services.inventory(BACKUP_STORAGE, message.backupStorageUuid)
