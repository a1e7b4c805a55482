"""ImageStore backup storages (domain 2.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from sqlalchemy import select

from imagestore_sim.api.backup_storage import PORTS, AddMessage, add_and_connect, update_record
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE, NewStorage, Status
from imagestore_sim.database.models import BackupStorage, ImageStoreBackupStorage
from imagestore_sim.query import IMAGE_STORE_BACKUP_STORAGE
from imagestore_sim.rest.encoding import without_nulls, write_date
from imagestore_sim.rest.errors import operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.storage.backup.imagestore"
HEADER = "org.zstack.header.storage.backup"
PATH = "/backup-storage/image-store"
ACTIONS = "/backup-storage/image-store/{uuid}/actions"
DISASTER_TAG = "remote"
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="ImageStoreBackupStorageVO")]


class APIAddImageStoreBackupStorageMsg(
    AddMessage,
    method="POST",
    path=PATH,
    package=PACKAGE,
    reply=("inventory",),
    source="domain 2.1, 3.1, 3.2",
    deviation="an SSH probe of the url, whose folders it makes, stands for deploying and asking the agent;"
    " importImages finds none",
):
    """Add an ImageStore, and connect it."""

    waits = True

    hostname: Annotated[str, Rule(max_length=255, empty_string=False)]
    username: Annotated[str, Rule(max_length=255)]
    password: Annotated[str, Rule(max_length=255)]
    sshPort: Annotated[int, Rule(number_range=PORTS, zero_is_unset=True)] = 22


@handlers.checks
async def check_add_image_store(services: Services, message: APIAddImageStoreBackupStorageMsg, call: Call) -> None:
    """A hostname that is one and is not taken, and a url that can be served."""
    await services.lifecycle.check_new(IMAGE_STORE_TYPE, message.hostname, message.url)


@handlers.handles
async def add_image_store(services: Services, message: APIAddImageStoreBackupStorageMsg, call: Call) -> Reply:
    """The new ImageStore."""
    return await add_and_connect(services, _new_storage(message), IMAGE_STORE_BACKUP_STORAGE, call)


class APIAddDisasterImageStoreBackupStorageMsg(
    APIAddImageStoreBackupStorageMsg,
    method="POST",
    path=f"{PATH}/disaster",
    package=PACKAGE,
    response_class="APIAddImageStoreBackupStorageEvent",
    reply=("inventory",),
    source="domain 2.1",
    deviation="attachPoint and endPoint are passed over; otherwise as AddImageStoreBackupStorage",
):
    """Add an ImageStore that backups are copied to."""

    waits = True

    attachPoint: str | None = None
    endPoint: str | None = None


@handlers.checks
async def check_add_disaster_image_store(
    services: Services, message: APIAddDisasterImageStoreBackupStorageMsg, call: Call
) -> None:
    """As for any ImageStore."""
    await services.lifecycle.check_new(IMAGE_STORE_TYPE, message.hostname, message.url)


@handlers.handles
async def add_disaster_image_store(
    services: Services, message: APIAddDisasterImageStoreBackupStorageMsg, call: Call
) -> Reply:
    """The new ImageStore, which has the system tag `remote`."""
    new = _new_storage(message)
    reply = await add_and_connect(services, new, IMAGE_STORE_BACKUP_STORAGE, call)
    if DISASTER_TAG in (message.systemTags or ()):
        return reply
    return replace(
        reply, commit=(*reply.commit, services.tags.new_system_tag(new.uuid, "BackupStorageVO", DISASTER_TAG))
    )


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
    return await answer(services, message, call)


class APIUpdateImageStoreBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    response_class=f"{HEADER}.APIUpdateBackupStorageEvent",
    reply=("inventory",),
    source="domain 2.1, 3.4",
):
    """Change an ImageStore's record; the url stays, and nothing is reconnected."""

    uuid: Existing
    name: Annotated[str | None, Rule(max_length=255)] = None
    description: Annotated[str | None, Rule(max_length=2048)] = None
    hostname: Annotated[str | None, Rule(max_length=255)] = None
    username: Annotated[str | None, Rule(max_length=255)] = None
    password: Annotated[str | None, Rule(max_length=255)] = None
    sshPort: Annotated[int | None, Rule(number_range=PORTS, zero_is_unset=True)] = None


