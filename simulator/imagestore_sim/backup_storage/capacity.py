"""The capacity of backup storages: each report overwrites it, and a history keeps its changes (domain 3.7)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, delete, func, insert, select

from imagestore_sim.backup_storage.errors import NoSuchStorage, NotEnoughSpace
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED, Event, Events, NewEvent, Occasion
from imagestore_sim.backup_storage.records import change
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.changes import Changes
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
_OF_STORAGE = CapacityHistory.backupStorageUuid == bindparam("uuid")
_ANY_KEPT = select(CapacityHistory.id).where(_OF_STORAGE).limit(1)
_CREATED = select(BackupStorage.createDate).where(BackupStorage.uuid == bindparam("uuid"))
_OLDEST = (
    select(CapacityHistory.id)
    .where(_OF_STORAGE)
    .order_by(CapacityHistory.id.desc())
    .offset(bindparam("newer", type_=Integer))
    .limit(1)
)
_TRIM = delete(CapacityHistory).where(
    CapacityHistory.backupStorageUuid == bindparam("trimmed"), CapacityHistory.id < bindparam("oldest")
)
LARGEST = 2**63 - 1
"""The largest number of bytes that a column holds, here and in ZStack (a Java long)."""


@dataclass(frozen=True, slots=True)
class CapacityReading:
    """Total and available bytes at `time` (epoch seconds)."""

    total: int
    available: int
    time: float = 0.0


class Now(NamedTuple):
    """A moment: epoch seconds, local time, and the occasion of the events of that moment."""

    time: float
    local: datetime
    occasion: Occasion


class CapacityStore:
    """Writes capacities, from connects and pings and from images that take or release space."""

    def __init__(self, database: Database, events: Events, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._written: Counter[str] = Counter()

    def write(self, changes: Changes, uuid: str, total: int, available: int, now: Now) -> Event | None:
        """Write total and available bytes in a plan, record the change, and return its event; None if nothing changed.

        Both may grow or shrink. The caller calls `written` after the commit, and publishes the event. Raise
        NoSuchStorage.
        """
        before = _current(changes, uuid)
        if (before.total, before.available) == (total, available):
            return None
        numbers = {"totalCapacity": total, "availableCapacity": available}
        change(changes, uuid, now.local, numbers)
        if before.total and not self._written[uuid]:
            self._keep_initial(changes, uuid, before)
        self._keep(changes, uuid, CapacityReading(total, available, now.time))
        content = {
            "backupStorageUuid": uuid,
            "oldTotalCapacity": before.total,
            "oldAvailableCapacity": before.available,
            **numbers,
        }
        return self._events.add(changes, NewEvent(CAPACITY_CHANGED, uuid, content), now.occasion)

    def written(self, event: Event) -> None:
        """Follow the commit of a change, whose event this is."""
        old, new = (event.content[name] for name in ("oldTotalCapacity", "totalCapacity"))
        if old not in (0, new):
            logger.info("backup storage %s was resized from %d to %d bytes", event.resource_uuid, old, new)
        self._written[event.resource_uuid] += 1

    def now(self) -> Now:
        """Return the present moment, for a plan."""
        return Now(self._clock.time(), self._clock.local(), self._events.occasion())

    async def reserve(self, uuid: str, size: int, *, reserved: int = 0) -> None:
        """Take `size` bytes from the available ones.

        Raise NotEnoughSpace unless more than that are available beside `reserved` bytes; NoSuchStorage.
        """

        def take(available: int, _: int) -> int:
            if available - reserved <= size:
                raise NotEnoughSpace(size)
            return available - size

        await self._change(uuid, take)

    async def give_back(self, uuid: str, size: int) -> None:
        """Add `size` bytes to the available ones, up to the total. Raise NoSuchStorage."""
        await self._change(uuid, lambda available, total: min(total, available + size))

    async def _change(self, uuid: str, available_after: Callable[[int, int], int]) -> None:
        """Write the available bytes that a function makes of those before and the total."""
        now = self.now()

        def plan(changes: Changes) -> Event | None:
            before = _current(changes, uuid)
            return self.write(changes, uuid, before.total, available_after(before.available, before.total), now)

        event = await self._database.change(plan)
        if event is not None:
            self.written(event)
            self._events.publish(event)

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

    def forget(self, uuid: str) -> None:
        """Forget that a storage has a history."""
        self._written.pop(uuid, None)

    def restart(self) -> None:
        """Forget which storages have a history: the records were replaced, and some may have none."""
        self._written.clear()

    def _keep_initial(self, changes: Changes, uuid: str, capacity: CapacityReading) -> None:
        """Add the capacity that a record had from the start to its history, dated by the record's creation.

        It was written by a bootstrap file rather than measured. A creation date in the future counts as 0.
        """
        if changes.rows(_ANY_KEPT, {"uuid": uuid}):
            return
        created = changes.rows(_CREATED, {"uuid": uuid})
        since = (created[0][0] - self._clock.local(0.0)).total_seconds() if created else 0.0
        time = since if since < self._clock.time() else 0.0  # a record may say anything
        self._keep(changes, uuid, CapacityReading(capacity.total, capacity.available, time))

    def _keep(self, changes: Changes, uuid: str, capacity: CapacityReading) -> None:
        row = {"backupStorageUuid": uuid, "time": int(capacity.time * 1000)}
        changes.write(_INSERT, {**row, "totalCapacity": capacity.total, "availableCapacity": capacity.available})
        if (self._written[uuid] + 1) % TRIM_EVERY == 0:
            oldest = changes.rows(_OLDEST, {"uuid": uuid, "newer": KEPT_CAPACITIES - 1})
            if oldest:
                changes.write(_TRIM, {"trimmed": uuid, "oldest": oldest[0][0]})


def _current(changes: Changes, uuid: str) -> CapacityReading:
    rows = changes.rows(_CAPACITY_OF, {"uuid": uuid})
    if not rows:
        raise NoSuchStorage(uuid)
    return CapacityReading(*rows[0])
