"""Events and metrics of images (domain 8.1)."""

from __future__ import annotations

from typing import Any

import pytest

from imagestore_sim.backup_storage.events import Event, Subscription
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from kept_lab import reset_fixtures
from lifecycle_events import drain
from metrics_page import scrape

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("few_steps"),
    pytest.mark.imagestore_lab(hosts=2, ping_interval=60, clock="virtual"),
]
GIB = 2**30
DONE = {"outcome": "done"}


imagestore_lab, imagestore_client = reset_fixtures()


@pytest.fixture(autouse=True)
def source(imagestore_lab: Lab) -> None:
    """Let images of one GiB come in a second, and those from `gone` fail."""
    sources = [ImageSource("*/gone", error="404 Not Found"), ImageSource("*", 2 * GIB, GIB, rate=GIB)]
    imagestore_lab.node.foundation.image_sources.add(sources)


async def stores(lab: Lab) -> list[str]:
    return sorted(one.uuid for one in await lab.node.storages.records.tracked())


async def add(client: Client, storages: list[str], url: str = "http://images/a") -> str:
    params = {"name": "a", "url": url, "format": "qcow2", "backupStorageUuids": storages}
    return str((await client.call("POST", "/images", {"params": params}))["inventory"]["uuid"])


def of_images(listener: Subscription) -> list[Event]:
    return [one for one in drain(listener) if one.path.startswith("/image/")]


def words(events: list[Event]) -> list[str]:
    """Return the paths of events, with the new status where there is one."""
    return [" ".join([one.path, *([str(one.content["newStatus"])] if "newStatus" in one.content else [])])
            for one in events]  # fmt: skip


async def test_an_image_tells_of_its_whole_life(imagestore_lab: Lab, imagestore_client: Client) -> None:
    uuids = await stores(imagestore_lab)
    with imagestore_lab.node.events.subscribe() as listener:
        image = await add(imagestore_client, uuids)
        await imagestore_client.call("DELETE", f"/images/{image}?backupStorageUuids={uuids[0]}")
        await imagestore_client.call("DELETE", f"/images/{image}")
        await imagestore_client.call("PUT", f"/images/{image}/actions", {"recoverImage": {}})
        await imagestore_client.call("DELETE", f"/images/{image}")
        expunge = {"expungeImage": {"backupStorageUuids": uuids[:1]}}
        await imagestore_client.call("PUT", f"/images/{image}/actions", expunge)
        await imagestore_client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})
        events = of_images(listener)
    assert words(events) == [
        *("/image/added", "/image/status/change Ready", "/image/status/change Deleted"),
        *("/image/status/change Deleted", "/image/status/change Ready", "/image/status/change Deleted"),
        *("/image/removed", "/image/bits/removed", "/image/removed", "/image/bits/removed"),
    ]
    added, ready, first, *_ = [one.content for one in events]
    assert {one.resource_uuid for one in events} == {image}
    assert (added["status"], added["size"], sorted(added["backupStorageUuids"])) == ("Downloading", 0, uuids)  # type: ignore[call-overload]
    assert (ready["oldStatus"], ready["size"], ready["actualSize"]) == ("Downloading", 2 * GIB, GIB)
    assert (first["status"], first["backupStorageUuids"]) == ("Ready", uuids[:1])
    assert [one.content["exists"] for one in events if one.path == "/image/removed"] == [True, False]
    assert [one.content["backupStorageUuid"] for one in events if one.path == "/image/bits/removed"] == uuids
    assert {one.correlation for one in events[:2]} != {None}


async def test_a_download_that_fails_says_why_and_leaves_nothing(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    uuids = await stores(imagestore_lab)
    with imagestore_lab.node.events.subscribe() as listener:
        with pytest.raises(CallFailed):
            await add(imagestore_client, uuids, "http://images/gone")
        events = of_images(listener)
    assert words(events)[:3] == ["/image/added", "/image/download/failure", "/image/removed"]
    assert "404 Not Found" in str(events[1].content["details"])
    found = await scrape(imagestore_client)
    assert (found.value("image_transfers_total", outcome="failed"), found.value("images", status="Ready")) == (2, 0)


async def test_bits_are_removed_when_their_host_is_back(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    uuid = (await imagestore_lab.wait_for("imagestore-1", "Connected")).uuid
    image = await add(imagestore_client, [uuid])
    await imagestore_client.call("DELETE", f"/images/{image}")
    refused = await imagestore_hosts["imagestore-1"].apply(read_fault("refuse", {}))
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=200)
    with imagestore_lab.node.events.subscribe() as listener:
        await imagestore_client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})
        assert words(of_images(listener)) == ["/image/removed"]
        assert (await scrape(imagestore_client)).value("image_bits_to_remove") == 1
        await refused.heal()
        await imagestore_lab.wait_for("imagestore-1", "Connected", within=200)
        await imagestore_lab.clock.sleep(5)
        assert words(of_images(listener)) == ["/image/bits/removed"]
    assert (await scrape(imagestore_client)).value("image_bits_to_remove") == 0


async def test_metrics_count_images_their_bytes_and_their_transfers(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    uuids = await stores(imagestore_lab)
    before = await scrape(imagestore_client)
    assert (before.value("images", status="Ready"), before.value("image_transfers_total", **DONE)) == (0, 0)
    image = await add(imagestore_client, uuids)
    await add(imagestore_client, uuids[:1])
    await imagestore_client.call("DELETE", f"/images/{image}")
    found = await scrape(imagestore_client)
    assert [found.value("images", status=one) for one in ("Downloading", "Ready", "Deleted")] == [0, 1, 1]
    assert (found.value("image_transfers_total", **DONE), found.value("image_transfer_bytes_total")) == (3, 3 * GIB)
    bytes_ = {
        sample.labels["uuid"]: sample.value
        for sample in found.families["imagestore_sim_backup_storage_image_bytes"].samples
    }
    assert bytes_ == {uuids[0]: 2 * GIB, uuids[1]: GIB}


async def test_the_end_of_an_upload_is_zstacks_own_event(imagestore_lab: Lab, imagestore_client: Client) -> None:
    params: dict[str, Any] = {"name": "simulated", "url": "nfs://a", "totalCapacity": 1000, "availableCapacity": 1000}
    simulator = (await imagestore_client.call("POST", "/backup-storage/simulators", {"params": params}))["inventory"]
    with imagestore_lab.node.events.subscribe() as listener:
        image = await add(imagestore_client, [simulator["uuid"]], "upload://a.qcow2")
        await imagestore_lab.clock.sleep(3600)
        tracked = [one for one in of_images(listener) if one.path == "/image/track/result"]
    assert [(one.resource_uuid, one.content) for one in tracked] == [
        (
            image,
            {
                "uuid": image,
                "success": False,
                "error": {"code": "SYS.1006", "details": "upload session expired"},
            },
        )
    ]
