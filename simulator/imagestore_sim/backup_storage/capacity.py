"""The capacity of backup storages: each report overwrites it, and a history keeps its changes (domain 3.7)."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.errors import NoSuchStorage, NotEnoughSpace
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, Event, Events
from imagestore_sim.backup_storage.records import StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, CapacityHistory

logger = logging.getLogger(__name__)
KEPT_CAPACITIES = 10_000
"""The number of changes that the history keeps of each storage."""
TRIM_EVERY = 500
"""The history of a storage is trimmed once in this many changes."""
_CAPACITY_OF = select(BackupStorage.totalCapacity, BackupStorage.availableCapacity).where(
    BackupStorage.uuid == bindparam("uuid")
)
_INSERT = insert(CapacityHistory)
LARGEST = 2**63 - 1
"""The largest number of bytes that a column holds, here and in ZStack (a Java long)."""


@dataclass(frozen=True, slots=True)
class CapacityReading:
    """Total and available bytes at `time` (epoch seconds)."""

    total: int
    available: int
    time: float = 0.0


class CapacityStore:
    """Writes capacities, from connects and pings and from images that take or release space."""

    def __init__(self, database: Database, records: StorageRecords, events: Events, clock: Clock) -> None:
        self._database = database
        self._records = records
        self._events = events
        self._clock = clock
        self._written: Counter[str] = Counter()

    async def write(self, connection: AsyncConnection, uuid: str, total: int, available: int) -> list[Event]:
        """Write total and available bytes, and record the change. Raise NoSuchStorage.

        Both may grow or shrink. Return the event, in a list that is empty if nothing changed; the caller publishes it.
        """
        before = await self._current(connection, uuid)
        if (before.total, before.available) == (total, available):
            return []
        if before.total and before.total != total:
            logger.info("backup storage %s was resized from %d to %d bytes", uuid, before.total, total)
        await self._records.change(connection, uuid, totalCapacity=total, availableCapacity=available)
        if before.total and not self._written[uuid]:
            await self._keep_initial(connection, uuid, before)
        await self._keep(connection, uuid, total, available, self._clock.time())
        content = {
            "backupStorageUuid": uuid,
            "oldTotalCapacity": before.total,
            "oldAvailableCapacity": before.available,
            "totalCapacity": total,
            "availableCapacity": available,
        }
        return [await self._events.record(connection, CAPACITY_CHANGED, uuid, content)]

    async def reserve(self, uuid: str, size: int, *, reserved: int = 0) -> None:
        """Take `size` bytes from the available ones.

        Raise NotEnoughSpace unless more than that are available beside `reserved` bytes; NoSuchStorage.
        """
        async with self._database.transaction() as connection:
            now = await self._current(connection, uuid)
            if now.available - reserved <= size:
                raise NotEnoughSpace(size)
            events = await self.write(connection, uuid, now.total, now.available - size)
        self._events.publish(*events)

    async def give_back(self, uuid: str, size: int) -> None:
        """Add `size` bytes to the available ones, up to the total. Raise NoSuchStorage."""
        async with self._database.transaction() as connection:
            now = await self._current(connection, uuid)
            events = await self.write(connection, uuid, now.total, min(now.total, now.available + size))
        self._events.publish(*events)

    async def history(
        self, uuid: str, limit: int = KEPT_CAPACITIES, *, since: float | None = None
    ) -> list[CapacityReading]:
        """Return the latest `limit` changes of a storage, oldest first: all, or those that tell of a time.

        These are the changes from `since` on (epoch seconds), and the last one before that.
        """
        columns = select(CapacityHistory.totalCapacity, CapacityHistory.availableCapacity, CapacityHistory.time)
        of_storage = CapacityHistory.backupStorageUuid == uuid
        latest = columns.where(of_storage).order_by(CapacityHistory.id.desc())
        if since is not None:
            before = select(func.max(CapacityHistory.time)).where(of_storage, CapacityHistory.time <= since * 1000)
            latest = latest.where(CapacityHistory.time >= func.coalesce(before.scalar_subquery(), 0))
        rows = await self._database.read(latest.limit(limit))
        return [CapacityReading(total, available, time / 1000) for total, available, time in reversed(rows)]

    def restart(self) -> None:
        """Forget which storages have a history: the records were replaced, and some may have none."""
        self._written.clear()

    async def _current(self, connection: AsyncConnection, uuid: str) -> CapacityReading:
        row = (await connection.execute(_CAPACITY_OF, {"uuid": uuid})).one_or_none()
        if row is None:
            raise NoSuchStorage(uuid)
        return CapacityReading(*row)

    async def _keep_initial(self, connection: AsyncConnection, uuid: str, capacity: CapacityReading) -> None:
        """Add the capacity that a record had from the start to its history, dated by the record's creation.

        It was written by a bootstrap file rather than measured. A creation date in the future counts as 0.
        """
        any_kept = select(CapacityHistory.id).where(CapacityHistory.backupStorageUuid == uuid).limit(1)
        if await connection.scalar(any_kept) is None:
            created = await connection.scalar(select(BackupStorage.createDate).where(BackupStorage.uuid == uuid))
            since = (created - self._clock.local(0.0)).total_seconds() if created is not None else 0.0
            time = since if since < self._clock.time() else 0.0  # a record may say anything
            await self._keep(connection, uuid, capacity.total, capacity.available, time)

    async def _keep(self, connection: AsyncConnection, uuid: str, total: int, available: int, time: float) -> None:
        row = {"backupStorageUuid": uuid, "time": int(time * 1000)}
        await connection.execute(_INSERT, {**row, "totalCapacity": total, "availableCapacity": available})
        self._written[uuid] += 1
        if self._written[uuid] % TRIM_EVERY == 0:
            of_storage = CapacityHistory.backupStorageUuid == uuid
            ids = select(CapacityHistory.id).where(of_storage).order_by(CapacityHistory.id.desc())
            oldest = await connection.scalar(ids.offset(KEPT_CAPACITIES - 1).limit(1))
            if oldest is not None:
                await connection.execute(delete(CapacityHistory).where(of_storage, CapacityHistory.id < oldest))
