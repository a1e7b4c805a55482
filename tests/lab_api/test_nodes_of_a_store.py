"""`/lab/v1/nodes`: the management nodes of a store, of a node alone and of several in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from imagestore_sim.cluster import Link
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import HOSTS, Watched, three_nodes


async def shown(client: Client) -> dict[str, Any]:
    """Return what the node of a client shows of the nodes."""
    answer = await client.request("GET", f"{client.url}/lab/v1/nodes")
    assert answer.status == 200, answer.text
    return answer.body


def client_of(world: Watched, name: str) -> Client:
    return Client(world.cluster.nodes[name].url, clock=world.clock)


def uuid_of(world: Watched, name: str) -> str:
    return world.cluster.nodes[name].parts.cluster.peers.uuid


async def test_a_node_that_is_alone_shows_itself(imagestore_lab: Lab, imagestore_client: Client) -> None:
    found = await shown(imagestore_client)
    [node] = await imagestore_client.query("/management-nodes")
    now = imagestore_lab.clock.time()
    [only] = found.pop("nodes")
    assert found.pop("time") == pytest.approx(now, abs=30)
    assert found == {
        "answeredBy": node["uuid"], "shared": False, "mode": None, "beatsEvery": None, "deadAfter": None, "epoch": 0,
        "unowned": 0, "changes": [],
    }  # fmt: skip
    assert now - 60 < only.pop("joinDate") <= only.pop("heartBeat") <= now
    assert 0 <= only.pop("silentFor") < 30
    hosts = len(await imagestore_client.query("/backup-storage"))
    assert only == {
        "uuid": node["uuid"], "hostName": "127.0.0.1", "port": None, "state": "RUNNING", "storages": hosts,
    }  # fmt: skip
    about = await imagestore_client.request("GET", f"{imagestore_client.url}/lab/v1/about")
    assert about.body["sharesStore"] is False


def test_every_node_shows_all_and_says_which_of_them_answers() -> None:
    async def play() -> None:
        async with three_nodes("quick") as world:
            owned = {uuid_of(world, name): len(uuids) for name, uuids in world.owned().items()}
            for name in world.cluster.nodes:
                async with client_of(world, name) as client:
                    about = await client.request("GET", f"{client.url}/lab/v1/about")
                    found = await shown(client)
                assert about.body["sharesStore"] is True
                assert found["answeredBy"] == uuid_of(world, name)
                assert (found["mode"], found["beatsEvery"], found["deadAfter"]) == ("quick", 1.0, 2.5)
                assert {one["uuid"]: one["storages"] for one in found["nodes"]} == owned
                assert (sum(owned.values()), found["unowned"]) == (HOSTS, 0)
                assert {one["state"] for one in found["nodes"]} == {"RUNNING"}
                assert all(one["silentFor"] < 2.5 for one in found["nodes"])
                began = [one["joinDate"] for one in found["nodes"]]
                assert all(world.clock.time() - 60 < one <= world.clock.time() for one in began)
                ports = [int(node.url.rpartition(":")[2]) for node in world.cluster.nodes.values()]
                assert [one["port"] for one in found["nodes"]] == sorted(ports)
                joined = [uuid_of(world, one) for one in "cba"]
                assert [(one["uuid"], one["lifeCycle"], one["silentFor"]) for one in found["changes"]] == [
                    (uuid, "NodeJoin", None) for uuid in joined
                ]

    run_virtually(play())


@pytest.mark.parametrize(("mode", "least"), [("quick", 2), ("faithful", 30)])
def test_a_node_that_is_killed_falls_silent_and_leaves_and_its_storages_find_owners(mode: str, least: float) -> None:
    async def play() -> None:
        async with three_nodes(mode) as world, client_of(world, "a") as client:
            await world.clock.sleep(6)  # each has seen the last one join
            killed, lost = uuid_of(world, "b"), len(world.owned()["b"])
            await world.cluster.kill("b")
            died = world.clock.time()
            await world.clock.sleep(least * 0.6)
            silent = {one["uuid"]: one for one in (await shown(client))["nodes"]}[killed]
            assert silent["silentFor"] >= least * 0.6 - 0.001
            assert silent["storages"] == lost, "until another node takes them"
            await world.clock.sleep(least * 1.5 + 5)
            found = await shown(client)
            assert killed not in {one["uuid"] for one in found["nodes"]}
            assert (sum(one["storages"] for one in found["nodes"]), found["unowned"]) == (HOSTS, 0)
            [left] = [one for one in found["changes"] if one["lifeCycle"] == "NodeLeft"]
            assert (left["uuid"], left["hostName"]) == (killed, "127.0.0.1")
            assert died < left["time"] < world.clock.time()
            assert least <= left["silentFor"] <= left["time"] - died + 6
            assert found["changes"][0] == left, "the latest is the first"

    run_virtually(play())


def test_a_node_that_stops_leaves_without_silence_and_what_it_owned_is_unowned_until_another_takes_it() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world, client_of(world, "a") as client:
            stopped, lost = uuid_of(world, "b"), len(world.owned()["b"])
            assert lost > 0
            takeover = world.cluster.nodes["a"].storages.takeover
            assert takeover is not None
            async with takeover._one_at_a_time:  # as a slow store would hold it up
                await world.cluster.stop("b")
                found = await shown(client)
                assert [one["uuid"] for one in found["nodes"]] == [uuid_of(world, "a")]
                assert (found["unowned"], found["nodes"][0]["storages"]) == (lost, HOSTS - lost)
                left = found["changes"][0]
                assert (left["uuid"], left["lifeCycle"]) == (stopped, "NodeLeft")
                assert left["silentFor"] <= 2
            await world.clock.sleep(5)
            found = await shown(client)
            assert (found["unowned"], found["nodes"][0]["storages"]) == (0, HOSTS)

    run_virtually(play())


def test_a_node_that_cannot_reach_the_store_says_so() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world, client_of(world, "a") as client:
            world.cluster.cut("a", Link.STORE)
            answer = await client.request("GET", f"{client.url}/lab/v1/nodes")
            assert (answer.status, "cut off" in answer.body["error"]) == (503, True)
            world.cluster.join("a", Link.STORE)
            await world.clock.sleep(5)
            assert len((await shown(client))["nodes"]) == 2

    run_virtually(play())


def test_the_probes_of_the_other_nodes_are_shown_while_one_stands_still_or_is_dead() -> None:
    async def play() -> None:
        async with three_nodes("faithful") as world, client_of(world, "a") as client:
            await world.clock.sleep(10)
            owned = world.owned()
            assert all(owned.values())

            async def probes() -> tuple[set[str], list[str], float]:
                began = world.clock.monotonic()
                answer = await client.request("GET", f"{client.url}/lab/v1/probes")
                assert answer.status == 200, answer.text
                known = {one["storageUuid"] for one in answer.body["probes"]}
                return known, answer.body["silentNodes"], world.clock.monotonic() - began

            known, silent, _ = await probes()
            assert (len(known), silent) == (HOSTS, [])
            paused, uuid = owned["b"], uuid_of(world, "b")
            world.cluster.pause("b")
            known, silent, seconds = await probes()
            assert known >= owned["a"] | owned["c"]
            assert (silent, seconds <= 2.1) == ([uuid], True)
            world.cluster.resume("b")
            known, silent, _ = await probes()
            assert (paused <= known, silent) == (True, [])
            await world.cluster.kill("b")
            known, silent, seconds = await probes()
            assert (known >= owned["a"] | owned["c"], silent, seconds <= 2.1) == (True, [uuid], True)

    run_virtually(play())
