"""Nodes that share a store own storages by the ring, take over from those that are gone, and let go of the rest."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cluster_clients import clients
from imagestore_sim.backup_storage.records import NewStorage, Status
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.cluster import Link, NodeGone
from imagestore_sim.cluster.bus import Content
from imagestore_sim.database import StoreUnavailable
from imagestore_sim.database.models import ManagementNodeRecord
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.node.errors import StartError
from imagestore_sim.node.local_cluster import LocalCluster
from imagestore_sim.settings import Settings
from imagestore_sim.testing.client import CallFailed
from imagestore_sim.virtual_clock import run_virtually
from rows import rows
from three_nodes import HOSTS, NAMES, Turn, Watched, records, three_nodes

T = TypeVar("T")
Check = Callable[[], Awaitable[bool]]


async def _until(world: Watched, condition: Callable[[], bool], within: float) -> float:
    """Wait for a condition; return how many seconds of the clock it took."""
    began = world.clock.monotonic()
    while not condition():
        assert world.clock.monotonic() < began + within, f"not within {within} s"
        await world.clock.sleep(0.1)
    return world.clock.monotonic() - began


def _is_whole(world: Watched) -> bool:
    """Return whether each storage is pinged by one of the nodes that run."""
    owned = world.owned().values()
    return sum(map(len, owned)) == len(set().union(*owned)) == HOSTS


def _pinged_by(world: Watched, since: float) -> set[str]:
    return {turn.node for turn in world.turns if turn.began >= since}


def _last(world: Watched, node: str) -> Turn:
    return [turn for turn in world.turns if turn.node == node][-1]


async def _all_connected(world: Watched, node: str) -> bool:
    return all(one.status is Status.CONNECTED for one in await world.storages(node))


def test_a_killed_node_loses_its_storages_within_five_seconds_and_gets_some_back() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world:
            assert _is_whole(world)
            uuids = {name: node.parts.cluster.peers.uuid for name, node in world.cluster.nodes.items()}
            first = world.owned()
            assert all(first.values())
            await world.network["imagestore-0"].stop()
            await world.clock.sleep(12)  # its owner has found it Disconnected
            await world.cluster.kill("b")
            assert await _until(world, lambda: _is_whole(world), 20) < 5
            assert all(first[name] <= world.owned()[name] for name in ("a", "c")), "only the dead node's have moved"
            await world.network["imagestore-0"].start()
            await world.clock.sleep(20)
            assert await _all_connected(world, "a")
            assert _last(world, "b").ended < world.clock.monotonic() - 20
            assert await world.lives("a") == [*(("NodeJoin", uuids[name]) for name in "abc"), ("NodeLeft", uuids["b"])]
            takeovers = [node.storages.takeover for node in world.cluster.nodes.values()]
            assert sum(one.taken_over for one in takeovers if one is not None) == len(first["b"])
            await world.cluster.start("b")
            await _until(world, lambda: _is_whole(world) and bool(world.owned()["b"]), 20)
            await world.clock.sleep(10)
            assert world.overlaps() == []

    run_virtually(play())


def test_a_node_pings_what_another_one_adds_that_has_not_seen_it_join_yet() -> None:
    """In ZStack's mode, nodes see who has joined at their next heartbeat, up to five seconds later."""

    async def play() -> None:
        async with three_nodes("faithful", nodes=("a", "b")) as world:
            await world.network.add(SimulatedHost("new", clock=world.clock))
            await world.cluster.start("c", records())
            old, joined = world.membership("a"), world.membership("c")
            uuids = (stable_uuid("backup-storage", f"new-{number}") for number in range(1000))
            uuid = next(one for one in uuids if old.is_ours(one) and joined.is_ours(one))
            new = NewStorage(uuid=uuid, name="new", hostname="new", username="root", password="password", url="/zstack")
            await world.cluster.nodes["a"].storages.lifecycle.add(new)
            assert old.is_ours(uuid), "it has not seen the other one join"
            await _until(world, lambda: uuid in world.owned()["c"], 10)
            taken = world.clock.monotonic()
            await world.clock.sleep(10)
            assert {one.node for one in world.turns if one.host == "new" and one.began > taken} == {"c"}
            assert await _all_connected(world, "c")

    run_virtually(play())


@pytest.mark.thorough
def test_nodes_that_start_at_once_load_their_records_one_after_another_and_share_the_storages() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=()) as world:
            await asyncio.gather(*(world.cluster.start(name, records()) for name in NAMES))
            await _until(world, lambda: _is_whole(world), 5)
            await world.clock.sleep(15)
            assert await _all_connected(world, "a")
            assert world.overlaps() == []
            assert [what for what, _ in await world.lives("a")] == ["NodeJoin"] * 3

    run_virtually(play())


