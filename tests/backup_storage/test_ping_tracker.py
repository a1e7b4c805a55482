"""Pings and automatic reconnects (domain 3.5), in virtual time: every moment is exact."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import pytest

from imagestore_sim.backup_storage.events import PROBE_FAILED
from imagestore_sim.backup_storage.lifecycle import StateEvent
from imagestore_sim.backup_storage.ping_tracker import SPREAD
from imagestore_sim.backup_storage.records import MOST_AT_ONCE, Status, Storage, StorageRecords
from imagestore_sim.backup_storage.status import StatusStore
from imagestore_sim.clock import spread
from imagestore_sim.database.reader import Reader
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.probe import Capacity, Layout, ProbeFailure, Prober, Reason, Target
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import virtual_clock
from kept_lab import reset_fixtures
from lifecycle_events import disconnections, drain, gaps, moves, new, storage
from recorded_probes import Outcome, Probes

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=2, ping_interval=60, clock="virtual"),
]
SLOW = ProbeFailure(Reason.TIMEOUT, "imagestore-3:22: no answer", {})
DOWN = ProbeFailure(Reason.REFUSED, "imagestore-1:22: connection refused", {})


imagestore_lab, imagestore_client = reset_fixtures()


async def set_option(lab: Lab, name: str, value: object) -> None:
    await lab.node.parts.store.configuration.change("backupStorage", name, str(value))


async def lab_pings(interval: int, seed: int) -> list[float]:
    """When a lab of its own pinged its host, at first."""
    async with Lab(Settings(port=0, hosts=1, ping_interval=interval, seed=seed), clock=virtual_clock()) as lab:
        uuid = (await storage(lab)).uuid
        connected = lab.node.storages.status.last_probes[uuid].time
        seen: list[float] = []
        while len(seen) < 3:
            await lab.clock.sleep(0.25)
            time = lab.node.storages.status.last_probes[uuid].time
            if time not in (connected, *seen):
                seen.append(time)
        return [one - connected for one in seen]


async def test_a_ping_asks_the_store_nothing_while_that_is_as_the_tick_has_found_it(
    imagestore_lab: Lab, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = StatusStore.current

    async def note(status: StatusStore, uuid: str) -> Status:
        asked.append(uuid)
        return await ask(status, uuid)

    async def change_the_store(_: Target, __: bool) -> None:
        async with imagestore_lab.node.parts.store.database.transaction():
            pass

    monkeypatch.setattr(StatusStore, "current", note)
    await imagestore_lab.clock.sleep(300)
    assert (len(probes.pings()) >= 3, asked) == (True, [])
    probes.answer = change_the_store
    await imagestore_lab.clock.sleep(60)
    assert asked


# The first tick, and those that follow


@pytest.mark.parametrize(
    ("interval", "most"), [(1, 1), *(pytest.param(*row, marks=pytest.mark.thorough) for row in ((20, 20), (60, 29)))]
)
async def test_the_first_tick_comes_after_the_interval_and_a_jitter_that_the_seed_gives(
    interval: int, most: int
) -> None:
    by_seed = [await lab_pings(interval, seed) for seed in (0, 0, 1, 2)]
    first = [one[0] for one in by_seed]
    assert all(interval <= one <= interval + most for one in first)
    assert first[0] == first[1]
    assert len({round(one, 6) for one in first}) == 3
    for one in by_seed:
        assert one[1] - one[0] == pytest.approx(interval, abs=1e-3)
        assert one[2] - one[1] == pytest.approx(interval, abs=1e-3)


async def test_ticks_come_at_a_fixed_rate_whatever_a_ping_takes(imagestore_lab: Lab, probes: Probes) -> None:
    async def slow(target: Target, fresh: bool) -> None:
        await imagestore_lab.clock.sleep(17)

    probes.answer = slow
    await imagestore_lab.clock.sleep(600)
    times = probes.pings()
    assert len(times) >= 8
    assert gaps(times) == pytest.approx([60.0] * (len(times) - 1))


async def test_a_tick_that_waits_for_the_one_before_does_not_hand_its_delay_on(
    imagestore_lab: Lab, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that was too busy for a while would have late ticks for long after it."""
    read, reads = StorageRecords.tracked_after, 0

    async def slow_at_first(records: StorageRecords, uuid: str) -> Sequence[Storage]:
        nonlocal reads
        reads += 1
        await imagestore_lab.clock.sleep(100 if reads == 2 else 0)
        return await read(records, uuid)

    monkeypatch.setattr(StorageRecords, "tracked_after", slow_at_first)
    await imagestore_lab.clock.sleep(450)
    assert gaps(probes.pings("imagestore-1")) == pytest.approx([160, 60, 60, 60])


