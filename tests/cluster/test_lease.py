"""Mode quick: a lease ends in time, whatever the node does then, and no sooner than it has to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from cluster_clients import RECONNECT, STORAGES, clients, owner
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.cluster import QUICK, Link
from imagestore_sim.faults import read_fault
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import HOSTS, Watched, three_nodes

LEASE = QUICK.lease or 0.0


class _SlowStore:
    """Delay the commits of a node's store: of each next transaction or heartbeat by the next of `seconds`."""

    def __init__(self, world: Watched, store: Any) -> None:
        self._world = world
        self._store = store
        self.seconds: list[float] = []
        self.committed = 0.0
        """When the last transaction was that took long."""

    async def now(self) -> float:
        found: float = await self._store.now()
        return found

    @asynccontextmanager
    async def beat(self) -> AsyncIterator[tuple[AsyncConnection, float]]:
        await self._delay()
        async with self._store.beat() as beat:
            yield beat

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[AsyncConnection]:
        await self._delay()
        async with self._store.transaction(quiet=quiet) as connection:
            yield connection

    async def _delay(self) -> None:
        if seconds := self.seconds.pop(0) if self.seconds else 0.0:
            await self._world.clock.sleep(seconds)
            self.committed = self._world.clock.monotonic()


def _slow_down(world: Watched, name: str) -> _SlowStore:
    membership: Any = world.membership(name)
    membership._store = slow = _SlowStore(world, membership._store)
    return slow


async def _hang(world: Watched, name: str) -> str:
    """Let the host of a storage of a node answer no probe; return the uuid of the storage."""
    for storage in await world.storages("a"):
        if owner(world, storage.uuid) == name:
            await world.network[storage.hostname].apply(read_fault("hung_sftp", {}))
            return storage.uuid
    raise AssertionError(f"{name} owns no storage")


def _whole(world: Watched) -> bool:
    return sum(map(len, world.owned().values())) == HOSTS


@pytest.mark.parametrize("call", ["connect of a client", pytest.param("ping", marks=pytest.mark.thorough)])
def test_a_probe_that_runs_when_the_lease_ends_ends_with_it(call: str) -> None:
    async def play() -> None:
        async with three_nodes("quick") as world, clients(world) as nodes:
            storage = await _hang(world, "b")
            if call == "ping":
                await world.clock.sleep(6)
            else:
                body, path = RECONNECT, f"{STORAGES}/{storage}/actions"
                job = await nodes["b"].request("PUT", path, body)
                await world.clock.sleep(0.5)
            cut = world.clock.monotonic()
            world.cluster.cut("b", Link.STORE)
            await world.clock.sleep(20)
            late = [turn for turn in world.turns if turn.node == "b" and turn.ended > cut + LEASE + 0.01]
            assert late == []
            assert world.overlaps() == []
            if call != "ping":
                answer = await nodes["a"].request("GET", job.body["location"].partition("/v1")[2])
                lost = world.membership("b").uuid
                assert answer.body["error"]["code"] == "SYS.1012", answer
                assert answer.body["error"]["details"] == f"management node[uuid:{lost}] is unavailable"

    run_virtually(play())


@pytest.mark.thorough
def test_a_node_whose_commit_is_late_when_it_joins_again_waits_for_a_lease_from_the_commit_on() -> None:
    """Another node may beat just before the commit, see nothing of it, and go on for a lease."""

    async def play() -> None:
        async with three_nodes("quick", ping_interval=1) as world:
            world.cluster.cut("b", Link.STORE)
            await world.clock.sleep(6)
            b, store = world.membership("b"), _slow_down(world, "b")
            store.seconds = [0.0, 1.5]  # the heartbeat that finds no row, and the insertion of another one
            world.cluster.join("b", Link.STORE)
            while not b.holds:
                await world.clock.sleep(0.01)
            assert store.committed + LEASE <= world.clock.monotonic() <= store.committed + LEASE + 0.05
            assert world.overlaps() == []

    run_virtually(play())


@pytest.mark.thorough
def test_a_lease_that_ends_for_a_moment_only_loses_no_storage_and_leaves_none_half_connected() -> None:
    async def play() -> None:
        async with three_nodes("quick", ping_interval=1) as world:
            first, b = world.owned(), world.membership("b")
            store = _slow_down(world, "b")
            for late in (0.9, 1.0, 1.1, 1.3):
                store.seconds = [late]
                await world.clock.sleep(4)
            assert len(b.members) == 3
            assert world.owned() == first
            for uuid in first["b"]:
                assert await _ping(world, uuid)
            assert all(one.status is Status.CONNECTED for one in await world.storages("a"))

    run_virtually(play())


async def _ping(world: Watched, uuid: str) -> bool:
    """Return whether the owner of a storage pings it within two intervals."""
    hostname = next(one.hostname for one in await world.storages("a") if one.uuid == uuid)
    since = world.clock.monotonic()
    await world.clock.sleep(3)
    return any(turn.host == hostname and turn.node == "b" and turn.began > since for turn in world.turns)


def test_a_store_that_takes_long_for_each_heartbeat_does_not_end_the_lease() -> None:
    async def play() -> None:
        async with three_nodes("quick", ping_interval=1) as world:
            first, store = world.owned(), _slow_down(world, "b")
            store.seconds = [0.9] * 10
            while store.seconds:
                await world.clock.sleep(0.05)
                assert world.membership("b").holds
            assert world.owned() == first

    run_virtually(play())


@pytest.mark.thorough
def test_a_node_leaves_the_hosts_of_storages_that_another_one_owns_by_now() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world:
            before = {one.uuid: one.hostname for one in await world.storages("a")}
            assert len(_kept(world, "a")) + len(_kept(world, "b")) == HOSTS
            await world.cluster.start("c")
            while not _whole(world):
                await world.clock.sleep(0.1)
            taken = {before[uuid] for uuid in world.owned()["c"]}
            await world.clock.sleep(10)
            assert taken
            assert (_kept(world, "a") | _kept(world, "b")) & taken == set()
            assert _kept(world, "c") == taken

    run_virtually(play())


def _kept(world: Watched, name: str) -> set[str]:
    """Return the hosts that a node keeps a connection to."""
    prober: Any = world.cluster.nodes[name].foundation.prober
    return set(prober._connections._kept)
