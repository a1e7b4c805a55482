"""APIs of backup storages of any type (domain 2.2)."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import select

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.backup_storage.capacity import LARGEST
from imagestore_sim.backup_storage.lifecycle import StateEvent
from imagestore_sim.backup_storage.records import HOSTS, SIMULATOR_TYPE
from imagestore_sim.database.models import BackupStorage, BackupStorageZoneRef
from imagestore_sim.query import BACKUP_STORAGE
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import NothingToDo, invalid_argument
from imagestore_sim.rest.messages import (
    AsyncMessage,
    Call,
    DeleteMessage,
    Handlers,
    Reply,
    SyncMessage,
)
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.storage.backup"
PATH = "/backup-storage"
ONE = "/backup-storage/{uuid}"
ACTIONS = "/backup-storage/{uuid}/actions"
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="BackupStorageVO")]


class APIQueryBackupStorageMsg(QueryMessage, method="GET", path=PATH, optional_paths=(ONE,), package=PACKAGE):
    """Query backup storages; each row is an inventory of its own type."""

    inventory = BACKUP_STORAGE


@handlers.handles
async def query_backup_storage(services: Services, message: APIQueryBackupStorageMsg, call: Call) -> Reply:
    """Return the backup storages that the query selects."""
    return await answer(services, message, call)


class APIDeleteBackupStorageMsg(
    DeleteMessage,
    method="DELETE",
    path=ONE,
    package=PACKAGE,
    source="domain 2.2, 4",
    deviation="nothing can veto a deletion, so Permissive and Enforcing are the same",
):
    """Delete a backup storage. Succeed if it does not exist (domain 4)."""

    owned_by = "uuid"
    uuid: str
    """The uuid of the storage."""


@handlers.checks
async def check_delete_backup_storage(services: Services, message: APIDeleteBackupStorageMsg, call: Call) -> None:
    """Raise NothingToDo if the storage does not exist, whatever the mode."""
    if await services.missing("BackupStorageVO", (message.uuid,)):
        raise NothingToDo


@handlers.handles
async def delete_backup_storage(services: Services, message: APIDeleteBackupStorageMsg, call: Call) -> Reply:
    """Delete the storage, and return an empty reply."""
    await services.uploads.storage_deleted(message.uuid)
    await services.lifecycle.delete(message.uuid)
    return Reply()


class APIChangeBackupStorageStateMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply={"inventory": BACKUP_STORAGE},
    source="domain 1.5, 2.2",
):
    """Enable or disable a backup storage."""

    uuid: Existing
    stateEvent: Annotated[str, Rule(valid_values=tuple(StateEvent))]
    """`enable` or `disable`."""


@handlers.handles
async def change_backup_storage_state(services: Services, message: APIChangeBackupStorageStateMsg, call: Call) -> Reply:
    """Change the state, and return the storage."""
    await services.lifecycle.change_state(message.uuid, StateEvent(message.stateEvent))
    return await services.inventory(BACKUP_STORAGE, message.uuid)


class APIUpdateBackupStorageMsg(
    AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply={"inventory": BACKUP_STORAGE}
):
    """Change the name or description of a backup storage."""

    owned_by = "uuid"
    uuid: Existing
    name: Annotated[str | None, Rule(max_length=255)] = None
    """The new name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""


@handlers.handles
async def update_backup_storage(services: Services, message: APIUpdateBackupStorageMsg, call: Call) -> Reply:
    """Update the record, and return the storage."""
    await services.lifecycle.update(message.uuid, message.given("name", "description"), {})
    return await services.inventory(BACKUP_STORAGE, message.uuid)


class APIReconnectBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply={"inventory": BACKUP_STORAGE},
    source="domain 2.2, 3.3, 3.4",
    deviation="an SSH probe of the url replaces the agent",
):
    """Reconnect a backup storage."""

    waits = True
    owned_by = "uuid"

    uuid: Existing


@handlers.handles
async def reconnect_backup_storage(services: Services, message: APIReconnectBackupStorageMsg, call: Call) -> Reply:
    """Connect the storage, and return it."""
    await services.lifecycle.reconnect(message.uuid)
    return await services.inventory(BACKUP_STORAGE, message.uuid)


class APIGetBackupStorageCapacityMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/capacities",
    package=PACKAGE,
    reply={"totalCapacity": int, "availableCapacity": int},
    with_success=True,
    source="domain 5",
):
    """Sum the last known capacities of backup storages, in bytes, whatever their state and status."""

    zoneUuids: Annotated[list[str] | None, Rule(resource="ZoneVO")] = None
    backupStorageUuids: Annotated[list[str] | None, Rule(resource="BackupStorageVO")] = None
    all: bool = False
    """Whether to sum those of all storages."""


@handlers.handles
async def get_backup_storage_capacity(services: Services, message: APIGetBackupStorageCapacityMsg, call: Call) -> Reply:
    """Return the sums. By zone, a storage that is attached to two of the zones counts twice, as in ZStack."""
    sums = select(BackupStorage.totalCapacity, BackupStorage.availableCapacity)
    if message.backupStorageUuids:
        sums = sums.where(BackupStorage.uuid.in_(message.backupStorageUuids))
    elif message.zoneUuids and not message.all:
        attached = BackupStorageZoneRef.backupStorageUuid == BackupStorage.uuid
        sums = sums.join(BackupStorageZoneRef, attached).where(BackupStorageZoneRef.zoneUuid.in_(message.zoneUuids))
    elif not message.all:
        raise invalid_argument(
            "zoneUuids, backupStorageUuids must have at least one be none-empty list, or all is set to true"
        )
    rows = await services.database.read(sums)  # added up here: SQLite fails if a sum exceeds 64 bits
    total, available = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return Reply({"totalCapacity": min(total, LARGEST), "availableCapacity": min(available, LARGEST)})


OPEN_TYPES = ["SimulatorBackupStorage", "Ceph", "Addon", "SftpBackupStorage"]


class APIGetBackupStorageTypesMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/types",
    package=PACKAGE,
    reply={"types=backupStorageTypes": list[str]},
    deviation="lists the types that are emulated; a strict node lists those of ZStack's open half",
):
    """List the types of backup storages."""


@handlers.handles
async def get_backup_storage_types(services: Services, message: APIGetBackupStorageTypesMsg, call: Call) -> Reply:
    """Return the names of the types."""
    types = [*HOSTS, SIMULATOR_TYPE] if services.leniency.paid_apis else OPEN_TYPES
    return Reply({"types": types}, list_schema("types", ["java.lang.String"] * len(types)))