@handlers.handles
async def update_image_store(services: Services, message: APIUpdateImageStoreBackupStorageMsg, call: Call) -> Reply:
    """The updated ImageStore."""
    return await update_record(services, message, IMAGE_STORE_BACKUP_STORAGE)


class APIReconnectImageStoreBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply=("inventory",),
    source="domain 2.1, 3.3, 3.4",
    deviation="as ReconnectBackupStorage: what ZStack's closed source does to the status is not known",
):
    """Connect an ImageStore anew."""

    waits = True

    uuid: Existing


@handlers.handles
async def reconnect_image_store(
    services: Services, message: APIReconnectImageStoreBackupStorageMsg, call: Call
) -> Reply:
    """The reconnected ImageStore."""
    await services.lifecycle.reconnect(message.uuid)
    return await services.inventory(IMAGE_STORE_BACKUP_STORAGE, message.uuid)


class APIReclaimSpaceFromImageStoreMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply=("gcResult",),
    deviation="nothing is deleted on the host, so that no byte is ever freed",
):
    """Free the space that deleted images take up."""

    uuid: Existing


@handlers.handles
async def reclaim_space(services: Services, message: APIReclaimSpaceFromImageStoreMsg, call: Call) -> Reply:
    """How many bytes were freed."""
    if why_not := await _why_not_answering(services, message.uuid):
        raise operation_failed(f"reclaim imagestore error, because:{why_not}")
    return Reply({"gcResult": {"freedSpaceInBytes": 0}}, {"gcResult": f"{PACKAGE}.ImageStoreGcResult"})


class APISetImageStoreBackupStorageQuotaMsg(
    AsyncMessage,
    method="PUT",
    path=f"{PATH}/actions",
    package=PACKAGE,
    source="domain 2.1, 3.7",
    deviation="the quota is accepted and not enforced: what it does to capacities is not known",
):
    """Limit how much ImageStores may hold: those that are named, or all of them."""

    uuids: Annotated[list[str] | None, Rule(resource="ImageStoreBackupStorageVO")] = None
    maxCapacity: Annotated[int, Rule(long=True)]


@handlers.handles
async def set_quota(services: Services, message: APISetImageStoreBackupStorageQuotaMsg, call: Call) -> Reply:
    """Nothing."""
    for uuid in message.uuids or await _all_image_stores(services):
        if why_not := await _why_not_answering(services, uuid):
            raise operation_failed(f"failed to set max capacity on image store[uuid:{uuid}], because: {why_not}")
    return Reply()


class APIGetImagesFromImageStoreBackupStorageMsg(
    SyncMessage,
    method="PUT",
    path="/backup-storage/{uuid}/image-store",
    package=PACKAGE,
    reply=("infos",),
    deviation="lists the images that have a record, where ZStack asks the host for what lies there",
):
    """List the images that lie on an ImageStore."""

    uuid: Existing


@handlers.handles
async def get_images(services: Services, message: APIGetImagesFromImageStoreBackupStorageMsg, call: Call) -> Reply:
    """What is known of each image."""
    infos = [
        without_nulls(
            {
                "id": image.uuid,
                "created": write_date(image.createDate),
                "arch": image.architecture,
                "desc": image.description,
                "size": image.actualSize,
                "virtualsize": image.size,
                "name": image.name,
            }
        )
        for image in await services.images.on_storage(message.uuid)
    ]
    schema = {f"infos[{index}]": f"{PACKAGE}.ImageStoreImageStruct" for index in reversed(range(len(infos)))}
    return Reply({"infos": infos}, schema)


def _new_storage(message: APIAddImageStoreBackupStorageMsg) -> NewStorage:
    return NewStorage(
        uuid=new_uuid(message.resourceUuid),
        name=message.name,
        url=message.url,
        hostname=message.hostname,
        username=message.username,
        password=message.password,
        port=message.sshPort,
        description=message.description,
    )


async def _all_image_stores(services: Services) -> list[str]:
    stores = select(ImageStoreBackupStorage.uuid).order_by(ImageStoreBackupStorage.uuid)
    return [row.uuid for row in await services.database.read(stores)]


async def _why_not_answering(services: Services, uuid: str) -> str | None:
    """What keeps an ImageStore from doing what is asked of its host; None if it is Connected."""
    [status] = [row.status for row in await services.database.read(select(BackupStorage.status).filter_by(uuid=uuid))]
    return None if status == Status.CONNECTED else f"image store[uuid:{uuid}] is in status {status}"
