"""The one place where status and capacity move, each change with its event in one transaction (domain 1.6, 3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from simulator.backup_storage.errors import BackupStorageError, ConnectFailed, NoSuchStorage
from simulator.backup_storage.events import DISCONNECTED, STATUS_CHANGED, Event, Events
from simulator.backup_storage.records import Records, Status, Storage
from simulator.clock import Clock
from simulator.database import Database
from simulator.database.models import BackupStorage
from simulator.probe import Capacity, ProbeFailure

Outcome = Capacity | ProbeFailure


@dataclass(frozen=True, slots=True)
class LastProbe:
    """What the latest probe of a storage found, and when (epoch seconds)."""

    time: float
    outcome: Outcome


class StatusBook:
    """Writes what a connect or a ping found out. A storage deleted in the meantime stays deleted."""

    def __init__(self, database: Database, records: Records, events: Events, clock: Clock) -> None:
        self.last_probes: dict[str, LastProbe] = {}
        self._clock = clock
        self._database = database
        self._records = records
        self._events = events

    async def connecting(self, storage: Storage) -> None:
        """A connect has begun. Raises NoSuchStorage."""
        await self._move(storage, Status.CONNECTING, {}, ())

    async def connected(self, storage: Storage, capacity: Capacity) -> None:
        """A connect succeeded: the capacity is what the host reported, no reserve taken off. Raises NoSuchStorage."""
        self._remember(storage, capacity)
        await self._move(storage, Status.CONNECTED, _columns(capacity), ())

    async def disconnected(self, storage: Storage, why: BackupStorageError, *, was_connected: bool) -> None:
        """A connect or a ping failed: the last known capacity stays. Raises NoSuchStorage."""
        if isinstance(why, ConnectFailed):
            self._remember(storage, why.failure)
        reason = {"details": str(why)} | ({"reason": why.failure.reason} if isinstance(why, ConnectFailed) else {})
        lost = ((DISCONNECTED, {"backupStorageUuid": storage.uuid, "reason": reason}),) if was_connected else ()
        await self._move(storage, Status.DISCONNECTED, {}, lost)

    async def measured(self, storage: Storage, capacity: Capacity) -> None:
        """A ping succeeded: the capacity is written if it is another one; the status is left alone (domain 1.6)."""
        self._remember(storage, capacity)
        if (capacity.total, capacity.available) == (storage.total, storage.available):
            return
        async with self._database.transaction() as connection:
            await self._records.change(connection, storage.uuid, **_columns(capacity))

    def forget(self, uuid: str) -> None:
        """A storage was deleted."""
        self.last_probes.pop(uuid, None)

    def _remember(self, storage: Storage, outcome: Outcome) -> None:
        self.last_probes[storage.uuid] = LastProbe(self._clock.time(), outcome)

    async def _move(
        self,
        storage: Storage,
        status: Status,
        columns: Mapping[str, int],
        also: tuple[tuple[str, Mapping[str, object]], ...],
    ) -> None:
        events: list[Event] = []
        async with self._database.transaction() as connection:
            old = await _status_of(connection, storage.uuid)
            if old == status and not columns:
                return
            await self._records.change(connection, storage.uuid, status=status, **columns)
            if old != status:
                change = {"backupStorageUuid": storage.uuid, "oldStatus": old, "newStatus": status}
                events.append(await self._events.record(connection, STATUS_CHANGED, storage.uuid, change))
            for path, content in also:
                events.append(await self._events.record(connection, path, storage.uuid, content))
        self._events.tell(*events)


def _columns(capacity: Capacity) -> dict[str, int]:
    return {"totalCapacity": capacity.total, "availableCapacity": capacity.available}


async def _status_of(connection: AsyncConnection, uuid: str) -> Status:
    status = await connection.scalar(select(BackupStorage.status).where(BackupStorage.uuid == uuid))
    if status is None:
        raise NoSuchStorage(uuid)
    return Status(status)
