"""What can be done with a backup storage of any type (domain 2.2)."""

from __future__ import annotations

from typing import Annotated

from simulator.api.queries import QueryMessage, answer
from simulator.api.services import Services
from simulator.backup_storage.lifecycle import StateEvent
from simulator.query import BACKUP_STORAGE
from simulator.rest.messages import AsyncMessage, Call, DeleteMessage, Handlers, Reply
from simulator.rest.parameters import Rule
from simulator.rest.validation import NothingToDo

PACKAGE = "org.zstack.header.storage.backup"
PATH = "/backup-storage"
ONE = "/backup-storage/{uuid}"
ACTIONS = "/backup-storage/{uuid}/actions"
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
    return await answer(services, message)


class APIDeleteBackupStorageMsg(DeleteMessage, method="DELETE", path=ONE, package=PACKAGE):
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


class APIChangeBackupStorageStateMsg(AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply=("inventory",)):
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


class APIReconnectBackupStorageMsg(AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply=("inventory",)):
    """Connect a backup storage anew."""

    uuid: Existing


@handlers.handles
async def reconnect_backup_storage(services: Services, message: APIReconnectBackupStorageMsg, call: Call) -> Reply:
    """The reconnected backup storage."""
    await services.lifecycle.reconnect(message.uuid)
    return await services.inventory(BACKUP_STORAGE, message.uuid)


def given(**values: object) -> dict[str, object]:
    """The values that a client gave: what is absent or null is to be left alone (clients 2.4)."""
    return {name: value for name, value in values.items() if value is not None}
