"""How images go: deleted, which keeps their bits for a while, and expunged, which removes them (observed 12, 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import InvalidRequest, OperationFailed
from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.tags import Tags, delete_tags, hold
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.global_config import GlobalConfiguration
from imagestore_sim.database.models import Image, ImageBackupStorageRef, SystemTag
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.images.bits import paths_of
from imagestore_sim.images.garbage import Garbage
from imagestore_sim.images.rows import DELETED, DOWNLOADING, UPLOAD
from imagestore_sim.images.uploads import is_upload_url

POLICY = zstack_options()["image", "deletionPolicy"]
DIRECT = "Direct"
BOOT_MODE = "bootMode::"
BOOT_MODES = {"aarch64": "UEFI", "x86_64": "Legacy"}
"""The boot mode that a change of the architecture sets; x86_64 sets it for a system image alone."""
Ref = ImageBackupStorageRef
RefRow = Row[int, str, str, str, str | None]


class ImageDeletion:
    """Updates, deletes and expunges images; each operation raises a BackupStorageError."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        configuration: GlobalConfiguration,
        garbage: Garbage,
        tags: Tags,
        events: ImageEvents,
    ) -> None:
        self._database = database
        self._clock = clock
        self._configuration = configuration
        self._garbage = garbage
        self._tags = tags
        self._events = events

    async def update(self, image_uuid: str, values: Mapping[str, object]) -> None:
        """Write new values of columns; another architecture brings its boot mode with it."""
        async with self._database.transaction() as connection:
            if values:
                change = update(Image).where(Image.uuid == image_uuid)
                await connection.execute(change.values(**values, lastOpDate=self._clock.local()))
            mode = BOOT_MODES.get(str(values.get("architecture")))
            if mode is not None and not await hold(connection, image_uuid, Image):
                return
            system = await connection.scalar(select(Image.system).where(Image.uuid == image_uuid))
            if mode is not None and (system or mode == "UEFI"):
                old = (SystemTag.resourceUuid == image_uuid, SystemTag.tag.startswith(BOOT_MODE))
                await connection.execute(delete(SystemTag).where(*old))
                await self._tags.insert(connection, SystemTag, image_uuid, "ImageVO", BOOT_MODE + mode)

    async def delete(self, image_uuid: str, storages: Sequence[str] | None) -> bool:
        """Delete an image from the storages, or from all; `deletionPolicy` says whether its bits go at once.

        An image that is not on any storage yet, or is still being uploaded, is gone at once. Return whether an
        ImageStore was waiting for its upload.
        """
        async with self._database.transaction() as connection:
            refs = await _refs(connection, image_uuid)
            url = await connection.scalar(select(Image.url).where(Image.uuid == image_uuid))
            uploading = str(url).startswith(UPLOAD) and all(ref.status == DOWNLOADING for ref in refs)
            if not refs or uploading:
                await self._remove(connection, image_uuid, refs)
                return any(is_upload_url(ref.installPath, ref.backupStorageUuid) for ref in refs)
            chosen = [ref for ref in refs if not storages or ref.backupStorageUuid in storages]
            if self._configuration.get(POLICY) == DIRECT:
                await self._remove(connection, image_uuid, chosen)
                return False
            ids = [ref.id for ref in chosen]
            change = update(Ref).where(Ref.id.in_(ids))
            await connection.execute(change.values(status=DELETED, lastOpDate=self._clock.local()))
            if all(ref.status == DELETED or ref.id in ids for ref in refs):
                status = {"status": DELETED, "lastOpDate": self._clock.local()}
                await connection.execute(update(Image).where(Image.uuid == image_uuid).values(**status))
            for old in sorted({ref.status for ref in chosen} - {DELETED}):
                storages = [ref.backupStorageUuid for ref in chosen if ref.status == old]
                await self._events.status_changed(connection, image_uuid, old, DELETED, storages)
        return False

    async def expunge(self, image_uuid: str, storages: Sequence[str] | None) -> None:
        """Remove a deleted image and its bits from the storages, or from all that it is deleted on.

        Raise OperationFailed, InvalidRequest for one that is not deleted there. Bits on a host that does not answer are
        removed later.
        """
        await self._database.atomically(partial(self._expunge, image_uuid, storages))

    async def _expunge(self, image_uuid: str, storages: Sequence[str] | None) -> None:
        async with self._database.transaction() as connection:
            refs = await _refs(connection, image_uuid)
            name = await connection.scalar(select(Image.name).where(Image.uuid == image_uuid))
            chosen = _deleted(refs, storages, f"the image[uuid:{image_uuid}, name:{name}]")
            await self._remove(connection, image_uuid, chosen)

    async def _remove(self, connection: AsyncConnection, image_uuid: str, refs: Sequence[RefRow]) -> None:
        """Delete refs, and the image with the last of them; the bits follow once that is committed."""
        bits = [(ref.backupStorageUuid, path) for ref in refs for path in paths_of(ref.installPath, ref.exportUrl)]
        await self._garbage.note(connection, image_uuid, bits)
        storages, there = [ref.backupStorageUuid for ref in refs], await _refs(connection, image_uuid)
        await self._events.removed(connection, image_uuid, storages, exists=len(there) > len(refs))
        await connection.execute(delete(Ref).where(Ref.id.in_([ref.id for ref in refs])))
        if not await _refs(connection, image_uuid):
            await connection.execute(delete(Image).where(Image.uuid == image_uuid))
            await delete_tags(connection, [image_uuid])

    async def collect(self, image_uuid: str) -> None:
        """Remove the bits of an image that is gone, from the hosts that answer; from the others later."""
        await self._garbage.collect(image_uuid)

    def collect_soon(self, image_uuid: str) -> None:
        """Do the same in the background."""
        self._garbage.collect_soon(image_uuid)


async def _refs(connection: AsyncConnection, image_uuid: str) -> Sequence[RefRow]:
    """Return the refs of an image. No other node changes them before the transaction ends, nor has since the read."""
    columns = select(Ref.id, Ref.backupStorageUuid, Ref.installPath, Ref.status, Ref.exportUrl)
    found = columns.where(Ref.imageUuid == image_uuid).order_by(Ref.id).with_for_update()
    return (await connection.execute(found)).all()


def _deleted(refs: Sequence[RefRow], storages: Sequence[str] | None, image: str) -> list[RefRow]:
    """Return the refs on the storages, all of them Deleted; without storages those that are."""
    if storages is None:
        found = [ref for ref in refs if ref.status == DELETED]
        if not found:
            raise OperationFailed(f"{image} is not deleted on any backup storage")
        return found
    by_storage = {ref.backupStorageUuid: ref for ref in refs}
    for uuid in storages:
        if uuid not in by_storage:
            raise InvalidRequest(f"{image} is not on the backup storage[uuid:{uuid}]")
        if by_storage[uuid].status != DELETED:
            raise InvalidRequest(f"{image} is not deleted on the backup storage[uuid:{uuid}]")
    return [by_storage[uuid] for uuid in storages]
