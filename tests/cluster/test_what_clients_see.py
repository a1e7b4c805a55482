"""The nodes of a cluster as clients see them: the query, readiness, and web hooks."""

from __future__ import annotations

import pytest

from hook_receiver import open_receiver
from imagestore_sim.cluster import LIFECYCLE
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import three_nodes


def test_every_node_lists_all_and_web_hooks_tell_who_joins_and_leaves() -> None:
    async def play() -> None:
        async with three_nodes("quick", nodes=("a", "b")) as world, open_receiver(world) as receiver:
            a, b = (world.cluster.nodes[name] for name in "ab")
            async with Client(a.url, clock=world.clock) as client:
                await client.log_in()
                hook = {"name": "nodes", "url": receiver.url, "type": "CanonicalEvent", "opaque": LIFECYCLE}
                await client.call("POST", "/web-hooks", {"params": hook})
                members = {a.parts.cluster.peers.uuid, b.parts.cluster.peers.uuid}
                nodes = await client.query("/management-nodes")
                assert {one["uuid"] for one in nodes} == members
                assert all(set(one) == {"uuid", "hostName", "joinDate", "heartBeat"} for one in nodes)
                for node in members:
                    ready = await client.request("GET", f"/management-nodes/ready?managementNodeId={node}")
                    assert ready.status == 200
                await world.cluster.kill("b")
                await world.clock.sleep(6)
                assert [one["uuid"] for one in await client.query("/management-nodes")] == [a.parts.cluster.peers.uuid]
                gone = b.parts.cluster.peers.uuid
                with pytest.raises(CallFailed) as failed:
                    await client.call("GET", f"/management-nodes/ready?managementNodeId={gone}")
                assert failed.value.code == "SYS.1012"
            [left] = receiver.bodies
            assert left["path"] == LIFECYCLE
            assert left["managementNodeId"] == a.parts.cluster.peers.uuid
            assert left["content"] == {
                "nodeUuid": gone,
                "lifeCycle": "NodeLeft",
                "inventory": left["content"]["inventory"],
            }
            assert set(left["content"]["inventory"]) == {"uuid", "hostName", "joinDate", "heartBeat"}
            await world.cluster.stop("a")
            assert [one["content"]["lifeCycle"] for one in receiver.bodies] == ["NodeLeft", "NodeLeft"]

    run_virtually(play())
