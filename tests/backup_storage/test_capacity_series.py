"""Curves of capacity, beside the same thing worked out moment by moment."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from imagestore_sim.backup_storage.capacity import CapacityReading
from imagestore_sim.backup_storage.capacity_series import SampleTimes, read_capacity_series
from imagestore_sim.backup_storage.errors import InvalidRequest
from imagestore_sim.database import Database
from imagestore_sim.database.models import BackupStorage, CapacityHistory

MADE = datetime(2024, 1, 1)
UUIDS = [f"{number:032x}" for number in range(4)]
Change = tuple[int, int]


async def write(database: Database, changes: dict[str, list[Change]], *, standing: int = 0) -> None:
    """Storages with changes at milliseconds, or without any, of a capacity that stands."""
    async with database.transaction() as connection:
        for uuid, of_storage in changes.items():
            total = of_storage[-1][1] if of_storage else standing
            storage = {"uuid": uuid, "name": "n", "url": "/", "type": "t", "state": "Enabled", "status": "Connected"}
            capacity = {"totalCapacity": total, "availableCapacity": total}
            row = {**storage, **capacity, "tracked": False, "createDate": MADE, "lastOpDate": MADE}
            await connection.execute(insert(BackupStorage).values(**row))
            for time, amount in of_storage:
                change = {"time": time, "totalCapacity": amount, "availableCapacity": amount}
                await connection.execute(insert(CapacityHistory).values(backupStorageUuid=uuid, **change))


def plainly(changes: list[Change], time: int) -> int | None:
    """Return the last reading not after `time` (seconds)."""
    return next((amount for since, amount in reversed(changes) if since <= time * 1000), None)


def totals(values: list[CapacityReading | None]) -> list[int | None]:
    return [None if one is None else one.total for one in values]


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(2, 8))])
async def test_each_point_is_what_was_measured_last(seed: int, tmp_path: Path) -> None:
    chosen = random.Random(seed)
    changes = {
        uuid: [(time * 500, chosen.randrange(1, 99)) for time in sorted(chosen.choices(range(60), k=12))]
        for uuid in UUIDS
    }
    database = await Database.open(str(tmp_path / "curves.db"))
    await write(database, changes)
    for _ in range(20):
        start, period = chosen.randrange(0, 40), chosen.randrange(1, 9)
        moments = SampleTimes(start, start + chosen.randrange(0, 40), period)
        some = set(chosen.sample(UUIDS, k=chosen.randrange(1, 5)))
        curves = await read_capacity_series(database, moments, lambda uuid, _, some=some: uuid in some)  # type: ignore[misc]
        assert [curve.uuid for curve in curves] == sorted(some)
        for curve in curves:
            assert totals(curve.values) == [plainly(changes[curve.uuid], time) for time in moments]
    await database.close()


async def test_a_capacity_that_never_changed_was_always_there_and_one_that_was_never_measured_never(
    tmp_path: Path,
) -> None:
    database = await Database.open(str(tmp_path / "curves.db"))
    await write(database, {UUIDS[0]: []}, standing=7)
    await write(database, {UUIDS[1]: []})
    stands, unknown = await read_capacity_series(database, SampleTimes(0, 2, 1), lambda *_: True)
    assert totals(stands.values) == [7, 7, 7]
    assert totals(unknown.values) == [None, None, None]
    assert await read_capacity_series(database, SampleTimes(3, 2, 1), lambda *_: True) == []
    with pytest.raises(InvalidRequest, match="11001 points are more than the 11000 of a series"):
        await read_capacity_series(database, SampleTimes(0, 11_000, 1), lambda *_: True)
    await database.close()
