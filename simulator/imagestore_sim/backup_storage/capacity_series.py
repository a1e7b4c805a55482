"""What the capacity of backup storages was at given moments: what was measured last holds until it is measured anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, exists, func, select
from sqlalchemy.orm import aliased

from imagestore_sim.backup_storage.capacity import CapacityReading
from imagestore_sim.backup_storage.errors import InvalidRequest
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, CapacityHistory

MOST_MOMENTS = 11_000
"""As many as Prometheus, which ZStack asks, answers of one series."""
MOST_POINTS = 100_000


@dataclass(frozen=True, slots=True)
class SampleTimes:
    """Moments in epoch seconds: from `start`, each `period`, not after `end`."""

    start: int
    end: int
    period: int

    def __len__(self) -> int:
        return max(0, (self.end - self.start) // self.period + 1)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.end + 1, self.period))


@dataclass(frozen=True, slots=True)
class CapacitySeries:
    """The capacity of a storage at each of the moments; None where nobody knew it yet."""

    uuid: str
    type: str
    values: list[CapacityReading | None]


@dataclass(frozen=True, slots=True)
class _AtStart:
    """A storage, and what was known of it at the first moment."""

    uuid: str
    type: str
    capacity: CapacityReading | None


async def read_capacity_series(
    database: Database, moments: SampleTimes, wanted: Callable[[str, str], bool]
) -> list[CapacitySeries]:
    """The curves of the storages whose uuid and type are wanted, by uuid. Raises InvalidRequest for too many points."""
    if not moments:
        return []
    if len(moments) > MOST_MOMENTS:
        raise InvalidRequest(f"{len(moments)} points are more than the {MOST_MOMENTS} of a series; make period longer")
    everywhere = await _at_start(database, moments.start)
    storages = [one for one in everywhere if wanted(one.uuid, one.type)]
    if len(storages) * len(moments) > MOST_POINTS:
        many = f"{len(moments)} points of each of {len(storages)} backup storages"
        raise InvalidRequest(f"{many} are more than {MOST_POINTS}; choose by labels, or make period longer")
    some = None if len(storages) == len(everywhere) else [one.uuid for one in storages]
    changes: dict[str, dict[int, CapacityReading]] = {}
    for uuid, time, total, available in await _changes(database, moments, some):
        index = -(-(time - moments.start * 1000) // (moments.period * 1000))
        changes.setdefault(uuid, {})[index] = CapacityReading(total, available, time / 1000)
    return [
        CapacitySeries(one.uuid, one.type, _steps(one, changes.get(one.uuid, {}), len(moments))) for one in storages
    ]


def _steps(storage: _AtStart, changes: dict[int, CapacityReading], count: int) -> list[CapacityReading | None]:
    values, now = [], storage.capacity
    for index in range(count):
        now = changes.get(index, now)
        values.append(now)
    return values


async def _at_start(database: Database, start: int) -> list[_AtStart]:
    """Every storage. One whose capacity never changed has always had it, unless none was ever measured."""
    then = aliased(CapacityHistory)
    of_storage = CapacityHistory.backupStorageUuid == BackupStorage.uuid
    until_start = select(CapacityHistory.id).where(of_storage, CapacityHistory.time <= start * 1000)
    latest = until_start.order_by(CapacityHistory.time.desc(), CapacityHistory.id.desc()).limit(1)
    statement = (
        select(
            BackupStorage.uuid,
            BackupStorage.type,
            exists().where(of_storage),
            func.coalesce(then.totalCapacity, BackupStorage.totalCapacity),
            func.coalesce(then.availableCapacity, BackupStorage.availableCapacity),
            then.id.is_not(None),
        )
        .outerjoin(then, then.id == latest.correlate(BackupStorage).scalar_subquery())
        .order_by(BackupStorage.uuid)
    )
    storages = []
    for uuid, kind, changed, total, available, known in await database.read(statement):
        standing = known or (not changed and total > 0)
        storages.append(_AtStart(uuid, kind, CapacityReading(total, available) if standing else None))
    return storages


async def _changes(
    database: Database, moments: SampleTimes, uuids: Sequence[str] | None
) -> Sequence[Row[str, int, int, int]]:
    """The last change before each moment but the first, and after the moment before it; of all storages, or some."""
    columns = CapacityHistory
    first, period = moments.start * 1000, moments.period * 1000
    moment = (columns.time - first + period - 1) // period
    # From the storages, so that each one's changes are found by the index.
    latest = select(func.max(columns.id)).join_from(
        BackupStorage, CapacityHistory, columns.backupStorageUuid == BackupStorage.uuid
    )
    latest = latest.where(columns.time > first, columns.time <= moments.end * 1000)
    if uuids is not None:
        latest = latest.where(BackupStorage.uuid.in_(uuids))
    found = select(columns.backupStorageUuid, columns.time, columns.totalCapacity, columns.availableCapacity)
    ids = latest.group_by(columns.backupStorageUuid, moment)
    return await database.read(found.where(columns.id.in_(ids)).order_by(columns.id))
