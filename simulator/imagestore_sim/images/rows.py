"""Rows of images and of their copies on storages: each function writes in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.database.models import (
    ADMIN_UUID,
    BackupStorage,
    Image,
    ImageBackupStorageRef,
    ImageStoreBackupStorage,
)
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.identity.owners import hold_account

READY, DOWNLOADING, DELETED = "Ready", "Downloading", "Deleted"
UPLOAD = "upload://"
"""The scheme of the url of an image that the client sends itself."""
Ref = ImageBackupStorageRef


class ImageRows:
    """Inserts and changes rows, and dates them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def insert(self, connection: AsyncConnection, image_uuid: str, values: Mapping[str, object]) -> None:
        """Insert an image, Ready unless the values say otherwise. Raise AccountGone if its owner was deleted."""
        await hold_account(connection, str(values.get("accountUuid", ADMIN_UUID)))
        await refuse_taken(connection, image_uuid)
        now = self._clock.local()
        row = {"status": READY, **values, "uuid": image_uuid, "createDate": now, "lastOpDate": now}
        await connection.execute(insert(Image).values(**row))

    async def insert_ref(
        self,
        connection: AsyncConnection,
        image_uuid: str,
        storage: str,
        path: str,
        status: str = READY,
        *,
        add: str | None = None,
    ) -> None:
        """Insert the copy of an image on a storage; `add` is the add of one that its client sends."""
        now = self._clock.local()
        row = {"imageUuid": image_uuid, "backupStorageUuid": storage, "installPath": path, "status": status}
        row |= {} if add is None else {"addUuid": add}
        await connection.execute(insert(Ref).values(**row, createDate=now, lastOpDate=now))

    async def change_ref(
        self,
        connection: AsyncConnection,
        image_uuid: str,
        storage: str,
        values: Mapping[str, object],
        *also: ColumnElement[bool],
    ) -> bool:
        """Change columns of a copy; return False if there is none for which `also` holds."""
        change = update(Ref).where(Ref.imageUuid == image_uuid, Ref.backupStorageUuid == storage, *also)
        result = await connection.execute(change.values(**values, lastOpDate=self._clock.local()))
        return result.rowcount == 1


async def ready_copy(connection: AsyncConnection, image_uuid: str, storage_uuid: str) -> Row[*tuple[Any, ...]] | None:
    """Return the columns of an image and of its copy on a storage, in one row; None if it is not Ready there."""
    on_it = (Ref.imageUuid == image_uuid, Ref.backupStorageUuid == storage_uuid, Ref.status == READY)
    of_copy = (Ref.installPath, Ref.exportUrl, Ref.exportMd5Sum)
    found = select(*Image.__table__.c, *of_copy).join(Ref, Ref.imageUuid == Image.uuid).where(*on_it)
    return (await connection.execute(found)).one_or_none()


async def image_store(connection: AsyncConnection, storage_uuid: str) -> Row[str, str, int] | None:
    """Return hostname, status and available bytes of an ImageStore; None if it does not exist."""
    columns = (ImageStoreBackupStorage.hostname, BackupStorage.status, BackupStorage.availableCapacity)
    this = ImageStoreBackupStorage.uuid == BackupStorage.uuid
    found = select(*columns).join(BackupStorage, this).where(BackupStorage.uuid == storage_uuid)
    return (await connection.execute(found)).one_or_none()


async def is_kept(connection: AsyncConnection, path: str, storages: Sequence[str]) -> bool:
    """Return whether one of the storages keeps an image with this install path."""
    there = (Ref.installPath == path, Ref.backupStorageUuid.in_(storages))
    return await connection.scalar(select(Ref.id).where(*there).limit(1)) is not None
