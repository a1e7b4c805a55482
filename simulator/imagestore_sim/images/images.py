"""Images: how they are added, and which storages they are on (domain 4, 8).

On a storage whose host may be written to, an image has bits (`images.bits`); on all others it is a record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Row, Update, and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import OperationFailed, constraint_violation
from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.records import (
    IMAGE_STORE_TYPE,
    SFTP_TYPE,
    SIMULATOR_TYPE,
    State,
    Status,
    Storage,
    StorageRecords,
)
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import (
    BackupStorage,
    Image,
    ImageBackupStorageRef,
    SystemTag,
)
from imagestore_sim.ids import new_uuid
from imagestore_sim.images.bits import FoundImage, StoredBits, install_path, paths_of
from imagestore_sim.images.errors import DownloadFailed, TransferFailed
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.remote_length import WEB, LengthUnknown, RemoteLengths
from imagestore_sim.images.rows import DOWNLOADING, READY, UPLOAD, ImageRows, is_kept
from imagestore_sim.images.sources import ImageSources, ImageWeight
from imagestore_sim.images.transfer import Incoming, Transfers
from imagestore_sim.images.uploads import upload_url

MEASURED = ("http://", "https://", "file://")
"""Urls of which ZStack asks the size before it downloads them."""
NO_UPLOADS = "SftpBackupStorage doesnt support scheme[{0}] in url[{1}]"
"""ZStack's catalogue of messages takes the apostrophe for a quote, and leaves the numbers of the arguments."""
BACKUP_ONLY_TAG = "remote"
SIMULATED = {"size": 100, "actualSize": 100, "format": "simulator"}
"""What ZStack's simulator storage reports of every download."""
DOWNLOAD = "org.zstack.header.storage.backup.DownloadImageMsg"
Ref = ImageBackupStorageRef


