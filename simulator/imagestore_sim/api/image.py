"""APIs of images, which are records only: add, query, export, copy, candidates (domain 2.1, 2.2, 4)."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Annotated

from sqlalchemy import exists, select
from sqlalchemy.sql.dml import UpdateBase

from imagestore_sim.api.path_patterns import matches_path
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services, new_uuid
from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.backup_storage.tags import BOOT_MODE
from imagestore_sim.database.models import ADMIN_UUID, BackupStorage, BackupStorageZoneRef, Image
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.identity.quotas import IMAGE_NUM, IMAGE_SIZE
from imagestore_sim.images.copies import Copy
from imagestore_sim.images.images import added_by
from imagestore_sim.images.rows import DOWNLOADING
from imagestore_sim.query import BACKUP_STORAGE, IMAGE
from imagestore_sim.rest.encoding import list_schema
from imagestore_sim.rest.errors import invalid_argument, missing_resource, not_found, operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, CreateMessage, Handlers, Reply, SyncMessage
from imagestore_sim.rest.origins import client_address
from imagestore_sim.rest.parameters import Rule

PACKAGE = "org.zstack.header.image"
IMAGE_STORE_PACKAGE = "org.zstack.storage.backup.imagestore"
MIGRATION_PACKAGE = "org.zstack.storage.migration.backup"
MEDIA_TYPES = ("RootVolumeTemplate", "ISO", "DataVolumeTemplate")
PLATFORMS = ("Linux", "Windows", "Other", "Paravirtualization", "WindowsVirtio")
ARCHITECTURES = ("x86_64", "aarch64", "mips64el", "loongarch64")
FORMATS = ("raw", "qcow2", "iso", "vmdk", "simulator")
PLATFORM_ALIASES = {"Paravirtualization": "Other", "WindowsVirtio": "Windows"}
PROTOCOLS = ("http://", "https://", "file:///", "upload://", "zstore://", "ftp://", "sftp://")
PASSWORD = re.compile(r"(?<=://)([^/?#@:]*):[^/?#]*@")
DATA_VOLUME = "DataVolumeTemplate"
FILTERS = zstack_options()["image", "download.localPath.customFilter"]
LISTS = {name: zstack_options()["image", f"download.localPath.{name}"] for name in ("blacklist", "whitelist")}
RECORDS_ONLY = "records only: no data is read, moved or served"
ADD_SECONDS = 72 * 3600
handlers = Handlers[Services]()
Existing = Annotated[str, Rule(resource="ImageVO")]
ImageStore = Annotated[str, Rule(resource="ImageStoreBackupStorageVO")]
Storage = Annotated[str, Rule(resource="BackupStorageVO")]


class APIQueryImageMsg(
    QueryMessage,
    method="GET",
    path="/images",
    optional_paths=("/images/{uuid}",),
    package=PACKAGE,
    source="domain 1.3, 2.2; clients 5",
):
    """Query images, each with its storages."""

    inventory = IMAGE


@handlers.handles
async def query_image(services: Services, message: APIQueryImageMsg, call: Call) -> Reply:
    """Return the images that the query selects."""
    return await answer(services, message, call)


class APIAddImageMsg(
    CreateMessage,
    method="POST",
    path="/images",
    package=PACKAGE,
    reply={"inventory": IMAGE},
    timeout_seconds=ADD_SECONDS,
    source="domain 4",
    for_everyone=True,
    deviation="nothing is downloaded: an ImageStore gets a sparse file by SFTP, of the size and at the rate that"
    " `imageSources` or the url say; on an Sftp storage, on one that is not tracked, and where `serve` runs without"
    " `--write-images`, an image is a record of size 0, Ready at once; an `upload://` image comes"
    " to this node, which counts its bytes and keeps none",
):
    """Add an image to backup storages."""

    waits = True
    owned_by = "backupStorageUuids"
    tagged_as = "ImageVO"
    name: Annotated[str, Rule(max_length=255)]
    """The name; several images may have it."""
    description: Annotated[str | None, Rule(max_length=2048)] = None
    """A text for people."""
    url: Annotated[str, Rule(max_length=1024)]
    """Where the bits come from. `/lab/v1/image-sources` says how many come, and how fast."""
    mediaType: Annotated[str | None, Rule(valid_values=MEDIA_TYPES)] = None
    """What is in it; `RootVolumeTemplate` by default, `ISO` for the format `iso`."""
    guestOsType: Annotated[str | None, Rule(max_length=255)] = None
    """The operating system in it, as a text for people."""
    architecture: Annotated[str | None, Rule(valid_values=ARCHITECTURES, max_length=32)] = None
    """The processor that it is for."""
    system: bool = False
    """Whether it is one that ZStack itself uses."""
    format: str | None = None
    """`raw`, `qcow2`, `iso`, `vmdk` or `simulator`; needed unless the media type is `ISO`."""
    platform: Annotated[str | None, Rule(valid_values=PLATFORMS)] = None
    """The kind of operating system in it."""
    backupStorageUuids: Annotated[list[str], Rule(nonempty=True, resource="BackupStorageVO")]
    type: str | None = None
    """`zstack`, which is the default."""
    virtio: bool = True
    """Whether its machines have virtio drivers."""


@handlers.checks
async def check_add_image(services: Services, message: APIAddImageMsg, call: Call) -> None:
    """Check format, type, storages, url and quota, in ZStack's order.

    Raise ApiError SYS.1007 for a format or url that ZStack refuses, QuotaExceeded for an image too many or too large,
    and what `check_storages` raises.
    """
    image_format = _format(message)
    if message.system and image_format == "iso":
        raise invalid_argument("ISO cannot be used as system image")
    if image_format not in FORMATS:
        raise invalid_argument(f"unknown format[{'null' if image_format is None else image_format}]")
    if message.type not in (None, "zstack"):
        raise invalid_argument(f"unsupported image type[{message.type}]")
    await services.images.check_storages(message.backupStorageUuids)
    url = _url(message)
    if not url.startswith(PROTOCOLS):
        # ZStack's text has a full-width comma after https://, and its message catalogue removes the quotes.
        raise invalid_argument("url must starts with file:///, http://, https://\uff0c ftp://, sftp:// or /")
    if url.startswith("file://"):
        _check_local_path(services, url.removeprefix("file://"))
    ask = call.account_uuid != ADMIN_UUID and not services.leniency.silent_image_urls
    await services.quotas.check(call.account_uuid, await _demand(services, message, ask=ask))


@handlers.handles
async def add_image(services: Services, message: APIAddImageMsg, call: Call) -> Reply:
    """Add the image, and return it once its bits are there."""
    image = new_uuid(message.resourceUuid)
    image_format = _format(message)
    values = {
        "name": message.name,
        "description": message.description,
        "url": without_password(_url(message)),
        "mediaType": "ISO" if image_format == "iso" else message.mediaType or MEDIA_TYPES[0],
        "type": "zstack",
        "format": image_format,
        "system": message.system,
        "virtio": message.virtio,
        "accountUuid": call.account_uuid,
        **_machine(message),
    }
    check_quota = partial(services.quotas.check, call.account_uuid, await _demand(services, message, ask=False))
    await services.images.add(image, values, message.backupStorageUuids, call.uuid, client_address.get(), check_quota)
    try:
        reply = await services.inventory(IMAGE, image)
    except Exception:
        await services.images.undo(call.uuid)
        raise
    if _is_waiting(reply):
        await services.database.after_commit(partial(services.uploads.expect, image, call.uuid))
    return Reply(reply.body, reply.schema, commit=(added_by(call.uuid), *_boot_mode(services, message, image)))


class CopyMessage(AsyncMessage):
    """The base of the messages that copy an image from one ImageStore to another. `uuid` is that of the image."""

    waits = True
    owned_by = "dstBackupStorageUuid"
    uuid: Existing
    srcBackupStorageUuid: ImageStore
    dstBackupStorageUuid: ImageStore
    name: Annotated[str, Rule(max_length=255, empty_string=False)]
    """The name of the copy."""
    description: Annotated[str | None, Rule(max_length=1024)] = None
    """A text for people about the copy."""

    @property
    def copy(self) -> Copy:
        """The copy that is wanted."""
        stores = (self.srcBackupStorageUuid, self.dstBackupStorageUuid)
        return Copy(self.uuid, *stores, self.name, self.description)


class APISyncImageFromImageStoreBackupStorageMsg(
    CopyMessage,
    method="PUT",
    path="/images/{uuid}/actions",
    package=IMAGE_STORE_PACKAGE,
    reply={"inventory": IMAGE},
    timeout_seconds=ADD_SECONDS,
    source="domain 2.2, 8.2",
    deviation="ZStack's own is closed: its checks are known by their texts; the bits come by SFTP as those of AddImage,"
    " at the rate of the source that matches their install path",
):
    """Copy an image from one ImageStore to another."""

    waits = True


@handlers.checks
async def check_sync_image(services: Services, message: APISyncImageFromImageStoreBackupStorageMsg, call: Call) -> None:
    """Raise OperationFailed unless the image can be copied now."""
    await services.image_copies.check(message.copy)


@handlers.handles
async def sync_image(services: Services, message: APISyncImageFromImageStoreBackupStorageMsg, call: Call) -> Reply:
    """Copy the image, and return the copy."""
    return await _copy(services, message, call)


class APIRecoveryImageFromImageStoreBackupStorageMsg(
    CopyMessage,
    method="PUT",
    path="/backup-storage/{uuid}/actions",
    package=IMAGE_STORE_PACKAGE,
    reply={"inventory": IMAGE},
    timeout_seconds=ADD_SECONDS,
    source="domain 2.2, 8.2",
    deviation="as SyncImageFromImageStoreBackupStorage",
):
    """Copy an image back from the ImageStore to which it was copied. `uuid` is that of the image."""

    waits = True


@handlers.handles
async def recover_image(
    services: Services, message: APIRecoveryImageFromImageStoreBackupStorageMsg, call: Call
) -> Reply:
    """Copy the image, and return the copy."""
    return await _copy(services, message, call)


async def _copy(services: Services, message: CopyMessage, call: Call) -> Reply:
    copy = await services.image_copies.copy(message.copy, call.uuid)
    try:
        reply = await services.inventory(IMAGE, copy)
    except Exception:
        await services.images.undo(call.uuid)
        raise
    return replace(reply, commit=(added_by(call.uuid),))


class APIBackupStorageMigrateImageMsg(
    AsyncMessage,
    method="PUT",
    path="/backup-storage/images/{imageUuid}/actions",
    package=MIGRATION_PACKAGE,
    reply={"inventory": IMAGE},
    source="domain 2.2; ZStack's message catalogue",
):
    """Move an image to another backup storage. ZStack can do that only between Ceph storages."""

    imageUuid: Existing
    srcBackupStorageUuid: Storage
    dstBackupStorageUuid: Storage


@handlers.handles
async def migrate_image(services: Services, message: APIBackupStorageMigrateImageMsg, call: Call) -> Reply:
    """Raise ApiError SYS.1006 in every case: no Ceph storage is emulated. The text is ZStack's."""
    source, destination = message.srcBackupStorageUuid, message.dstBackupStorageUuid
    if source == destination:
        raise operation_failed("Source BS and Destination BS cannot be the same.")
    columns = select(BackupStorage.uuid, BackupStorage.state, BackupStorage.type)
    rows = await services.database.read(columns.where(BackupStorage.uuid.in_((source, destination))))
    if any(row.state == State.DISABLED for row in rows):
        raise operation_failed("Source BS and Destination BS must not be Disabled.")
    types = {row.uuid: row.type for row in rows}
    for field, uuid in (("srcBackupStorageUuid", source), ("dstBackupStorageUuid", destination)):
        if uuid not in types:
            raise missing_resource(field, uuid, "BackupStorageVO")
    status = select(Image.status).where(Image.uuid == message.imageUuid)
    if (await services.row(status, "imageUuid", message.imageUuid, "ImageVO")).status != "Ready":
        raise operation_failed(f"Image[uuid:{message.imageUuid}] is not in status Ready, cannot migrate it.")
    if message.imageUuid not in {image.uuid for image in await services.images.on_storage(source)}:
        raise operation_failed(f"Image[uuid:{message.imageUuid}] is not in source backup storage[uuid:{source}]")
    raise operation_failed(f"Cannot migrate image from {types[source]} to {types[destination]}.")


