"""ImageStore backup storages (domain 2.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, NotRequired, TypeAlias, TypedDict

from sqlalchemy import Row, select

from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.api.storage_calls import PORTS, AddMessage, add_and_connect, update_record
from imagestore_sim.backup_storage.errors import NoSuchStorage
from imagestore_sim.backup_storage.records import IMAGE_STORE_TYPE, NewStorage, Status
from imagestore_sim.database.models import BackupStorage, ImageStoreBackupStorage
from imagestore_sim.images.bits import FoundImage
from imagestore_sim.images.errors import BitsFailed
from imagestore_sim.query import IMAGE_STORE_BACKUP_STORAGE
from imagestore_sim.rest.encoding import list_schema, without_nulls
from imagestore_sim.rest.errors import operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule
from imagestore_sim.units import write_date

PACKAGE = "org.zstack.storage.backup.imagestore"
HEADER = "org.zstack.header.storage.backup"
PATH = "/backup-storage/image-store"
ACTIONS = "/backup-storage/image-store/{uuid}/actions"
DISASTER_TAG = "remote"
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="ImageStoreBackupStorageVO")]
ImageRow: TypeAlias = Row[*tuple[Any, ...]]


class GarbageResult(TypedDict):
    """What a reclaim has freed."""

    freedSpaceInBytes: int
    """How many bytes."""


class ImageOnStorage(TypedDict):
    """An image that an ImageStore holds."""

    id: str
    """The uuid of the image; for one without a record, the name of its file."""
    created: NotRequired[str]
    """When it was added."""
    arch: NotRequired[str]
    """The processor architecture that it is for."""
    desc: NotRequired[str]
    """The description of the image."""
    size: NotRequired[int]
    """How many bytes it takes up."""
    virtualsize: NotRequired[int]
    """How many bytes its disk has."""
    name: NotRequired[str]
    """The name of the image; for one without a record, the name of its folder."""


class APIAddImageStoreBackupStorageMsg(
    AddMessage,
    method="POST",
    path=PATH,
    package=PACKAGE,
    reply={"inventory": IMAGE_STORE_BACKUP_STORAGE},
    source="domain 2.1, 3.1, 3.2",
    deviation="an SSH probe of the url replaces the agent, and creates the folders of the url; importImages finds none",
):
    """Add an ImageStore, and connect it."""

    waits = True

    hostname: Annotated[str, Rule(max_length=255, empty_string=False)]
    """The name or address of the host, which no other storage of the type may have."""
    username: Annotated[str, Rule(max_length=255)]
    """The user of the SSH login."""
    password: Annotated[str, Rule(max_length=255)]
    """The password of the SSH login."""
    sshPort: Annotated[int, Rule(number_range=PORTS, zero_is_unset=True)] = 22
    """The port of the SSH server."""


@handlers.checks
async def check_add_image_store(services: Services, message: APIAddImageStoreBackupStorageMsg, call: Call) -> None:
    """Check the form of the hostname and the url, and that the hostname is not in use."""
    await services.lifecycle.check_new(IMAGE_STORE_TYPE, message.hostname, message.url)


@handlers.handles
async def add_image_store(services: Services, message: APIAddImageStoreBackupStorageMsg, call: Call) -> Reply:
    """Add and connect the ImageStore, and return it."""
    return await add_and_connect(services, _new_storage(message), IMAGE_STORE_BACKUP_STORAGE, call)


class APIAddDisasterImageStoreBackupStorageMsg(
    APIAddImageStoreBackupStorageMsg,
    method="POST",
    path=f"{PATH}/disaster",
    package=PACKAGE,
    response_class="APIAddImageStoreBackupStorageEvent",
    reply={"inventory": IMAGE_STORE_BACKUP_STORAGE},
    source="domain 2.1",
    deviation="attachPoint and endPoint are ignored; otherwise as AddImageStoreBackupStorage",
):
    """Add an ImageStore for disaster recovery, to which backups are copied."""

    waits = True

    attachPoint: str | None = None
    """Ignored."""
    endPoint: str | None = None
    """Ignored."""


@handlers.checks
async def check_add_disaster_image_store(
    services: Services, message: APIAddDisasterImageStoreBackupStorageMsg, call: Call
) -> None:
    """Check the form of the hostname and the url, and that the hostname is not in use."""
    await services.lifecycle.check_new(IMAGE_STORE_TYPE, message.hostname, message.url)


@handlers.handles
async def add_disaster_image_store(
    services: Services, message: APIAddDisasterImageStoreBackupStorageMsg, call: Call
) -> Reply:
    """Add and connect the ImageStore, give it the system tag `remote`, and return it."""
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
):
    """Query ImageStores."""

    inventory = IMAGE_STORE_BACKUP_STORAGE


@handlers.handles
async def query_image_store(services: Services, message: APIQueryImageStoreBackupStorageMsg, call: Call) -> Reply:
    """Return the ImageStores that the query selects."""
    return await answer(services, message, call)


class APIUpdateImageStoreBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    response_class=f"{HEADER}.APIUpdateBackupStorageEvent",
    reply={"inventory": IMAGE_STORE_BACKUP_STORAGE},
    source="domain 2.1, 3.4",
):
    """Change an ImageStore's record, but not its url. Nothing is reconnected."""

    owned_by = "uuid"
    uuid: Existing
    name: Annotated[str | None, Rule(max_length=255)] = None
    """The new name."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    hostname: Annotated[str | None, Rule(max_length=255)] = None
    """The new name or address of the host."""
    username: Annotated[str | None, Rule(max_length=255)] = None
    """The new user of the SSH login."""
    password: Annotated[str | None, Rule(max_length=255)] = None
    """The new password of the SSH login."""
    sshPort: Annotated[int | None, Rule(number_range=PORTS, zero_is_unset=True)] = None
    """The new port of the SSH server."""


@handlers.handles
async def update_image_store(services: Services, message: APIUpdateImageStoreBackupStorageMsg, call: Call) -> Reply:
    """Update the record, and return the ImageStore."""
    return await update_record(services, message, message.uuid, IMAGE_STORE_BACKUP_STORAGE)


class APIReconnectImageStoreBackupStorageMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply={"inventory": IMAGE_STORE_BACKUP_STORAGE},
    source="domain 2.1, 3.3, 3.4",
    deviation="as ReconnectBackupStorage; how ZStack's closed source changes the status is not known",
):
    """Reconnect an ImageStore."""

    waits = True
    owned_by = "uuid"

    uuid: Existing


@handlers.handles
async def reconnect_image_store(
    services: Services, message: APIReconnectImageStoreBackupStorageMsg, call: Call
) -> Reply:
    """Connect the ImageStore, and return it."""
    await services.lifecycle.reconnect(message.uuid)
    return await services.inventory(IMAGE_STORE_BACKUP_STORAGE, message.uuid)


class APIReclaimSpaceFromImageStoreMsg(
    AsyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    reply={"gcResult": GarbageResult},
    source="domain 2.1, 8.5",
    deviation="expunging gives bytes back at once; this frees what is left because a host did not let it go",
):
    """Free the space that gone images and exports still take up."""

    waits = True
    owned_by = "uuid"

    uuid: Existing


@handlers.handles
async def reclaim_space(services: Services, message: APIReclaimSpaceFromImageStoreMsg, call: Call) -> Reply:
    """Return how many bytes were freed. Raise ApiError SYS.1006 for one that is not Connected, or whose host fails."""
    try:
        freed = await services.garbage.free(message.uuid)
    except (BitsFailed, NoSuchStorage) as failure:
        raise operation_failed(f"reclaim imagestore error, because:{failure}") from None
    return Reply({"gcResult": {"freedSpaceInBytes": freed}}, {"gcResult": f"{PACKAGE}.ImageStoreGcResult"})


class APISetImageStoreBackupStorageQuotaMsg(
    AsyncMessage,
    method="PUT",
    path=f"{PATH}/actions",
    package=PACKAGE,
    source="domain 2.1, 3.7",
    deviation="the quota is accepted but not enforced: its effect on capacities is not known",
):
    """Limit how many bytes ImageStores may hold: the given ones, or all."""

    uuids: Annotated[list[str] | None, Rule(resource="ImageStoreBackupStorageVO")] = None
    maxCapacity: Annotated[int, Rule(long=True)]
    """Bytes."""


@handlers.handles
async def set_quota(services: Services, message: APISetImageStoreBackupStorageQuotaMsg, call: Call) -> Reply:
    """Accept the quota. Raise ApiError SYS.1006 if an ImageStore is not Connected."""
    for uuid in message.uuids or await _all_image_stores(services):
        if why_not := await _why_not_answering(services, uuid):
            raise operation_failed(f"failed to set max capacity on image store[uuid:{uuid}], because: {why_not}")
    return Reply()


class APIGetImagesFromImageStoreBackupStorageMsg(
    SyncMessage,
    method="PUT",
    path="/backup-storage/{uuid}/image-store",
    package=PACKAGE,
    reply={"infos": list[ImageOnStorage]},
    deviation="the host is asked by SFTP, for 2,000 images at most; where images have no bits, those with a record are"
    " listed",
    source="domain 2.1, 8.3",
):
    """List the images on an ImageStore."""

    waits = True
    owned_by = "uuid"
    uuid: Existing


@handlers.handles
async def get_images(services: Services, message: APIGetImagesFromImageStoreBackupStorageMsg, call: Call) -> Reply:
    """Return a description of each image that the host has; sizes are in bytes.

    Raise OperationFailed if it does not answer.
    """
    recorded = {image.installPath: image for image in await services.images.on_storage(message.uuid)}
    found = await services.images.found_on(message.uuid)
    if found is None:
        infos = [_of_record(image) for image in recorded.values()]
    else:
        infos = [_of_host(image, recorded.get(image.path)) for image in found]
    return Reply({"infos": infos}, list_schema("infos", [f"{PACKAGE}.ImageStoreImageStruct"] * len(infos)))


def _of_record(image: ImageRow) -> dict[str, object]:
    return without_nulls(
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


def _of_host(found: FoundImage, image: ImageRow | None) -> dict[str, object]:
    """Describe an image that a host has; one without a record by its metadata alone."""
    if image is not None:
        return {**_of_record(image), "size": found.size}
    _, _, folder, name = found.path.split("/")
    size = found.metadata.get("size")
    virtual = {"virtualsize": size} if isinstance(size, int) else {}
    return {"id": name, "size": found.size, **virtual, "name": folder}


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
    """Return why an ImageStore cannot serve a command for its host, or None if it is Connected."""
    status = select(BackupStorage.status).where(BackupStorage.uuid == uuid)
    row = await services.row(status, "uuids", uuid, "ImageStoreBackupStorageVO")
    return None if row.status == Status.CONNECTED else f"image store[uuid:{uuid}] is in status {row.status}"
