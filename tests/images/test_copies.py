"""Images that are copied from one ImageStore to another, with their bits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

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
    pytest.mark.imagestore_lab(hosts=2, ping_interval=3600, clock="virtual"),
]
GIB = 2**30
BLOCK = 4096
REGISTRY = "/Cloud_bs/registry"
SYNC = "syncImageFromImageStoreBackupStorage"


imagestore_lab, imagestore_client = reset_fixtures()


@pytest_asyncio.fixture(loop_scope="module")
async def image(imagestore_lab: Lab, imagestore_client: Client) -> str:
    """Return an image of 4 GiB on the first ImageStore, whose copies take four seconds."""
    imagestore_lab.node.foundation.image_sources.add([ImageSource("*", 40 * GIB, 4 * GIB, rate=GIB)])
    first, _ = await stores(imagestore_lab)
    body = {"name": "one", "url": "http://x", "format": "qcow2", "backupStorageUuids": [first]}
    return str((await imagestore_client.call("POST", "/images", {"params": body}))["inventory"]["uuid"])


async def stores(lab: Lab) -> list[str]:
    return [one.uuid for one in await lab.node.storages.records.tracked()]


async def wanted(lab: Lab, image: str) -> dict[str, str]:
    first, second = await stores(lab)
    return {"uuid": image, "srcBackupStorageUuid": first, "dstBackupStorageUuid": second, "name": "copy"}


async def sync(lab: Lab, client: Client, image: str) -> dict[str, Any]:
    answer: dict[str, Any] = await client.call("PUT", f"/images/{image}/actions", {SYNC: await wanted(lab, image)})
    return answer


async def submit(lab: Lab, client: Client, image: str) -> dict[str, Any]:
    name, data = "APISyncImageFromImageStoreBackupStorageMsg", json.dumps(await wanted(lab, image))
    job: dict[str, Any] = await client.call("POST", "/longjobs", {"params": {"jobName": name, "jobData": data}})
    return dict(job["inventory"])


def folders(hosts: HostNetwork, number: int) -> list[str]:
    disk = hosts[f"imagestore-{number}"].disk
    return disk.listdir(REGISTRY) if disk.exists(REGISTRY) else []


async def available(lab: Lab, number: int) -> int:
    return (await storage(lab, f"imagestore-{number}")).available


async def test_a_copy_comes_from_host_to_host_at_a_rate_and_takes_its_space(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: str
) -> None:
    began = imagestore_lab.clock.monotonic()
    before = [await available(imagestore_lab, number) for number in (1, 2)]
    copy = (await sync(imagestore_lab, imagestore_client, image))["inventory"]
    assert 4 <= imagestore_lab.clock.monotonic() - began < 6
    assert (copy["name"], copy["status"], copy["size"], copy["actualSize"]) == ("copy", "Ready", 40 * GIB, 4 * GIB)
    [ref] = copy["backupStorageRefs"]
    assert (ref["status"], ref["installPath"]) == ("Ready", f"zstore://{image}/{image}")
    assert imagestore_hosts["imagestore-2"].disk.stat(f"{REGISTRY}/{image}/{image}").size == 4 * GIB
    assert [before[0] - await available(imagestore_lab, 1), before[1] - await available(imagestore_lab, 2)] == [
        0,
        4 * GIB + BLOCK,
    ]
    await imagestore_client.call("DELETE", f"/images/{copy['uuid']}")
    await imagestore_client.call("PUT", f"/images/{copy['uuid']}/actions", {"expungeImage": {}})
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([image], [])
    assert await available(imagestore_lab, 2) == before[1]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda hosts: hosts["imagestore-2"].apply(read_fault("fill", {"to": "100%"})), "No space left on device"),
        (lambda hosts: hosts["imagestore-2"].apply(read_fault("read_only", {})), "Read-only file system"),
        (lambda hosts: hosts["imagestore-2"].stop(), "unreachable: imagestore-2:22: no connection"),
        (lambda hosts: hosts["imagestore-1"].stop(), "unreachable: imagestore-1:22: no connection"),
    ],
    ids=["full", "read-only", "destination lost", "source lost"],
)
async def test_a_host_that_breaks_fails_the_copy_and_keeps_nothing(
    imagestore_lab: Lab,
    imagestore_hosts: HostNetwork,
    imagestore_client: Client,
    image: str,
    break_it: Callable[[HostNetwork], Any],
    why: str,
) -> None:
    second = (await stores(imagestore_lab))[1]
    copying = asyncio.create_task(failure(imagestore_lab, imagestore_client, image))
    await imagestore_lab.clock.sleep(1.9)
    await break_it(imagestore_hosts)
    code, text = await copying
    where = f"failed to download image[url: zstore://{image}/{image}] on backup storage[uuid: {second}], because: "
    assert code == "SYS.1006"
    assert text.startswith(where)
    assert why in text
    assert [one["uuid"] for one in await imagestore_client.query("/images")] == [image]
    for host in imagestore_hosts.values():
        for fault in list(host.faults):
            await fault.heal()
        await host.start()
    await imagestore_lab.clock.sleep(4000)
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([image], [])


async def failure(lab: Lab, client: Client, image: str) -> tuple[str, str]:
    with pytest.raises(CallFailed) as failed:
        await sync(lab, client, image)
    return failed.value.code, str(failed.value.error["details"])


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "code"), [(0, "SYS.1003"), (1, "SYS.1003")], ids=["source", "destination"])
async def test_a_storage_that_is_deleted_meanwhile_fails_the_copy(
    imagestore_lab: Lab, imagestore_client: Client, image: str, number: int, code: str
) -> None:
    deleted = (await stores(imagestore_lab))[number]
    copying = asyncio.create_task(failure(imagestore_lab, imagestore_client, image))
    await imagestore_lab.clock.sleep(1.9)
    await imagestore_client.call("DELETE", f"/backup-storage/{deleted}")
    assert await copying == (code, f"backup storage[uuid:{deleted}] is not there, it may have been deleted")
    assert [one["uuid"] for one in await imagestore_client.query("/images")] == ([image] if number else [])


@pytest.mark.thorough
async def test_an_image_whose_bits_are_gone_and_one_too_large_are_not_copied(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: str
) -> None:
    [_, disk] = [imagestore_hosts[f"imagestore-{number}"].disk for number in (1, 2)]
    disk.used += disk.available - 5 * GIB
    _, text = await failure(imagestore_lab, imagestore_client, image)
    assert text == f"after subtracting reserved capacity, no backup storage has required capacity[{4 * GIB} bytes]"
    imagestore_hosts["imagestore-1"].disk.remove(f"{REGISTRY}/{image}/{image}")
    _, text = await failure(imagestore_lab, imagestore_client, image)
    assert text.endswith("because: /Cloud_bs: No such file")


async def test_an_image_is_copied_to_a_storage_once(imagestore_lab: Lab, imagestore_client: Client, image: str) -> None:
    copying = asyncio.create_task(sync(imagestore_lab, imagestore_client, image))
    await imagestore_lab.clock.sleep(1)
    second = (await stores(imagestore_lab))[1]
    text = f"target backup storage[uuid:{second}] already contains the image [uuid:{image}]"
    assert await failure(imagestore_lab, imagestore_client, image) == ("SYS.1006", text)
    assert (await copying)["inventory"]["status"] == "Ready"


async def test_a_long_job_copies_an_image_and_tells_how_far_it_is(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: str
) -> None:
    job = await submit(imagestore_lab, imagestore_client, image)
    assert (job["state"], job["targetResourceUuid"]) == ("Running", image)
    await imagestore_lab.clock.sleep(2.05)
    [progress] = (await imagestore_client.request("GET", f"/task-progresses/{job['apiId']}")).body["inventories"]
    assert (progress["taskName"].rpartition(".")[2], progress["content"]) == (job["jobName"], "50")
    await imagestore_lab.clock.sleep(3)
    [done] = await imagestore_client.query(f"/longjobs/{job['uuid']}")
    assert (done["state"], json.loads(done["jobResult"])["inventory"]["status"]) == ("Succeeded", "Ready")
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([image], [image])


@pytest.mark.thorough
async def test_a_long_job_that_is_cancelled_leaves_nothing_and_can_run_again(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: str
) -> None:
    client, before = imagestore_client, await available(imagestore_lab, 2)
    job = await submit(imagestore_lab, client, image)
    await imagestore_lab.clock.sleep(2)
    assert folders(imagestore_hosts, 2) == [image]
    await client.call("PUT", f"/longjobs/{job['uuid']}/actions", {"cancelLongJob": {}})
    await imagestore_lab.clock.sleep(1)
    assert (await client.query(f"/longjobs/{job['uuid']}"))[0]["state"] == "Canceled"
    assert ([one["uuid"] for one in await client.query("/images")], folders(imagestore_hosts, 2)) == ([image], [])
    assert await available(imagestore_lab, 2) == before
    await client.call("PUT", f"/longjobs/{job['uuid']}/actions", {"rerunLongJob": {}})
    await imagestore_lab.clock.sleep(6)
    assert (await client.query(f"/longjobs/{job['uuid']}"))[0]["state"] == "Succeeded"
    assert folders(imagestore_hosts, 2) == [image]


@pytest.mark.spoils
async def test_a_node_that_was_killed_leaves_no_half_copied_image(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: str
) -> None:
    parts = imagestore_lab.node.parts
    await imagestore_client.request("PUT", f"/images/{image}/actions", {SYNC: await wanted(imagestore_lab, image)})
    await imagestore_lab.clock.sleep(1)
    await parts.jobs.close()  # as a kill does: nothing is written any more
    await parts.images.garbage.close()
    assert folders(imagestore_hosts, 2) == [image]
    await parts.images.garbage.open()  # the next start
    await imagestore_lab.clock.sleep(1)
    assert [one["uuid"] for one in await imagestore_client.query("/images")] == [image]
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([image], [])
