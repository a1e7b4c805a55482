"""The status of backup storages: every change, with its event, in one transaction (domain 1.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.capacity import LARGEST, CapacityStore
from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.events import DISCONNECTED, PROBE_FAILED, STATUS_CHANGED, Event, Events
from imagestore_sim.backup_storage.recent_probes import LastProbe, Outcome, RecentProbes
from imagestore_sim.backup_storage.records import Status, Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import CAPACITY, STATUS, Fence
from imagestore_sim.correlation import correlation
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.probe import Capacity, ProbeFailure

PathAndContent = tuple[str, Mapping[str, object]]
"""Path and content of an event that is still to be recorded."""

_STATUS_OF = select(BackupStorage.status).where(BackupStorage.uuid == bindparam("uuid"))


class StatusStore:
    """Writes the outcomes of connects and pings. For a storage deleted in the meantime it raises NoSuchStorage.

    For one that another node owns by now it raises PastOwner.
    """

    def __init__(
        self,
        database: Database,
        records: StorageRecords,
        capacities: CapacityStore,
        events: Events,
        clock: Clock,
        fence: Fence | None = None,
    ) -> None:
        """Without a `fence`, no other node writes to the store."""
        self.last_probes = RecentProbes()
        self.failed_connects: Counter[str] = Counter()
        """By uuid, how often a storage has gone from Connecting to Disconnected since it was last Connected."""
        self._clock = clock
        self._database = database
        self._records = records
        self._capacities = capacities
        self._events = events
        self._fence = fence
        self._status_of = sql_of(_STATUS_OF, database.dialect)

    async def set_connecting(self, storage: Storage) -> None:
        """Set a storage Connecting: a connect has begun."""
        await self._write(storage, Status.CONNECTING)

    async def set_connected(self, storage: Storage, capacity: Capacity) -> None:
        """Set a storage Connected, with the capacity that its host reported, without deducting a reserve."""
        capacity = _bounded(capacity)
        self._remember(storage, capacity)
        await self._write(storage, Status.CONNECTED, capacity)

    async def set_disconnected(self, storage: Storage, why: BackupStorageError, *, was_connected: bool) -> None:
        """Set a storage Disconnected because of `why`; its capacity stays.

        `was_connected` says whether to record an event of a disconnection.
        """
        reason: dict[str, object] = {"code": storage.connect_error, "details": str(why)}
        also: list[PathAndContent] = []
        if isinstance(why, ConnectFailed):
            reason["reason"] = why.failure.reason
            also.append(self._failure_event(storage, why.failure))
        if was_connected:
            also.append((DISCONNECTED, {"backupStorageUuid": storage.uuid, "reason": reason}))
        await self._write(storage, Status.DISCONNECTED, also=also)

    async def set_disconnected_when_writable(
        self, storage: Storage, why: BackupStorageError, *, was_connected: bool
    ) -> None:
        """Do what `set_disconnected` does, waiting as long as the store cannot be written."""
        while True:
            try:
                return await self.set_disconnected(storage, why, was_connected=was_connected)
            except StoreUnavailable:
                await self._database.health.until_next_try()

    async def set_capacity(self, storage: Storage, capacity: Capacity) -> None:
        """Write the capacity that a ping has found, and leave the status alone (domain 1.6).

        A storage that is not Connected keeps its last capacity: the next successful connect measures it again.
        """
        capacity = _bounded(capacity)
        self._remember(storage, capacity)
        if (capacity.total, capacity.available) != (storage.total, storage.available):
            async with self._database.transaction() as connection:
                await self._check(connection, storage.uuid, CAPACITY)
                events: list[Event] = []
                if await self._status_in(connection, storage.uuid) == Status.CONNECTED:
                    events = await self._capacities.write(connection, storage.uuid, capacity.total, capacity.available)
            self._events.publish(*events)

    def remember(self, storage: Storage, outcome: Outcome) -> None:
        """Remember what a probe has found that changes neither status nor capacity."""
        self._remember(storage, outcome)

    async def record_failed_try(self, storage: Storage, failure: ProbeFailure) -> None:
        """Record the event of a failed try of a ping that will be repeated."""
        await self._write(storage, None, also=[self._failure_event(storage, failure)])

    async def current(self, uuid: str) -> Status:
        """Return the current status."""
        rows = await self._database.fetch_few(self._status_of, (uuid,))
        if not rows:
            raise NoSuchStorage(uuid)
        return Status(rows[0][0])

    def forget(self, uuid: str) -> None:
        """Forget the last probe and the failures of a deleted storage."""
        self.last_probes.forget(uuid)
        self.failed_connects.pop(uuid, None)

    def _remember(self, storage: Storage, outcome: Outcome) -> None:
        self.last_probes.add(storage.uuid, LastProbe(self._clock.time(), outcome, correlation()))

    def _failure_event(self, storage: Storage, failure: ProbeFailure) -> PathAndContent:
        self._remember(storage, failure)
        return PROBE_FAILED, {
            "backupStorageUuid": storage.uuid,
            "reason": failure.reason,
            "message": failure.message,
            "phases": {phase: round(milliseconds, 3) for phase, milliseconds in failure.phases.items()},
        }

    async def _write(
        self,
        storage: Storage,
        status: Status | None,
        capacity: Capacity | None = None,
        also: Sequence[PathAndContent] = (),
    ) -> None:
        """Write status and capacity, where they are not None, and their events and those in `also`, together."""
        async with self._database.transaction() as connection:
            await self._check(connection, storage.uuid, STATUS)
            moves = await self._move(connection, storage.uuid, status)
            events = [
                await self._events.record(connection, path, storage.uuid, content) for path, content in (*moves, *also)
            ]
            if capacity is not None:
                events += await self._capacities.write(connection, storage.uuid, capacity.total, capacity.available)
        self._count(storage.uuid, moves)
        self._events.publish(*events)

    async def _check(self, connection: AsyncConnection, uuid: str, write: str) -> None:
        """Raise PastOwner if another node owns the storage by now."""
        if self._fence is not None:
            await self._fence.check(connection, uuid, write)

    def _count(self, uuid: str, moves: Sequence[PathAndContent]) -> None:
        for _, content in moves:
            if content["newStatus"] == Status.CONNECTED:
                self.failed_connects.pop(uuid, None)
            elif (content["oldStatus"], content["newStatus"]) == (Status.CONNECTING, Status.DISCONNECTED):
                self.failed_connects[uuid] += 1

    async def _move(self, connection: AsyncConnection, uuid: str, status: Status | None) -> list[PathAndContent]:
        """Write a status, and return the event of the change in a list, which is empty if nothing changed."""
        old = await self._status_in(connection, uuid)
        if status is None or old == status:
            return []
        await self._records.change(connection, uuid, status=status)
        return [(STATUS_CHANGED, {"backupStorageUuid": uuid, "oldStatus": old, "newStatus": status})]

    async def _status_in(self, connection: AsyncConnection, uuid: str) -> str:
        """Return the status as the transaction sees it. Raise NoSuchStorage."""
        status = await connection.scalar(_STATUS_OF, {"uuid": uuid})
        if status is None:
            self.forget(uuid)
            raise NoSuchStorage(uuid)
        return str(status)


def _bounded(capacity: Capacity) -> Capacity:
    """Limit total and available bytes to LARGEST."""
    if max(capacity.total, capacity.available) <= LARGEST:
        return capacity
    return replace(capacity, total=min(capacity.total, LARGEST), available=min(capacity.available, LARGEST))
