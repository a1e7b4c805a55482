"""Images with bits: files on the hosts of ImageStores, and the capacity that follows (domain 3.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.bootstrap.records import ImageRecord, ImageRefRecord
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


imagestore_lab, imagestore_client = reset_fixtures()


@pytest.fixture(autouse=True)
def source(imagestore_lab: Lab) -> ImageSource:
    """Return a source of images of 4 GiB that take four seconds."""
    source = ImageSource("http://images/*", 40 * GIB, 4 * GIB, rate=GIB)
    imagestore_lab.node.foundation.image_sources.add([source])
    return source


async def stores(lab: Lab) -> list[str]:
    return [one.uuid for one in await lab.node.storages.records.tracked()]


def add(name: str, storages: list[str], **values: object) -> dict[str, Any]:
    given = {"name": name, "url": f"http://images/{name}", "format": "qcow2", "backupStorageUuids": storages}
    return {"params": given | values}


def folders(hosts: HostNetwork, number: int = 1) -> list[str]:
    disk = hosts[f"imagestore-{number}"].disk
    return disk.listdir(REGISTRY) if disk.exists(REGISTRY) else []


async def available(lab: Lab, number: int = 1) -> int:
    return (await storage(lab, f"imagestore-{number}")).available


async def failure(client: Client, body: dict[str, Any]) -> str:
    """Return the cause of an add that fails, or its details where it has none."""
    with pytest.raises(CallFailed) as failed:
        await client.call("POST", "/images", body)
    error = failed.value.error
    return str(error.get("cause", error)["details"])


async def test_an_image_comes_at_the_rate_of_its_source_and_takes_its_space(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    uuids, before = await stores(imagestore_lab), await available(imagestore_lab)
    began = imagestore_lab.clock.monotonic()
    image = (await imagestore_client.call("POST", "/images", add("one", uuids)))["inventory"]
    assert 4 <= imagestore_lab.clock.monotonic() - began < 6
    assert (image["status"], image["size"], image["actualSize"]) == ("Ready", 40 * GIB, 4 * GIB)
    assert [ref["status"] for ref in image["backupStorageRefs"]] == ["Ready", "Ready"]
    path = f"{REGISTRY}/{image['uuid']}/{image['uuid']}"
    for host in imagestore_hosts.values():
        assert host.disk.stat(path).size == 4 * GIB
        assert orjson.loads(host.disk.read_file(f"{path}.imf2"))["md5"] == image["md5Sum"]
    assert before - await available(imagestore_lab) == 4 * GIB + BLOCK


async def test_while_it_comes_an_image_is_downloading_and_tells_how_far_it_is(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    body = add("slow", await stores(imagestore_lab))
    answer = await imagestore_client.request("POST", "/images", body, headers={"X-Job-UUID": "a" * 32})
    await imagestore_lab.clock.sleep(2.05)
    [image] = await imagestore_client.query("/images")
    assert (image["status"], image["size"]) == ("Downloading", 0)
    assert {(ref["status"], ref["installPath"]) for ref in image["backupStorageRefs"]} == {("Downloading", "")}
    [progress] = (await imagestore_client.request("GET", f"/task-progresses/{'a' * 32}")).body["inventories"]
    assert (progress["taskUuid"], progress["content"]) == ("a" * 32, "50")
    await imagestore_client.follow(answer.body["location"])
    assert (await imagestore_client.request("GET", f"/task-progresses/{'a' * 32}")).body["inventories"] == []


async def test_an_image_that_is_deleted_and_expunged_gives_its_space_back(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    uuids, before = await stores(imagestore_lab), [await available(imagestore_lab, number) for number in (1, 2)]
    image = (await imagestore_client.call("POST", "/images", add("one", uuids)))["inventory"]["uuid"]
    await imagestore_client.call("DELETE", f"/images/{image}", query=[("deleteMode", "Enforcing")])
    [deleted] = await imagestore_client.query("/images")
    assert (deleted["status"], folders(imagestore_hosts)) == ("Deleted", [image])
    second = uuids[1]
    await imagestore_client.call("PUT", f"/images/{image}/actions", {"expungeImage": {"backupStorageUuids": [second]}})
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([image], [])
    assert await available(imagestore_lab, 2) == before[1]
    await imagestore_client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})
    assert (folders(imagestore_hosts), await imagestore_client.query("/images")) == ([], [])
    assert await available(imagestore_lab) == before[0]


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda host: host.apply(read_fault("fill", {"to": "100%"})), "No space left on device"),
        pytest.param(
            lambda host: host.apply(read_fault("read_only", {})), "Read-only file system", marks=pytest.mark.thorough
        ),
        pytest.param(
            lambda host: host.stop(), "unreachable: imagestore-1:22: no connection", marks=pytest.mark.thorough
        ),
    ],
)
async def test_a_host_that_breaks_during_a_download_fails_the_add_and_keeps_nothing(
    imagestore_lab: Lab,
    imagestore_hosts: HostNetwork,
    imagestore_client: Client,
    break_it: Callable[[Any], Any],
    why: str,
) -> None:
    uuids, host = await stores(imagestore_lab), imagestore_hosts["imagestore-1"]
    adding = asyncio.create_task(failure(imagestore_client, add("lost", uuids)))
    await imagestore_lab.clock.sleep(1.9)
    await break_it(host)
    text = await adding
    assert text.startswith(f"failed to download image[url: http://images/lost] on backup storage[uuid: {uuids[0]}], ")
    assert why in text
    assert await imagestore_client.query("/images") == []
    assert folders(imagestore_hosts, 2) == []
    for fault in list(host.faults):
        await fault.heal()
    await host.start()
    await imagestore_client.call("PUT", f"/backup-storage/{uuids[0]}/actions", {"reconnectBackupStorage": {}})
    await imagestore_lab.clock.sleep(4000)
    assert folders(imagestore_hosts) == []


async def test_two_adds_are_never_promised_the_same_space(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    [first, _], disk = await stores(imagestore_lab), imagestore_hosts["imagestore-1"].disk
    disk.used += disk.available - 6 * GIB  # for one of 4 GiB beside the reserved one, not for two
    calls = [imagestore_client.request("POST", "/images", add(name, [first])) for name in ("a", "b")]
    jobs = [answer.body["location"] for answer in await asyncio.gather(*calls)]
    answers = [await imagestore_client.follow(job) for job in jobs]
    assert sorted(answer.status for answer in answers) == [200, 503]
    [refused] = [answer.body["error"] for answer in answers if answer.status == 503]
    size = 4 * GIB
    text = f"after subtracting reserved capacity, no backup storage has required capacity[{size} bytes]"
    assert refused["cause"]["details"] == text
    [image] = await imagestore_client.query("/images")
    assert folders(imagestore_hosts) == [image["uuid"]]


async def test_a_source_may_fail_and_may_be_of_another_format(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    sources, uuids = imagestore_lab.node.foundation.image_sources, await stores(imagestore_lab)
    sources.add([ImageSource("*/bad", error="HTTP 404"), ImageSource("*/iso", 7, 7, "iso")])
    assert (await failure(imagestore_client, add("bad", uuids))).endswith("because: HTTP 404")
    image = (await imagestore_client.call("POST", "/images", add("iso", uuids)))["inventory"]
    assert (image["format"], image["mediaType"], image["size"], image["actualSize"]) == ("iso", "ISO", 7, 7)


async def test_an_image_whose_storage_is_deleted_meanwhile_was_deleted(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    first, _ = await stores(imagestore_lab)
    adding = asyncio.create_task(
        failure(imagestore_client, add("gone", [first], resourceUuid="b" * 12 + "4" + "b" * 19))
    )
    await imagestore_lab.clock.sleep(1)
    await imagestore_client.call("DELETE", f"/backup-storage/{first}")
    assert await adding == f"backup storage[uuid:{first}] is not there, it may have been deleted"
    assert await imagestore_client.query("/images") == []


@pytest.mark.thorough
async def test_an_image_that_is_expunged_during_its_download_leaves_no_bits(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    adding = asyncio.create_task(failure(imagestore_client, add("gone", await stores(imagestore_lab))))
    await imagestore_lab.clock.sleep(1)
    [image] = await imagestore_client.query("/images")
    await imagestore_client.call("DELETE", f"/images/{image['uuid']}")
    await imagestore_client.call("PUT", f"/images/{image['uuid']}/actions", {"expungeImage": {}})
    assert await adding == f"image [uuid:{image['uuid']}] has been deleted"
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([], [])


async def test_an_image_deleted_during_its_download_is_ready_at_its_end(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    body = add("kept", await stores(imagestore_lab))
    location = (await imagestore_client.request("POST", "/images", body)).body["location"]
    await imagestore_lab.clock.sleep(1)
    [image] = await imagestore_client.query("/images")
    await imagestore_client.call("DELETE", f"/images/{image['uuid']}")
    assert [one["status"] for one in await imagestore_client.query("/images")] == ["Deleted"]
    assert (await imagestore_client.follow(location)).body["inventory"]["status"] == "Ready"


async def test_bits_on_a_host_that_is_down_go_when_it_is_back(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    [first, _], host = await stores(imagestore_lab), imagestore_hosts["imagestore-1"]
    image = (await imagestore_client.call("POST", "/images", add("one", [first])))["inventory"]["uuid"]
    await host.stop()
    await imagestore_client.call("DELETE", f"/images/{image}")
    await imagestore_client.call("PUT", f"/images/{image}/actions", {"expungeImage": {}})
    assert (await imagestore_client.query("/images"), folders(imagestore_hosts)) == ([], [image])
    await host.start()
    await imagestore_lab.clock.sleep(3700)  # deletion.gcInterval is an hour
    assert folders(imagestore_hosts) == []


async def test_with_the_policy_direct_a_deletion_takes_the_bits_along(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    image = (await imagestore_client.call("POST", "/images", add("one", await stores(imagestore_lab))))["inventory"]
    policy = "/global-configurations/image/deletionPolicy/actions"
    await imagestore_client.call("PUT", policy, {"updateGlobalConfig": {"value": "Direct"}})
    await imagestore_client.call("DELETE", f"/images/{image['uuid']}")
    assert await imagestore_client.query("/images") == []
    await imagestore_lab.clock.sleep(1)
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([], [])


@pytest.mark.spoils
async def test_a_node_that_was_killed_leaves_no_half_added_image(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    uuids, parts = await stores(imagestore_lab), imagestore_lab.node.parts
    whole = (await imagestore_client.call("POST", "/images", add("whole", uuids)))["inventory"]["uuid"]
    await imagestore_client.request("POST", "/images", add("half", uuids))
    await imagestore_lab.clock.sleep(1)
    await parts.jobs.close()  # as a kill does: nothing is written any more
    await parts.images.garbage.close()
    assert len(folders(imagestore_hosts)) == 2
    await parts.images.garbage.open()  # the next start
    await imagestore_lab.clock.sleep(1)
    assert [image["uuid"] for image in await imagestore_client.query("/images")] == [whole]
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([whole], [whole])


@pytest.mark.thorough
async def test_replaced_records_leave_no_bits_but_their_own(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    uuids = await stores(imagestore_lab)
    kept = (await imagestore_client.call("POST", "/images", add("kept", uuids)))["inventory"]["uuid"]
    records = await imagestore_lab.node.changes.snapshot()
    await imagestore_client.call("POST", "/images", add("lost", uuids))
    await imagestore_lab.node.changes.replace(records, wait=True)
    await imagestore_lab.clock.sleep(1)
    assert folders(imagestore_hosts) == [kept]
    assert [one.url for one in records.imageSources] == ["http://images/*"]


@pytest.mark.imagestore_lab(hosts=2, ping_interval=60, clock="virtual")
async def test_a_snapshot_brings_images_back_with_bits_status_and_source(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    uuids, empty = await stores(imagestore_lab), await available(imagestore_lab)
    ready, deleted = [
        (await imagestore_client.call("POST", "/images", add(name, uuids[:1])))["inventory"]["uuid"]
        for name in ("ready", "deleted")
    ]
    await imagestore_client.call("DELETE", f"/images/{deleted}")
    used, taken = empty - await available(imagestore_lab), await imagestore_lab.node.changes.snapshot()
    await imagestore_lab.node.changes.reset(wait=True)
    async with Client(imagestore_lab.url, clock=imagestore_lab.clock) as client:
        await client.log_in()
        assert (await client.query("/images"), folders(imagestore_hosts)) == ([], [])
        await imagestore_lab.node.changes.replace(taken, wait=True)
        await client.log_in()
        found = {one["uuid"]: (one["status"], one["actualSize"]) for one in await client.query("/images")}
        assert found == {ready: ("Ready", 4 * GIB), deleted: ("Deleted", 4 * GIB)}
        assert sorted(folders(imagestore_hosts)) == sorted([ready, deleted])
        await imagestore_lab.clock.sleep(90)
        assert abs(empty - await available(imagestore_lab) - used) < 4 * BLOCK
        await client.call("PUT", f"/images/{deleted}/actions", {"recoverImage": {}})
        assert (await client.query("/images", "status=Ready"))[1:] != []
    assert [one.url for one in imagestore_lab.node.foundation.image_sources.all()] == ["http://images/*"]


@pytest.mark.imagestore_lab(hosts=2, ping_interval=60, clock="virtual")
async def test_images_of_the_start_are_on_the_disks_of_their_hosts(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    first, before = (await stores(imagestore_lab))[0], await available(imagestore_lab)
    ref = ImageRefRecord(backupStorageUuid=first, installPath="zstore://golden/1")
    image = ImageRecord(uuid="a" * 32, name="golden", actualSize=8 * GIB, backupStorageRefs=(ref,))
    await imagestore_lab.node.changes.add(Bootstrap(images=(image,)))
    await imagestore_lab.clock.sleep(90)
    assert before - await available(imagestore_lab) == 8 * GIB
    await imagestore_client.call("DELETE", f"/images/{image.uuid}")
    await imagestore_client.call("PUT", f"/images/{image.uuid}/actions", {"expungeImage": {}})
    assert await available(imagestore_lab) == before


async def test_sources_of_images_are_shown_added_and_replaced(imagestore_client: Client) -> None:
    path = f"{imagestore_client.url}/lab/v1/image-sources"
    given = {"url": "*.iso", "size": "1 GiB", "actualSize": None, "format": None, "rate": "10M", "error": None}
    added = await imagestore_client.request("POST", path, {"sources": [given]})
    assert [one["url"] for one in added.body["sources"]] == ["*.iso", "http://images/*"]
    replaced = await imagestore_client.request("PUT", path, {"sources": [given]})
    assert replaced.body == {"sources": [given | {"size": GIB, "rate": 10 * 2**20}]}
    refused = await imagestore_client.request("PUT", path, {"sources": [given | {"rate": 0}]})
    assert (refused.status, "rate" in refused.body["error"]) == (400, True)


async def test_no_more_sources_of_images_are_kept_than_a_call_may_give(imagestore_client: Client) -> None:
    path = f"{imagestore_client.url}/lab/v1/image-sources"
    sources = [{"url": f"http://images/{number}"} for number in range(1000)]
    assert (await imagestore_client.request("PUT", path, {"sources": sources})).status == 200
    again = await imagestore_client.request("POST", path, {"sources": sources[:2]})
    more = await imagestore_client.request("POST", path, {"sources": [*sources[:2], {"url": "*.iso"}]})
    assert (again.status, more.status) == (200, 400)
    assert more.body == {"error": "sources: there would be 1001, and 1000 are kept at most"}
    assert len((await imagestore_client.request("GET", path)).body["sources"]) == 1000


async def test_an_image_is_updated(imagestore_lab: Lab, imagestore_client: Client) -> None:
    image = (await imagestore_client.call("POST", "/images", add("one", await stores(imagestore_lab))))["inventory"]
    path = f"/images/{image['uuid']}/actions"
    cases: tuple[tuple[dict[str, str], int, str, list[str]], ...] = (
        ({"name": ""}, 200, "", []),
        ({"format": "vmdk"}, 503, "valid value for field[format] of message[", []),
        ({"architecture": "aarch64", "description": "arm"}, 200, "", ["bootMode::UEFI"]),
    )
    for values, status, error, tags in cases:
        answer = await imagestore_client.request("PUT", path, {"updateImage": values})
        ended = await imagestore_client.follow(answer.body["location"])
        assert (ended.status, error in str(ended.body)) == (status, True)
        if status == 200:
            assert values.items() <= ended.body["inventory"].items()
        assert [one["tag"] for one in await imagestore_client.query("/system-tags", "tag~=bootMode%")] == tags


async def test_the_images_on_a_host_are_listed_with_those_that_have_no_record(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    [first, _], host = await stores(imagestore_lab), imagestore_hosts["imagestore-1"]
    image = (await imagestore_client.call("POST", "/images", add("one", [first])))["inventory"]["uuid"]
    for folder, metadata in (("alien", b'{"size": 7}'), ("empty", b"no JSON")):
        host.disk.make_directory(f"{REGISTRY}/{folder}")
        host.disk.write_file(f"{REGISTRY}/{folder}/1", b"bits")
        host.disk.write_file(f"{REGISTRY}/{folder}/1.imf2", metadata)
    host.disk.make_directory(f"{REGISTRY}/half")
    host.disk.write_file(f"{REGISTRY}/half/1", b"")
    path = f"/backup-storage/{first}/image-store"
    body: dict[str, object] = {"getImagesFromImageStoreBackupStorage": {}}
    infos = (await imagestore_client.request("PUT", path, body)).body["infos"]
    assert [(one["id"], one["name"], one["size"], one.get("virtualsize")) for one in infos] == [
        (image, "one", 4 * GIB, 40 * GIB),
        ("1", "alien", 4, 7),
        ("1", "empty", 4, None),
    ]
    host.disk.remove_file(f"{REGISTRY}/{image}/{image}.imf2")
    assert len((await imagestore_client.request("PUT", path, body)).body["infos"]) == 2
    await host.stop()
    refused = await imagestore_client.request("PUT", path, body)
    assert (refused.status, refused.body["error"]["code"]) == (503, "SYS.1006")
    assert "no connection" in refused.body["error"]["details"]
