"""What a node writes about a storage that another one has taken meanwhile is refused, and changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.events import PROBE_FAILED
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.cluster import CAPACITY, STATUS, PastOwner
from imagestore_sim.probe import Capacity, Method, ProbeFailure, Reason
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import three_nodes


def test_the_writes_of_a_past_owner_are_refused() -> None:
    """They were under way when the node was paused, and reach the store after the takeover."""

    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world:
            past = world.cluster.nodes["b"]
            mine = set(past.storages.tracker.owned())
            storage = next(one for one in await world.storages("a") if one.uuid in mine)
            failure = ConnectFailed(storage.where, ProbeFailure(Reason.TIMEOUT, "", {}))
            found = Capacity(10, 5, None, False, Method.STATVFS, {})
            world.cluster.pause("b")
            status = past.storages.status
            writes = [
                asyncio.ensure_future(status.set_disconnected(storage, failure, was_connected=True)),
                asyncio.ensure_future(status.set_capacity(storage, found)),
            ]
            await world.clock.sleep(10)
            assert world.membership("a").is_alone
            world.cluster.resume("b")
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            assert [type(one) for one in outcomes] == [PastOwner, PastOwner]
            fence = past.parts.cluster.fence
            assert fence is not None
            assert (fence.refused[STATUS], fence.refused[CAPACITY]) == (1, 1)
            [now] = [one for one in await world.storages("a") if one.uuid == storage.uuid]
            assert (now.status, now.total, now.available) == (Status.CONNECTED, storage.total, storage.available)
            log = world.cluster.nodes["a"].parts.store.event_log
            assert await log.of(storage.uuid, PROBE_FAILED) == []

    run_virtually(play())


@pytest.mark.thorough
def test_a_node_writes_nothing_about_what_it_has_never_owned() -> None:
    """Else it would be the owner of an epoch in which the ring has another one, and that one would be refused."""

    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world:
            a, b = (world.cluster.nodes[name] for name in "ab")
            storage = next(one for one in await world.storages("a") if one.uuid in b.storages.tracker.owned())
            found = Capacity(10, 5, None, False, Method.STATVFS, {})
            with pytest.raises(PastOwner):
                await a.storages.status.set_capacity(storage, found)
            await b.storages.status.set_capacity(storage, found)

    run_virtually(play())


@pytest.mark.thorough
def test_an_owner_writes_again_and_again() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=("a",)) as world:
            node = world.cluster.nodes["a"]
            [storage, *_] = await world.storages("a")
            for available in (3, 2, 1):
                await node.storages.status.set_capacity(storage, Capacity(10, available, None, False, Method.DF, {}))
            assert (await world.storages("a"))[0].available == 1

    run_virtually(play())