class APIGetBackupStorageCandidatesForImageMigrationMsg(
    SyncMessage,
    method="GET",
    path="/backup-storage/{srcBackupStorageUuid}/migration-candidates",
    package=MIGRATION_PACKAGE,
    reply={"inventories": [BACKUP_STORAGE]},
    source="domain 2.2; ZStack's message catalogue",
):
    """List the storages to which the images of a backup storage can be moved: none, except for Ceph storages."""

    srcBackupStorageUuid: Storage


@handlers.handles
async def get_migration_candidates(
    services: Services, message: APIGetBackupStorageCandidatesForImageMigrationMsg, call: Call
) -> Reply:
    """Return an empty list."""
    return Reply({"inventories": []})


class APIGetCandidateBackupStorageForCreatingImageMsg(
    SyncMessage,
    method="GET",
    path="/images/candidate-backup-storage",
    optional_paths=(
        "/images/volumes/{volumeUuid}/candidate-backup-storage",
        "/images/volume-snapshots/{volumeSnapshotUuid}/candidate-backup-storage",
    ),
    package=PACKAGE,
    reply={"inventories": [BACKUP_STORAGE]},
    for_everyone=True,
    deviation="volumes are not emulated: any uuid stands for a volume that is in every zone",
):
    """List the backup storages that can hold an image made from a volume or a snapshot."""

    volumeUuid: str | None = None
    """The uuid of a volume; this or that of a snapshot is needed."""
    volumeSnapshotUuid: str | None = None
    """The uuid of a snapshot of a volume."""


