"""When a storage is added, connected, deleted: status, capacity, events (domain 1.6, 3.2-3.4, 4)."""

from __future__ import annotations

import asyncio

import pytest
from simulator.backup_storage.errors import ConnectFailed, NoSuchStorage
from simulator.backup_storage.events import DISCONNECTED, STATUS_CHANGED, Event
from simulator.backup_storage.records import NewStorage, Status
from simulator.hosts import Credentials, HostNetwork, SimulatedHost
from simulator.lab import Lab

pytestmark = pytest.mark.imagestore_lab(hosts=1, ping_interval=60)
UUID = "0123456789ab4def8123456789abcdef"


def new(hostname: str) -> NewStorage:
    return NewStorage(uuid=UUID, name=hostname, url="/zs", hostname=hostname, username="root", password="password")


def drain(queue: asyncio.Queue[Event]) -> list[Event]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def moves(events: list[Event]) -> list[tuple[object, object]]:
    return [(one.content["oldStatus"], one.content["newStatus"]) for one in events if one.path == STATUS_CHANGED]


async def test_an_added_storage_goes_from_connecting_to_connected(imagestore_lab: Lab) -> None:
    with imagestore_lab.node.events.listening() as events:
        await imagestore_lab.node.lifecycle.add(new("h-1"))
    assert moves(drain(events)) == [("Connecting", "Connected")]


async def test_a_failed_add_leaves_neither_row_nor_event(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    await imagestore_hosts.add(SimulatedHost("locked-1", credentials=Credentials("root", "other")))
    with imagestore_lab.node.events.listening() as events, pytest.raises(ConnectFailed) as caught:
        await imagestore_lab.node.lifecycle.add(new("locked-1"))
    assert caught.value.failure.reason == "auth_failed"
    assert drain(events) == []
    assert await imagestore_lab.node.records.load(UUID) is None


async def test_a_port_that_nobody_listens_on_is_refused(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    await imagestore_hosts.add(SimulatedHost("closed-1"))
    with pytest.raises(ConnectFailed) as caught:
        await imagestore_lab.node.lifecycle.add(
            NewStorage(uuid=UUID, name="x", url="/zs", hostname="closed-1", username="r", password="p", port=23)
        )
    assert caught.value.failure.reason == "refused"


async def test_a_reconnect_passes_through_connecting_and_measures_anew(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    lab = imagestore_lab
    storage = await lab.wait_for("imagestore-1", "Connected")
    imagestore_hosts["imagestore-1"].disk.resize(8 * 2**40)
    with lab.node.events.listening() as events:
        await lab.node.lifecycle.reconnect(storage.uuid)
    assert moves(drain(events)) == [("Connected", "Connecting"), ("Connecting", "Connected")]
    assert (await lab.wait_for("imagestore-1", "Connected")).total == 8 * 2**40


async def test_a_failed_reconnect_disconnects_and_keeps_the_last_known_capacity(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    lab = imagestore_lab
    before = await lab.wait_for("imagestore-1", "Connected")
    await imagestore_hosts["imagestore-1"].stop()
    with lab.node.events.listening() as events:
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                await lab.node.lifecycle.reconnect(before.uuid)
    after = await lab.wait_for("imagestore-1", "Disconnected")
    assert (after.total, after.available) == (before.total, before.available)
    seen = drain(events)
    # The second attempt began when it was Disconnected already, so it tells of no disconnection.
    assert [event.path for event in seen].count(DISCONNECTED) == 1
    assert moves(seen) == [
        ("Connected", "Connecting"),
        ("Connecting", "Disconnected"),
        ("Disconnected", "Connecting"),
        ("Connecting", "Disconnected"),
    ]


async def test_a_disk_that_is_not_mounted_at_reconnect_is_told_from_one_that_is(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    disk.remove(f"{storage.url}/export")
    await imagestore_lab.node.lifecycle.reconnect(storage.uuid)
    disk.remove(f"{storage.url}/registry")
    with pytest.raises(ConnectFailed) as caught:
        await imagestore_lab.node.lifecycle.reconnect(storage.uuid)
    assert caught.value.failure.reason == "not_mounted"
    assert disk.listdir(storage.url) == []


async def test_connects_of_one_storage_queue_and_none_is_refused(imagestore_lab: Lab) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    with imagestore_lab.node.events.listening() as events:
        await asyncio.gather(*(imagestore_lab.node.lifecycle.reconnect(storage.uuid) for _ in range(5)))
    assert moves(drain(events)) == [("Connected", "Connecting"), ("Connecting", "Connected")] * 5


async def test_a_storage_deleted_while_it_connects_stays_deleted(imagestore_lab: Lab) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    with imagestore_lab.node.events.listening() as events:
        reconnect = asyncio.ensure_future(imagestore_lab.node.lifecycle.reconnect(storage.uuid))
        await events.get()
        await imagestore_lab.node.lifecycle.delete(storage.uuid)
        with pytest.raises(NoSuchStorage):
            await reconnect
    assert await imagestore_lab.node.records.load(storage.uuid) is None


async def test_a_storage_deleted_while_it_is_being_added_stays_deleted(imagestore_lab: Lab) -> None:
    node = imagestore_lab.node
    add = asyncio.ensure_future(node.lifecycle.add(new("h-1")))
    while await node.records.load(UUID) is None:
        await asyncio.sleep(0)
    await node.lifecycle.delete(UUID)
    with pytest.raises(NoSuchStorage):
        await add
    assert await node.records.load(UUID) is None


async def test_an_add_that_is_cancelled_takes_its_row_with_it(imagestore_lab: Lab) -> None:
    node = imagestore_lab.node
    add = asyncio.ensure_future(node.lifecycle.add(new("h-1")))
    while await node.records.load(UUID) is None:
        await asyncio.sleep(0)
    add.cancel()
    with pytest.raises(asyncio.CancelledError):
        await add
    assert await node.records.load(UUID) is None


async def test_a_full_disk_stays_connected_with_nothing_available(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    disk.used = disk.size
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    await imagestore_lab.node.lifecycle.reconnect(storage.uuid)
    after = await imagestore_lab.wait_for("imagestore-1", "Connected")
    assert (after.status, after.available) == (Status.CONNECTED, 0)
