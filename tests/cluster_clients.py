"""Clients of the nodes of a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from imagestore_sim.testing.client import Client
from three_nodes import NAMES, Watched

STORAGES = "/backup-storage/image-store"
RECONNECT: dict[str, object] = {"reconnectImageStoreBackupStorage": {}}
Clients = dict[str, Client]


@asynccontextmanager
async def clients(world: Watched, nodes: tuple[str, ...] = NAMES) -> AsyncIterator[Clients]:
    """Open a client for each node; all of them use one session, which began at the first node."""
    async with AsyncExitStack() as stack:
        found: Clients = {}
        for name in nodes:
            client = Client(world.cluster.nodes[name].url, clock=world.clock)
            found[name] = await stack.enter_async_context(client)
        while any(len(node.parts.cluster.peers.members) < len(nodes) for node in world.cluster.nodes.values()):
            await world.clock.sleep(1)  # until each has beaten
        session = await found["a"].log_in()
        for client in found.values():
            client.session_uuid = session
        yield found


def owner(world: Watched, uuid: str) -> str:
    """Return the name of the node that owns a resource."""
    peers = next(iter(world.cluster.nodes.values())).parts.cluster.peers
    return next(name for name in world.cluster.nodes if world.membership(name).uuid == peers.owner_of(uuid))