class Images:
    """The operations on images; each raises a BackupStorageError."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        records: StorageRecords,
        sources: ImageSources,
        transfers: Transfers,
        garbage: Garbage,
        events: ImageEvents,
        lengths: RemoteLengths,
        *,
        asks: bool,
    ) -> None:
        """With `asks`, web servers tell what the images weigh that they have, unless a source does."""
        self._database = database
        self._clock = clock
        self._records = records
        self._sources = sources
        self._garbage = garbage
        self._events = events
        self._lengths = lengths
        self._asks = asks
        self._rows = ImageRows(clock)
        self.transfers = transfers
        """The downloads that are under way."""

    async def on_storage(self, storage_uuid: str) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the images on a storage, as rows of their table with the install path, by uuid."""
        there = (Ref.backupStorageUuid == storage_uuid, Ref.status == READY)
        columns = select(*Image.__table__.c, Ref.installPath).join(Ref, Ref.imageUuid == Image.uuid)
        return await self._database.read(columns.where(*there).order_by(Image.uuid))

    async def found_on(self, storage_uuid: str) -> list[FoundImage] | None:
        """Return the images that the host of a storage has; None if images have no bits there. Raise BitsFailed."""
        carrying = await self._carrying([storage_uuid])
        return await self.transfers.bits.images(carrying[0].target) if carrying else None

    async def stored_bits(self) -> list[StoredBits]:
        """Return the files and exports of all images on all storages."""
        columns = select(Ref.backupStorageUuid, Ref.installPath, Ref.exportUrl, Image.actualSize)
        rows = await self._database.read(columns.join(Image, Image.uuid == Ref.imageUuid).order_by(Ref.id))
        return [
            StoredBits(row.backupStorageUuid, path, row.actualSize)
            for row in rows
            for path in paths_of(row.installPath, row.exportUrl)
        ]

    async def add(
        self,
        image_uuid: str,
        values: Mapping[str, Any],
        storage_uuids: Sequence[str],
        job: str,
        address: str,
        check_quota: Callable[[], Awaitable[None]],
    ) -> None:
        """Add an image to those of the storages that are Connected, and return when its bits are there.

        An image that is uploaded is Downloading then, with the url to send it to, at `address` (HOST:PORT of the node),
        in place of its install paths. `job` marks an image until the result of that job has been stored: see
        `added_by`. `check_quota` is awaited in the transaction that inserts the image, so that concurrent adds cannot
        exceed a quota together. Raise OperationFailed if no storage is Connected, DownloadFailed if one of them is
        Disabled or fails, UuidTaken, NotStored for a path in use, and what `check_quota` raises. All of them have to
        succeed: otherwise nothing is left of the image.
        """
        record = partial(self._record, image_uuid, values, storage_uuids, job, address, check_quota)
        uuids, carrying = await self._database.atomically(record)
        if carrying and not str(values["url"]).startswith(UPLOAD):
            await self._download(image_uuid, values, uuids, carrying, job)

    async def _record(
        self,
        image_uuid: str,
        values: Mapping[str, Any],
        storage_uuids: Sequence[str],
        job: str,
        address: str,
        check_quota: Callable[[], Awaitable[None]],
    ) -> tuple[list[str], list[Storage]]:
        """Insert an image with its copies; return their storages, and those of them on which it has bits: see `add`."""
        async with self._database.transaction() as connection:
            await check_quota()
            connected = await _available(connection, storage_uuids)
            disabled = [one.state for one in connected if one.state != State.ENABLED]
            if disabled:
                cause = f"backup storage cannot proceed message[{DOWNLOAD}] because its state is {disabled[0]}"
                raise DownloadFailed(str(values["name"]), [one.uuid for one in connected], cause)
            uploaded = str(values["url"]).startswith(UPLOAD)
            if uploaded and any(one.type == SFTP_TYPE for one in connected):
                raise DownloadFailed(str(values["name"]), [one.uuid for one in connected], NO_UPLOADS)
            uuids = [one.uuid for one in connected]
            if await is_kept(connection, install_path(image_uuid), uuids):
                raise constraint_violation()
            simulated = {**SIMULATED, "md5Sum": new_uuid()} if connected[0].type == SIMULATOR_TYPE else {}
            carrying = await self._carrying(uuids)
            status = DOWNLOADING if carrying or (uploaded and simulated) else READY
            row = {**values, "state": State.ENABLED, "status": status, "addedByJob": job, **simulated}
            await self._rows.insert(connection, image_uuid, row)
            add = new_uuid("add") if uploaded else None
            for one in connected:
                comes = any(one.uuid == storage.uuid for storage in carrying)
                path = "" if comes else _install_path(one.type, one.url, image_uuid, values)
                if comes and uploaded:
                    path = upload_url(address, one.uuid)
                of_copy = DOWNLOADING if comes else status
                await self._rows.insert_ref(connection, image_uuid, one.uuid, path, of_copy, add=add)
            await self._events.added(connection, image_uuid, uuids)
        return uuids, carrying

    async def known_size(self, url: str, image_format: str, uuids: Sequence[str], *, ask: bool) -> int:
        """Return how many bytes the file at `url` is said to have before it comes; 0 where ZStack does not ask.

        That is so for urls of other schemes, and here for storages on which an image has no bits (domain 8). With
        `ask`, its web server is asked as by ZStack, unless a source is declared. Raise LengthUnknown.
        """
        if ask and self._is_served(url):
            return await self._lengths.of(url)
        if not (url.startswith(MEASURED) and await self._carrying(uuids)):
            return 0
        try:
            return (await self._weigh(url, image_format)).actual_size
        except LengthUnknown:
            return 0  # its download will fail

    async def _weigh(self, url: str, image_format: str) -> ImageWeight:
        """Return what an image weighs. Raise LengthUnknown."""
        length = await self._lengths.of(url) if self._asks and self._is_served(url) else 0
        return self._sources.weigh(url, image_format, length)

    def _is_served(self, url: str) -> bool:
        """Return whether only a web server knows what an image weighs."""
        return url.startswith(WEB) and not self._sources.declared(url)

    async def _carrying(self, uuids: Sequence[str]) -> list[Storage]:
        """Return those of the storages on which an image has bits."""
        found = [await self._records.load(uuid) for uuid in uuids]
        return [one for one in found if one is not None and self._garbage.carries(one)]

    async def _download(
        self, image_uuid: str, values: Mapping[str, Any], uuids: Sequence[str], carrying: Sequence[Storage], job: str
    ) -> None:
        """Bring the bits to the storages that carry them. On a failure remove all again. Raise DownloadFailed."""
        url, path = values["url"], install_path(image_uuid)
        async with self._garbage.adding(image_uuid, job, path, carrying):
            try:
                weight = await self._weigh(url, values["format"])
            except LengthUnknown as unknown:
                cause = str(TransferFailed(url, carrying[0].uuid, str(unknown)))
                raise DownloadFailed(values["name"], uuids, cause) from unknown
            errors = await self.transfers.bring(job, Incoming(image_uuid, path, url, weight), carrying)
            if errors:
                raise DownloadFailed(values["name"], uuids, str(errors[0]))
            if not await self._complete(image_uuid, values, weight, carrying):
                raise OperationFailed(f"image [uuid:{image_uuid}] has been deleted")

    async def _complete(
        self, image_uuid: str, values: Mapping[str, Any], weight: ImageWeight, carrying: Sequence[Storage]
    ) -> bool:
        """Write that the bits of an image are there; return False if it was deleted meanwhile (observed 13)."""
        async with self._database.atomic(), self._database.transaction() as connection:
            before = await connection.scalar(select(Image.status).where(Image.uuid == image_uuid))
            for one in carrying:
                ref = {"installPath": install_path(image_uuid), "status": READY}
                if not await self._rows.change_ref(connection, image_uuid, one.uuid, ref):
                    return False
            row = {"status": READY, "size": weight.size, "actualSize": weight.actual_size, "md5Sum": weight.md5}
            change = update(Image).where(Image.uuid == image_uuid)
            await connection.execute(change.values(**row, **_format(values, weight.format)))
            storages = [one.uuid for one in carrying]
            await self._events.status_changed(connection, image_uuid, str(before), READY, storages)
            if str(values["url"]).startswith(UPLOAD):
                await self._events.tracked(connection, image_uuid)
        return True

    async def undo(self, job: str) -> None:
        """Delete the images that a job is adding, because a later step of it has failed, or it was cancelled."""
        await self._garbage.undo(job)

    async def check_storages(self, storage_uuids: Sequence[str]) -> None:
        """Raise OperationFailed unless one of the storages can accept an image."""
        async with self._database.transaction() as connection:
            await _available(connection, storage_uuids)


