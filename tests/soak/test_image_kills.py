"""`kill -9` while images are added, copied, exported and expunged: what was acknowledged is there with its bits.

One run is 25 kills (SOAK_KILLS) of one node over one database and two hosts. SOAK_RUNS says how many runs there are,
SOAK_SEED which is the first.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked_nodes import Forks, forks
from mixed_changes import BROKEN

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.testing import CallFailed, Client

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]
RUNS = int(os.environ.get("SOAK_RUNS", "4"))
FIRST = int(os.environ.get("SOAK_SEED", "0"))
KILLS = int(os.environ.get("SOAK_KILLS", "25"))
MOST_CHANGES, LONGEST = 5, 12.0
"""After how many changes a node is killed at most, and after how many seconds: a busy machine may make none."""
HOSTS = {"a" * 32: "127.0.0.1", "b" * 32: "localhost"}
"""The hostnames of the storages, by uuid."""
MIB = 2**20
ARGUMENTS = ("serve", "--port", "0", "--database", "node.db", "--bootstrap", "records.yaml", "--write-images",
             "--log-level", "error")  # fmt: skip
SYNC = "APISyncImageFromImageStoreBackupStorageMsg"
FIRST_STORE, SECOND_STORE = HOSTS


@dataclass
class Promised:
    """What clients were told: which images must be there, and which must not; and what was found after the kills."""

    images: dict[str, bool] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, done: str, image: str, *, there: bool) -> None:
        """Remember that a client was told of an add, a copy or an expunge."""
        self.counts[done] += 1
        self.images[image] = there


@pytest.mark.parametrize("run", range(FIRST, FIRST + RUNS))
async def test_kills_amid_adds_copies_and_expunges_of_images(run: int, tmp_path: Path) -> None:
    chance, promised = random.Random(run), Promised()
    async with AsyncExitStack() as stack:
        hosts = {uuid: await stack.enter_async_context(SimulatedHost("everywhere")) for uuid in HOSTS}
        nodes = await stack.enter_async_context(forks(tmp_path))
        (tmp_path / "records.yaml").write_text(_records({uuid: host.address[1] for uuid, host in hosts.items()}))
        for _ in range(KILLS):
            await _change_and_kill(nodes, hosts, chance, promised)
            print(f"run {run}: {dict(promised.counts)}", flush=True)
        node = await nodes.start(*ARGUMENTS)
        async with Client(node.url) as client:
            await _check(client, hosts, promised)
        node.kill()
        await nodes.wait(node)


def _records(ports: Mapping[str, int]) -> str:
    storages = [
        {"uuid": uuid, "name": uuid[0], "hostname": HOSTS[uuid], "sshPort": port, "url": "/zs"}
        for uuid, port in ports.items()
    ]
    source = {"url": "*", "size": 90 * MIB, "actualSize": 90 * MIB, "rate": 900 * MIB}
    return yaml.safe_dump({"backupStorages": storages, "imageSources": [source]})


async def _change_and_kill(
    nodes: Forks, hosts: Mapping[str, SimulatedHost], chance: random.Random, promised: Promised
) -> None:
    node = await nodes.start(*ARGUMENTS)
    async with Client(node.url) as client:
        await _check(client, hosts, promised)
        changes = [asyncio.create_task(_change(client, chance, promised)) for _ in range(3)]
        await _wait(chance, promised)
        node.kill()
        promised.counts["kills"] += 1
        await asyncio.gather(*changes)
    await nodes.wait(node)


async def _wait(chance: random.Random, promised: Promised) -> None:
    """Wait for the instant of a kill: some changes later, and a part of the next one."""
    enough = promised.counts.total() + chance.randint(0, MOST_CHANGES)
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST):
            while promised.counts.total() < enough:
                await asyncio.sleep(0.01)
    await asyncio.sleep(chance.uniform(0.05, 0.5))


async def _change(client: Client, chance: random.Random, promised: Promised) -> None:
    """Add, copy and expunge images until the node is gone, some copies by long jobs; note what was told."""
    with suppress(*BROKEN):
        while True:
            there = [uuid for uuid, kept in promised.images.items() if kept]
            change = chance.choice((_added, _copied, _copied, _expunged, _exported) if len(there) > 3 else (_added,))
            with suppress(CallFailed):  # its image may just have been expunged, or be on the other storage already
                await change(client, chance, promised, there)


async def _added(client: Client, chance: random.Random, promised: Promised, there: list[str]) -> None:
    promised.note("added", await _add(client), there=True)


async def _copied(client: Client, chance: random.Random, promised: Promised, there: list[str]) -> None:
    image, by_long_job = chance.choice(there), chance.random() < 0.3
    copy = await (_copy_by_long_job if by_long_job else _copy)(client, image)
    if copy is not None:
        promised.note("copied by long jobs" if by_long_job else "copied", copy, there=True)


async def _exported(client: Client, chance: random.Random, promised: Promised, there: list[str]) -> None:
    """Export an image from one of the storages, and often delete the export again."""
    image, storage = chance.choice(there), chance.choice(list(HOSTS))
    await _export(client, image, storage)
    promised.counts["exported"] += 1
    if chance.random() < 0.5:
        await client.call("DELETE", f"/backup-storage/{storage}/exported-images/{image}")
        promised.counts["exports deleted"] += 1


async def _expunged(client: Client, chance: random.Random, promised: Promised, there: list[str]) -> None:
    image = chance.choice(there)
    del promised.images[image]  # it may be gone or not, until the node tells
    await _expunge(client, image)
    promised.note("expunged", image, there=False)


async def _add(client: Client) -> str:
    body = {"name": "i", "url": "http://x", "format": "raw", "backupStorageUuids": [FIRST_STORE]}
    return str((await client.call("POST", "/images", {"params": body}))["inventory"]["uuid"])


def _wanted(image: str) -> dict[str, str]:
    return {"uuid": image, "srcBackupStorageUuid": FIRST_STORE, "dstBackupStorageUuid": SECOND_STORE, "name": "copy"}


async def _copy(client: Client, image: str) -> str:
    body = {"syncImageFromImageStoreBackupStorage": _wanted(image)}
    return str((await client.call("PUT", f"/images/{image}/actions", body))["inventory"]["uuid"])


async def _copy_by_long_job(client: Client, image: str) -> str | None:
    body = {"params": {"jobName": SYNC, "jobData": json.dumps(_wanted(image))}}
    job = (await client.call("POST", "/longjobs", body))["inventory"]["uuid"]
    while True:
        [found] = await client.query(f"/longjobs/{job}")
        if found["state"] != "Running":
            break
        await asyncio.sleep(0.02)
    return str(json.loads(found["jobResult"])["inventory"]["uuid"]) if found["state"] == "Succeeded" else None


async def _export(client: Client, image: str, storage: str) -> None:
    body = {"exportImageFromBackupStorage": {"imageUuid": image}}
    await client.call("PUT", f"/backup-storage/{storage}/actions", body)


async def _expunge(client: Client, image: str) -> None:
    await client.call("DELETE", f"/images/{image}")
    await client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})


async def _check(client: Client, hosts: Mapping[str, SimulatedHost], promised: Promised) -> None:
    await client.log_in()
    images = await client.query("/images")
    async with asyncio.timeout(120):  # what the node before has left is removed in the background
        while any(_left(host, images, uuid) for uuid, host in hosts.items()):
            await asyncio.sleep(0.05)
    uuids = {image["uuid"] for image in images}
    assert {image["status"] for image in images} <= {"Ready", "Deleted"}
    assert {uuid for uuid, there in promised.images.items() if there} <= uuids
    assert not {uuid for uuid, there in promised.images.items() if not there} & uuids
    assert {job["state"] for job in await client.query("/longjobs")} <= {"Succeeded", "Failed"}
    for uuid, host in hosts.items():
        for name in _named(images, uuid):
            assert host.disk.stat(f"/zs/registry/{name}/{name}").size == 90 * MIB
            assert host.disk.exists(f"/zs/registry/{name}/{name}.imf2")
        for name in _export_files(images, uuid):
            assert host.disk.stat(f"/zs/export/{name}").size == 90 * MIB
            promised.counts["checked exports"] += 1
    promised.counts["checked images"] += len(uuids)


def _named(images: list[dict[str, Any]], storage: str) -> set[str]:
    """Return the folders that the images on a storage have there."""
    refs = [ref for image in images for ref in image["backupStorageRefs"] if ref["backupStorageUuid"] == storage]
    return {ref["installPath"].rpartition("/")[2] for ref in refs}


def _export_files(images: list[dict[str, Any]], storage: str) -> set[str]:
    """Return the files of the exports of images on a storage."""
    refs = [ref for image in images for ref in image["backupStorageRefs"] if ref["backupStorageUuid"] == storage]
    return {ref["exportUrl"].rpartition("/")[2] for ref in refs if "exportUrl" in ref}


def _left(host: SimulatedHost, images: list[dict[str, Any]], storage: str) -> bool:
    """Return whether a host has other folders or exports than the records say."""
    return (_names(host, "registry"), _names(host, "export")) != (
        _named(images, storage),
        _export_files(images, storage),
    )


def _names(host: SimulatedHost, folder: str) -> set[str]:
    return set(host.disk.listdir(f"/zs/{folder}")) if host.disk.exists(f"/zs/{folder}") else set()
