"""`kill -9` while images are added and expunged: those that were acknowledged have their bits, the others none.

One run is 25 kills of one node over one database and one host. SOAK_RUNS says how many runs there are.
"""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from forked_nodes import Forks, forks
from mixed_changes import BROKEN

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.testing import CallFailed, Client

pytestmark = pytest.mark.soak
RUNS = int(os.environ.get("SOAK_RUNS", "4"))
KILLS = 25
STORAGE, MIB = "b" * 32, 2**20
ARGUMENTS = ("serve", "--port", "0", "--database", "node.db", "--bootstrap", "records.yaml", "--write-images",
             "--log-level", "error")  # fmt: skip


@pytest.mark.parametrize("run", range(RUNS))
async def test_kills_amid_adds_and_expunges_of_images(run: int, tmp_path: Path) -> None:
    chance, promised = random.Random(run), dict[str, bool]()
    async with SimulatedHost("everywhere") as host, forks(tmp_path) as nodes:
        (tmp_path / "records.yaml").write_text(_records(host.address[1]))
        for _ in range(KILLS):
            await _change_and_kill(nodes, host, chance, promised)
        node = await nodes.start(*ARGUMENTS)
        async with Client(node.url) as client:
            await _check(client, host, promised)
        node.kill()
        await nodes.wait(node)


def _records(port: int) -> str:
    storage = {"uuid": STORAGE, "name": "store", "hostname": "127.0.0.1", "sshPort": port, "url": "/zs"}
    source = {"url": "*", "size": 90 * MIB, "actualSize": 90 * MIB, "rate": 900 * MIB}
    return yaml.safe_dump({"backupStorages": [storage], "imageSources": [source]})


async def _change_and_kill(nodes: Forks, host: SimulatedHost, chance: random.Random, promised: dict[str, bool]) -> None:
    node = await nodes.start(*ARGUMENTS)
    async with Client(node.url) as client:
        await _check(client, host, promised)
        changes = [asyncio.create_task(_change(client, promised)) for _ in range(3)]
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        node.kill()
        await asyncio.gather(*changes)
    await nodes.wait(node)


async def _change(client: Client, promised: dict[str, bool]) -> None:
    """Add and expunge images until the node is gone; note in `promised` which must be there, and which must not."""
    with suppress(*BROKEN, CallFailed):
        while True:
            body = {"name": "i", "url": "http://x", "format": "raw", "backupStorageUuids": [STORAGE]}
            kept = (await client.call("POST", "/images", {"params": body}))["inventory"]["uuid"]
            promised[kept] = True
            lost = (await client.call("POST", "/images", {"params": body}))["inventory"]["uuid"]
            await client.call("DELETE", f"/images/{lost}")
            await client.call("PUT", f"/images/{lost}/actions", {"expungeImage": {}})
            promised[lost] = False


async def _check(client: Client, host: SimulatedHost, promised: dict[str, bool]) -> None:
    await client.log_in()
    found = await client.query("/images")
    uuids = {image["uuid"] for image in found}
    async with asyncio.timeout(20):  # what the node before has left is removed in the background
        while _folders(host) != uuids:
            await asyncio.sleep(0.05)
    assert {image["status"] for image in found} <= {"Ready", "Deleted"}
    assert {uuid for uuid, there in promised.items() if there} <= uuids
    assert not {uuid for uuid, there in promised.items() if not there} & uuids
    for uuid in uuids:
        assert host.disk.stat(f"/zs/registry/{uuid}/{uuid}").size == 90 * MIB
        assert host.disk.exists(f"/zs/registry/{uuid}/{uuid}.imf2")


def _folders(host: SimulatedHost) -> set[str]:
    return set(host.disk.listdir("/zs/registry")) if host.disk.exists("/zs/registry") else set()
