"""The status of backup storages: every change, with its event, in one transaction (domain 1.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sqlalchemy import bindparam, select

from imagestore_sim.backup_storage.capacity import LARGEST, CapacityStore
from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.events import DISCONNECTED, PROBE_FAILED, STATUS_CHANGED, Event, Events, NewEvent
from imagestore_sim.backup_storage.recent_probes import LastProbe, Outcome, RecentProbes
from imagestore_sim.backup_storage.records import Status, Storage, change
from imagestore_sim.clock import Clock
from imagestore_sim.cluster import CAPACITY, STATUS, Fence, PastOwner
from imagestore_sim.correlation import correlation
from imagestore_sim.database import Database
from imagestore_sim.database.changes import Changes, Plan
from imagestore_sim.database.models import BackupStorage
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.probe import Capacity, ProbeFailure

PathAndContent = tuple[str, Mapping[str, object]]
"""Path and content of an event that is still to be recorded."""

_STATUS_OF = select(BackupStorage.status).where(BackupStorage.uuid == bindparam("uuid"))


class _Outcome(NamedTuple):
    """What was written: changes of the status, all events but that of the capacity, and that one."""

    moves: Sequence[PathAndContent]
    events: Sequence[Event]
    capacity: Event | None = None


class StatusStore:
    """Writes the outcomes of connects and pings. For a storage deleted in the meantime it raises NoSuchStorage.

    For one that another node owns by now it raises PastOwner.
    """

    def __init__(
        self,
        database: Database,
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
        write = partial(self.set_disconnected, storage, why, was_connected=was_connected)
        await self._database.health.insist(write)

    async def set_capacity(self, storage: Storage, capacity: Capacity) -> None:
        """Write the capacity that a ping has found, and leave the status alone (domain 1.6).

        A storage that is not Connected keeps its last capacity: the next successful connect measures it again.
        """
        capacity = _bounded(capacity)
        if (capacity.total, capacity.available) == (storage.total, storage.available):
            self._remember(storage, capacity)
        else:
            await self.write_capacity(storage, capacity)

    async def write_capacity(self, storage: Storage, capacity: Capacity) -> None:
        """Do what `set_capacity` does, also if the storage was read long ago: images may have changed its capacity."""
        capacity = _bounded(capacity)
        self._remember(storage, capacity)
        now = self._capacities.now()

        def plan(changes: Changes) -> _Outcome:
            if _status_in(changes, storage.uuid) != Status.CONNECTED:
                return _Outcome([], [])
            total, available = capacity.total, capacity.available
            return _Outcome([], [], self._capacities.write(changes, storage.uuid, total, available, now))

        self._follow(storage.uuid, await self._carry_out(storage.uuid, plan, CAPACITY))

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

    async def current_of(self, storage: Storage) -> Status:
        """Return what `current` does, without asking the store if nothing has changed since the storage was read."""
        if storage.revision is not None and storage.revision == self._database.revision:
            return storage.status
        return await self.current(storage.uuid)

    def forget(self, uuid: str) -> None:
        """Forget the last probes and the failures of a storage that is deleted, or is another node's."""
        self.last_probes.forget(uuid)
        self.failed_connects.pop(uuid, None)
        self._capacities.forget(uuid)

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
        uuid, now = storage.uuid, self._capacities.now()

        def plan(changes: Changes) -> _Outcome:
            old = _status_in(changes, uuid)
            moves: list[PathAndContent] = []
            if status not in (None, old):
                change(changes, uuid, now.local, {"status": status})
                moves = [(STATUS_CHANGED, {"backupStorageUuid": uuid, "oldStatus": old, "newStatus": status})]
            new = (NewEvent(path, uuid, content) for path, content in (*moves, *also))
            events = [self._events.add(changes, one, now.occasion) for one in new]
            if capacity is None:
                return _Outcome(moves, events)
            written = self._capacities.write(changes, uuid, capacity.total, capacity.available, now)
            return _Outcome(moves, events, written)

        self._follow(uuid, await self._carry_out(uuid, plan, STATUS))

    async def _carry_out(self, uuid: str, plan: Plan[_Outcome], write: str) -> _Outcome:
        """Carry out what the outcome of a probe changes, if this node may write about the storage."""

        def allowed(changes: Changes) -> _Outcome:
            if self._fence is not None:
                self._fence.check(changes, uuid)
            return plan(changes)

        try:
            return await self._database.change(allowed)
        except NoSuchStorage:
            self.forget(uuid)
            raise
        except PastOwner as error:
            self.forget(uuid)
            if self._fence is not None:
                self._fence.refuse(write, str(error))
            raise

    def _follow(self, uuid: str, outcome: _Outcome) -> None:
        """Count and publish what was written."""
        self._count(uuid, outcome.moves)
        events = outcome.events
        if outcome.capacity is not None:
            self._capacities.written(outcome.capacity)
            events = [*events, outcome.capacity]
        self._events.publish(*events)

    def _count(self, uuid: str, moves: Sequence[PathAndContent]) -> None:
        for _, content in moves:
            if content["newStatus"] == Status.CONNECTED:
                self.failed_connects.pop(uuid, None)
            elif (content["oldStatus"], content["newStatus"]) == (Status.CONNECTING, Status.DISCONNECTED):
                self.failed_connects[uuid] += 1


def _status_in(changes: Changes, uuid: str) -> str:
    """Return the status as the transaction sees it. Raise NoSuchStorage."""
    rows = changes.rows(_STATUS_OF, {"uuid": uuid})
    if not rows:
        raise NoSuchStorage(uuid)
    return str(rows[0][0])


def _bounded(capacity: Capacity) -> Capacity:
    """Limit total and available bytes to LARGEST."""
    if max(capacity.total, capacity.available) <= LARGEST:
        return capacity
    return replace(capacity, total=min(capacity.total, LARGEST), available=min(capacity.available, LARGEST))