def added_by(job: str) -> Update:
    """Return the statement that, with the job's result, takes the mark of a half-added image from it.

    Without it a restart deletes the image.
    """
    return update(Image).where(Image.addedByJob == job).values(addedByJob=None)


def _format(values: Mapping[str, Any], found: str | None) -> dict[str, str]:
    """Return format and media type after a download that has found another format, as ZStack's manager sets them."""
    image_format, media = found or values["format"], values["mediaType"]
    if image_format == "iso" and media == "RootVolumeTemplate":
        media = "ISO"
    if image_format == "qcow2" and media == "ISO":
        media = "RootVolumeTemplate"
    return {"format": image_format, "mediaType": media}


async def _available(connection: AsyncConnection, uuids: Sequence[str]) -> Sequence[Row[str, str, str, str]]:
    """Return the storages that are Connected and have room.

    Raise OperationFailed if there are none, or one of them is for backups only.
    """
    connected = await _connected(connection, uuids)
    if not connected:
        raise OperationFailed(
            f"no backup storage specified in uuids[{', '.join(uuids)}] is available for adding this image; they are not"
            " in status Connected or not in state Enabled, or the uuid is invalid backup storage uuid"
        )
    await _refuse_backup_only(connection, connected)
    return connected


async def _connected(connection: AsyncConnection, uuids: Sequence[str]) -> Sequence[Row[str, str, str, str]]:
    available = and_(BackupStorage.status == Status.CONNECTED, BackupStorage.availableCapacity > 0)
    columns = select(BackupStorage.uuid, BackupStorage.state, BackupStorage.type, BackupStorage.url)
    found = columns.where(BackupStorage.uuid.in_(uuids), available).order_by(BackupStorage.uuid)
    return (await connection.execute(found)).all()


async def _refuse_backup_only(connection: AsyncConnection, storages: Sequence[Row[str, str, str, str]]) -> None:
    tagged = select(SystemTag.resourceUuid).where(SystemTag.tag == BACKUP_ONLY_TAG)
    uuid_ = await connection.scalar(tagged.where(SystemTag.resourceUuid.in_([one.uuid for one in storages])))
    if uuid_ is not None:
        raise OperationFailed(f"image store [{uuid_}] cannot add image, because it is used for backup remote")


def _install_path(storage_type: str, url: str, image_uuid: str, values: Mapping[str, object]) -> str:
    if storage_type == IMAGE_STORE_TYPE:
        return install_path(image_uuid)
    if storage_type == SIMULATOR_TYPE:
        return f"{url.rstrip('/')}/{values['name']}".rstrip("/")
    return _sftp_path(url, image_uuid, values)


def _sftp_path(url: str, image_uuid: str, values: Mapping[str, object]) -> str:
    """Return where an Sftp storage keeps an image: by what it is, its owner and its uuid (recorded call 11188)."""
    data_volume, iso = values["mediaType"] == "DataVolumeTemplate", values["mediaType"] == "ISO"
    folder = "dataVolumeTemplates" if data_volume or iso else "rootVolumeTemplates"
    file = str(values["url"]).rpartition("/")[2]
    stem = file.rpartition(".")[0] or file
    ending = "iso" if iso else "template"
    return f"{url}/{folder}/acct-{values['accountUuid']}/{image_uuid}/{stem}.{ending}"