async def test_a_ping_that_takes_longer_than_the_interval_skips_ticks_and_piles_nothing_up(
    imagestore_lab: Lab, probes: Probes
) -> None:
    async def hung(target: Target, fresh: bool) -> None:
        if target.hostname == "imagestore-1":
            await imagestore_lab.clock.sleep(150)

    probes.answer = hung
    await imagestore_lab.clock.sleep(1000)
    slow, quick = probes.pings("imagestore-1"), probes.pings("imagestore-2")
    assert gaps(slow) == pytest.approx([180.0] * (len(slow) - 1))
    # The slow ping delayed no other storage.
    assert len(quick) >= 15
    assert probes.at_once == {True: 0, False: 1} or probes.at_once == {True: 0, False: 0}


@pytest.mark.imagestore_lab(hosts=7, ping_interval=10, clock="virtual")
@pytest.mark.parametrize(
    ("degree", "most"),
    [
        pytest.param("0", 1, marks=pytest.mark.thorough),
        pytest.param("1", 1, marks=pytest.mark.thorough),
        ("3", 3),
        pytest.param("50", 7, marks=pytest.mark.thorough),
    ],
)
async def test_no_more_than_the_degree_of_parallelism_are_pinged_at_once(
    imagestore_lab: Lab, probes: Probes, degree: str, most: int
) -> None:
    async def slow(target: Target, fresh: bool) -> None:
        await imagestore_lab.clock.sleep(25)

    probes.answer = slow
    await set_option(imagestore_lab, "ping.parallelismDegree", degree)
    await imagestore_lab.clock.sleep(400)
    assert probes.most_at_once == most
    assert len({host for _, host, _ in probes.asked}) == 7


# The interval


