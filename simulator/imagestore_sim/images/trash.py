"""The trash of backup storages: bits that an image has left where it was, until someone cleans up (domain 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from sqlalchemy import Row, delete, select

from imagestore_sim.backup_storage.errors import BackupStorageError, NoSuchStorage, OperationFailed
from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, ImageBackupStorageRef, InstallPathRecycle
from imagestore_sim.images.bits import StoredBits
from imagestore_sim.images.errors import BitsFailed
from imagestore_sim.images.garbage import Garbage

DELETE_BITS = "org.zstack.header.storage.backup.DeleteBitsOnBackupStorageMsg"
Item = Row[tuple[InstallPathRecycle]]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a clean-up did about one item; `size` is in bytes, and 0 for one that is kept or does not exist."""

    trash_id: int
    resource_uuid: str | None = None
    size: int = 0
    kept_because: str | None = None


class Trash:
    """Lists the trash of storages, and removes it with its bits."""

    def __init__(self, database: Database, garbage: Garbage) -> None:
        self._database = database
        self._garbage = garbage
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def items(self, storage_uuid: str) -> Sequence[Item]:
        """Return the trash of a storage, the oldest first."""
        rows = select(InstallPathRecycle.__table__).where(InstallPathRecycle.storageUuid == storage_uuid)
        return await self._database.read(rows.order_by(InstallPathRecycle.trashId))

    async def stored_bits(self) -> list[StoredBits]:
        """Return the files of the trash of all storages."""
        columns = select(InstallPathRecycle.storageUuid, InstallPathRecycle.installPath, InstallPathRecycle.size)
        rows = await self._database.read(columns.order_by(InstallPathRecycle.trashId))
        return [StoredBits(*row) for row in rows]

    async def clean(self, storage_uuid: str, trash_id: int | None) -> list[Cleaned]:
        """Remove one item, or all, with the bits; an item whose path an image uses is kept.

        Clean-ups of one storage take turns. Raise the first BackupStorageError once all items have been tried.
        """
        async with self._turns.setdefault(storage_uuid, asyncio.Lock()):
            items = [one for one in await self.items(storage_uuid) if trash_id in (None, one.trashId)]
            if trash_id is not None and not items:
                return [Cleaned(trash_id)]
            found = [await self._try(item) for item in items]
        for one in found:
            if isinstance(one, BackupStorageError):
                raise one
        return [one for one in found if isinstance(one, Cleaned)]

    async def _try(self, item: Item) -> Cleaned | BackupStorageError:
        try:
            return await self._clean(item)
        except BackupStorageError as failure:
            return failure

    async def _clean(self, item: Item) -> Cleaned:
        users = select(ImageBackupStorageRef.imageUuid).where(ImageBackupStorageRef.installPath == item.installPath)
        if found := await self._database.read(users.order_by(ImageBackupStorageRef.imageUuid)):
            images = ", ".join(row.imageUuid for row in found)
            use = f"{item.installPath} is still in using by image [{images}]"
            why = f"{use}, cannot remove it from trash before delete them"
            return Cleaned(item.trashId, item.resourceUuid, kept_because=why)
        await self._check(item)
        await self._remove_bits(item)
        async with self._database.transaction() as connection:
            await connection.execute(delete(InstallPathRecycle).where(InstallPathRecycle.trashId == item.trashId))
        return Cleaned(item.trashId, item.resourceUuid, item.size)

    async def _check(self, item: Item) -> None:
        """Raise OperationFailed unless the storage may delete bits; NoSuchStorage."""
        columns = select(BackupStorage.state, BackupStorage.status).where(BackupStorage.uuid == item.storageUuid)
        if not (rows := await self._database.read(columns)):
            raise NoSuchStorage(item.storageUuid)
        refused = f"backup storage cannot proceed message[{DELETE_BITS}] because its"
        if rows[0].state != State.ENABLED:
            raise OperationFailed(f"{refused} state is {rows[0].state}")
        if rows[0].status != Status.CONNECTED:
            raise OperationFailed(f"{refused} status is {rows[0].status}")

    async def _remove_bits(self, item: Item) -> None:
        """Remove the file of an item, if its host may be written to. Raise OperationFailed, NoSuchStorage."""
        storage, path = item.storageUuid, item.installPath
        async with self._database.transaction() as connection:
            await self._garbage.note(connection, item.resourceUuid, [(storage, path)])
        try:
            await self._garbage.free(storage, path)
        except BitsFailed as failure:
            async with self._database.transaction() as connection:
                await self._garbage.forget(connection, storage, path)
            raise OperationFailed(str(failure)) from failure