@handlers.handles
async def get_candidates(
    services: Services, message: APIGetCandidateBackupStorageForCreatingImageMsg, call: Call
) -> Reply:
    """Return the storages that are Enabled, Connected and attached to a zone."""
    if message.volumeUuid is None and message.volumeSnapshotUuid is None:
        raise invalid_argument("either volumeUuid or volumeSnapshotUuid must be set")
    if not services.leniency.any_volume:
        _refuse_volume("volumeUuid", message.volumeUuid, "VolumeVO")
        _refuse_volume("volumeSnapshotUuid", message.volumeSnapshotUuid, "VolumeSnapshotVO")
    attached = exists().where(BackupStorageZoneRef.backupStorageUuid == BackupStorage.uuid)
    usable = (BackupStorage.state == State.ENABLED, BackupStorage.status == Status.CONNECTED, attached)
    uuids = await services.database.read(select(BackupStorage.uuid).where(*usable).order_by(BackupStorage.uuid))
    found = [await services.inventory(BACKUP_STORAGE, row.uuid) for row in uuids]
    inventories = [reply.body["inventory"] for reply in found if reply.body]
    classes = [reply.schema["inventory"] for reply in found if reply.body]
    return Reply({"inventories": inventories}, list_schema("inventories", classes))


def _refuse_volume(field: str, uuid: str | None, resource: str) -> None:
    """Raise ApiError SYS.1003 for a volume or snapshot: there are none."""
    if uuid is not None:
        raise not_found(f"invalid field[{field}], resource[uuid:{uuid}, type:{resource}] not found")


