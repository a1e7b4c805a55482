"""What a node writes about a storage that another one has taken meanwhile is refused, and changes nothing."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete, update

from imagestore_sim.backup_storage.errors import ConnectFailed
from imagestore_sim.backup_storage.events import PROBE_FAILED
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.cluster import CAPACITY, STATUS, PastOwner
from imagestore_sim.database.models import BackupStorage, Cluster
from imagestore_sim.probe import Capacity, Method, ProbeFailure, Reason
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import HOSTS, three_nodes


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


def test_a_node_takes_nothing_that_the_ring_has_given_to_another_one_meanwhile() -> None:
    """Else it would be the owner of an epoch in which the ring has another one, and that one would be refused."""

    async def play() -> None:
        async with three_nodes("quick") as world:
            await world.cluster.stop("c")  # the epoch has risen since a and b have taken theirs
            await world.clock.sleep(10)
            a, b = (world.cluster.nodes[name] for name in "ab")
            everything = {one.uuid: one for one in await world.storages("a")}
            fence = a.parts.cluster.fence
            assert fence is not None
            async with a.parts.store.database.transaction() as connection:
                await fence.take(connection, list(everything))
            found = Capacity(10, 5, None, False, Method.STATVFS, {})
            for node, name in ((a, "a"), (b, "b")):
                for uuid in world.owned()[name]:
                    await node.storages.status.set_capacity(everything[uuid], found)
            assert {one.available for one in await world.storages("b")} == {5}

    run_virtually(play())


@pytest.mark.thorough
def test_a_storage_that_another_node_had_for_a_moment_is_pinged_again() -> None:
    """That node came and left between two heartbeats of this one, whose members are the same before and after."""

    async def play() -> None:
        async with three_nodes("quick", nodes=("a",)) as world:
            node = world.cluster.nodes["a"]
            storage, fence = (await world.storages("a"))[0], node.parts.cluster.fence
            assert fence is not None

            async def own(epoch: int) -> None:
                row = update(BackupStorage).where(BackupStorage.uuid == storage.uuid)
                async with node.parts.store.database.transaction() as connection:
                    await connection.execute(row.values(ownerUuid="f" * 32, ownerEpoch=epoch))

            await own(world.membership("a").epoch + 2)
            await world.network[storage.hostname].stop()  # a ping that finds nothing new writes nothing
            await world.clock.sleep(12)
            await world.network[storage.hostname].start()
            assert fence.refused[STATUS] > 0
            await own(world.membership("a").epoch - 1)
            await world.clock.sleep(12)
            assert storage.uuid in world.owned()["a"]
            refused, now = fence.refused.total(), world.clock.monotonic()
            await world.clock.sleep(12)
            assert len([one for one in world.turns if one.host == storage.hostname and one.began > now]) >= 2
            assert fence.refused.total() == refused

    run_virtually(play())


@pytest.mark.thorough
def test_the_epoch_goes_on_where_another_program_has_emptied_its_table() -> None:
    """A node that begins after that must have a later epoch than the owners, or each of its writes is refused."""

    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world:
            await world.cluster.kill("b")
            await world.clock.sleep(10)
            before = world.membership("a").epoch
            async with world.cluster.nodes["a"].parts.store.database.transaction() as connection:
                await connection.execute(delete(Cluster))
            await world.clock.sleep(10)
            assert world.membership("a").holds
            await world.cluster.start("b")
            await world.clock.sleep(10)
            assert world.membership("a").epoch == world.membership("b").epoch > before
            assert sum(map(len, world.owned().values())) == HOSTS
            assert len(world.owned()["b"]) > 0
            for node in world.cluster.nodes.values():
                fence = node.parts.cluster.fence
                assert fence is not None
                assert sum(fence.refused.values()) == 0

    run_virtually(play())
