"""Simulator backup storages: ZStack's own fake storages without a host (domain 2.2)."""

from __future__ import annotations

from typing import Annotated

from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.api.storage_calls import AddMessage, added
from imagestore_sim.backup_storage.records import SIMULATOR_TYPE, NewSimulator
from imagestore_sim.query import BACKUP_STORAGE
from imagestore_sim.rest.errors import internal_error
from imagestore_sim.rest.messages import Call, Handlers, Reply
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.simulator.storage.backup"
HEADER = "org.zstack.header.storage.backup"
handlers = Handlers[Services]()
TYPES = ("SimulatorBackupStorage", "ImageStoreBackupStorage", "SftpBackupStorage", "Ceph", "Addon")
"""The types that ZStack knows. This message can add only the first."""
Bytes = Annotated[int, Rule(long=True)]


class APIAddSimulatorBackupStorageMsg(
    AddMessage,
    method="POST",
    path="/backup-storage/simulators",
    package=PACKAGE,
    response_class=f"{HEADER}.APIAddBackupStorageEvent",
    reply={"inventory": BACKUP_STORAGE},
    deviation="it is Connected from the start, without an event",
):
    """Add a storage that is always Connected, with the given capacity in bytes."""

    totalCapacity: Bytes = 0
    """Bytes."""
    availableCapacity: Bytes = 0
    """Bytes."""


@handlers.handles
async def add_simulator(services: Services, message: APIAddSimulatorBackupStorageMsg, call: Call) -> Reply:
    """Add the storage, and return it."""
    _check_type(message.type, implied=services.leniency.implied_type)
    new = NewSimulator(
        uuid=new_uuid(message.resourceUuid),
        name=message.name,
        url=message.url,
        total=message.totalCapacity,
        available=message.availableCapacity,
        description=message.description,
    )
    await services.lifecycle.add_simulator(new, job=call.uuid)
    return await added(services, new.uuid, BACKUP_STORAGE, call)


def _check_type(given: str | None, *, implied: bool) -> None:
    """Raise ApiError SYS.1000 for an unknown type, or one that this message cannot add."""
    if given == SIMULATOR_TYPE or (given is None and implied):
        return
    if given not in TYPES:
        shown = "null" if given is None else given
        raise internal_error(f"BackupStorageType type: {shown} was not registered by any BackupStorageFactory")
    raise internal_error(f"class {PACKAGE}.APIAddSimulatorBackupStorageMsg is no message that adds a {given}")
