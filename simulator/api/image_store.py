"""ImageStore backup storages (domain 2.1)."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import update

from simulator.api.backup_storage import given
from simulator.api.errors import connect_error
from simulator.api.queries import QueryMessage, answer
from simulator.api.services import Services, new_uuid
from simulator.backup_storage.errors import ConnectFailed
from simulator.backup_storage.records import NewStorage
from simulator.database.models import BackupStorage
from simulator.query import IMAGE_STORE_BACKUP_STORAGE
from simulator.rest.errors import ApiError, ErrorCode
from simulator.rest.messages import AsyncMessage, Call, CreateMessage, Handlers, Reply
from simulator.rest.parameters import Rule

PACKAGE = "org.zstack.storage.backup.imagestore"
PATH = "/backup-storage/image-store"
ACTIONS = "/backup-storage/image-store/{uuid}/actions"
PORTS = (1, 65535)
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="ImageStoreBackupStorageVO")]


class APIAddImageStoreBackupStorageMsg(CreateMessage, method="POST", path=PATH, package=PACKAGE, reply=("inventory",)):
    """Add an ImageStore, and connect it."""

    hostname: Annotated[str, Rule(max_length=255, empty_string=False)]
    username: Annotated[str, Rule(max_length=255)]
    password: Annotated[str, Rule(max_length=255, trim=False)]
    url: Annotated[str, Rule(max_length=2048, empty_string=False)]
    name: Annotated[str, Rule(max_length=255)]
    sshPort: Annotated[int, Rule(number_range=PORTS, zero_is_unset=True)] = 22
    description: Annotated[str | None, Rule(max_length=2048)] = None
    type: str | None = None
    importImages: bool = False


@handlers.checks
async def check_add_image_store(services: Services, message: APIAddImageStoreBackupStorageMsg, call: Call) -> None:
    """A hostname that is one and is not taken, and a url that can be served."""
    await services.lifecycle.check_new(message.hostname, message.url)


@handlers.handles
async def add_image_store(services: Services, message: APIAddImageStoreBackupStorageMsg, call: Call) -> Reply:
    """The new ImageStore, Connected; or SYS.1002 with the reason, and no row stays (domain 3.2)."""
    new = NewStorage(
        uuid=new_uuid(message.resourceUuid),
        name=message.name,
        url=message.url,
        hostname=message.hostname,
        username=message.username,
        password=message.password,
        port=message.sshPort,
        description=message.description,
    )
    try:
        await services.lifecycle.add(new, job=call.uuid)
    except ConnectFailed as failure:
        cause = connect_error(failure)
        raise ApiError(ErrorCode("SYS.1002", cause.details, cause=cause)) from failure
    reply = await services.inventory(IMAGE_STORE_BACKUP_STORAGE, new.uuid)
    whole = update(BackupStorage).where(BackupStorage.addedByJob == call.uuid).values(addedByJob=None)
    return Reply(reply.body, reply.schema, commit=(whole,))


class APIQueryImageStoreBackupStorageMsg(
    QueryMessage,
    method="GET",
    path=PATH,
    optional_paths=(f"{PATH}/{{uuid}}",),
    package=PACKAGE,
    reply=("inventories",),
):
    """Query ImageStores."""

    inventory = IMAGE_STORE_BACKUP_STORAGE


@handlers.handles
async def query_image_store(services: Services, message: APIQueryImageStoreBackupStorageMsg, call: Call) -> Reply:
    """The ImageStores asked for."""
    return await answer(services, message)


class APIUpdateImageStoreBackupStorageMsg(
    AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply=("inventory",)
):
    """Change an ImageStore's record; the url stays, and nothing is reconnected."""

    uuid: Existing
    name: Annotated[str | None, Rule(max_length=255)] = None
    description: Annotated[str | None, Rule(max_length=2048)] = None
    hostname: Annotated[str | None, Rule(max_length=255, empty_string=False)] = None
    username: Annotated[str | None, Rule(max_length=255)] = None
    password: Annotated[str | None, Rule(max_length=255, trim=False)] = None
    sshPort: Annotated[int | None, Rule(number_range=PORTS, zero_is_unset=True)] = None


@handlers.handles
async def update_image_store(services: Services, message: APIUpdateImageStoreBackupStorageMsg, call: Call) -> Reply:
    """The updated ImageStore."""
    host = given(
        hostname=message.hostname, username=message.username, password=message.password, sshPort=message.sshPort
    )
    await services.lifecycle.update(message.uuid, given(name=message.name, description=message.description), host)
    return await services.inventory(IMAGE_STORE_BACKUP_STORAGE, message.uuid)


class APIReconnectImageStoreBackupStorageMsg(
    AsyncMessage, method="PUT", path=ACTIONS, package=PACKAGE, reply=("inventory",)
):
    """Connect an ImageStore anew."""

    uuid: Existing


@handlers.handles
async def reconnect_image_store(
    services: Services, message: APIReconnectImageStoreBackupStorageMsg, call: Call
) -> Reply:
    """The reconnected ImageStore."""
    await services.lifecycle.reconnect(message.uuid)
    return await services.inventory(IMAGE_STORE_BACKUP_STORAGE, message.uuid)
