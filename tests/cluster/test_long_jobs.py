"""Long jobs and uploads that are asked for, changed and carried out at different nodes."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from cluster_clients import STORAGES, Clients, clients, owner
from imagestore_sim.cluster import JOINING, Member, MemberRows
from imagestore_sim.faults import read_fault
from imagestore_sim.ids import new_uuid
from imagestore_sim.virtual_clock import run_virtually
from three_nodes import NAMES, Watched, three_nodes

pytestmark = pytest.mark.thorough
HALF = 2**20
WITHOUT_A_BYTE = 40
"""Seconds after which an upload is suspended."""
UNTIL_GIVEN_UP = 11
"""Seconds after which a node does not tell another one any more."""
Inventory = dict[str, Any]


async def storage_of(world: Watched, nodes: Clients, name: str) -> Inventory:
    """Return a storage that a node owns."""
    return next(one for one in await nodes["a"].query(STORAGES) if owner(world, one["uuid"]) == name)


async def submit(node: Any, storage: Inventory, url: str) -> str:
    """Submit a long job that adds an image, and return its uuid."""
    data = {"name": "i", "url": url, "format": "raw", "backupStorageUuids": [storage["uuid"]]}
    params = {"jobName": "APIAddImageMsg", "jobData": json.dumps(data)}
    body = {"params": params, "systemTags": ["uploadImage::mine"]}
    return str((await node.call("POST", "/longjobs", body))["inventory"]["uuid"])


async def come_in(nodes: Clients, rate: str) -> None:
    """Let images of 1 GiB come so fast, in bytes a second."""
    source = {"url": "http://*", "size": "1G", "actualSize": "1G", "rate": rate}
    await nodes["a"].request("PUT", f"{nodes['a'].url}/lab/v1/image-sources", {"sources": [source]})


async def change(world: Watched, nodes: Clients, name: str, job: str, action: str) -> None:
    """Change a long job by a call that the node which is asked carries out itself."""
    call = next(uuid for _ in range(1000) if owner(world, uuid := new_uuid("job")) == name)
    path, headers = f"/longjobs/{job}/actions", {"X-Job-UUID": call}
    answer = await nodes[name].request("PUT", path, {action: {}}, headers=headers)
    assert (await nodes[name].follow(str(answer.body["location"]))).status == 200


async def states(nodes: Clients, job: str) -> set[str]:
    """Return what the nodes tell of the state of a job."""
    return {one["state"] for node in nodes.values() for one in await node.query("/longjobs", f"uuid={job}")}


def images(world: Watched, storage: Inventory) -> list[str]:
    """Return what is below the registry of a storage on its host."""
    disk = world.network[storage["hostname"]].disk
    return disk.listdir("/zstack/registry") if disk.exists("/zstack/registry") else []


async def _cancelled(owned_by: str, submitted_at: str, cancelled_at: str) -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        rates = [{"url": "http://*", "size": "8G", "actualSize": "8G", "rate": "500M"}]
        await nodes["a"].request("PUT", f"{nodes['a'].url}/lab/v1/image-sources", {"sources": rates})
        storage = await storage_of(world, nodes, owned_by)
        job = await submit(nodes[submitted_at], storage, "http://x/i.raw")
        await world.clock.sleep(4)
        assert len(images(world, storage)) == 1
        await change(world, nodes, cancelled_at, job, "cancelLongJob")
        await world.clock.sleep(2)
        assert await states(nodes, job) == {"Canceled"}
        assert (await nodes["a"].query("/images"), images(world, storage)) == ([], [])
        await world.clock.sleep(30)
        assert (await states(nodes, job), images(world, storage)) == ({"Canceled"}, [])


@pytest.mark.parametrize("cancelled_at", NAMES)
@pytest.mark.parametrize("owned_by", ["a", "b"])
def test_a_long_job_is_cancelled_from_each_node_and_on_the_node_that_carries_it_out(
    owned_by: str, cancelled_at: str
) -> None:
    run_virtually(_cancelled(owned_by, "a", cancelled_at))


class Sending:
    """An image that a client sends to the node that it was told."""

    def __init__(self, world: Watched, nodes: Clients, storage: Inventory, job: str, image: Inventory) -> None:
        self.world, self.nodes, self.storage, self.job = world, nodes, storage, job
        self.image, self.url = str(image["uuid"]), str(image["backupStorageRefs"][0]["installPath"])
        self.to = next(one for one in nodes if self.url.startswith(nodes[one].url))
        self.others = [one for one in NAMES if one != self.to]

    async def send_half(self, offset: int) -> int:
        """Send a half, and return the status of the answer."""
        headers = {"X-IMAGE-UUID": self.image, "X-IMAGE-SIZE": str(2 * HALF)}
        headers |= {"X-SLICE-OFFSET": str(offset), "X-SLICE-SIZE": str(HALF)}
        async with aiohttp.ClientSession() as http, http.put(self.url, data=bytes(HALF), headers=headers) as answer:
            return answer.status

    async def offsets(self) -> set[int]:
        """Return how much has come, as each node tells it."""
        answers = [await self.nodes[one].call("GET", "/images/upload-job/details/mine") for one in NAMES]
        return {one["offset"] for answer in answers for one in answer["existingJobDetails"]}

    async def states(self) -> set[str]:
        return await states(self.nodes, self.job)

    async def left(self) -> tuple[list[Any], list[str]]:
        """Return the records of images, and their folders."""
        return await self.nodes["a"].query("/images"), images(self.world, self.storage)


async def _uploading(world: Watched, nodes: Clients) -> Sending:
    """Begin an upload, and send the first half."""
    storage = await storage_of(world, nodes, "b")
    job = await submit(nodes["a"], storage, "upload://i.raw")
    await world.clock.sleep(1)
    [image] = await nodes["a"].query("/images")
    sending = Sending(world, nodes, storage, job, image)
    assert await sending.send_half(0) == 200
    return sending


async def _resumed(*, is_told: bool) -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        sending = await _uploading(world, nodes)
        assert await sending.offsets() == {HALF}
        await world.clock.sleep(WITHOUT_A_BYTE)
        assert await sending.states() == {"Suspended"}
        assert await sending.send_half(HALF) == 409
        if not is_told:
            world.cluster.part(sending.others[0], sending.to)
        await change(world, nodes, sending.others[0], sending.job, "resumeLongJob")
        await world.clock.sleep(1)
        assert await sending.send_half(HALF) == 200
        await world.clock.sleep(2)
        assert await sending.states() == {"Succeeded"}


@pytest.mark.parametrize("is_told", [True, False])
def test_an_upload_goes_on_that_another_node_has_resumed(is_told: bool) -> None:
    """The node that waits for it cannot be told where the two are cut off from each other."""
    run_virtually(_resumed(is_told=is_told))


async def _upload_cancelled(*, suspended: bool, is_told: bool, restarted: bool) -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        sending = await _uploading(world, nodes)
        await world.clock.sleep(WITHOUT_A_BYTE if suspended else 0)
        if restarted:
            await world.cluster.stop(sending.to)
            await world.clock.sleep(5)
            del nodes[sending.to]
        if not is_told:
            world.cluster.part(sending.others[0], sending.to)
        await change(world, nodes, sending.others[0], sending.job, "cancelLongJob")
        await world.clock.sleep(5)
        if not is_told:
            world.cluster.reunite(sending.others[0], sending.to)
        nodes = {name: node for name, node in nodes.items() if name in world.cluster.nodes}
        assert await states(nodes, sending.job) == {"Canceled"}
        found = await nodes[sending.others[0]].query("/images")
        assert (found, images(world, sending.storage)) == ([], [])


@pytest.mark.parametrize(
    ("suspended", "is_told", "restarted"),
    [(False, True, False), (False, False, False), (True, True, False), (False, True, True), (True, True, True)],
    ids=["runs", "cut-off", "suspended", "runs-node-gone", "suspended-node-gone"],
)
def test_an_upload_ends_that_another_node_has_cancelled(suspended: bool, is_told: bool, restarted: bool) -> None:
    run_virtually(_upload_cancelled(suspended=suspended, is_told=is_told, restarted=restarted))


async def _deleted_and_added_again(*, suspended: bool, is_told: bool) -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        sending = await _uploading(world, nodes)
        await world.clock.sleep(WITHOUT_A_BYTE if suspended else 0)
        if not is_told:
            world.cluster.part(sending.others[0], sending.to)
        await nodes[sending.others[0]].call("DELETE", f"/images/{sending.image}")
        assert await sending.states() == {"Failed"}
        if not is_told:
            await world.clock.sleep(UNTIL_GIVEN_UP)
            world.cluster.reunite(sending.others[0], sending.to)
        data = {"name": "i", "url": "upload://i.raw", "format": "raw", "resourceUuid": sending.image}
        body = {"params": {**data, "backupStorageUuids": [sending.storage["uuid"]]}}
        await nodes[sending.to].call("POST", "/images", body)
        assert [await sending.send_half(0), await sending.send_half(HALF)] == [200, 200]
        await world.clock.sleep(WITHOUT_A_BYTE)
        found, there = await sending.left()
        assert [(one["uuid"], one["status"]) for one in found] == [(sending.image, "Ready")]
        assert (there, await sending.states()) == ([sending.image], {"Failed"})


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "cut off"])
@pytest.mark.parametrize("suspended", [True, False], ids=["suspended", "runs"])
def test_an_image_that_another_node_has_deleted_may_be_added_and_sent_again(suspended: bool, is_told: bool) -> None:
    run_virtually(_deleted_and_added_again(suspended=suspended, is_told=is_told))


async def _owner_changes(url: str) -> None:
    async with three_nodes("quick", nodes=("a", "b")) as world, clients(world, nodes=("a", "b")) as nodes:
        await come_in(nodes, "50M")
        storages = await nodes["a"].query(STORAGES)
        before = {one["uuid"]: owner(world, one["uuid"]) for one in storages}
        for one in storages:
            await submit(nodes["a"], one, url)
        await world.clock.sleep(2)
        await world.cluster.start("c")
        await world.clock.sleep(5)
        moved = {uuid for uuid, name in before.items() if owner(world, uuid) not in (name, "")}
        assert moved
        for image in await nodes["a"].query("/images", "status=Downloading") if url.startswith("upload") else ():
            sending = Sending(world, nodes, {}, "", image)
            assert [await sending.send_half(0), await sending.send_half(HALF)] == [200, 200]
        await world.clock.sleep(60)
        assert {one["state"] for one in await nodes["a"].query("/longjobs")} == {"Succeeded"}
        images = await nodes["a"].query("/images")
        assert [one["status"] for one in images] == ["Ready"] * len(storages)
        for one in await nodes["a"].query(STORAGES):
            disk = world.network[one["hostname"]].disk
            assert (one["totalCapacity"], one["availableCapacity"]) == (disk.size, disk.available)


@pytest.mark.parametrize("url", ["http://x/i.raw", "upload://i.raw"])
def test_images_come_though_another_node_owns_their_storages_by_now(url: str) -> None:
    """A node that joins takes storages over, and what was begun on others goes on there."""
    run_virtually(_owner_changes(url))


async def _node_dies_while_it_starts_again() -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        await come_in(nodes, "1M")
        storage = await storage_of(world, nodes, "a")
        jobs = [await submit(nodes["a"], storage, f"http://x/{number}.raw") for number in range(6)]
        lost, there = world.membership("b").uuid, world.cluster.nodes["b"].parts.services.long_jobs
        job = next(one for one in jobs if one in there._running)
        await world.clock.sleep(2)
        rows, store = MemberRows(), world.cluster.nodes["a"].parts.store.database
        await world.cluster.kill("b")
        async with store.transaction() as connection:  # it has begun to start again, and its row is that of the start
            epoch, at = await rows.raise_epoch(connection), world.clock.local()
            await rows.insert(connection, Member(lost, "127.0.0.1", 9, JOINING, epoch, 0, at, at, "quick"))
        await world.clock.sleep(6)
        del nodes["b"]
        assert await states(nodes, job) == {"Running"}
        async with store.transaction() as connection:
            await rows.raise_epoch(connection)
            assert await rows.remove(connection, lost, epoch)
        await world.clock.sleep(31)
        assert await states(nodes, job) == {"Failed"}


def test_a_long_job_ends_whose_node_has_died_while_it_started_again() -> None:
    run_virtually(_node_dies_while_it_starts_again())


async def _host_keeps_bits(caplog: pytest.LogCaptureFixture) -> None:
    async with three_nodes("quick") as world, clients(world) as nodes:
        storage = await storage_of(world, nodes, "a")
        await submit(nodes["a"], storage, "http://x/i.raw")
        await world.clock.sleep(30)
        [image] = await nodes["a"].query("/images")
        await world.network[storage["hostname"]].apply(read_fault("read_only", {}))
        await nodes["a"].call("DELETE", f"/images/{image['uuid']}")
        await nodes["a"].call("PUT", f"/images/{image['uuid']}/actions", {"expungeImage": {}})
        await world.clock.sleep(60)
        caplog.clear()
        await world.clock.sleep(600)
        assert [one.message for one in caplog.records if "are left at" in one.message] == []


def test_a_host_that_keeps_bits_is_not_asked_again_by_each_sweep(caplog: pytest.LogCaptureFixture) -> None:
    run_virtually(_host_keeps_bits(caplog))
