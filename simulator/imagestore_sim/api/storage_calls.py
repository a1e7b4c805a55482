"""What the APIs of the types of backup storages share: how a storage is added, and how its record is updated."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import update

from imagestore_sim.api.error_translation import connect_error
from imagestore_sim.api.services import Services
from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.records import NewStorage
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.query import Inventory
from imagestore_sim.rest.errors import ApiError, ErrorCode
from imagestore_sim.rest.messages import Call, CreateMessage, Message, Reply
from imagestore_sim.rest.parameters import Rule

PORTS = (1, 65535)


class AddMessage(CreateMessage):
    """The base of the messages that add a backup storage."""

    owned_by = "resourceUuid"
    url: Annotated[str, Rule(max_length=2048, empty_string=False)]
    """The path on the host that holds the images, such as `/Cloud_bs`."""
    name: Annotated[str, Rule(max_length=255)]
    """The name; several storages may have it."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    type: str | None = None
    """The type of the storage, which the API decides."""
    importImages: bool = False
    """Whether to add the images that the host has; it never finds one."""


async def add_and_connect(services: Services, new: NewStorage, inventory: Inventory, call: Call) -> Reply:
    """Add and connect a storage, and return it. Raise ApiError SYS.1002 with the reason, and add none (domain 3.2)."""
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
    """Return a new storage.

    Together with the job's result its row loses the mark by which a restart would delete it as added halfway.
    """
    reply = await services.inventory(inventory, uuid)
    whole = update(BackupStorage).where(BackupStorage.addedByJob == call.uuid).values(addedByJob=None)
    return Reply(reply.body, reply.schema, commit=(whole,))


async def update_record(services: Services, message: Message, uuid: str, inventory: Inventory) -> Reply:
    """Write the given fields of a storage's record and of its host, and return the storage."""
    host = message.given("hostname", "username", "password", "sshPort")
    await services.lifecycle.update(uuid, message.given("name", "description"), host)
    return await services.inventory(inventory, uuid)
