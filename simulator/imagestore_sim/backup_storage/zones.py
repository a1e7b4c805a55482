"""Zones, and which backup storages are attached to them (domain 1.4, 2.4, 4)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import OperationFailed
from imagestore_sim.backup_storage.records import State
from imagestore_sim.backup_storage.tags import delete_tags
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import ADMIN_UUID, Account, BackupStorage, BackupStorageZoneRef, Zone
from imagestore_sim.database.resource_uuids import refuse_taken

ZONE_TYPE = "zstack"


class Zones:
    """The operations on zones."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, uuid: str, name: str, description: str | None, *, is_default: bool) -> None:
        """Insert an Enabled zone. A default zone replaces the previous default."""
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await refuse_taken(connection, uuid)
            if is_default:
                await _take_default(connection)
            await connection.execute(
                insert(Zone).values(
                    uuid=uuid,
                    name=name,
                    description=description,
                    state=State.ENABLED,
                    type=ZONE_TYPE,
                    isDefault=is_default,
                    createDate=now,
                    lastOpDate=now,
                )
            )

    async def change(self, uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of a zone. A default zone replaces the previous default."""
        if not values:
            return
        async with self._database.transaction() as connection:
            if values.get("isDefault"):
                await _take_default(connection)
            changed = {**values, "lastOpDate": self._clock.local()}
            await connection.execute(update(Zone).where(Zone.uuid == uuid).values(**changed))

    async def delete(self, uuid: str) -> None:
        """Delete a zone; its backup storages are detached from it."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(Zone).where(Zone.uuid == uuid))
            await delete_tags(connection, [uuid])

    async def attach(self, storage_uuid: str, zone_uuid: str) -> None:
        """Attach a storage to a zone. Raise OperationFailed if it already is."""
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await _lock_zones_of(connection, storage_uuid)
            if await _is_attached(connection, storage_uuid, zone_uuid):
                raise OperationFailed(f"{_storage(storage_uuid)} has been attached to zone[uuid:{zone_uuid}]")
            attach = insert(BackupStorageZoneRef).values(backupStorageUuid=storage_uuid, zoneUuid=zone_uuid)
            await connection.execute(attach.values(createDate=now, lastOpDate=now))

    async def detach(self, storage_uuid: str, zone_uuid: str) -> None:
        """Detach a storage from a zone. Raise OperationFailed if it is not attached."""
        async with self._database.transaction() as connection:
            await _lock_zones_of(connection, storage_uuid)
            if not await _is_attached(connection, storage_uuid, zone_uuid):
                raise OperationFailed(f"{_storage(storage_uuid)} has not been attached to zone[uuid:{zone_uuid}]")
            await connection.execute(delete(BackupStorageZoneRef).where(*_pair(storage_uuid, zone_uuid)))


async def _take_default(connection: AsyncConnection) -> None:
    """Let no zone be the default. No other node makes one the default before the transaction ends.

    The nodes wait for each other at the row of admin, which owns all zones: there may be no zone yet.
    """
    await lock(connection, select(Account.uuid).where(Account.uuid == ADMIN_UUID))
    await connection.execute(update(Zone).where(Zone.isDefault).values(isDefault=False))


async def _lock_zones_of(connection: AsyncConnection, storage_uuid: str) -> None:
    """Let no other node attach or detach a storage before the transaction ends."""
    await lock(connection, select(BackupStorage.uuid).where(BackupStorage.uuid == storage_uuid))


def _storage(uuid: str) -> str:
    return f"backup storage[uuid:{uuid}]"


def _pair(storage_uuid: str, zone_uuid: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return BackupStorageZoneRef.backupStorageUuid == storage_uuid, BackupStorageZoneRef.zoneUuid == zone_uuid


async def _is_attached(connection: AsyncConnection, storage_uuid: str, zone_uuid: str) -> bool:
    found = await connection.scalar(select(BackupStorageZoneRef.id).where(*_pair(storage_uuid, zone_uuid)))
    return found is not None