@pytest.mark.thorough
def test_a_start_waits_for_one_that_has_died_no_longer_than_two_minutes() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=()) as world:
            dying = asyncio.ensure_future(world.cluster.start("a", records()))
            while not world.is_joining("a"):
                await asyncio.sleep(0)
            world.cluster.pause("a")
            await world.cluster.start("b", records())
            assert 115 < world.clock.monotonic() < 125
            world.cluster.resume("a")
            await dying
            await _until(world, lambda: _is_whole(world) and bool(world.owned()["a"]), 20)

    run_virtually(play())


@pytest.mark.parametrize("mode", ["faithful", pytest.param("quick", marks=pytest.mark.thorough)])
def test_a_node_that_stops_is_followed_at_once(mode: str) -> None:
    async def play() -> None:
        async with three_nodes(mode) as world:
            left = world.cluster.nodes["c"].parts.cluster.peers.uuid
            await world.cluster.stop("c")
            assert (await world.lives("a"))[-1] == ("NodeLeft", left)
            assert await _until(world, lambda: _is_whole(world), 20) <= 0.3
            assert world.membership("a").address_of(left) is None

    run_virtually(play())


def test_a_node_that_stops_begins_nothing_for_others_once_its_jobs_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on when the store is closed."""

    async def play() -> None:
        async with three_nodes("quick") as world:
            first, parts = (world.cluster.nodes[name].parts for name in "ab")
            close, called, seen = parts.jobs.close, asyncio.Event(), list[str]()

            async def carry_out(_: Content) -> Content:
                called.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    seen.append("call")
                return {}

            async def end_jobs(node: str) -> None:
                seen.append(f"jobs of {node}")

            async def close_jobs() -> None:
                seen.append("close")
                await close()
                await world.cluster.kill("c")
                await _until(world, lambda: len(world.membership("a").members) == 2, 20)

            parts.bus.serve("test", carry_out)
            monkeypatch.setattr(parts.jobs, "close", close_jobs)
            monkeypatch.setattr(parts.jobs, "_end_jobs_of", end_jobs)
            call = asyncio.create_task(first.bus.call(parts.cluster.peers.uuid, "test", {}, seconds=60))
            await called.wait()
            await world.cluster.stop("b")
            with pytest.raises(NodeGone):
                await call
            assert seen == ["call", "close"]

    run_virtually(play())


@pytest.mark.thorough
def test_a_node_that_stops_and_reaches_no_other_is_followed_at_their_next_heartbeat() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world:
            world.cluster.cut("c", Link.PEERS)
            await world.cluster.stop("c")
            assert 0.3 < await _until(world, lambda: _is_whole(world), 20) <= 1.2

    run_virtually(play())


@pytest.mark.thorough
@pytest.mark.parametrize("cut", ["pause", "store"])
def test_a_node_that_cannot_beat_pings_nothing_once_its_lease_has_ended_and_joins_again(cut: str) -> None:
    async def play() -> None:
        async with three_nodes("quick", ping_interval=1) as world:
            began = world.clock.monotonic()
            if cut == "pause":
                world.cluster.pause("b")
            else:
                world.cluster.cut("b", Link.STORE)
            others = ("a", "c")
            await _until(world, lambda: sum(len(world.owned()[name]) for name in others) == HOSTS, 5)
            taken = world.clock.monotonic()
            await world.clock.sleep(4)
            assert _last(world, "b").ended <= began + 2
            assert _pinged_by(world, taken) == set(others)
            if cut == "pause":
                world.cluster.resume("b")
            else:
                world.cluster.join("b", Link.STORE)
            await _until(world, lambda: _is_whole(world) and bool(world.owned()["b"]), 20)
            await world.clock.sleep(5)
            assert "b" in _pinged_by(world, world.clock.monotonic() - 4)
            assert world.overlaps() == []
            assert [what for what, _ in await world.lives("a")] == ["NodeJoin"] * 3 + ["NodeLeft", "NodeJoin"]

    run_virtually(play())


@pytest.mark.thorough
def test_neither_a_clock_that_is_wrong_nor_hosts_out_of_reach_make_a_node_leave() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world:
            first = world.owned()
            world.cluster.links("a").skew = 3600.0
            world.cluster.links("b").skew = -3600.0
            world.cluster.cut("b", Link.HOSTS)
            await world.clock.sleep(12)
            assert world.owned() == first
            lost = {one.uuid for one in await world.storages("a") if one.status is not Status.CONNECTED}
            assert lost == first["b"]
            world.cluster.join("b", Link.HOSTS)
            await world.clock.sleep(20)
            assert await _all_connected(world, "a")

    run_virtually(play())


@pytest.mark.thorough
def test_zstacks_times_take_a_dead_node_out_after_thirty_to_forty_seconds() -> None:
    async def play() -> None:
        async with three_nodes("faithful") as world:
            await _until(world, lambda: _is_whole(world), 6)  # the others see who has joined at their next heartbeat
            await world.cluster.kill("b")
            assert 30 <= await _until(world, lambda: len(world.membership("a").members) == 2, 60) <= 40
            await world.clock.sleep(10)
            assert _is_whole(world)
            assert await _all_connected(world, "a")

    run_virtually(play())


def test_in_zstacks_mode_a_node_that_was_taken_for_dead_stops_itself() -> None:
    async def play() -> None:
        async with three_nodes("faithful", nodes=("a", "b")) as world:
            paused = world.cluster.nodes["b"]
            world.cluster.pause("b")
            await world.clock.sleep(50)
            assert world.membership("a").is_alone
            world.cluster.resume("b")
            await _until(world, lambda: "b" not in world.cluster.nodes, 20)
            assert re.search("another node took it for dead [0-9]+ s after its heartbeat$", paused.why_excluded)

    run_virtually(play())


def test_a_node_that_stops_itself_has_ended_before_one_of_its_name_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with three_nodes("faithful", nodes=("a", "b")) as world:
            excluded = world.cluster.nodes["b"]
            stop, ended = excluded.stop, asyncio.Event()

            async def stop_slowly() -> None:
                await world.clock.sleep(100)
                await stop()
                ended.set()

            monkeypatch.setattr(excluded, "stop", stop_slowly)
            world.cluster.pause("b")
            await world.clock.sleep(50)
            world.cluster.resume("b")
            await _until(world, lambda: "b" not in world.cluster.nodes, 20)
            await world.cluster.start("b")
            assert ended.is_set()

    run_virtually(play())


@rows("mode", ["quick", "faithful"])
@pytest.mark.thorough
def test_a_node_whose_address_another_one_advertises_stops_itself_and_says_so(mode: str) -> None:
    """Were it to join again, both would take the row from each other, and the epoch would rise, with each heartbeat."""

    async def play() -> None:
        async with three_nodes(mode, nodes=("a", "b")) as world:
            older = world.cluster.nodes["b"]
            taken = update(ManagementNodeRecord).where(ManagementNodeRecord.uuid == older.parts.cluster.peers.uuid)
            async with world.cluster.nodes["a"].parts.store.database.transaction() as connection:
                await connection.execute(taken.values(epoch=world.membership("a").epoch + 10))
            await _until(world, lambda: "b" not in world.cluster.nodes, 20)
            assert "another one has joined at " in older.why_excluded
            assert "each node of a store needs an address of its own, see --advertise" in older.why_excluded

    run_virtually(play())


def test_a_node_joins_again_where_it_does_not_know_whether_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world:
            member, store = world.membership("b"), world.cluster.nodes["a"].parts.store.database
            run = member._in_transaction
            lost: list[object] = []

            async def lose_an_answer(work: Callable[[AsyncConnection], Awaitable[T]], *, quiet: bool = False) -> T:
                result = await run(work, quiet=quiet)
                if not lost:
                    lost.append(result)
                    raise StoreUnavailable("the answer to the commit is lost")
                return result

            async with store.transaction() as connection:
                await connection.execute(delete(ManagementNodeRecord).where(ManagementNodeRecord.uuid == member.uuid))
            monkeypatch.setattr(member, "_in_transaction", lose_an_answer)
            await _until(world, lambda: bool(lost), 20)
            await _until(world, lambda: _is_whole(world) and len(world.owned()["b"]) > 0, 20)
            assert member.why_excluded == ""

    run_virtually(play())


def test_in_zstacks_mode_a_node_whose_row_is_gone_says_how_long_ago_it_beat() -> None:
    async def play() -> None:
        async with three_nodes("faithful", nodes=("a", "b")) as world:
            excluded = world.cluster.nodes["b"]
            gone = delete(ManagementNodeRecord).where(ManagementNodeRecord.uuid == excluded.parts.cluster.peers.uuid)
            async with world.cluster.nodes["a"].parts.store.database.transaction() as connection:
                await connection.execute(gone)
            await _until(world, lambda: "b" not in world.cluster.nodes, 20)
            assert re.search("another node took it for dead [0-9] s after its heartbeat$", excluded.why_excluded)

    run_virtually(play())


@pytest.mark.thorough
def test_in_zstacks_mode_a_node_without_its_store_stops_itself_and_both_ping_until_then() -> None:
    async def play() -> None:
        async with three_nodes("faithful", nodes=("a", "b")) as world:
            cut = world.cluster.nodes["b"]
            world.cluster.cut("b", Link.STORE)
            await _until(world, lambda: "b" not in world.cluster.nodes, 60)
            assert "its heartbeat has failed 6 times" in cut.why_excluded
            await _until(world, lambda: _is_whole(world), 20)

    run_virtually(play())


@asynccontextmanager
async def _cluster_of_another_mode(world: Watched, mode: str) -> AsyncIterator[LocalCluster]:
    """Provide a cluster, without a node, over the store of another one."""
    settings = Settings(cluster_mode=mode, log_level="error")
    file = Path(world.cluster.nodes["a"].foundation.settings.database)
    async with LocalCluster(file, settings, world.clock, world.network.resolve) as cluster:
        yield cluster


@pytest.mark.parametrize(("living", "mode", "within"), [("faithful", "quick", 6), ("quick", "faithful", 4)])
def test_a_node_does_not_start_in_another_mode_than_one_that_lives(living: str, mode: str, within: float) -> None:
    async def play() -> None:
        async with three_nodes(living, nodes=("a", "b")) as world, _cluster_of_another_mode(world, mode) as other:
            began, before = world.clock.monotonic(), await world.lives("a")
            with pytest.raises(StartError) as refused:
                await other.start("c")
            assert world.clock.monotonic() - began < within
            assert re.fullmatch(
                rf"the management node at 127.0.0.1:[0-9]+ runs in cluster mode {living}, this one is to run in {mode};"
                " all nodes of a store need the same --cluster-mode",
                str(refused.value),
            )
            await world.clock.sleep(60)
            assert await world.lives("a") == before, "no node was taken for dead"

    run_virtually(play())


@pytest.mark.parametrize(("dead", "mode", "within"), [("faithful", "quick", 34), ("quick", "faithful", 6)])
def test_a_node_starts_in_another_mode_once_those_that_were_killed_are_silent(
    dead: str, mode: str, within: float
) -> None:
    async def play() -> None:
        async with three_nodes(dead, nodes=("a", "b")) as world, _cluster_of_another_mode(world, mode) as other:
            for name in ("a", "b"):
                await world.cluster.kill(name)
            began = world.clock.monotonic()
            node = await other.start("c")
            assert world.clock.monotonic() - began < within
            await world.clock.sleep(70)
            assert len(node.parts.cluster.peers.members) == 1
            assert len(node.storages.tracker.owned()) == HOSTS

    run_virtually(play())


def test_a_node_forgets_what_it_has_found_out_about_storages_that_another_one_owns_now() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world:
            await world.cluster.stop("c")
            await world.clock.sleep(20)
            assert {uuid for uuids in _probed(world).values() for uuid in uuids} == {
                one.uuid for one in await world.storages("a")
            }
            await world.cluster.start("c")
            await _until(world, lambda: _is_whole(world), 20)
            await world.clock.sleep(20)
            assert world.owned()["c"]
            assert _probed(world) == world.owned()
            async with aiohttp.ClientSession() as http:
                page = await (await http.get(f"{world.cluster.nodes['a'].url}/metrics")).text()
            up = re.findall(r'^imagestore_sim_backup_storage_up\{uuid="(\w+)"', page, re.MULTILINE)
            assert set(up) == world.owned()["a"]

    run_virtually(play())


def test_a_node_whose_lease_has_ended_keeps_what_it_has_found_out() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world:
            owned, b = world.owned()["b"], world.membership("b")
            world.cluster.cut("b", Link.STORE)
            await _until(world, lambda: not b.holds, 5)
            assert _probed(world)["b"] == owned

    run_virtually(play())


def _probed(world: Watched) -> dict[str, set[str]]:
    """Return the uuids of the storages whose latest probes each node keeps."""
    return {name: set(node.storages.status.last_probes) for name, node in world.cluster.nodes.items()}


def test_nothing_is_kept_of_a_storage_that_is_deleted_or_cannot_be_added() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world, clients(world) as nodes:
            await world.network.add(SimulatedHost("new", clock=world.clock))
            await world.network.add(refusing := SimulatedHost("refusing", clock=world.clock))
            await refusing.apply(read_fault("refuse", {}))
            kept = _kept(world)
            for client in nodes.values():
                added = await client.add_image_store("new")
                await client.call("DELETE", f"/backup-storage/{added['uuid']}?deleteMode=Permissive")
                with pytest.raises(CallFailed):
                    await client.add_image_store("refusing")
            assert _kept(world) == kept

    run_virtually(play())


def _kept(world: Watched) -> set[str]:
    """Return all storages and hosts that the nodes keep something of."""
    found: set[str] = set()
    for node in world.cluster.nodes.values():
        storages = node.storages
        tracker, status, hosts = storages.tracker, storages.status, storages.lifecycle.hosts
        for some in (tracker._tracked, tracker._owned._hostnames, status.last_probes, status.failed_connects):
            found |= set(some)
        found |= {*status._capacities._written, *hosts._adding}
    return found
