"""Images that clients send themselves, to the address that AddImage answers with."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import insert

from imagestore_sim.database.models import ADMIN_UUID, LongJob
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures
from lifecycle_events import storage

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("few_steps"),
    pytest.mark.imagestore_lab(hosts=2, ping_interval=60, clock="virtual"),
]
BLOCK = 4096
REGISTRY = "/Cloud_bs/registry"
BITS = bytes(range(256)) * 4096
MD5 = hashlib.md5(BITS, usedforsecurity=False).hexdigest()
Inventory = dict[str, Any]


imagestore_lab, imagestore_client = reset_fixtures()


async def stores(lab: Lab) -> list[str]:
    return [one.uuid for one in await lab.node.storages.records.tracked()]


def wanted(storages: list[str]) -> dict[str, object]:
    return {"name": "up", "url": "upload://up.qcow2", "format": "qcow2", "backupStorageUuids": storages}


@pytest_asyncio.fixture(loop_scope="module")
async def image(imagestore_lab: Lab, imagestore_client: Client) -> Inventory:
    """Return an image that waits for its upload to the first ImageStore."""
    body = {"params": wanted((await stores(imagestore_lab))[:1])}
    return dict((await imagestore_client.call("POST", "/images", body))["inventory"])


async def send(
    image: Inventory,
    bits: bytes = BITS,
    headers: Mapping[str, object] | None = None,
    *,
    form: bool = False,
    to: int = 0,
) -> tuple[int, str]:
    """Send a piece of an image, the whole of it by default; return the status and the text of the answer.

    `to` is the place of its storage among those of the image.
    """
    given = {"X-IMAGE-UUID": image["uuid"], "X-IMAGE-SIZE": str(len(BITS))}
    given |= {f"X-{name}": str(value) for name, value in (headers or {}).items()}
    data: bytes | aiohttp.FormData = bits
    if form:
        data = aiohttp.FormData()
        data.add_field("note", "no file")
        data.add_field("file", bits, filename="up.qcow2")
    url = image["backupStorageRefs"][to]["installPath"]
    async with (
        aiohttp.ClientSession() as http,
        http.request("POST" if form else "PUT", url, data=data, headers=given, expect100=form) as answer,
    ):
        return answer.status, await answer.text()


async def send_half(image: Inventory, half: int, to: int = 0) -> int:
    """Send the first or the second half of an image; return the status of the answer."""
    size = len(BITS) // 2
    bits = BITS[half * size :][:size]
    return (await send(image, bits, {"SLICE-OFFSET": half * size, "SLICE-SIZE": size}, to=to))[0]


def folders(hosts: HostNetwork, number: int = 1) -> list[str]:
    disk = hosts[f"imagestore-{number}"].disk
    return disk.listdir(REGISTRY) if disk.exists(REGISTRY) else []


async def available(lab: Lab) -> int:
    return (await storage(lab, "imagestore-1")).available


async def submitted(lab: Lab, client: Client, target: str | None = None, *, storages: int = 1) -> tuple[str, Inventory]:
    """Submit a long job that adds an image to the first storages; return its uuid, and the image that waits."""
    data = json.dumps(wanted((await stores(lab))[:storages]))
    params = {"jobName": "APIAddImageMsg", "jobData": data, "targetResourceUuid": target}
    body = {"params": params, "systemTags": ["uploadImage::mine"]}
    job = (await client.call("POST", "/longjobs", body))["inventory"]["uuid"]
    await lab.clock.sleep(1)
    [image] = await client.query("/images")
    return str(job), dict(image)


async def state(client: Client, job: str) -> str:
    return str((await client.query(f"/longjobs/{job}"))[0]["state"])


@pytest.mark.parametrize("form", [False, True], ids=["as it is", "form"])
async def test_an_image_that_is_sent_is_ready_and_takes_its_space(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory, form: bool
) -> None:
    before = await available(imagestore_lab)
    [ref] = image["backupStorageRefs"]
    assert (image["status"], image["size"], ref["status"]) == ("Downloading", 0, "Downloading")
    assert ref["installPath"] == f"{imagestore_client.url}/imagestore/upload/{ref['backupStorageUuid']}"
    assert await send(image, form=form) == (200, "")
    [done] = await imagestore_client.query("/images")
    path = f"{REGISTRY}/{image['uuid']}/{image['uuid']}"
    assert (done["status"], done["size"], done["actualSize"], done["md5Sum"]) == ("Ready", len(BITS), len(BITS), MD5)
    assert done["backupStorageRefs"][0]["installPath"] == f"zstore://{image['uuid']}/{image['uuid']}"
    assert imagestore_hosts["imagestore-1"].disk.stat(path).size == len(BITS)
    assert before - await available(imagestore_lab) == len(BITS) + BLOCK
    assert (await send(image))[0] == 404


async def test_a_piece_with_more_bytes_than_it_says_is_refused_and_may_come_again(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    for size in (1, 1000, len(BITS) - 1):
        less = {"SLICE-OFFSET": 0, "SLICE-SIZE": size, "SLICE-INDEX": 0}
        assert await send(image, BITS, less) == (400, f"more than the {size} bytes of the piece have come")
        await imagestore_lab.clock.sleep(4)
    assert await send(image) == (200, "")
    [done] = await imagestore_client.query("/images")
    assert (done["status"], done["size"], done["md5Sum"]) == ("Ready", len(BITS), MD5)
    assert imagestore_hosts["imagestore-1"].disk.stat(f"{REGISTRY}/{image['uuid']}/{image['uuid']}").size == len(BITS)


@pytest.mark.thorough
async def test_pieces_may_come_in_any_order_and_again(
    imagestore_lab: Lab, imagestore_client: Client, image: Inventory
) -> None:
    half = len(BITS) // 2
    second = {"SLICE-OFFSET": half, "SLICE-SIZE": half, "SLICE-INDEX": 1}
    assert await send(image, BITS[half:], second) == (200, "")
    assert (await send(image, BITS[half:], second))[0] == 409
    first = {"SLICE-OFFSET": 0, "SLICE-SIZE": half, "SLICE-INDEX": 0}
    assert (await send(image, BITS[:half], first | {"SLICE-MD5": "0" * 32}))[0] == 406
    assert (await send(image, BITS[: half - 1], first))[0] == 400
    assert (await send(image, BITS, first))[0] == 400
    assert [one["status"] for one in await imagestore_client.query("/images")] == ["Downloading"]
    md5 = hashlib.md5(BITS[:half], usedforsecurity=False).hexdigest()
    assert await send(image, BITS[:half], first | {"SLICE-MD5": md5}) == (200, "")
    [done] = await imagestore_client.query("/images")
    assert (done["status"], done["size"], done.get("md5Sum")) == ("Ready", len(BITS), None)


async def test_what_is_no_piece_of_the_image_is_refused(image: Inventory) -> None:
    cases: list[tuple[dict[str, object], int, str]] = [
        ({"IMAGE-UUID": "f" * 32}, 404, "image not found"),
        ({"IMAGE-SIZE": "x"}, 400, 'invalid header "X-IMAGE-SIZE": x'),
        ({"IMAGE-SIZE": "0"}, 400, "invalid slice of 0 bytes"),
        ({"SLICE-OFFSET": len(BITS)}, 400, "invalid slice"),
    ]
    for headers, status, text in cases:
        found, why = await send(image, headers=headers)
        assert (found, text in why) == (status, True)


@pytest.mark.thorough
@pytest.mark.parametrize(("offset", "size", "other"), [(5, 10, 0), (11, 9, 15), (0, 20, 0), (9, 7, 0), (14, 2, 15)])
async def test_a_piece_that_overlaps_another_one_is_refused(
    imagestore_client: Client, image: Inventory, offset: int, size: int, other: int
) -> None:
    for start, bits in ((0, BITS[:10]), (15, BITS[15:20])):
        headers = {"IMAGE-SIZE": 20, "SLICE-OFFSET": start, "SLICE-SIZE": len(bits)}
        assert (await send(image, bits, headers))[0] == 200
    overlapping = {"IMAGE-SIZE": 20, "SLICE-OFFSET": offset, "SLICE-SIZE": size}
    status, text = await send(image, BITS[offset:][:size], overlapping)
    if offset:
        assert (status, text.partition(": ")[2]) == (
            400,
            f"it overlaps the one of {10 if not other else 5} bytes at {other}",
        )
    else:
        assert status == 409
    assert [one["status"] for one in await imagestore_client.query("/images")] == ["Downloading"]
    assert (await send(image, BITS[10:15], {"IMAGE-SIZE": 20, "SLICE-OFFSET": 10, "SLICE-SIZE": 5}))[0] == 200
    [sent] = await imagestore_client.query("/images")
    assert (sent["status"], sent["size"]) == ("Ready", 20)


async def test_a_first_piece_that_is_refused_does_not_say_how_large_the_image_is(
    imagestore_lab: Lab, imagestore_client: Client, image: Inventory
) -> None:
    for bits, size in ((BITS, len(BITS) // 2), (BITS[:10], 20)):
        assert (await send(image, bits, {"IMAGE-SIZE": size}))[0] == 400
        await imagestore_lab.clock.sleep(1)
    before = await available(imagestore_lab)
    assert await send(image) == (200, "")
    [sent] = await imagestore_client.query("/images")
    assert (sent["status"], sent["size"], sent["md5Sum"]) == ("Ready", len(BITS), MD5)
    assert abs(before - len(BITS) - await available(imagestore_lab)) < 8 * BLOCK


async def test_an_upload_that_nobody_makes_is_given_up(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    await imagestore_lab.clock.sleep(28)
    assert len(await imagestore_client.query("/images")) == 1
    await imagestore_lab.clock.sleep(8)
    assert await imagestore_client.query("/images") == []
    assert (await send(image))[0] == 404


async def test_an_upload_that_stands_still_is_given_up_and_leaves_nothing(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    before = await available(imagestore_lab)
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    assert folders(imagestore_hosts) == [image["uuid"]]
    await imagestore_lab.clock.sleep(40)
    assert (await imagestore_client.query("/images"), folders(imagestore_hosts)) == ([], [])
    await imagestore_lab.clock.sleep(60)
    assert await available(imagestore_lab) == before


@pytest.mark.thorough
async def test_an_image_that_is_deleted_is_not_waited_for(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    await imagestore_client.call("DELETE", f"/images/{image['uuid']}")
    await imagestore_lab.clock.sleep(5)
    assert (await imagestore_client.query("/images"), folders(imagestore_hosts)) == ([], [])
    assert (await send(image, BITS[1000:], {"SLICE-OFFSET": 1000, "SLICE-SIZE": len(BITS) - 1000}))[0] == 404


@pytest.mark.thorough
async def test_a_host_that_is_full_fails_the_upload(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    await imagestore_hosts["imagestore-1"].apply(read_fault("fill", {"to": "100%"}))
    status, text = await send(image)
    assert (status, "no backup storage has required capacity" in text) == (500, True)
    assert (await imagestore_client.query("/images"), folders(imagestore_hosts)) == ([], [])


async def test_a_long_job_waits_for_its_upload_and_tells_where_it_goes(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client)
    path = "/images/upload-job/details/mine"
    expected = {"longJobUuid": job, "longJobState": "Running", "imageUuid": image["uuid"], "offset": 0}
    expected["imageUploadUrl"] = image["backupStorageRefs"][0]["installPath"]
    [details] = (await imagestore_client.request("GET", path)).body["existingJobDetails"]
    assert details == expected
    half = len(BITS) // 2
    assert (await send(image, BITS[:half], {"SLICE-SIZE": half}))[0] == 200
    [details] = (await imagestore_client.request("GET", path)).body["existingJobDetails"]
    assert details["offset"] == half
    [shown] = await imagestore_client.query(f"/longjobs/{job}")
    [progress] = (await imagestore_client.request("GET", f"/task-progresses/{shown['apiId']}")).body["inventories"]
    assert progress["content"] == "50"
    assert (await send(image, BITS[half:], {"SLICE-OFFSET": half, "SLICE-SIZE": half}))[0] == 200
    [done] = await imagestore_client.query(f"/longjobs/{job}")
    result = json.loads(done["jobResult"])["inventory"]
    assert (done["state"], result["status"], result["backupStorageRefs"][0]["status"]) == ("Succeeded",) + 2 * (
        "Ready",
    )
    assert (await imagestore_client.request("GET", path)).body == {"success": True}


async def test_a_long_job_whose_upload_stands_still_is_suspended_and_resumed(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client)
    half = len(BITS) // 2
    rest = {"SLICE-OFFSET": half, "SLICE-SIZE": half}
    assert (await send(image, BITS[:half], {"SLICE-SIZE": half}))[0] == 200
    await imagestore_lab.clock.sleep(40)
    assert await state(imagestore_client, job) == "Suspended"
    assert (await send(image, BITS[half:], rest))[0] == 409
    await imagestore_client.call("PUT", f"/longjobs/{job}/actions", {"resumeLongJob": {}})
    assert await send(image, BITS[half:], rest) == (200, "")
    assert await state(imagestore_client, job) == "Succeeded"
    assert (await imagestore_client.query("/images"))[0]["md5Sum"] == MD5


@pytest_asyncio.fixture(loop_scope="module")
async def image_of_two(imagestore_lab: Lab, imagestore_client: Client) -> Inventory:
    """Return an image that waits for its uploads to both ImageStores."""
    body = {"params": wanted(await stores(imagestore_lab))}
    return dict((await imagestore_client.call("POST", "/images", body))["inventory"])


async def test_an_image_is_uploaded_to_two_storages_at_once(
    imagestore_hosts: HostNetwork, imagestore_client: Client, image_of_two: Inventory
) -> None:
    for half, to in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert await send_half(image_of_two, half, to) == 200
    [done] = await imagestore_client.query("/images")
    assert [done["status"], *(ref["status"] for ref in done["backupStorageRefs"])] == ["Ready"] * 3
    assert folders(imagestore_hosts, 1) == folders(imagestore_hosts, 2) == [done["uuid"]]


async def test_of_two_uploads_the_one_that_stands_still_is_given_up(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image_of_two: Inventory
) -> None:
    for half, to in ((0, 0), (0, 1), (1, 0)):
        assert await send_half(image_of_two, half, to) == 200
    await imagestore_lab.clock.sleep(40)
    [left] = await imagestore_client.query("/images")
    assert [left["status"], *(ref["status"] for ref in left["backupStorageRefs"])] == ["Ready"] * 2
    assert (folders(imagestore_hosts, 1), folders(imagestore_hosts, 2)) == ([left["uuid"]], [])


async def test_the_progress_of_a_long_job_is_that_of_all_of_its_uploads(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client, storages=2)
    [shown] = await imagestore_client.query(f"/longjobs/{job}")

    async def progress() -> str:
        path = f"/task-progresses/{shown['apiId']}"
        [found] = (await imagestore_client.request("GET", path)).body["inventories"]
        return str(found["content"])

    quarter = len(BITS) // 4
    assert await send_half(image, 0, to=0) == 200
    assert await progress() == "50"
    assert (await send(image, BITS[:quarter], {"SLICE-SIZE": quarter}, to=1))[0] == 200
    assert await progress() == "37"
    await imagestore_hosts["imagestore-2"].apply(read_fault("fill", {"to": "100%"}))
    rest = {"SLICE-OFFSET": quarter, "SLICE-SIZE": 3 * quarter}
    assert (await send(image, BITS[quarter:], rest, to=1))[0] == 500
    assert await progress() == "50"
    await imagestore_lab.clock.sleep(40)
    assert await state(imagestore_client, job) == "Suspended"
    await imagestore_client.call("PUT", f"/longjobs/{job}/actions", {"resumeLongJob": {}})
    await imagestore_lab.clock.sleep(1)
    assert await progress() == "50"
    assert await send_half(image, 1) == 200
    assert await state(imagestore_client, job) == "Succeeded"


async def added_again(client: Client, image: Inventory) -> Inventory:
    """Delete an image, and add another one with its uuid."""
    await client.call("DELETE", f"/images/{image['uuid']}")
    storages = [ref["backupStorageUuid"] for ref in image["backupStorageRefs"]]
    body = {"params": wanted(storages) | {"resourceUuid": image["uuid"]}}
    return dict((await client.call("POST", "/images", body))["inventory"])


async def test_an_image_that_is_added_again_has_none_of_the_pieces_of_the_first(
    imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    again = await added_again(imagestore_client, image)
    less = BITS[: len(BITS) // 2]
    assert await send(again, less, {"IMAGE-SIZE": len(less)}) == (200, "")
    [done] = await imagestore_client.query("/images")
    assert (done["status"], done["size"]) == ("Ready", len(less))
    assert imagestore_hosts["imagestore-1"].disk.stat(f"{REGISTRY}/{done['uuid']}/{done['uuid']}").size == len(less)


@pytest.mark.parametrize("suspended", [False, True], ids=["runs", "suspended"])
async def test_a_long_job_ends_with_its_deleted_image_and_leaves_the_uuid_to_the_next(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, suspended: bool
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client)
    assert await send_half(image, 0) == 200
    await imagestore_lab.clock.sleep(40 if suspended else 0)
    again = await added_again(imagestore_client, image)
    [ended] = await imagestore_client.query(f"/longjobs/{job}")
    why = json.loads(ended["jobResult"])
    assert (ended["state"], why["code"]) == ("Failed", "SYS.1006")
    assert why["details"] == f"image [uuid:{image['uuid']}] has been deleted"
    assert await send(again) == (200, "")
    await imagestore_lab.clock.sleep(60)
    assert [one["status"] for one in await imagestore_client.query("/images")] == ["Ready"]
    assert folders(imagestore_hosts) == [image["uuid"]]
    assert await state(imagestore_client, job) == "Failed"


async def test_a_suspended_upload_that_is_deleted_leaves_nothing(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    before = await available(imagestore_lab)
    job, image = await submitted(imagestore_lab, imagestore_client)
    assert await send_half(image, 0) == 200
    await imagestore_lab.clock.sleep(40)
    await imagestore_client.call("DELETE", f"/images/{image['uuid']}")
    await imagestore_lab.clock.sleep(5)
    assert (await imagestore_client.query("/images"), folders(imagestore_hosts)) == ([], [])
    assert (await state(imagestore_client, job), await send_half(image, 1)) == ("Failed", 404)
    assert await available(imagestore_lab) == before


@pytest.mark.thorough
async def test_a_simulator_storage_gives_an_image_that_is_added_again_its_own_time(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    params = {"name": "s", "url": "/s", "totalCapacity": 2**40, "availableCapacity": 2**40}
    storage = await imagestore_client.call("POST", "/backup-storage/simulators", {"params": params})
    body = {"params": wanted([storage["inventory"]["uuid"]])}
    image = dict((await imagestore_client.call("POST", "/images", body))["inventory"])
    await imagestore_lab.clock.sleep(4)
    await added_again(imagestore_client, image)
    await imagestore_lab.clock.sleep(4)
    assert len(await imagestore_client.query("/images")) == 1
    await imagestore_lab.clock.sleep(4)
    assert await imagestore_client.query("/images") == []


@pytest.mark.parametrize("storages", [1, 2])
async def test_a_suspended_long_job_ends_with_the_last_storage_that_its_image_comes_to(
    imagestore_lab: Lab, imagestore_client: Client, storages: int
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client, storages=storages)
    for to in range(storages):
        assert await send_half(image, 0, to) == 200
    await imagestore_lab.clock.sleep(40)
    assert await state(imagestore_client, job) == "Suspended"
    await imagestore_client.call("DELETE", f"/backup-storage/{image['backupStorageRefs'][0]['backupStorageUuid']}")
    if storages == 1:
        assert await state(imagestore_client, job) == "Failed"
        return
    assert await state(imagestore_client, job) == "Suspended"
    await imagestore_client.call("PUT", f"/longjobs/{job}/actions", {"resumeLongJob": {}})
    assert (await send_half(image, 1, 0), await send_half(image, 1, 1)) == (404, 200)
    assert await state(imagestore_client, job) == "Succeeded"


@pytest.mark.parametrize("restarted", [False, True], ids=["goes on", "restarted"])
async def test_an_upload_is_not_waited_for_once_the_job_has_ended_that_it_was_suspended_with(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, restarted: bool
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client, storages=2)
    assert await send_half(image, 0, to=0) == 200
    await imagestore_lab.clock.sleep(20)
    assert await send_half(image, 0, to=1) == 200
    await imagestore_lab.clock.sleep(15)
    assert await state(imagestore_client, job) == "Suspended"
    assert await send_half(image, 1, to=1) == 200
    assert await state(imagestore_client, job) == "Succeeded"
    if restarted:
        await imagestore_lab.node.parts.services.uploads.close()
        await imagestore_lab.node.parts.services.uploads.open()
    await imagestore_lab.clock.sleep(40)
    [left] = await imagestore_client.query("/images")
    assert [left["status"], *(ref["status"] for ref in left["backupStorageRefs"])] == ["Ready"] * 2
    assert folders(imagestore_hosts, 1) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("suspended", "restarted"), [(False, False), (True, False), (True, True)], ids=["runs", "suspended", "restarted"]
)
async def test_a_long_job_that_is_cancelled_leaves_nothing_of_its_upload(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, suspended: bool, restarted: bool
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client)
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    await imagestore_lab.clock.sleep(40 if suspended else 0)
    if restarted:
        await imagestore_lab.node.parts.services.uploads.close()
        await imagestore_lab.node.parts.services.uploads.open()
    await imagestore_client.call("PUT", f"/longjobs/{job}/actions", {"cancelLongJob": {}})
    await imagestore_lab.clock.sleep(1)
    assert await state(imagestore_client, job) == "Canceled"
    assert (await imagestore_client.query("/images"), folders(imagestore_hosts)) == ([], [])


@pytest.mark.thorough
@pytest.mark.parametrize("end", ["sent", "cancelled", "idle"])
async def test_a_long_job_whose_client_names_another_target_ends_with_its_upload(
    imagestore_lab: Lab, imagestore_client: Client, end: str
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client, (await stores(imagestore_lab))[1])
    details = (await imagestore_client.call("GET", "/images/upload-job/details/mine"))["existingJobDetails"]
    assert [one["imageUuid"] for one in details] == [image["uuid"]]
    if end == "sent":
        assert await send(image) == (200, "")
    elif end == "cancelled":
        await imagestore_client.call("PUT", f"/longjobs/{job}/actions", {"cancelLongJob": {}})
    await imagestore_lab.clock.sleep(40 if end == "idle" else 1)
    assert await state(imagestore_client, job) == {"sent": "Succeeded", "cancelled": "Canceled", "idle": "Failed"}[end]


@pytest.mark.thorough
async def test_a_job_about_an_image_that_waits_for_its_upload_does_not_wait_with_it(
    imagestore_lab: Lab, imagestore_client: Client
) -> None:
    job, image = await submitted(imagestore_lab, imagestore_client)
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    values = {"backupStorageUuid": (await stores(imagestore_lab))[0], "imageUuid": image["uuid"]}
    row = {"name": "export", "jobName": "APIExportImageFromBackupStorageMsg", "jobData": json.dumps(values)}
    node = {"managementNodeUuid": imagestore_lab.node.parts.cluster.peers.uuid, "apiId": "c" * 32, "state": "Running"}
    made = {"uuid": "e" * 32, "accountUuid": ADMIN_UUID, "createDate": imagestore_lab.clock.local(), **row, **node}
    async with imagestore_lab.node.parts.store.database.transaction() as connection:
        await connection.execute(insert(LongJob).values(**made, targetResourceUuid=image["uuid"]))
    await imagestore_lab.node.parts.services.long_jobs.open()  # as after a kill
    assert await state(imagestore_client, "e" * 32) == "Failed"
    assert await state(imagestore_client, job) == "Running"
    await imagestore_lab.clock.sleep(40)
    assert await state(imagestore_client, job) == "Suspended"
    assert await state(imagestore_client, "e" * 32) == "Failed"


@pytest.mark.thorough
async def test_records_that_are_replaced_leave_no_bits_of_an_upload(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    records = await imagestore_lab.node.changes.snapshot()
    body = {"params": wanted((await stores(imagestore_lab))[:1])}
    image = dict((await imagestore_client.call("POST", "/images", body))["inventory"])
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    assert folders(imagestore_hosts) == [image["uuid"]]
    await imagestore_lab.node.changes.replace(records, wait=True)
    await imagestore_lab.clock.sleep(5)
    assert folders(imagestore_hosts) == []
    assert (await send(image))[0] == 404


@pytest.mark.thorough
async def test_an_upload_begins_again_after_a_restart(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client, image: Inventory
) -> None:
    uploads = imagestore_lab.node.parts.services.uploads
    assert (await send(image, BITS[:1000], {"SLICE-SIZE": 1000}))[0] == 200
    await uploads.close()
    await uploads.open()
    await asyncio.sleep(0)
    assert await send(image) == (200, "")
    assert [one["status"] for one in await imagestore_client.query("/images")] == ["Ready"]
    assert folders(imagestore_hosts) == [image["uuid"]]
