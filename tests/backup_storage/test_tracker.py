"""Pings and automatic reconnects (domain 3.5), with a ping each second."""

from __future__ import annotations

import pytest
from simulator.backup_storage.events import DISCONNECTED
from simulator.hosts import HostNetwork
from simulator.lab import Lab

pytestmark = pytest.mark.imagestore_lab(hosts=2, ping_interval=1)


async def test_a_host_that_went_away_is_noticed_and_one_that_came_back_is_reconnected(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    host = imagestore_hosts["imagestore-1"]
    before = await imagestore_lab.wait_for("imagestore-1", "Connected")
    with imagestore_lab.node.events.listening() as events:
        await host.stop()
        after = await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=3)
        assert (after.total, after.available) == (before.total, before.available)
        await host.start()
        await imagestore_lab.wait_for("imagestore-1", "Connected", within=5)
        paths = [events.get_nowait() for _ in range(events.qsize())]
    lost = [event for event in paths if event.path == DISCONNECTED]
    assert [event.resource_uuid for event in lost] == [before.uuid]
    assert lost[0].content["reason"]["reason"] == "refused"  # type: ignore[index]  # content is an open mapping
    assert (await imagestore_lab.wait_for("imagestore-2", "Connected")).total


async def test_a_ping_writes_a_changed_capacity(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    uuid = (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    disk.used += 2**30

    async def until_written() -> None:
        while (await imagestore_lab.wait_for(uuid, "Connected")).available != disk.available:
            await imagestore_lab.clock.sleep(0.05)

    await imagestore_lab.clock.wait_for(until_written(), 4)


async def test_without_automatic_reconnect_a_host_that_came_back_stays_disconnected(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    name = "connection.autoReconnectOnError"
    await imagestore_lab.node.configuration.change("backupStorage", name, "false")
    host = imagestore_hosts["imagestore-1"]
    await host.stop()
    storage = await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=3)
    await host.start()
    with pytest.raises(TimeoutError, match="imagestore-1 is Disconnected, and was not Connected"):
        await imagestore_lab.wait_for("imagestore-1", "Connected", within=2.5)
    await imagestore_lab.node.lifecycle.reconnect(storage.uuid)
    await imagestore_lab.wait_for("imagestore-1", "Connected")


@pytest.mark.imagestore_lab(hosts=1, ping_interval=60)
async def test_a_shorter_interval_takes_effect_at_once(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.node.configuration.change("backupStorage", "ping.interval", "1")
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=3)


async def test_a_deleted_storage_is_pinged_no_more(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    host = imagestore_hosts["imagestore-1"]
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    await host.stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=3)
    await imagestore_lab.node.lifecycle.delete(storage.uuid)
    logins = host.logins
    await host.start()
    await imagestore_lab.clock.sleep(2.2)
    assert host.logins == logins
    assert await imagestore_lab.node.records.load(storage.uuid) is None
