"""Copies of images from one ImageStore to another: the bits go from host to host at a rate, on the clock.

ZStack's own is closed: its checks are known by their texts, its way by that of AddImage (domain 8.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import OperationFailed
from imagestore_sim.backup_storage.image_events import ImageEvents, Origin
from imagestore_sim.backup_storage.records import Status, Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import BackupStorage, Image
from imagestore_sim.ids import new_uuid
from imagestore_sim.images.bits import INSTALL_PATH
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.rows import DOWNLOADING, READY, ImageRows, image_store, is_kept, ready_copy
from imagestore_sim.images.sources import ImageSources, ImageWeight
from imagestore_sim.images.transfer import Incoming, Transfers

COPIED = (
    *("state", "size", "actualSize", "md5Sum", "url", "mediaType", "guestOsType", "type", "platform"),
    *("architecture", "format", "system", "virtio"),
)
"""The columns that a copy of an image takes over."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Which image is copied, from where to where, and how the copy is called."""

    image_uuid: str
    source: str
    destination: str
    name: str
    description: str | None


class ImageCopies:
    """Copies images between ImageStores; each operation raises a BackupStorageError."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        records: StorageRecords,
        sources: ImageSources,
        transfers: Transfers,
        garbage: Garbage,
        events: ImageEvents,
    ) -> None:
        self._database = database
        self._records = records
        self._sources = sources
        self._transfers = transfers
        self._garbage = garbage
        self._events = events
        self._rows = ImageRows(clock)

    async def check(self, wanted: Copy) -> None:
        """Raise OperationFailed unless the image can be copied now."""
        async with self._database.transaction() as connection:
            await _copied(connection, wanted)

    async def copy(self, wanted: Copy, job: str) -> str:
        """Copy an image, and return the uuid of the copy once its bits are there.

        `job` marks the copy until the result of that job has been stored: see `images.added_by`. Raise OperationFailed,
        NoSuchStorage or TransferFailed; then nothing is left of the copy.
        """
        source = await self._records.load_existing(wanted.source)
        destination = await self._records.load_existing(wanted.destination)
        copy = new_uuid()
        image, comes = await self._database.atomically(partial(self._begin, copy, wanted, source, destination, job))
        if comes:
            await self._bring(copy, image, source, destination, job)
        return copy

    async def _begin(
        self, copy: str, wanted: Copy, source: Storage, destination: Storage, job: str
    ) -> tuple[Row[*tuple[Any, ...]], bool]:
        """Insert the copy; return the image, and whether bits of it come. Raise OperationFailed."""
        async with self._database.transaction() as connection:
            # Two copies of one image to one storage would have the same bits.
            await lock(connection, select(BackupStorage.uuid).where(BackupStorage.uuid == destination.uuid))
            image = await _copied(connection, wanted)
            comes = self._garbage.carries(destination) and INSTALL_PATH.fullmatch(image.installPath) is not None
            status = DOWNLOADING if comes else READY
            given = {"name": wanted.name, "description": wanted.description, "status": status, "addedByJob": job}
            await self._rows.insert(connection, copy, {**{one: getattr(image, one) for one in COPIED}, **given})
            await self._rows.insert_ref(connection, copy, destination.uuid, image.installPath, status)
            origin = Origin(wanted.image_uuid, source.uuid)
            await self._events.added(connection, copy, [destination.uuid], origin)
        return image, comes

    async def _bring(
        self, copy: str, image: Row[*tuple[Any, ...]], source: Storage, destination: Storage, job: str
    ) -> None:
        """Bring the bits from host to host. Raise BackupStorageError, and leave nothing."""
        path = image.installPath
        line = self._sources.weigh(path, image.format)
        weight = ImageWeight(image.size, image.actualSize, line.rate, image.md5Sum or line.md5, error=line.error)
        origin = source if self._garbage.carries(source) else None
        async with self._garbage.adding(copy, job, path, [destination]):
            errors = await self._transfers.bring(job, Incoming(copy, path, path, weight, origin), [destination])
            if errors:
                raise errors[0]
            await self._complete(copy, destination.uuid)

    async def _complete(self, copy: str, storage: str) -> None:
        """Write that the bits are there. Raise OperationFailed if the copy was deleted meanwhile."""
        ready: Mapping[str, object] = {"status": READY}
        async with self._database.atomic(), self._database.transaction() as connection:
            before = str(await connection.scalar(select(Image.status).where(Image.uuid == copy)))
            if not await self._rows.change_ref(connection, copy, storage, ready):
                raise OperationFailed(f"image [uuid:{copy}] has been deleted")
            await connection.execute(update(Image).where(Image.uuid == copy).values(**ready))
            await self._events.status_changed(connection, copy, before, READY, [storage])


async def _copied(connection: AsyncConnection, wanted: Copy) -> Row[*tuple[Any, ...]]:
    """Return the image that is copied, with its install path. Raise OperationFailed if it cannot be."""
    for storage in (wanted.source, wanted.destination):
        host = await image_store(connection, storage)
        if host is None or host.status != Status.CONNECTED:
            status = "gone" if host is None else f"in status {host.status}"
            raise OperationFailed(f"image store[uuid:{storage}] is {status}")
    image = await ready_copy(connection, wanted.image_uuid, wanted.source)
    if image is None:
        raise OperationFailed(f"source backup storage[{wanted.source}] doesn't contain image[{wanted.image_uuid}]")
    if await is_kept(connection, image.installPath, [wanted.destination]):
        raise OperationFailed(
            f"target backup storage[uuid:{wanted.destination}] already contains the image [uuid:{wanted.image_uuid}]"
        )
    return image
