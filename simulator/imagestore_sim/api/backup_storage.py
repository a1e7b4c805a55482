"""What can be done with a backup storage of any type (domain 2.2)."""

from __future__ import annotations

from typing import Annotated, Protocol

from sqlalchemy import select, update

from imagestore_sim.api.error_translation import connect_error
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.backup_storage.capacity import LARGEST
from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.lifecycle import StateEvent
from imagestore_sim.backup_storage.records import HOSTS, SIMULATOR_TYPE, NewStorage
from imagestore_sim.database.models import BackupStorage, BackupStorageZoneRef
from imagestore_sim.query import BACKUP_STORAGE, Inventory
from imagestore_sim.rest.errors import ApiError, ErrorCode, NothingToDo, invalid_argument
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

PACKAGE = "org.zstack.header.storage.backup"
PATH = "/backup-storage"
ONE = "/backup-storage/{uuid}"
ACTIONS = "/backup-storage/{uuid}/actions"
PORTS = (1, 65535)
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="BackupStorageVO")]


class APIQueryBackupStorageMsg(
    QueryMessage, method="GET", path=PATH, optional_paths=(ONE,), package=PACKAGE, reply=("inventories",)
):
    """Query backup storages; each row is an inventory of its own type."""

    inventory = BACKUP_STORAGE


@handlers.handles
async def query_backup_storage(services: Services, message: APIQueryBackupStorageMsg, call: Call) -> Reply:
    """The backup storages asked for."""
    return await answer(services, message, call)


class APIDeleteBackupStorageMsg(
    DeleteMessage,
    method="DELETE",
    path=ONE,
    package=PACKAGE,
    source="domain 2.2, 4",
    deviation="nothing here vetoes a deletion, so Permissive and Enforcing do the same",
):
    """Delete a backup storage; one that is not there is deleted already (domain 4)."""

    uuid: str


@handlers.checks
async def check_delete_backup_storage(services: Services, message: APIDeleteBackupStorageMsg, call: Call) -> None:
    """What is gone already needs no deletion, whatever the mode."""
    if await services.missing("BackupStorageVO", (message.uuid,)):
        raise NothingToDo


@handlers.handles
async def delete_backup_storage(services: Services, message: APIDeleteBackupStorageMsg, call: Call) -> Reply:
    """Nothing."""
    await services.lifecycle.delete(message.uuid)
    return Reply()


class APIChangeBackupStorageStateMsg(
    AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply=("inventory",), source="domain 1.5, 2.2"
):
    """Enable or disable a backup storage."""

    uuid: Existing
    stateEvent: Annotated[str, Rule(valid_values=tuple(StateEvent))]


@handlers.handles
async def change_backup_storage_state(services: Services, message: APIChangeBackupStorageStateMsg, call: Call) -> Reply:
    """The backup storage in its new state."""
    await services.lifecycle.change_state(message.uuid, StateEvent(message.stateEvent))
    return await services.inventory(BACKUP_STORAGE, message.uuid)


class APIUpdateBackupStorageMsg(AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply=("inventory",)):
    """Give a backup storage another name or description."""

    uuid: Existing
    name: Annotated[str | None, Rule(max_length=255)] = None
    description: Annotated[str | None, Rule(max_length=2048)] = None


@handlers.handles
async def update_backup_storage(services: Services, message: APIUpdateBackupStorageMsg, call: Call) -> Reply:
    """The updated backup storage."""
    await services.lifecycle.update(message.uuid, given(name=message.name, description=message.description), {})
    return await services.inventory(BACKUP_STORAGE, message.uuid)


class APIReconnectBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply=("inventory",),
    source="domain 2.2, 3.3, 3.4",
    deviation="an SSH probe of the url stands for the storage's agent",
):
    """Connect a backup storage anew."""

    waits = True

    uuid: Existing


@handlers.handles
async def reconnect_backup_storage(services: Services, message: APIReconnectBackupStorageMsg, call: Call) -> Reply:
    """The reconnected backup storage."""
    await services.lifecycle.reconnect(message.uuid)
    return await services.inventory(BACKUP_STORAGE, message.uuid)


class APIGetBackupStorageCapacityMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/capacities",
    package=PACKAGE,
    reply=("totalCapacity", "availableCapacity"),
    says_success=True,
    source="domain 5",
):
    """Add up the last known capacities of some backup storages, whatever their state and status."""

    zoneUuids: Annotated[list[str] | None, Rule(resource="ZoneVO")] = None
    backupStorageUuids: Annotated[list[str] | None, Rule(resource="BackupStorageVO")] = None
    all: bool = False


@handlers.handles
async def get_backup_storage_capacity(services: Services, message: APIGetBackupStorageCapacityMsg, call: Call) -> Reply:
    """Their sums; by zone, a storage that is attached to two of the zones counts twice, as in ZStack."""
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
    rows = await services.database.read(sums)  # not added up there: SQLite fails where a sum is too large
    total, available = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return Reply({"totalCapacity": min(total, LARGEST), "availableCapacity": min(available, LARGEST)})


OPEN_TYPES = ["SimulatorBackupStorage", "Ceph", "Addon", "SftpBackupStorage"]


class APIGetBackupStorageTypesMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/types",
    package=PACKAGE,
    reply=("types=backupStorageTypes",),
    deviation="lists the types that are emulated; a strict node lists those of ZStack's open half",
):
    """Ask which types of backup storages there are."""


@handlers.handles
async def get_backup_storage_types(services: Services, message: APIGetBackupStorageTypesMsg, call: Call) -> Reply:
    """Their names."""
    types = [*HOSTS, SIMULATOR_TYPE] if services.leniency.paid_apis else OPEN_TYPES
    return Reply({"types": types}, {f"types[{index}]": "java.lang.String" for index in reversed(range(len(types)))})


class AddMessage(CreateMessage):
    """What every message that adds a backup storage shares."""

    url: Annotated[str, Rule(max_length=2048, empty_string=False)]
    name: Annotated[str, Rule(max_length=255)]
    description: Annotated[str | None, Rule(max_length=2048)] = None
    type: str | None = None
    importImages: bool = False


async def add_and_connect(services: Services, new: NewStorage, inventory: Inventory, call: Call) -> Reply:
    """The new storage, Connected; or SYS.1002 with the reason, and no row stays (domain 3.2)."""
    try:
        await services.lifecycle.add(new, job=call.uuid)
    except ConnectFailed as failure:
        cause = connect_error(failure)
        raise ApiError(ErrorCode("SYS.1002", cause.details, cause=cause)) from failure
    try:
        return await added(services, new.uuid, inventory, call)
    except Exception:
        await services.lifecycle.undo_add(new)
        raise


async def added(services: Services, uuid: str, inventory: Inventory, call: Call) -> Reply:
    """A new storage's inventory; with the job's result, its row loses the mark of being added still."""
    reply = await services.inventory(inventory, uuid)
    whole = update(BackupStorage).where(BackupStorage.addedByJob == call.uuid).values(addedByJob=None)
    return Reply(reply.body, reply.schema, commit=(whole,))


class RecordUpdate(Protocol):
    """What the updates of storages with a host have in common; each declares its fields itself, as ZStack's do."""

    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def description(self) -> str | None: ...
    @property
    def hostname(self) -> str | None: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @property
    def sshPort(self) -> int | None: ...  # noqa: N802 - ZStack's own name


async def update_record(services: Services, message: RecordUpdate, inventory: Inventory) -> Reply:
    """Write what a client gave of a storage's record and host, and answer the updated storage."""
    host = given(
        hostname=message.hostname, username=message.username, password=message.password, sshPort=message.sshPort
    )
    await services.lifecycle.update(message.uuid, given(name=message.name, description=message.description), host)
    return await services.inventory(inventory, message.uuid)


def given(**values: object) -> dict[str, object]:
    """The values that a client gave: what is absent or null is to be left alone (clients 2.4)."""
    return {name: value for name, value in values.items() if value is not None}
