"""Time series of the capacity of backup storages: a value holds until the next change in the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, exists, func, select

from imagestore_sim.backup_storage.capacity import CapacityReading
from imagestore_sim.backup_storage.errors import InvalidRequest
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, CapacityHistory

MOST_SAMPLES = 11_000
"""Samples of one series, as in Prometheus, which ZStack asks."""
MOST_POINTS = 100_000
"""Samples of all series together."""


@dataclass(frozen=True, slots=True)
class SampleTimes:
    """Times in epoch seconds: from `start`, every `period` seconds, not after `end`."""

    start: int
    end: int
    period: int

    def __len__(self) -> int:
        return max(0, (self.end - self.start) // self.period + 1)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.end + 1, self.period))


@dataclass(frozen=True, slots=True)
class CapacitySeries:
    """The capacity of a storage at each of the times; None where it was not known yet."""

    uuid: str
    type: str
    values: list[CapacityReading | None]


@dataclass(frozen=True, slots=True)
class _AtStart:
    """A storage and its capacity at the first of the times; None if it was not known then."""

    uuid: str
    type: str
    capacity: CapacityReading | None


async def read_capacity_series(
    database: Database, times: SampleTimes, selects: Callable[[str, str], bool]
) -> list[CapacitySeries]:
    """Return the series of the storages whose uuid and type `selects` accepts, by uuid.

    Raise InvalidRequest for more than MOST_SAMPLES times, or more than MOST_POINTS in all.
    """
    if not times:
        return []
    if len(times) > MOST_SAMPLES:
        raise InvalidRequest(f"{len(times)} points are more than the {MOST_SAMPLES} of a series; make period longer")
    everywhere = await _at_start(database, times.start)
    storages = [one for one in everywhere if selects(one.uuid, one.type)]
    if len(storages) * len(times) > MOST_POINTS:
        many = f"{len(times)} points of each of {len(storages)} backup storages"
        raise InvalidRequest(f"{many} are more than {MOST_POINTS}; choose by labels, or make period longer")
    some = None if len(storages) == len(everywhere) else [one.uuid for one in storages]
    changes: dict[str, dict[int, CapacityReading]] = {}
    for uuid, time, total, available in await _changes(database, times, some):
        index = -(-(time - times.start * 1000) // (times.period * 1000))  # rounded up: the first time after it
        changes.setdefault(uuid, {})[index] = CapacityReading(total, available, time / 1000)
    return [CapacitySeries(one.uuid, one.type, _values(one, changes.get(one.uuid, {}), len(times))) for one in storages]


def _values(storage: _AtStart, changes: dict[int, CapacityReading], count: int) -> list[CapacityReading | None]:
    values, current = [], storage.capacity
    for index in range(count):
        current = changes.get(index, current)
        values.append(current)
    return values


async def _at_start(database: Database, start: int) -> list[_AtStart]:
    """Return every storage with its capacity at `start` (epoch seconds).

    A storage without any change has always had its present capacity, unless that is 0: then it was never measured.
    """
    history = CapacityHistory.__table__.alias()
    then = history.c
    of_storage = CapacityHistory.backupStorageUuid == BackupStorage.uuid
    before_start = select(CapacityHistory.id).where(of_storage, CapacityHistory.time <= start * 1000)
    latest = before_start.order_by(CapacityHistory.time.desc(), CapacityHistory.id.desc()).limit(1)
    statement = (
        select(
            BackupStorage.uuid,
            BackupStorage.type,
            exists().where(of_storage),
            func.coalesce(then.totalCapacity, BackupStorage.totalCapacity),
            func.coalesce(then.availableCapacity, BackupStorage.availableCapacity),
            then.id.is_not(None),
        )
        .select_from(BackupStorage)
        .outerjoin(history, then.id == latest.correlate(BackupStorage).scalar_subquery())
        .order_by(BackupStorage.uuid)
    )
    storages = []
    for uuid, kind, has_changed, total, available, was_known in await database.read(statement):
        known = was_known or (not has_changed and total > 0)
        storages.append(_AtStart(uuid, kind, CapacityReading(total, available) if known else None))
    return storages


async def _changes(
    database: Database, times: SampleTimes, uuids: Sequence[str] | None
) -> Sequence[Row[str, int, int, int]]:
    """Return the last change in each period, of all storages or of those in `uuids`, in order."""
    columns = CapacityHistory
    first, period = times.start * 1000, times.period * 1000
    sample = (columns.time - first + period - 1) // period
    # The join begins with the storages, so that SQLite finds each one's changes by the index.
    latest = select(func.max(columns.id)).join_from(
        BackupStorage, CapacityHistory, columns.backupStorageUuid == BackupStorage.uuid
    )
    latest = latest.where(columns.time > first, columns.time <= times.end * 1000)
    if uuids is not None:
        latest = latest.where(BackupStorage.uuid.in_(uuids))
    found = select(columns.backupStorageUuid, columns.time, columns.totalCapacity, columns.availableCapacity)
    ids = latest.group_by(columns.backupStorageUuid, sample)
    return await database.read(found.where(columns.id.in_(ids)).order_by(columns.id))
