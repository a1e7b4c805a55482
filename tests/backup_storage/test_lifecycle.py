"""When a storage is added, connected, deleted: state, status, events (domain 1.5, 1.6, 3.1-3.4, 4)."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim.backup_storage.errors import BackupStorageError, ConnectFailed, NoSuchStorage
from imagestore_sim.backup_storage.events import DISCONNECTED
from imagestore_sim.backup_storage.lifecycle import StateEvent
from imagestore_sim.backup_storage.records import State, Status
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost
from imagestore_sim.lab import Lab
from imagestore_sim.probe import Target
from imagestore_sim.testing import Client
from imagestore_sim.virtual_clock import virtual_clock
from kept_lab import reset_fixtures
from lifecycle_events import UUID, disconnections, drain, moves, new, storage
from recorded_probes import Outcome, Probes
from rows import rows

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual"),
]


imagestore_lab, imagestore_client = reset_fixtures()


async def test_an_added_storage_goes_from_connecting_to_connected(imagestore_lab: Lab) -> None:
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
    assert moves(drain(events)) == [("Connecting", "Connected")]


async def test_a_failed_add_leaves_neither_row_nor_event(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    await imagestore_hosts.add(SimulatedHost("locked-1", credentials=Credentials("root", "other")))
    with imagestore_lab.node.events.subscribe() as events, pytest.raises(ConnectFailed) as caught:
        await imagestore_lab.node.storages.lifecycle.add(new("locked-1"))
    assert caught.value.failure.reason == "auth_failed"
    assert drain(events) == []
    assert await imagestore_lab.node.storages.records.load(UUID) is None


async def test_a_port_without_a_listener_is_refused(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    await imagestore_hosts.add(SimulatedHost("closed-1"))
    with pytest.raises(ConnectFailed) as caught:
        await imagestore_lab.node.storages.lifecycle.add(new("closed-1", port=23))
    assert caught.value.failure.reason == "refused"


async def test_a_reconnect_passes_through_connecting_and_measures_again(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    lab = imagestore_lab
    storage = await lab.wait_for("imagestore-1", "Connected")
    imagestore_hosts["imagestore-1"].disk.resize(8 * 2**40)
    with lab.node.events.subscribe() as events:
        await lab.node.storages.lifecycle.reconnect(storage.uuid)
    assert moves(drain(events)) == [("Connected", "Connecting"), ("Connecting", "Connected")]
    assert (await lab.wait_for("imagestore-1", "Connected")).total == 8 * 2**40


async def test_a_failed_reconnect_disconnects_and_keeps_the_last_known_capacity(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    lab = imagestore_lab
    before = await lab.wait_for("imagestore-1", "Connected")
    await imagestore_hosts["imagestore-1"].stop()
    with lab.node.events.subscribe() as events:
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                await lab.node.storages.lifecycle.reconnect(before.uuid)
    after = await lab.wait_for("imagestore-1", "Disconnected")
    assert (after.total, after.available) == (before.total, before.available)
    seen = drain(events)
    # The second attempt began when it was Disconnected already, so it reports no disconnection.
    assert [event.path for event in seen].count(DISCONNECTED) == 1
    assert moves(seen) == [
        ("Connected", "Connecting"),
        ("Connecting", "Disconnected"),
        ("Disconnected", "Connecting"),
        ("Connecting", "Disconnected"),
    ]


async def test_an_unmounted_disk_is_detected_at_reconnect(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    disk.remove(f"{storage.url}/export")
    await imagestore_lab.node.storages.lifecycle.reconnect(storage.uuid)
    disk.remove(f"{storage.url}/registry")
    with pytest.raises(ConnectFailed) as caught:
        await imagestore_lab.node.storages.lifecycle.reconnect(storage.uuid)
    assert caught.value.failure.reason == "not_mounted"
    assert disk.listdir(storage.url) == []


async def test_connects_of_one_storage_are_queued_not_refused(imagestore_lab: Lab) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    with imagestore_lab.node.events.subscribe() as events:
        await asyncio.gather(*(imagestore_lab.node.storages.lifecycle.reconnect(storage.uuid) for _ in range(5)))
    assert moves(drain(events)) == [("Connected", "Connecting"), ("Connecting", "Connected")] * 5


async def test_a_storage_deleted_while_it_connects_stays_deleted(imagestore_lab: Lab) -> None:
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    with imagestore_lab.node.events.subscribe() as events:
        reconnect = asyncio.ensure_future(imagestore_lab.node.storages.lifecycle.reconnect(storage.uuid))
        await events.get()
        await imagestore_lab.node.storages.lifecycle.delete(storage.uuid)
        with pytest.raises(NoSuchStorage):
            await reconnect
    assert await imagestore_lab.node.storages.records.load(storage.uuid) is None


async def test_a_storage_deleted_while_it_is_being_added_stays_deleted(imagestore_lab: Lab) -> None:
    node = imagestore_lab.node
    add = asyncio.ensure_future(node.storages.lifecycle.add(new("h-1")))
    while await node.storages.records.load(UUID) is None:
        await asyncio.sleep(0)
    await node.storages.lifecycle.delete(UUID)
    with pytest.raises(NoSuchStorage):
        await add
    assert await node.storages.records.load(UUID) is None


async def test_an_add_that_is_cancelled_takes_its_row_with_it(imagestore_lab: Lab) -> None:
    node = imagestore_lab.node
    add = asyncio.ensure_future(node.storages.lifecycle.add(new("h-1")))
    while await node.storages.records.load(UUID) is None:
        await asyncio.sleep(0)
    add.cancel()
    with pytest.raises(asyncio.CancelledError):
        await add
    assert await node.storages.records.load(UUID) is None


async def test_a_full_disk_stays_connected_with_nothing_available(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    disk.used = disk.size
    storage = await imagestore_lab.wait_for("imagestore-1", "Connected")
    await imagestore_lab.node.storages.lifecycle.reconnect(storage.uuid)
    after = await imagestore_lab.wait_for("imagestore-1", "Connected")
    assert (after.status, after.available) == (Status.CONNECTED, 0)


# The administrator's switch (domain 1.5)


@pytest.mark.parametrize("before", [StateEvent.ENABLE, StateEvent.DISABLE])
@pytest.mark.parametrize(("event", "after"), [(StateEvent.ENABLE, "Enabled"), (StateEvent.DISABLE, "Disabled")])
async def test_every_change_of_state_is_legal_and_is_no_event(
    imagestore_lab: Lab, imagestore_client: Client, before: StateEvent, event: StateEvent, after: str
) -> None:
    one = await storage(imagestore_lab)
    await imagestore_lab.node.storages.lifecycle.change_state(one.uuid, before)
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.node.storages.lifecycle.change_state(one.uuid, event)
        assert drain(events) == []
    [found] = await imagestore_client.query("/backup-storage", f"uuid={one.uuid}")
    assert (found["state"], found["status"]) == (after, "Connected")


async def test_a_new_storage_is_enabled(imagestore_lab: Lab, imagestore_client: Client) -> None:
    assert (await imagestore_client.add_image_store("h-1"))["state"] == State.ENABLED


async def test_the_state_of_a_storage_that_is_not_there_cannot_be_changed(imagestore_lab: Lab) -> None:
    with pytest.raises(NoSuchStorage):
        await imagestore_lab.node.storages.lifecycle.change_state(UUID, StateEvent.ENABLE)


async def test_a_disabled_storage_can_be_reconnected_updated_attached_detached_and_deleted(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    uuid = (await storage(imagestore_lab)).uuid
    path = f"/backup-storage/{uuid}"
    await imagestore_client.call("PUT", f"{path}/actions", {"changeBackupStorageState": {"stateEvent": "disable"}})
    zone = (await imagestore_client.call("POST", "/zones", {"params": {"name": "z"}}))["inventory"]["uuid"]
    for method, where, body in (
        ("PUT", f"{path}/actions", {"reconnectBackupStorage": {}}),
        ("PUT", f"{path}/actions", {"updateBackupStorage": {"name": "other"}}),
        ("POST", f"/zones/{zone}/backup-storage/{uuid}", {"params": {}}),
        ("DELETE", f"/zones/{zone}/backup-storage/{uuid}", None),
    ):
        found = (await imagestore_client.call(method, where, body))["inventory"]
        assert (found["state"], found["status"]) == ("Disabled", "Connected")
    await imagestore_client.call("DELETE", path)
    assert await imagestore_client.query("/backup-storage") == []


# Who moves the status (domain 1.6), beside what the tests above and those of the tracker show


async def test_a_new_storage_is_connecting_without_an_event(imagestore_lab: Lab, probes: Probes) -> None:
    seen: list[tuple[Status, int, int]] = []

    async def look(target: Target, fresh: bool) -> Outcome | None:
        one = await storage(imagestore_lab, "h-1")
        seen.append((one.status, one.total, one.available))
        return None

    probes.answer = look
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
        assert moves(drain(events)) == [("Connecting", "Connected")]
    assert seen == [(Status.CONNECTING, 0, 0)]


@pytest.mark.parametrize("connected", [True, False])
async def test_a_reconnect_is_connecting_while_it_lasts_whatever_it_was_before(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes, connected: bool
) -> None:
    if not connected:
        await imagestore_hosts["imagestore-1"].stop()
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
        await imagestore_hosts["imagestore-1"].start()
    seen: list[Status] = []

    async def look(target: Target, fresh: bool) -> Outcome | None:
        seen.append((await storage(imagestore_lab)).status)
        return None

    probes.answer = look
    await imagestore_lab.node.storages.lifecycle.reconnect((await storage(imagestore_lab)).uuid)
    assert seen == [Status.CONNECTING]
    assert (await storage(imagestore_lab)).status == "Connected"


@pytest.mark.parametrize(("was_connected", "events_expected"), [(True, 1), (False, 0)])
async def test_a_failed_reconnect_has_a_disconnection_event_only_if_it_was_connected(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, was_connected: bool, events_expected: int
) -> None:
    one = await storage(imagestore_lab)
    await imagestore_hosts["imagestore-1"].stop()
    if not was_connected:
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    with imagestore_lab.node.events.subscribe() as events:
        with pytest.raises(ConnectFailed):
            await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
        seen = drain(events)
    assert moves(seen)[-1] == ("Connecting", "Disconnected")
    assert len(disconnections(seen)) == events_expected


@pytest.mark.spoils
async def test_a_node_that_starts_reconnects_even_what_is_connected(imagestore_lab: Lab) -> None:
    log = imagestore_lab.node.parts.store.event_log
    number = max(one.id for one in await log.since(0, 1000))
    await imagestore_lab.stop()
    async with Lab(imagestore_lab.settings, clock=virtual_clock()) as again:
        assert moves(await again.node.parts.store.event_log.since(number, 1000)) == [
            ("Connected", "Connecting"),
            ("Connecting", "Connected"),
        ]


# Adding (domain 3.1, 3.2)


@rows(
    ("hostname", "url", "text"),
    [
        ("no_name", "dev", "hostname[no_name] is neither an IPv4 address nor a valid hostname"),
        (
            "imagestore-1",
            "dev",
            "duplicate backup storage. There has been an image store backup storage[hostname:imagestore-1]",
        ),
        ("h-1", "", "file path needed"),
        ("h-1", "dev", "absolute file path required: dev"),
        ("h-1", "/dev/\n", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ("h-1", "/zs\n", "file path contains invalid character: '/zs\\n'"),
    ],
)
async def test_errors_of_a_new_storage_are_reported_in_this_order(
    imagestore_lab: Lab, probes: Probes, hostname: str, url: str, text: str
) -> None:
    with pytest.raises(BackupStorageError) as caught:
        await imagestore_lab.node.storages.lifecycle.add(new(hostname, url=url))
    assert str(caught.value) == text
    assert probes.asked == []


async def test_two_storages_may_have_one_name_and_one_url_but_not_one_hostname(imagestore_lab: Lab) -> None:
    lifecycle = imagestore_lab.node.storages.lifecycle
    one = await storage(imagestore_lab)
    await lifecycle.add(new("h-1", name=one.name, url=one.url))
    with pytest.raises(BackupStorageError, match="duplicate backup storage"):
        await lifecycle.add(new("h-1", uuid="f" * 32, port=2222))


async def test_the_hostname_and_the_uuid_of_a_failed_add_are_free_again(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    host = SimulatedHost("h-1", credentials=Credentials("root", "other"))
    await imagestore_hosts.add(host)
    with pytest.raises(ConnectFailed):
        await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
    await imagestore_lab.node.storages.lifecycle.add(new("h-1", password="other"))
    assert (await storage(imagestore_lab, UUID)).status == "Connected"


async def test_an_add_makes_the_folders_and_a_reconnect_makes_none(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
    disk = imagestore_hosts["h-1"].disk
    assert sorted(disk.listdir("/zs")) == ["export", "registry"]
    disk.remove("/zs/export")
    await imagestore_lab.node.storages.lifecycle.reconnect(UUID)
    assert disk.listdir("/zs") == ["registry"]


# Updating (domain 3.4)


async def test_an_update_moves_nothing_until_the_next_connect(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    one = await storage(imagestore_lab)
    imagestore_hosts["imagestore-1"].credentials = Credentials("root", "other")
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.node.storages.lifecycle.update(one.uuid, {}, {"sshPort": 23})
        assert (drain(events), probes.asked) == ([], [])
    with pytest.raises(ConnectFailed) as refused:
        await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
    await imagestore_lab.node.storages.lifecycle.update(one.uuid, {}, {"sshPort": 22})
    with pytest.raises(ConnectFailed) as locked:
        await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
    await imagestore_lab.node.storages.lifecycle.update(one.uuid, {}, {"password": "other"})
    await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
    assert (refused.value.failure.reason, locked.value.failure.reason) == ("refused", "auth_failed")
    assert (await storage(imagestore_lab)).status == "Connected"


async def test_an_update_to_another_host_is_followed_by_the_next_ping(
    imagestore_lab: Lab, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await storage(imagestore_lab)
    await imagestore_lab.node.storages.lifecycle.update(one.uuid, {}, {"hostname": "h-2"})
    monkeypatch.setattr(imagestore_lab.network, "_any_host", None)
    await imagestore_lab.wait_for(one.uuid, "Disconnected", within=120)
    assert [host for _, host, _ in probes.asked] == ["h-2"]


@pytest.mark.parametrize(
    ("hostname", "text"),
    [
        ("no_name", "hostname[no_name] is neither an IPv4 address nor a valid hostname"),
        ("h-1", "org.hibernate.exception.ConstraintViolationException: could not execute statement"),
    ],
)
async def test_an_update_checks_the_form_of_a_hostname_and_the_database_checks_the_rest(
    imagestore_lab: Lab, hostname: str, text: str
) -> None:
    await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
    one = await storage(imagestore_lab)
    with pytest.raises(BackupStorageError) as caught:
        await imagestore_lab.node.storages.lifecycle.update(one.uuid, {"name": "x"}, {"hostname": hostname})
    assert str(caught.value) == text
    assert await storage(imagestore_lab) == one


# Deleting (domain 4)


@pytest.mark.parametrize("status", ["Connected", "Disconnected", "Connecting"])
async def test_a_storage_is_deleted_in_whatever_status_and_its_host_is_left_as_it_is(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, status: str
) -> None:
    host, one = imagestore_hosts["imagestore-1"], await storage(imagestore_lab)
    connecting = None
    if status == "Disconnected":
        await host.stop()
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    if status == "Connecting":
        with imagestore_lab.node.events.subscribe() as events:
            connecting = asyncio.ensure_future(imagestore_lab.node.storages.lifecycle.reconnect(one.uuid))
            await events.get()
    assert (await storage(imagestore_lab)).status == status
    await imagestore_lab.node.storages.lifecycle.delete(one.uuid)
    if connecting is not None:
        with pytest.raises(NoSuchStorage):
            await connecting
    assert await imagestore_lab.node.storages.records.tracked() == []
    assert sorted(host.disk.listdir(one.url)) == ["export", "registry"]
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.clock.sleep(600)
        assert drain(events) == []


async def test_a_storage_deleted_while_it_is_pinged_stays_deleted(imagestore_lab: Lab, probes: Probes) -> None:
    one, answered = await storage(imagestore_lab), []

    async def slow(target: Target, fresh: bool) -> Outcome | None:
        await imagestore_lab.clock.sleep(20)
        answered.append(target.hostname)
        return None

    probes.answer = slow
    while not probes.asked:
        await imagestore_lab.clock.sleep(1)
    await imagestore_lab.node.storages.lifecycle.delete(one.uuid)
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.clock.sleep(600)
        assert drain(events) == []
    assert answered == ["imagestore-1"]
    assert await imagestore_lab.node.storages.records.tracked() == []
    assert one.uuid not in imagestore_lab.node.storages.status.last_probes


async def test_a_storage_that_is_deleted_and_added_again_starts_from_scratch(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    one = await storage(imagestore_lab)
    await imagestore_lab.node.storages.lifecycle.delete(one.uuid)
    await imagestore_lab.node.storages.lifecycle.add(new("imagestore-1", uuid=one.uuid, url=one.url))
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for(one.uuid, "Disconnected", within=120)
