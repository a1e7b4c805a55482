"""Exports of images: a file under `<url>/export` of an ImageStore, copied there on the clock (domain 8.4)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Row

from imagestore_sim.backup_storage.errors import NotEnoughSpace, OperationFailed
from imagestore_sim.backup_storage.records import Status, Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.images.bits import INSTALL_PATH, export_path
from imagestore_sim.images.errors import BitsFailed
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.rows import ImageRows, image_store, ready_copy
from imagestore_sim.images.sources import ImageSources, ImageWeight
from imagestore_sim.images.transfer import Incoming, Transfers

EXPORT = "org.zstack.header.storage.backup.ExportImageFromBackupStorageMsg"
Copy = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Exported:
    """The URL of an exported image, and its MD5 in hex; both are made up."""

    url: str
    md5: str

    @property
    def columns(self) -> Mapping[str, object]:
        """What the record of the copy says of it."""
        return {"exportUrl": self.url, "exportMd5Sum": self.md5}


class Exports:
    """Exports images; each operation raises a BackupStorageError. Those of one copy of an image take turns."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        records: StorageRecords,
        sources: ImageSources,
        transfers: Transfers,
        garbage: Garbage,
    ) -> None:
        self._database = database
        self._records = records
        self._sources = sources
        self._transfers = transfers
        self._garbage = garbage
        self._rows = ImageRows(clock)
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def export(self, image_uuid: str, storage_uuid: str, image_format: str | None, job: str) -> Exported:
        """Export an image, and return what it has become once its file is there; an export that is there stays.

        An export in another format takes the place of the one before. Raise OperationFailed if the image is not on the
        storage, the storage is not Connected or has no room, or its host fails; then nothing is left of the export.
        """
        async with self._turn(image_uuid, storage_uuid):
            copy, host, storage = await self._exportable(image_uuid, storage_uuid)
            exported = _exported(host, image_uuid, image_format or copy.format)
            if copy.exportUrl is not None and (image_format is None or copy.exportUrl == exported.url):
                return Exported(copy.exportUrl, copy.exportMd5Sum)
            if (path := self._file(storage, copy, exported.url)) is None:
                if copy.actualSize > storage.available:
                    raise _no_room(storage_uuid, copy.actualSize)
                await self._record(copy, storage, exported)
            else:
                await self._write(copy, storage, exported, path, job)
        return exported

    async def delete(self, image_uuid: str, storage_uuid: str) -> None:
        """Delete the export of an image, if there is one, with its file.

        Raise OperationFailed if the image is not on the storage, or the host keeps the file; then the export stays.
        """
        async with self._turn(image_uuid, storage_uuid):
            async with self._database.transaction() as connection:
                if (copy := await ready_copy(connection, image_uuid, storage_uuid)) is None:
                    raise _not_there(image_uuid, storage_uuid)
            if copy.exportUrl is not None:
                await self._delete(copy, await self._records.load_existing(storage_uuid))

    def _turn(self, image_uuid: str, storage_uuid: str) -> asyncio.Lock:
        return self._turns.setdefault((image_uuid, storage_uuid), asyncio.Lock())

    async def _exportable(self, image_uuid: str, storage_uuid: str) -> tuple[Copy, str, Storage]:
        """Return the copy of an image on a storage, the storage's hostname, and the storage. Raise OperationFailed."""
        async with self._database.transaction() as connection:
            copy, host = (
                await ready_copy(connection, image_uuid, storage_uuid),
                await image_store(connection, storage_uuid),
            )
        if host is not None and host.status != Status.CONNECTED:
            raise OperationFailed(
                f"backup storage cannot proceed message[{EXPORT}] because its status is {host.status}"
            )
        if host is None or copy is None:
            raise _not_there(image_uuid, storage_uuid)
        return copy, host.hostname, await self._records.load_existing(storage_uuid)

    def _file(self, storage: Storage, copy: Copy, url: str | None) -> str | None:
        """Return the path of the file of an export; None for an export that is a record alone."""
        has_bits = self._garbage.carries(storage) and INSTALL_PATH.fullmatch(copy.installPath)
        return export_path(url) if has_bits else None

    async def _write(self, copy: Copy, storage: Storage, exported: Exported, path: str, job: str) -> None:
        """Copy the bits of an image to the file of its export, and record it. Raise OperationFailed, NoSuchStorage."""
        source = self._sources.weigh(path, copy.format)
        size = copy.actualSize
        weight = ImageWeight(size, size, source.rate, exported.md5, error=source.error)
        export = Incoming(copy.uuid, path, path, weight, storage, copy.installPath)
        try:
            async with self._garbage.exporting(copy.uuid, path, storage):
                await self._transfers.export(job, export, storage)
                await self._record(copy, storage, exported, path)
        except NotEnoughSpace as error:
            raise _no_room(storage.uuid, size) from error
        except BitsFailed as failure:
            raise OperationFailed(str(failure)) from failure
        await self._garbage.collect(copy.uuid)  # the export before, in another format

    async def _record(self, copy: Copy, storage: Storage, exported: Exported, path: str | None = None) -> None:
        """Record an export in place of the one before.

        Raise OperationFailed if the image was deleted meanwhile, or another node has removed the file: that one had
        taken this node for dead.
        """
        before = self._file(storage, copy, copy.exportUrl)
        async with self._database.transaction() as connection:
            if not await self._rows.change_ref(connection, copy.uuid, storage.uuid, exported.columns):
                raise OperationFailed(f"image [uuid:{copy.uuid}] has been deleted")
            if path is not None and not await self._garbage.forget(connection, storage.uuid, path):
                raise OperationFailed(f"another node has removed the export of the image [uuid:{copy.uuid}]")
            if before is not None:
                await self._garbage.note(connection, copy.uuid, [(storage.uuid, before)])

    async def _delete(self, copy: Copy, storage: Storage) -> None:
        """Delete the record of an export, then its file; a host that keeps the file gets the record back."""
        path = self._file(storage, copy, copy.exportUrl)
        async with self._database.transaction() as connection:
            gone = {"exportUrl": None, "exportMd5Sum": None}
            await self._rows.change_ref(connection, copy.uuid, storage.uuid, gone)
            if path is not None:
                await self._garbage.note(connection, copy.uuid, [(storage.uuid, path)])
        if path is None:
            return
        try:
            await self._garbage.free(storage.uuid, path)
        except BitsFailed as failure:
            async with self._database.transaction() as connection:
                columns = Exported(copy.exportUrl, copy.exportMd5Sum).columns
                if await self._rows.change_ref(connection, copy.uuid, storage.uuid, columns):
                    await self._garbage.forget(connection, storage.uuid, path)
            raise OperationFailed(str(failure)) from failure


def _not_there(image_uuid: str, storage_uuid: str) -> OperationFailed:
    return OperationFailed(f"image[{image_uuid}] not found on backup storage[{storage_uuid}]")


def _no_room(storage_uuid: str, size: int) -> OperationFailed:
    return OperationFailed(f"the backup storage[uuid:{storage_uuid}] has not enough capacity[{size}] to export")


def _exported(hostname: str, image_uuid: str, image_format: str) -> Exported:
    """Return a made-up URL and MD5, always the same for the same image."""
    name = f"{image_uuid}.{image_format}"
    md5 = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return Exported(f"http://{hostname}:8000/export/{name}", md5)
