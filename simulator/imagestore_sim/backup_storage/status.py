"""The one place where status moves, each change with its event in one transaction (domain 1.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.capacity import LARGEST, CapacityStore
from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.events import DISCONNECTED, PROBE_FAILED, STATUS_CHANGED, Event, Events
from imagestore_sim.backup_storage.records import Status, Storage, StorageRecords
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, StoreUnavailable
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.probe import Capacity, ProbeFailure

Outcome = Capacity | ProbeFailure
Contents = tuple[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class LastProbe:
    """What the latest probe of a storage found, and when (epoch seconds)."""

    time: float
    outcome: Outcome


class StatusStore:
    """Writes what a connect or a ping found out. A storage deleted in the meantime stays deleted."""

    def __init__(
        self, database: Database, records: StorageRecords, capacities: CapacityStore, events: Events, clock: Clock
    ) -> None:
        self.last_probes: dict[str, LastProbe] = {}
        self.failed_connects: Counter[str] = Counter()
        """How often each storage has gone from Connecting to Disconnected since it was last Connected."""
        self._clock = clock
        self._database = database
        self._records = records
        self._capacities = capacities
        self._events = events
        # Every ping asks for it.
        status_of = select(BackupStorage.status).where(BackupStorage.uuid == bindparam("uuid"))
        self._status_of = str(status_of.compile(dialect=database.dialect))

    async def connecting(self, storage: Storage) -> None:
        """A connect has begun. Raises NoSuchStorage."""
        await self._write(storage, Status.CONNECTING)

    async def connected(self, storage: Storage, capacity: Capacity) -> None:
        """A connect succeeded: the capacity is what the host reported, no reserve taken off. Raises NoSuchStorage."""
        capacity = _bounded(capacity)
        self._remember(storage, capacity)
        await self._write(storage, Status.CONNECTED, capacity)

    async def disconnected(self, storage: Storage, why: BackupStorageError, *, was_connected: bool) -> None:
        """A connect or a ping failed: the last known capacity stays. Raises NoSuchStorage."""
        reason: dict[str, object] = {"code": storage.connect_error, "details": str(why)}
        also: list[Contents] = []
        if isinstance(why, ConnectFailed):
            reason["reason"] = why.failure.reason
            also.append(self._failure(storage, why.failure))
        if was_connected:
            also.append((DISCONNECTED, {"backupStorageUuid": storage.uuid, "reason": reason}))
        await self._write(storage, Status.DISCONNECTED, also=also)

    async def surely_disconnected(self, storage: Storage, why: BackupStorageError, *, was_connected: bool) -> None:
        """The same; where the store cannot be written now, as soon as it can be. Raises NoSuchStorage."""
        while True:
            try:
                return await self.disconnected(storage, why, was_connected=was_connected)
            except StoreUnavailable:
                await self._database.health.until_next_try()

    async def measured(self, storage: Storage, capacity: Capacity) -> None:
        """A ping succeeded: the capacity is written if it is another one; the status is left alone (domain 1.6).

        One that is not Connected keeps what was known last: the connect that makes it so measures it anew.
        """
        capacity = _bounded(capacity)
        self._remember(storage, capacity)
        if (capacity.total, capacity.available) != (storage.total, storage.available):
            async with self._database.transaction() as connection:
                events: list[Event] = []
                if await self._status_in(connection, storage.uuid) == Status.CONNECTED:
                    events = await self._capacities.write(connection, storage.uuid, capacity.total, capacity.available)
            self._events.publish(*events)

    async def try_failed(self, storage: Storage, failure: ProbeFailure) -> None:
        """A try of a ping failed that is not the last one."""
        await self._write(storage, None, also=[self._failure(storage, failure)])

    async def current(self, uuid: str) -> Status:
        """The status as it is now. Raises NoSuchStorage."""
        rows = await self._database.fetch_few(self._status_of, (uuid,))
        if not rows:
            raise NoSuchStorage(uuid)
        return Status(rows[0][0])

    def forget(self, uuid: str) -> None:
        """A storage was deleted."""
        self.last_probes.pop(uuid, None)
        self.failed_connects.pop(uuid, None)

    def _remember(self, storage: Storage, outcome: Outcome) -> None:
        self.last_probes[storage.uuid] = LastProbe(self._clock.time(), outcome)

    def _failure(self, storage: Storage, failure: ProbeFailure) -> Contents:
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
        also: Sequence[Contents] = (),
    ) -> None:
        """All in one transaction: the status unless it is None, the capacity if there is one, the events."""
        async with self._database.transaction() as connection:
            moves = await self._move(connection, storage.uuid, status)
            events = [
                await self._events.record(connection, path, storage.uuid, content) for path, content in (*moves, *also)
            ]
            if capacity is not None:
                events += await self._capacities.write(connection, storage.uuid, capacity.total, capacity.available)
        self._count(storage.uuid, moves)
        self._events.publish(*events)

    def _count(self, uuid: str, moves: Sequence[Contents]) -> None:
        for _, content in moves:
            if content["newStatus"] == Status.CONNECTED:
                self.failed_connects.pop(uuid, None)
            elif (content["oldStatus"], content["newStatus"]) == (Status.CONNECTING, Status.DISCONNECTED):
                self.failed_connects[uuid] += 1

    async def _move(self, connection: AsyncConnection, uuid: str, status: Status | None) -> list[Contents]:
        """What happened to the status, if anything did."""
        old = await self._status_in(connection, uuid)
        if status is None or old == status:
            return []
        await self._records.change(connection, uuid, status=status)
        return [(STATUS_CHANGED, {"backupStorageUuid": uuid, "oldStatus": old, "newStatus": status})]

    async def _status_in(self, connection: AsyncConnection, uuid: str) -> str:
        """The status, as the transaction sees it. Raises NoSuchStorage."""
        status = await connection.scalar(select(BackupStorage.status).where(BackupStorage.uuid == uuid))
        if status is None:
            self.forget(uuid)
            raise NoSuchStorage(uuid)
        return str(status)


def _bounded(capacity: Capacity) -> Capacity:
    """The capacity, of which no number is larger than what ZStack's and the store's columns hold."""
    if max(capacity.total, capacity.available) <= LARGEST:
        return capacity
    return replace(capacity, total=min(capacity.total, LARGEST), available=min(capacity.available, LARGEST))
