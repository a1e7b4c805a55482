"""Stored capacity: reports, failures, reservations, history (domain 3.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from imagestore_sim.backup_storage.capacity import CapacityReading
from imagestore_sim.backup_storage.capacity_series import SampleTimes, read_capacity_series
from imagestore_sim.backup_storage.errors import ConnectFailed, NoSuchStorage, OperationFailed
from imagestore_sim.backup_storage.events import CAPACITY_CHANGED
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from lifecycle_events import drain, new, storage
from rows import rows

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual"),
]
TIB = 2**40
GIB = 2**30


imagestore_lab, imagestore_client = reset_fixtures()


@pytest.mark.parametrize("by", ["ping", "reconnect"])
@pytest.mark.parametrize("size", [4, 1, 64])
async def test_a_report_overwrites_total_and_available_whether_they_grow_or_shrink(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, by: str, size: int
) -> None:
    disk, before = imagestore_hosts["imagestore-1"].disk, await storage(imagestore_lab)
    disk.used = GIB
    disk.resize(size * TIB)
    with imagestore_lab.node.events.subscribe() as events:
        if by == "reconnect":
            await imagestore_lab.node.storages.lifecycle.reconnect(before.uuid)
        else:
            await imagestore_lab.clock.sleep(90)
        [changed] = [one for one in drain(events) if one.path == CAPACITY_CHANGED]
    after = await storage(imagestore_lab)
    assert (after.total, after.available) == (size * TIB, disk.available)
    assert changed.content == {
        "backupStorageUuid": before.uuid,
        "oldTotalCapacity": before.total,
        "oldAvailableCapacity": before.available,
        "totalCapacity": after.total,
        "availableCapacity": after.available,
    }


async def test_a_disk_that_shrank_below_what_is_used_has_nothing_available(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    disk.used = 2 * TIB
    disk.resize(TIB)
    await imagestore_lab.clock.sleep(90)
    after = await storage(imagestore_lab)
    assert (after.total, after.available, after.status) == (TIB, 0, "Connected")


async def test_a_report_of_the_same_capacity_is_no_change(imagestore_lab: Lab) -> None:
    one = await storage(imagestore_lab)
    history = await imagestore_lab.node.storages.capacities.history(one.uuid)
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.clock.sleep(600)
        await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
        assert [event for event in drain(events) if event.path == CAPACITY_CHANGED] == []
    assert await imagestore_lab.node.storages.capacities.history(one.uuid) == history


@pytest.mark.parametrize("by", ["ping", "reconnect"])
async def test_a_failure_keeps_what_was_known_last(imagestore_lab: Lab, imagestore_hosts: HostNetwork, by: str) -> None:
    before = await storage(imagestore_lab)
    imagestore_hosts["imagestore-1"].disk.used += GIB
    await imagestore_hosts["imagestore-1"].stop()
    if by == "reconnect":
        with pytest.raises(ConnectFailed):
            await imagestore_lab.node.storages.lifecycle.reconnect(before.uuid)
    else:
        await imagestore_lab.clock.sleep(90)
    after = await storage(imagestore_lab)
    assert (after.status, after.total, after.available) == ("Disconnected", before.total, before.available)


async def test_a_storage_has_no_capacity_until_it_is_connected_and_its_host_s_own_then(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
    one, disk = await storage(imagestore_lab, "h-1"), imagestore_lab.network["h-1"].disk
    # Nothing is taken off for what is reserved.
    assert (one.total, one.available) == (disk.size, disk.available)
    first = (await imagestore_lab.node.storages.capacities.history(one.uuid))[0]
    assert (first.total, first.available) == (disk.size, disk.available)


# Between two reports


async def test_reserved_bytes_are_taken_off_and_given_back_up_to_the_total(imagestore_lab: Lab) -> None:
    capacities, one = imagestore_lab.node.storages.capacities, await storage(imagestore_lab)
    await capacities.reserve(one.uuid, GIB)
    assert (await storage(imagestore_lab)).available == one.available - GIB
    await capacities.give_back(one.uuid, GIB)
    assert (await storage(imagestore_lab)).available == one.available
    await capacities.give_back(one.uuid, one.total)
    assert (await storage(imagestore_lab)).available == one.total
    await imagestore_lab.clock.sleep(90)
    assert (await storage(imagestore_lab)).available == one.available  # what the host reports counts


@rows(("spare", "reserved", "fits"), [(1, 0, True), (0, 0, False), (GIB, GIB, False)])
async def test_more_has_to_be_left_than_is_asked_for(
    imagestore_lab: Lab, spare: int, reserved: int, fits: bool
) -> None:
    capacities, one = imagestore_lab.node.storages.capacities, await storage(imagestore_lab)
    size = one.available - spare
    if fits:
        await capacities.reserve(one.uuid, size, reserved=reserved)
        assert (await storage(imagestore_lab)).available == spare
        return
    with pytest.raises(OperationFailed) as caught:
        await capacities.reserve(one.uuid, size, reserved=reserved)
    text = f"after subtracting reserved capacity, no backup storage has required capacity[{size} bytes]"
    assert str(caught.value) == text
    assert (await storage(imagestore_lab)).available == one.available


async def test_a_deleted_storage_has_no_capacity_to_reserve_or_give_back(imagestore_lab: Lab) -> None:
    capacities, one = imagestore_lab.node.storages.capacities, await storage(imagestore_lab)
    await imagestore_lab.node.storages.lifecycle.delete(one.uuid)
    with pytest.raises(NoSuchStorage):
        await capacities.reserve(one.uuid, 1)
    with pytest.raises(NoSuchStorage):
        await capacities.give_back(one.uuid, 1)
    assert await capacities.history(one.uuid) == []


# History


async def test_each_change_is_kept_with_its_time(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    one, disk = await storage(imagestore_lab), imagestore_hosts["imagestore-1"].disk
    expected = [(one.total, one.available)]
    for _ in range(3):
        disk.used += GIB
        await imagestore_lab.clock.sleep(90)
        expected.append((disk.size, disk.available))
    history = await imagestore_lab.node.storages.capacities.history(one.uuid)
    assert [(point.total, point.available) for point in history] == expected
    times = [point.time for point in history]
    assert times == sorted(set(times))
    assert times[-1] <= imagestore_lab.clock.time()
    assert await imagestore_lab.node.storages.capacities.history(one.uuid, limit=2) == history[-2:]


@pytest.mark.parametrize("made", [datetime(2023, 6, 1), datetime(2030, 1, 1)], ids=["before", "in the future"])
async def test_a_capacity_from_a_file_is_in_the_history_before_its_first_change(
    imagestore_lab: Lab, made: datetime
) -> None:
    fixed = BackupStorageRecord(
        name="fixed", hostname="nowhere-1", url="/zs", status="Connected", tracked=False, createDate=made,
        totalCapacity=1000 * GIB, availableCapacity=100 * GIB,
    )  # fmt: skip
    node, began = imagestore_lab.node, int(imagestore_lab.clock.time())
    await node.changes.replace(Bootstrap(backupStorages=(fixed,)))
    [curve] = await read_capacity_series(node.parts.store.database, SampleTimes(began, began + 10, 10), lambda *_: True)
    uuid, taken = curve.uuid, (int(imagestore_lab.clock.time()) + 60)
    await imagestore_lab.clock.sleep(taken - imagestore_lab.clock.time())
    await node.storages.capacities.reserve(uuid, GIB)
    await node.storages.capacities.reserve(uuid, GIB)
    [curve] = await read_capacity_series(
        node.parts.store.database, SampleTimes(taken - 30, taken + 30, 30), lambda *_: True
    )
    known = [None if one is None else one.available // GIB for one in curve.values]
    assert known == [100, 98, 98]
    history = await node.storages.capacities.history(uuid)
    assert [one.available // GIB for one in history] == [100, 99, 98]
    assert history[0].time == (made.replace(tzinfo=UTC).timestamp() if made.year == 2023 else 0)


async def test_history_is_bounded(imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagestore_sim.backup_storage.capacity.KEPT_CAPACITIES", 10)
    monkeypatch.setattr("imagestore_sim.backup_storage.capacity.TRIM_EVERY", 5)
    capacities, one = imagestore_lab.node.storages.capacities, await storage(imagestore_lab)
    for _ in range(30):
        await capacities.reserve(one.uuid, 1)
    before = (await capacities.history(one.uuid, limit=1))[-1].available
    for _ in range(9):
        await capacities.reserve(one.uuid, 1)
    kept: list[Any] = await capacities.history(one.uuid, limit=100)
    assert 10 <= len(kept) < 15
    assert isinstance(kept[-1], CapacityReading)
    assert [point.available for point in kept][-10:] == list(range(before, before - 10, -1))
