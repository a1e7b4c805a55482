"""What a node had to do while its store was away it does soon after the store is back, not an interval later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from imagestore_sim.backup_storage.records import Status
from imagestore_sim.cluster import Link
from imagestore_sim.faults import read_fault
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import HOSTS, NAMES, Watched, three_nodes

INTERVAL = 60
SOON = 7.0
"""Seconds: the longest pause of a loop that fails, and the time for which it waits for a store that is away."""
OUTAGE = 20.0
"""Seconds: in mode faithful a node goes on after that."""


def _alone(play: Callable[[Watched], Awaitable[None]]) -> None:
    """Play something with one node, whose storages are pinged each INTERVAL; a ping has just gone well."""

    async def begin() -> None:
        async with three_nodes("faithful", ping_interval=INTERVAL, nodes=("a",)) as world:
            await _until(world, lambda: len(world.turns) >= 2 * HOSTS)  # the connects of the start, and pings
            await world.clock.sleep(1)
            await play(world)

    run_virtually(begin())


async def _until(world: Watched, holds: Callable[[], bool]) -> None:
    while not holds():
        await world.clock.sleep(0.1)


async def _status(world: Watched) -> Status:
    return (await world.storages("a"))[0].status


async def _becomes(world: Watched, status: Status, within: float) -> float:
    """Wait until the first storage has a status; return how many seconds that took."""
    began = world.clock.monotonic()
    while await _status(world) is not status:
        assert world.clock.monotonic() - began < within
        await world.clock.sleep(0.1)
    return world.clock.monotonic() - began


def _since(world: Watched, moment: float) -> list[str]:
    return [turn.host for turn in world.turns if turn.began >= moment]


def test_a_tick_that_finds_no_store_is_made_up_for_and_those_after_it_keep_their_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(world: Watched) -> None:
        last = world.turns[-1].began
        await world.clock.sleep(last + INTERVAL - 5 - world.clock.monotonic())
        world.cluster.cut("a", Link.STORE)
        await world.clock.sleep(OUTAGE)
        assert _since(world, last + 1) == []
        world.cluster.join("a", Link.STORE)
        back = world.clock.monotonic()
        await world.clock.sleep(SOON)
        assert len(_since(world, back)) == HOSTS
        await world.clock.sleep(last + 2 * INTERVAL - 1 - world.clock.monotonic())
        assert len(_since(world, back)) == HOSTS, "no other tick before its time"
        await world.clock.sleep(2)
        assert len(_since(world, back)) == 2 * HOSTS

    _alone(play)
    assert "the loop ping tracker failed" in caplog.text
    assert not any(record.exc_info for record in caplog.records), "one line says it, without a traceback"


@pytest.mark.parametrize("answers", [True, False], ids=["a capacity", "a failure"])
def test_what_a_ping_could_not_write_is_found_again(answers: bool) -> None:
    async def play(world: Watched) -> None:
        storage = (await world.storages("a"))[0]
        host = world.network[storage.hostname]
        await host.apply(read_fault("latency", {"delay": "2 s"} if answers else {"delay": "1 h"}))
        host.disk.used += 2**30
        before = len(world.turns)
        await _until(world, lambda: len(world.turns) >= before + HOSTS - 1)  # the others have been pinged
        world.cluster.cut("a", Link.STORE)
        await world.clock.sleep(OUTAGE)
        world.cluster.join("a", Link.STORE)
        if answers:
            await world.clock.sleep(SOON + 10)
            assert (await world.storages("a"))[0].available == storage.available - 2**30
        else:
            assert await _becomes(world, Status.DISCONNECTED, INTERVAL) < SOON + 15

    _alone(play)


def test_a_reconnect_that_finds_no_store_is_tried_again_soon() -> None:
    async def play(world: Watched) -> None:
        hostname = (await world.storages("a"))[0].hostname
        await world.network[hostname].stop()
        await _becomes(world, Status.DISCONNECTED, 2 * INTERVAL)
        lost = world.clock.monotonic()
        await world.network[hostname].start()
        await world.clock.sleep(lost + INTERVAL - 2 - world.clock.monotonic())  # the reconnect comes an interval later
        world.cluster.cut("a", Link.STORE)
        await world.clock.sleep(OUTAGE)
        world.cluster.join("a", Link.STORE)
        assert await _becomes(world, Status.CONNECTED, INTERVAL) < SOON

    _alone(play)


@pytest.mark.parametrize("seconds", [4.0, 60.0])
def test_nodes_whose_store_was_away_from_all_of_them_stay_members(seconds: float) -> None:
    """The one that is back first finds the others' heartbeats as old as its own."""

    async def play() -> None:
        async with three_nodes("quick") as world:
            first, others = NAMES[0], NAMES[1:]
            before = await world.lives(first)
            for name in others:
                world.cluster.cut(name, Link.STORE)
            await world.clock.sleep(1.1)  # so that it has seen their last heartbeats
            world.cluster.cut(first, Link.STORE)
            await world.clock.sleep(seconds)
            world.cluster.join(first, Link.STORE)
            await _until(world, lambda: world.membership(first).holds)
            for name in others:
                world.cluster.join(name, Link.STORE)
            await world.clock.sleep(10)
            assert await world.lives(first) == before
            assert [len(world.membership(name).members) for name in NAMES] == [len(NAMES)] * len(NAMES)
            assert world.overlaps() == []
            world.cluster.cut(others[0], Link.STORE)
            await world.clock.sleep(5)
            assert len(world.membership(first).members) == len(NAMES) - 1, "one that is silent alone is out as before"

    run_virtually(play())