@pytest.mark.imagestore_lab(hosts=7, ping_interval=60, clock="virtual")
async def test_the_pings_of_very_many_are_spread_over_most_of_the_interval_and_slow_hosts_come_last(
    imagestore_lab: Lab, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(target: Target, fresh: bool) -> Outcome | None:
        return SLOW if target.hostname == "imagestore-3" else None

    monkeypatch.setattr(spread, "FEW_IN_VIRTUAL_TIME", 6)
    probes.answer = answer
    await set_option(imagestore_lab, "connection.autoReconnectOnError", False)
    await imagestore_lab.clock.sleep(400)
    first = probes.pings()
    at = {number: probes.pings(f"imagestore-{number}") for number in range(1, 8)}
    assert gaps(first) == pytest.approx([60.0] * (len(first) - 1))
    for tick in range(1, 4):
        begun = [at[number][tick] - first[tick] for number in (1, 2, 4, 5, 6, 7, 3)]
        assert begun == pytest.approx([60 * SPREAD / 7 * number for number in range(7)], abs=0.1)


async def test_very_many_are_read_in_pages_on_the_event_loop(
    imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread would wait for a busy event loop at each row."""

    async def fetch(reader: Reader, sql: str, parameters: object) -> NoReturn:
        raise AssertionError(sql)

    monkeypatch.setattr(Reader, "fetch", fetch)
    records, others = imagestore_lab.node.storages.records, 2 * MOST_AT_ONCE + 3
    async with imagestore_lab.node.parts.store.database.transaction() as connection:
        for number in range(others):
            await records.insert(connection, new(f"h-{number}", uuid=f"{number:032x}"), None)
    found = [one.uuid for one in await records.tracked()]
    assert found == sorted(set(found))
    assert len(found) == 2 + others


async def test_a_storage_whose_first_connect_is_slow_is_not_pinged_before(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(Settings(port=0, hosts=2, ping_interval=1), clock=virtual_clock())
    probe = Prober.probe

    async def slow_connect(
        self: Prober, target: Target, *, layout: Layout = Layout.ANY, fresh: bool = False
    ) -> Outcome:
        await lab.clock.sleep(20 if fresh else 0)
        return await probe(self, target, layout=layout, fresh=fresh)

    monkeypatch.setattr(Prober, "probe", slow_connect)
    async with lab:
        await lab.clock.sleep(60)
        seen = await lab.node.parts.store.event_log.since(0, 100)
    assert moves(seen) == [("Connecting", "Connected")] * 2


async def test_a_changed_interval_restarts_the_timer(imagestore_lab: Lab, probes: Probes) -> None:
    await imagestore_lab.clock.sleep(200)
    changed, before = imagestore_lab.clock.monotonic(), len(probes.pings())
    await set_option(imagestore_lab, "ping.interval", 10)
    await imagestore_lab.clock.sleep(100)
    after = [one - changed for one in probes.pings()[before:]]
    assert 10 <= after[0] <= 20
    assert gaps(after) == pytest.approx([10.0] * (len(after) - 1))


async def test_other_options_and_the_same_interval_leave_the_timer_alone(imagestore_lab: Lab, probes: Probes) -> None:
    await imagestore_lab.clock.sleep(200)
    for name, value in (("ping.interval", 60), ("ping.parallelismDegree", 5), ("ping.maxFailure", 2)):
        await set_option(imagestore_lab, name, value)
    await imagestore_lab.clock.sleep(200)
    times = probes.pings()
    assert gaps(times) == pytest.approx([60.0] * (len(times) - 1))


# Who is pinged


async def test_a_storage_that_is_added_is_pinged_from_the_next_tick_on(imagestore_lab: Lab, probes: Probes) -> None:
    await imagestore_lab.clock.sleep(200)
    await imagestore_lab.node.storages.lifecycle.add(new("h-1"))
    await imagestore_lab.clock.sleep(180)
    assert probes.pings("h-1") == probes.pings("imagestore-1")[-3:]


async def test_a_deleted_storage_is_neither_pinged_nor_reconnected(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    await imagestore_hosts["imagestore-1"].stop()
    one = await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await imagestore_lab.node.storages.lifecycle.delete(one.uuid)
    deleted = imagestore_lab.clock.monotonic()
    await imagestore_hosts["imagestore-1"].start()
    await imagestore_lab.clock.sleep(600)
    assert [time for time, host, _ in probes.asked if host == "imagestore-1" and time > deleted] == []
    assert await imagestore_lab.node.storages.records.load(one.uuid) is None


async def test_a_disabled_storage_is_pinged_and_reconnected_all_the_same(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    one = await storage(imagestore_lab)
    await imagestore_lab.node.storages.lifecycle.change_state(one.uuid, StateEvent.DISABLE)
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await imagestore_hosts["imagestore-1"].start()
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=121)


# What follows from a ping


async def test_one_failed_ping_disconnects_and_keeps_the_last_capacity(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    before = await storage(imagestore_lab)
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_hosts["imagestore-1"].stop()
        after = await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
        assert imagestore_lab.clock.monotonic() == probes.pings()[-1]
        seen = drain(events)
    assert (after.total, after.available) == (before.total, before.available)
    assert moves(seen) == [("Connected", "Disconnected")]
    assert disconnections(seen) == [before.uuid]
    assert seen[-1].content["reason"] == {
        "code": "BS.1500",
        "reason": "unreachable",
        "details": (
            "unable to connect to image store[hostname:imagestore-1, sshPort:22], because unreachable:"
            " imagestore-1:22: no connection (No route to host)"
        ),
    }
    assert (await storage(imagestore_lab, "imagestore-2")).status == "Connected"


async def test_reconnects_begin_one_interval_after_the_failed_ping_and_repeat_each_interval(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    lost = imagestore_lab.clock.monotonic()
    await imagestore_lab.clock.sleep(310)
    assert [one - lost for one in probes.connects()] == pytest.approx([60, 120, 180, 240, 300])
    await imagestore_hosts["imagestore-1"].start()
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=61)
    assert probes.connects()[-1] - lost == pytest.approx(360)
    await imagestore_lab.clock.sleep(600)
    assert len(probes.connects()) == 6


async def test_a_successful_ping_never_connects_but_has_it_reconnected(imagestore_lab: Lab, probes: Probes) -> None:
    """BackupStoragePingCase: a ping fails, the next one succeeds, and exactly one connect follows."""
    down = True

    async def flaky(target: Target, fresh: bool) -> Outcome | None:
        return DOWN if down and target.hostname == "imagestore-1" and not fresh else None

    probes.answer = flaky
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
        down = False
        await imagestore_lab.clock.sleep(600)
        assert moves(drain(events)) == [
            ("Connected", "Disconnected"),
            ("Disconnected", "Connecting"),
            ("Connecting", "Connected"),
        ]
    assert len(probes.connects()) == 1


async def test_without_automatic_reconnect_a_host_that_came_back_stays_disconnected_until_asked(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    await set_option(imagestore_lab, "connection.autoReconnectOnError", "false")
    await imagestore_hosts["imagestore-1"].stop()
    one = await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    host = imagestore_hosts["imagestore-1"]
    host.disk.used += 2**30
    await host.start()
    before = len(probes.pings())
    await imagestore_lab.clock.sleep(3600)
    # Nor does a ping that goes well write what it has measured: what was known last stays.
    assert await storage(imagestore_lab) == one
    assert probes.connects() == []
    assert len(probes.pings()) - before >= 59
    await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
    after = await storage(imagestore_lab)
    assert (after.status, after.available) == ("Connected", one.available - 2**30)


@pytest.mark.thorough
async def test_turning_automatic_reconnect_off_cancels_one_that_is_pending_at_the_next_ping(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await imagestore_lab.clock.sleep(90)
    await set_option(imagestore_lab, "connection.autoReconnectOnError", "false")
    await imagestore_lab.clock.sleep(40)
    attempts = len(probes.connects())
    await imagestore_hosts["imagestore-1"].start()
    await imagestore_lab.clock.sleep(3600)
    assert len(probes.connects()) == attempts <= 2
    assert (await storage(imagestore_lab)).status == "Disconnected"


async def test_after_the_maximum_of_failed_attempts_only_pings_continue(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    await set_option(imagestore_lab, "connection.autoReconnectOnError.maxAttemptsNum", 3)
    host = imagestore_hosts["imagestore-1"]
    for round_ in (1, 2):
        await host.stop()
        one = await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
        before = len(probes.connects())
        await imagestore_lab.clock.sleep(1000)
        assert len(probes.connects()) - before == 3, round_
        pings = len(probes.pings())
        await host.start()
        await imagestore_lab.clock.sleep(600)
        assert len(probes.pings()) - pings >= 9
        assert (await storage(imagestore_lab)).status == "Disconnected"
        # A connect that succeeds clears the count.
        await imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
        assert (await storage(imagestore_lab)).status == "Connected"


async def test_a_ping_that_fails_while_a_connect_is_under_way_counts_as_a_failed_attempt(
    imagestore_lab: Lab, probes: Probes
) -> None:
    one = await storage(imagestore_lab)
    found = imagestore_lab.node.storages.status.last_probes[one.uuid].outcome
    assert isinstance(found, Capacity)

    async def slow_connect(target: Target, fresh: bool) -> Outcome | None:
        if target.hostname != "imagestore-1":
            return None
        if fresh:
            await imagestore_lab.clock.sleep(100)
            return found
        return DOWN

    probes.answer = slow_connect
    failed = imagestore_lab.node.storages.status.failed_connects
    with imagestore_lab.node.events.subscribe() as events:
        connect = imagestore_lab.node.storages.lifecycle.reconnect(one.uuid)
        await imagestore_lab.clock.wait_for(connect, 101)
        seen = drain(events)
    assert moves(seen)[:3] == [
        ("Connected", "Connecting"),
        ("Connecting", "Disconnected"),
        ("Disconnected", "Connected"),
    ]
    # It was Connecting when the ping failed, so there is no event of a disconnection.
    assert disconnections(seen) == []
    assert failed[one.uuid] == 0  # cleared by the connect, which succeeded after all


async def test_a_connect_that_ends_while_a_ping_reads_the_status_is_followed_by_no_other(
    imagestore_lab: Lab, probes: Probes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, parts, clock = await storage(imagestore_lab), imagestore_lab.node.storages, imagestore_lab.clock
    found, read = parts.status.last_probes[one.uuid].outcome, parts.status.current
    assert isinstance(found, Capacity)

    async def slow_connect(target: Target, fresh: bool) -> Outcome | None:
        await clock.sleep(10 if fresh else 0)
        return found if fresh else None

    async def slow_read(uuid: str) -> Status:
        status = await read(uuid)
        await clock.sleep(20)  # the store of a busy machine
        return status

    probes.answer = slow_connect
    with imagestore_lab.node.events.subscribe() as events, monkeypatch.context() as slowly:
        slowly.setattr(parts.status, "current", slow_read)
        connect = asyncio.ensure_future(parts.lifecycle.reconnect(one.uuid))
        await clock.sleep(5)
        ping = await parts.tracker.ping_now(one.uuid)
        assert ping is not None
        await asyncio.gather(connect, ping)
        await clock.sleep(600)
        assert moves(drain(events)) == [("Connected", "Connecting"), ("Connecting", "Connected")]


async def test_each_failed_connect_counts_once_until_one_succeeds(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork
) -> None:
    one, counter = await storage(imagestore_lab), imagestore_lab.node.storages.status.failed_connects
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    assert counter[one.uuid] == 0  # it was Connected
    await imagestore_lab.clock.sleep(185)
    assert counter[one.uuid] == 3
    await imagestore_hosts["imagestore-1"].start()
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=61)
    assert counter[one.uuid] == 0


# Tries of one ping


@pytest.mark.parametrize(("failures", "status"), [(1, "Connected"), (2, "Connected"), (3, "Disconnected")])
async def test_a_ping_fails_after_max_failure_failed_tries_in_a_row(
    imagestore_lab: Lab, probes: Probes, failures: int, status: str
) -> None:
    await set_option(imagestore_lab, "ping.maxFailure", 3)
    await set_option(imagestore_lab, "ping.sleepPeriodAfterFailure", 2)
    left = failures

    async def flaky(target: Target, fresh: bool) -> Outcome | None:
        nonlocal left
        if target.hostname != "imagestore-1" or not left:
            return None
        left -= 1
        return DOWN

    probes.answer = flaky
    with imagestore_lab.node.events.subscribe() as events:
        await imagestore_lab.clock.sleep(100)
        failed = [one for one in drain(events) if one.path == PROBE_FAILED]
    assert (await storage(imagestore_lab)).status == status
    assert len(failed) == failures
    assert len({one.correlation for one in failed}) == 1
    tries = probes.pings()[: min(failures + 1, 3)]
    assert [one - tries[0] for one in tries] == pytest.approx([0.0, 2.0, 4.0][: len(tries)])


async def test_a_ping_writes_a_changed_capacity(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    disk = imagestore_hosts["imagestore-1"].disk
    disk.used += 2**30
    await imagestore_lab.clock.sleep(90)
    assert (await storage(imagestore_lab)).available == disk.available


@pytest.mark.spoils
async def test_nothing_is_pinged_or_reconnected_any_more_once_the_node_has_stopped(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, probes: Probes
) -> None:
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=120)
    await imagestore_lab.node.stop()
    asked = len(probes.asked)
    await imagestore_lab.clock.sleep(3600)
    assert len(probes.asked) == asked


@pytest.mark.imagestore_lab(hosts=1, ping_interval=1)
async def test_it_is_the_same_in_real_time(imagestore_lab: Lab, imagestore_hosts: HostNetwork) -> None:
    host = imagestore_hosts["imagestore-1"]
    await host.stop()
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=60)
    await host.start()
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=60)
