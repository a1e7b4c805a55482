"""Two nodes over one MariaDB, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from mariadb_server import VAULT_KEY, MariaDbServer


@asynccontextmanager
async def nodes_over(*urls: str) -> AsyncIterator[list[ManagementNode]]:
    """Start a node over each database, one after another."""
    async with AsyncExitStack() as stack:
        started = []
        for url in urls:
            node = ManagementNode(Settings(port=0, database=url, vault_key=VAULT_KEY, log_level="error"))
            stack.push_async_callback(node.stop)
            await node.start(Bootstrap())
            started.append(node)
        yield started


def two_nodes(database: str) -> Any:
    """Return a fixture of two nodes over a new database; its name begins with `database`."""

    @pytest.fixture
    async def nodes(mariadb_server: MariaDbServer) -> AsyncIterator[list[ManagementNode]]:
        url = mariadb_server.new_database(database)
        async with nodes_over(url, url) as started:
            yield started

    return nodes


async def deleted_image(client: Client) -> str:
    """Add a simulator storage, and an image there that is deleted; return its uuid."""
    storage = {
        "name": "s", "url": "/s", "type": "SimulatorBackupStorage", "totalCapacity": 9, "availableCapacity": 9,
    }  # fmt: skip
    added = await client.call("POST", "/backup-storage/simulators", {"params": storage})
    storages = [added["inventory"]["uuid"]]
    image = {"name": "i", "url": "http://x/i.qcow2", "format": "qcow2", "backupStorageUuids": storages}
    uuid = str((await client.call("POST", "/images", {"params": image}))["inventory"]["uuid"])
    await client.call("DELETE", f"/images/{uuid}")
    return uuid