def without_password(url: str) -> str:
    """Return a url without the password in it, as ZStack stores it (observed 11)."""
    return PASSWORD.sub(r"\1@", url)


async def _demand(services: Services, message: APIAddImageMsg, *, ask: bool) -> dict[str, int]:
    """Return how much of its quotas an account needs for an image, in ZStack's order. Raise LengthUnknown."""
    url, image_format = _url(message), str(_format(message))
    size = await services.images.known_size(url, image_format, message.backupStorageUuids, ask=ask)
    return {IMAGE_SIZE: size, IMAGE_NUM: 1}


def _format(message: APIAddImageMsg) -> str | None:
    return "iso" if message.mediaType == "ISO" else message.format


def _is_waiting(reply: Reply) -> bool:
    """Return whether an image that was added waits for its upload."""
    inventory = reply.body.get("inventory")
    return isinstance(inventory, dict) and inventory["status"] == DOWNLOADING


def _boot_mode(services: Services, message: APIAddImageMsg, image: str) -> tuple[UpdateBase, ...]:
    """Return the statement that tags an image for aarch64 with its boot mode, where the client chose none."""
    chosen = any(tag.startswith(BOOT_MODE.format("")) for tag in message.systemTags or ())
    if message.architecture != "aarch64" or message.mediaType == DATA_VOLUME or chosen:
        return ()
    return (services.tags.new_system_tag(image, "ImageVO", BOOT_MODE.format("UEFI")),)


def _url(message: APIAddImageMsg) -> str:
    return f"file://{message.url}" if message.url.startswith("/") else message.url


def _machine(message: APIAddImageMsg) -> dict[str, str | None]:
    """Return the machine that an image is for, with ZStack's defaults; a data volume has no defaults (observed 11)."""
    platform, architecture, system = message.platform, message.architecture, message.guestOsType
    if message.mediaType != DATA_VOLUME:
        platform = platform or "Linux"
        platform = PLATFORM_ALIASES.get(platform, platform)
        architecture = architecture or ARCHITECTURES[0]
        system = platform if system is None else system
    return {"platform": platform, "architecture": architecture, "guestOsType": system}


def _check_local_path(services: Services, path: str) -> None:
    """Raise ApiError SYS.1007 for a path on the node that the lists of the global configuration forbid."""
    configuration = services.configuration
    for name in configuration.get(FILTERS).split(";"):
        listed = configuration.get(LISTS[name])
        matching = any(matches_path(pattern, path) for pattern in listed.split(";"))
        if name == "blacklist" and matching:
            raise invalid_argument(f"image path [{path}] is in black list {listed}")
        if name == "whitelist" and not listed.strip():
            raise invalid_argument("all images on this server cannot be used")
        if name == "whitelist" and not matching:
            raise invalid_argument(f"image path is not in white list: {listed}")
