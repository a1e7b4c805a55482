"""What changes in the record of an image after it was added: its state, its tags, its recovery (domain 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import BackupStorageError, InvalidRequest, OperationFailed
from imagestore_sim.backup_storage.image_events import ImageEvents
from imagestore_sim.backup_storage.records import SIMULATOR_TYPE, Status
from imagestore_sim.backup_storage.tags import BOOT_MODE, Tags, delete_tags, hold, is_gone, matches
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, Image, ImageBackupStorageRef, SystemTag

READY, DELETED, DOWNLOADING = "Ready", "Deleted", "Downloading"
UPLOAD = "upload://"
QGA_TAG = "qemuga"
NOT_RECOVERABLE = "the {image}s status[{{2}}] is not Deleted on the backup storage[uuid:{{3}}]"
"""ZStack's catalogue of messages takes the apostrophe for a quote, and leaves the numbers of two arguments."""
Ref = ImageBackupStorageRef


class ImageLife:
    """Changes the records of images; each operation raises a BackupStorageError."""

    def __init__(self, database: Database, clock: Clock, tags: Tags, events: ImageEvents) -> None:
        self._database = database
        self._clock = clock
        self._tags = tags
        self._events = events

    async def change(self, image_uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of an image, whatever its status (observed 12)."""
        async with self._database.transaction() as connection:
            change = update(Image).where(Image.uuid == image_uuid)
            await connection.execute(change.values(**values, lastOpDate=self._clock.local()))

    async def set_boot_mode(self, image_uuid: str, mode: str) -> None:
        """Replace the boot mode of an image, which is a system tag. Raise OperationFailed if the image is gone."""
        async with self._database.transaction() as connection:
            if not await hold(connection, image_uuid, Image):
                raise is_gone(image_uuid)
            for row in await _system_tags(connection, image_uuid):
                if matches(BOOT_MODE, row.tag):
                    await connection.execute(delete(SystemTag).where(SystemTag.uuid == row.uuid))
            await self._tags.insert(connection, SystemTag, image_uuid, "ImageVO", BOOT_MODE.format(mode))

    async def set_guest_agent(self, image_uuid: str, *, enable: bool) -> None:
        """Tag an image as one whose guest agent is on, or take the tag away. Raise OperationFailed if it is gone."""
        async with self._database.transaction() as connection:
            if not await hold(connection, image_uuid, Image):
                raise is_gone(image_uuid)
            tags = [row for row in await _system_tags(connection, image_uuid) if row.tag == QGA_TAG]
            for row in () if enable else tags:
                await connection.execute(delete(SystemTag).where(SystemTag.uuid == row.uuid))
            if enable and not tags:
                await self._tags.insert(connection, SystemTag, image_uuid, "ImageVO", QGA_TAG)

    async def has_guest_agent(self, image_uuid: str) -> bool:
        """Return whether the guest agent of an image is on."""
        tagged = select(SystemTag.uuid).where(SystemTag.resourceUuid == image_uuid, SystemTag.tag == QGA_TAG)
        return bool(await self._database.read(tagged))

    async def recover(self, image_uuid: str, storage_uuids: Sequence[str] | None) -> None:
        """Make deleted copies of an image Ready again: those on some storages, or all.

        Raise OperationFailed if no copy is deleted, InvalidRequest for a storage whose copy is not.
        """
        async with self._database.transaction() as connection:
            name, refs = await _named(connection, image_uuid, to_change=True)
            chosen = _deleted(_called(image_uuid, name), refs, storage_uuids)
            now = {"lastOpDate": self._clock.local()}
            change = update(Ref).where(Ref.imageUuid == image_uuid, Ref.backupStorageUuid.in_(chosen))
            await connection.execute(change.values(status=READY, **now))
            await connection.execute(update(Image).where(Image.uuid == image_uuid).values(status=READY, **now))
            await self._events.status_changed(connection, image_uuid, DELETED, READY, chosen)

    async def drop_upload(self, image_uuid: str, why: str) -> bool:
        """Delete an image that waits for its upload, and return True; leave any other alone.

        `why` goes into the event.
        """
        async with self._database.transaction() as connection:
            waits = (Image.uuid == image_uuid, Image.status == DOWNLOADING, Image.url.startswith(UPLOAD))
            if await connection.scalar(select(Image.uuid).where(*waits)) is None:
                return False
            _, refs = await _named(connection, image_uuid, to_change=True)
            await self._events.tracked(connection, image_uuid, why)
            await self._events.removed(connection, image_uuid, list(refs))
            await connection.execute(delete(Image).where(Image.uuid == image_uuid))
            await delete_tags(connection, [image_uuid])
        return True

    async def usable_storage(self, image_uuid: str) -> str:
        """Return a Connected storage that has the image. Raise OperationFailed if there is none.

        Raise BackupStorageError for a simulator storage, which knows no sizes.
        """
        async with self._database.transaction() as connection:
            name, refs = await _named(connection, image_uuid)
            called = _called(image_uuid, name)
            if not refs:
                raise OperationFailed(f"the {called} is not on any backup storage")
            there = BackupStorage.uuid.in_(list(refs))
            found = select(BackupStorage.uuid, BackupStorage.type).where(
                there, BackupStorage.status == Status.CONNECTED
            )
            storage = (await connection.execute(found.order_by(BackupStorage.uuid))).first()
        if storage is None:
            raise OperationFailed(f"No connected backup storage found for {called}")
        if storage.type == SIMULATOR_TYPE:
            raise BackupStorageError("not supported yet")
        return str(storage.uuid)


async def _named(
    connection: AsyncConnection, image_uuid: str, *, to_change: bool = False
) -> tuple[str, dict[str, str]]:
    """Return the name of an image, and the status of its copy on each storage.

    `to_change`: no other node changes these before the transaction ends.
    """
    name = await connection.scalar(select(Image.name).where(Image.uuid == image_uuid))
    found = select(Ref.backupStorageUuid, Ref.status).where(Ref.imageUuid == image_uuid).order_by(Ref.id)
    if to_change:
        found = found.with_for_update()
    return str(name), {row.backupStorageUuid: row.status for row in (await connection.execute(found)).all()}


async def _system_tags(connection: AsyncConnection, image_uuid: str) -> Sequence[Row[str, str]]:
    found = select(SystemTag.uuid, SystemTag.tag).where(SystemTag.resourceUuid == image_uuid)
    return (await connection.execute(found)).all()


def _deleted(image: str, refs: Mapping[str, str], storage_uuids: Sequence[str] | None) -> list[str]:
    """Return the storages on which an image is deleted: the given ones, or all. `image` names it in errors.

    Raise OperationFailed if it is deleted on none, InvalidRequest if it is not deleted on one of those given.
    """
    if not storage_uuids:
        if not (found := [storage for storage, status in refs.items() if status == DELETED]):
            raise OperationFailed(f"the {image} is not deleted on any backup storage")
        return found
    for storage in storage_uuids:
        if storage not in refs:
            raise InvalidRequest(f"the {image} is not on the backup storage[uuid:{storage}]")
        if refs[storage] != DELETED:
            raise InvalidRequest(NOT_RECOVERABLE.format(image=image))
    return list(storage_uuids)


def _called(image_uuid: str, name: str) -> str:
    return f"image[uuid:{image_uuid}, name:{name}]"
