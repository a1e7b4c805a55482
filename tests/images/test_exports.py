"""Exports of images: files under `export` on the hosts of ImageStores, and what a reclaim frees (domain 8.4, 8.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import pytest_asyncio

from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from kept_lab import reset_fixtures
from lifecycle_events import storage

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("few_steps"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual"),
]
GIB = 2**30
BLOCK = 4096
HOST = "imagestore-1"
EXPORT = "/Cloud_bs/export"


imagestore_lab, imagestore_client = reset_fixtures()


class Store:
    """The one ImageStore of a lab, with an image of 4 GiB on it."""

    def __init__(self, lab: Lab, host: Any, client: Client, uuid: str, image: str) -> None:
        self.lab = lab
        self.host = host
        self.client = client
        self.uuid = uuid
        self.image = image

    @property
    def exports(self) -> list[str]:
        """The files under `export` on the host."""
        return sorted(self.host.disk.listdir(EXPORT))

    async def available(self) -> int:
        return (await storage(self.lab, HOST)).available

    async def ref(self) -> dict[str, Any]:
        [image] = await self.client.query(f"/images/{self.image}")
        [ref] = image["backupStorageRefs"]
        return dict(ref)

    async def export(self, image_format: str | None = None) -> dict[str, Any]:
        values = {"imageUuid": self.image} | ({"exportFormat": image_format} if image_format else {})
        body = {"exportImageFromBackupStorage": values}
        return await self.client.call("PUT", f"/backup-storage/{self.uuid}/actions", body)

    async def delete_export(self) -> None:
        await self.client.call("DELETE", f"/backup-storage/{self.uuid}/exported-images/{self.image}")

    async def expunge(self) -> None:
        await self.client.call("DELETE", f"/images/{self.image}")
        await self.client.call("PUT", f"/images/{self.image}/actions", {"expungeImage": {}})

    async def reclaim(self) -> int:
        path = f"/backup-storage/image-store/{self.uuid}/actions"
        answer = await self.client.call("PUT", path, {"reclaimSpaceFromImageStore": {}})
        return int(answer["gcResult"]["freedSpaceInBytes"])

    async def heal(self) -> None:
        """Let the host be as it was, and remove what is left there."""
        for fault in list(self.host.faults):
            await fault.heal()
        await self.host.start()
        await self.client.call("PUT", f"/backup-storage/{self.uuid}/actions", {"reconnectBackupStorage": {}})
        await self.reclaim()


@pytest_asyncio.fixture(loop_scope="module")
async def store(imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client) -> Store:
    imagestore_lab.node.foundation.image_sources.add([ImageSource("http://*", 40 * GIB, 4 * GIB)])
    [uuid] = [one.uuid for one in await imagestore_lab.node.storages.records.tracked()]
    body = {"name": "one", "url": "http://x", "format": "qcow2", "backupStorageUuids": [uuid]}
    image = (await imagestore_client.call("POST", "/images", {"params": body}))["inventory"]["uuid"]
    imagestore_lab.node.foundation.image_sources.add([ImageSource("export://*", rate=GIB)])
    return Store(imagestore_lab, imagestore_hosts[HOST], imagestore_client, uuid, image)


async def why(work: Any) -> str:
    with pytest.raises(CallFailed) as failed:
        await work
    return str(failed.value.error["details"])


async def test_an_export_is_a_file_that_takes_its_space_until_it_is_deleted(store: Store) -> None:
    before, began = await store.available(), store.lab.clock.monotonic()
    exported = await store.export()
    assert 4 <= store.lab.clock.monotonic() - began < 6
    assert exported["imageUrl"] == f"http://{HOST}:8000/export/{store.image}.qcow2"
    assert store.exports == [f"{store.image}.qcow2"]
    assert store.host.disk.stat(f"{EXPORT}/{store.image}.qcow2").size == 4 * GIB
    assert before - await store.available() == 4 * GIB
    ref = await store.ref()
    assert (ref["exportUrl"], ref["exportMd5Sum"]) == (exported["imageUrl"], exported["exportMd5Sum"])
    again = store.lab.clock.monotonic()
    assert (await store.export(), await store.export("qcow2")) == (exported, exported)
    assert store.lab.clock.monotonic() - again < 1
    await store.delete_export()
    assert (store.exports, await store.available()) == ([], before)
    assert not (await store.ref()).keys() & {"exportUrl", "exportMd5Sum"}
    await store.delete_export()


@pytest.mark.thorough
async def test_an_export_tells_how_far_it_is_and_gives_way_to_another_format(store: Store) -> None:
    before = await store.available()
    body = {"exportImageFromBackupStorage": {"imageUuid": store.image}}
    path, job = f"/backup-storage/{store.uuid}/actions", "a" * 32
    answer = await store.client.request("PUT", path, body, headers={"X-Job-UUID": job})
    await store.lab.clock.sleep(2.05)
    [progress] = (await store.client.request("GET", f"/task-progresses/{job}")).body["inventories"]
    task = "org.zstack.header.storage.backup.APIExportImageFromBackupStorageMsg"
    assert (progress["taskName"], progress["content"]) == (task, "50")
    assert "exportUrl" not in await store.ref()
    await store.client.follow(answer.body["location"])
    await store.export("raw")
    assert store.exports == [f"{store.image}.raw"]
    assert before - await store.available() == 4 * GIB


@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        pytest.param(
            lambda host: host.apply(read_fault("fill", {"to": "100%"})),
            "/Cloud_bs: No space left on device",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            lambda host: host.apply(read_fault("read_only", {})),
            "/Cloud_bs: Read-only file system",
            marks=pytest.mark.thorough,
        ),
        (lambda host: host.stop(), "unreachable: imagestore-1:22: no connection"),
    ],
    ids=["full", "read-only", "lost"],
)
async def test_a_host_that_breaks_during_an_export_fails_it_and_keeps_nothing(
    store: Store, break_it: Callable[[Any], Any], text: str
) -> None:
    exporting = asyncio.create_task(why(store.export()))
    await store.lab.clock.sleep(1.9)
    await break_it(store.host)
    assert text in await exporting
    assert "exportUrl" not in await store.ref()
    await store.heal()
    assert store.exports == []


async def test_an_export_needs_its_capacity_and_that_of_what_is_under_way(store: Store) -> None:
    disk = store.host.disk
    disk.used += disk.available - 6 * GIB  # for one of 4 GiB beside the reserved one, not for two
    exporting = asyncio.create_task(store.export())
    await store.lab.clock.sleep(1)
    body = {"name": "b", "url": "http://y", "format": "qcow2", "backupStorageUuids": [store.uuid]}
    with pytest.raises(CallFailed) as failed:
        await store.client.call("POST", "/images", {"params": body})
    size = 4 * GIB
    text = f"after subtracting reserved capacity, no backup storage has required capacity[{size} bytes]"
    assert failed.value.error["cause"]["details"] == text
    await exporting
    await store.delete_export()
    disk.used += 2 * GIB
    refused = f"the backup storage[uuid:{store.uuid}] has not enough capacity[{size}] to export"
    assert (await why(store.export()), store.exports) == (refused, [])


@pytest.mark.thorough
async def test_an_image_that_is_expunged_during_its_export_leaves_nothing(store: Store) -> None:
    exporting = asyncio.create_task(why(store.export()))
    await store.lab.clock.sleep(1)
    await store.expunge()
    assert "No such file" in await exporting
    assert store.exports == []


@pytest.mark.spoils
async def test_a_node_that_was_killed_during_an_export_leaves_none(store: Store) -> None:
    parts = store.lab.node.parts
    body = {"exportImageFromBackupStorage": {"imageUuid": store.image}}
    await store.client.request("PUT", f"/backup-storage/{store.uuid}/actions", body)
    await store.lab.clock.sleep(1)
    await parts.jobs.close()  # as a kill does: nothing is written any more
    await parts.images.garbage.close()
    assert store.exports == [f"{store.image}.qcow2"]
    await parts.images.garbage.open()  # the next start
    await store.lab.clock.sleep(1)
    assert (store.exports, "exportUrl" in await store.ref()) == ([], False)


@pytest.mark.thorough
async def test_an_export_that_the_host_keeps_is_not_deleted(store: Store) -> None:
    exported = await store.export()
    await store.host.apply(read_fault("read_only", {}))
    assert await why(store.delete_export()) == "/Cloud_bs: Read-only file system"
    assert (await store.ref())["exportUrl"] == exported["imageUrl"]
    await store.heal()
    assert store.exports == [f"{store.image}.qcow2"]
    await store.delete_export()
    assert store.exports == []


@pytest.mark.thorough
async def test_records_in_place_of_others_keep_their_exports_alone(store: Store) -> None:
    records = await store.lab.node.changes.snapshot()
    await store.export()
    exported = await store.lab.node.changes.snapshot()
    await store.lab.node.changes.replace(exported, wait=True)
    await store.lab.clock.sleep(1)
    assert store.exports == [f"{store.image}.qcow2"]
    await store.lab.node.changes.replace(records, wait=True)
    await store.lab.clock.sleep(1)
    assert store.exports == []


async def test_an_export_is_a_long_job_that_can_be_cancelled(store: Store) -> None:
    data = {"backupStorageUuid": store.uuid, "imageUuid": store.image}
    values = {"jobName": "APIExportImageFromBackupStorageMsg", "jobData": orjson.dumps(data).decode()}

    async def state(uuid: str) -> tuple[str, str]:
        [job] = await store.client.query(f"/longjobs/{uuid}")
        return job["state"], job.get("jobResult", "")

    job = (await store.client.call("POST", "/longjobs", {"params": values}))["inventory"]
    assert job["targetResourceUuid"] == store.image
    await store.lab.clock.sleep(1)
    await store.client.call("PUT", f"/longjobs/{job['uuid']}/actions", {"cancelLongJob": {}})
    await store.lab.clock.sleep(1)
    assert ((await state(job["uuid"]))[0], store.exports) == ("Canceled", [])
    await store.client.call("PUT", f"/longjobs/{job['uuid']}/actions", {"rerunLongJob": {}})
    await store.lab.clock.sleep(6)
    ended, result = await state(job["uuid"])
    assert (ended, orjson.loads(result)["imageUrl"]) == ("Succeeded", (await store.ref())["exportUrl"])


async def test_a_reclaim_frees_what_a_host_has_kept(store: Store) -> None:
    await store.export()
    before = await store.available()
    assert await store.reclaim() == 0
    fault = await store.host.apply(read_fault("read_only", {}))
    await store.expunge()  # the host keeps the bits: they are tried again after an hour
    path = f"/backup-storage/image-store/{store.uuid}/actions"
    failing = store.client.call("PUT", path, {"reclaimSpaceFromImageStore": {}})
    assert await why(failing) == "reclaim imagestore error, because:/Cloud_bs: Read-only file system"
    await fault.heal()
    freed = await store.reclaim()
    assert (freed // GIB, freed % GIB > 0) == (8, True)  # two files, and the metadata
    assert (await store.available() - before, store.exports) == (8 * GIB + BLOCK, [])
    assert await store.reclaim() == 0


@pytest.mark.thorough
async def test_a_reclaim_in_the_middle_of_an_outage_fails_and_loses_nothing(store: Store) -> None:
    await store.export()
    await store.host.stop()
    await store.lab.wait_for(HOST, "Disconnected", within=300)
    await store.expunge()
    text = f"reclaim imagestore error, because:image store[uuid:{store.uuid}] is in status Disconnected"
    assert await why(store.reclaim()) == text
    await store.heal()
    assert (store.exports, store.host.disk.listdir("/Cloud_bs/registry"), await store.reclaim()) == ([], [], 0)
