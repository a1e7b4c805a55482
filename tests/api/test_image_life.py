"""Changes of an image's record after it was added (domain 4; observed 12, 13)."""

from __future__ import annotations

import hashlib

import pytest

from fixed_data import B1, B4, I1, I2, I3, UNKNOWN
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from rows import rows


async def act(client: Client, image: str, action: str, **values: object) -> Json:
    return await client.call("PUT", f"/images/{image}/actions", {action: values})


async def tags_of(client: Client, image: str) -> list[str]:
    return [tag["tag"] for tag in await client.query("/system-tags", f"resourceUuid={image}")]


async def test_an_image_is_disabled_and_enabled(fixed: Client) -> None:
    assert (await act(fixed, I1, "changeImageState", stateEvent="disable"))["inventory"]["state"] == "Disabled"
    assert (await act(fixed, I1, "changeImageState", stateEvent="enable"))["inventory"]["state"] == "Enabled"


async def test_a_boot_mode_replaces_the_one_before(fixed: Client) -> None:
    for mode in ("Legacy", "UEFI"):
        assert await act(fixed, I2, "setImageBootMode", bootMode=mode) == {}
        assert sorted(await tags_of(fixed, I2)) == [f"bootMode::{mode}", "qemuga"]


async def test_the_guest_agent_is_switched(fixed: Client) -> None:
    for enable in (False, True, True):
        assert await act(fixed, I2, "setImageQga", enable=enable) == {}
        assert await fixed.call("GET", f"/images/{I2}/qga") == {"uuid": I2, "enable": enable}
    assert await tags_of(fixed, I2) == ["qemuga"]


async def test_a_hash_is_stored(fixed: Client) -> None:
    image = (await act(fixed, I1, "calculateImageHash", backupStorageUuid=B1, algorithm="sha256"))["inventory"]
    assert image["md5Sum"] == hashlib.sha256(I1.encode()).hexdigest()


@rows(
    ("image", "action", "values", "code", "details"),
    [
        (I3, "syncImageSize", {}, "SYS.1006", f"the image[uuid:{I3}, name:nowhere] is not on any backup storage"),
        (
            I1,
            "calculateImageHash",
            {"backupStorageUuid": B1, "algorithm": "x"},
            "SYS.1006",
            "unknown hash algorithm[x]",
        ),
        (I1, "recoverImage", {}, "SYS.1006", f"the image[uuid:{I1}, name:both] is not deleted on any backup storage"),
        (
            I1,
            "recoverImage",
            {"backupStorageUuids": [B4]},
            "SYS.1007",
            f"the image[uuid:{I1}, name:both] is not on the backup storage[uuid:{B4}]",
        ),
        (
            I1,
            "recoverImage",
            {"backupStorageUuids": [B1]},
            "SYS.1007",
            f"the image[uuid:{I1}, name:both]s status[{{2}}] is not Deleted on the backup storage[uuid:{{3}}]",
        ),
    ],
)
async def test_what_cannot_be_done_is_told(
    fixed: Client, image: str, action: str, values: dict[str, object], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as failed:
        await act(fixed, image, action, **values)
    assert (failed.value.code, failed.value.error["details"]) == (code, details)


async def test_a_size_is_asked_of_a_connected_storage(fixed: Client) -> None:
    assert (await act(fixed, I1, "syncImageSize"))["inventory"]["size"] == 70


async def test_an_upload_has_no_details(fixed: Client) -> None:
    assert await fixed.call("GET", f"/images/upload-job/details/{UNKNOWN}") == {"success": True}


async def test_an_image_of_a_volume_needs_the_volume(fixed: Client) -> None:
    path = f"/images/root-volume-templates/from/volumes/{UNKNOWN}"
    with pytest.raises(CallFailed, match=r"invalid field\[rootVolumeUuid\].*type:VolumeVO\] not found"):
        await fixed.call("POST", path, {"params": {"name": "new"}})


async def test_a_deleted_image_is_recovered_on_the_storages_that_are_named(fixed: Client) -> None:
    first, second = "b8000000000000000000000000000008", "b9000000000000000000000000000009"
    storages = [{"uuid": one, "name": one, "type": "SimulatorBackupStorage", "url": "/s"} for one in (first, second)]
    refs = [{"backupStorageUuid": one, "installPath": "/s/gone", "status": "Deleted"} for one in (first, second)]
    image = {"uuid": UNKNOWN, "name": "gone", "status": "Deleted", "backupStorageRefs": refs}
    await fixed.call("POST", f"{fixed.url}/lab/v1/snapshot", {"backupStorages": storages, "images": [image]})
    image = (await act(fixed, UNKNOWN, "recoverImage", backupStorageUuids=[second]))["inventory"]
    assert image["status"] == "Ready"
    assert {ref["backupStorageUuid"]: ref["status"] for ref in image["backupStorageRefs"]} == {
        first: "Deleted",
        second: "Ready",
    }
    image = (await act(fixed, UNKNOWN, "recoverImage", backupStorageUuids=[]))["inventory"]
    assert {ref["status"] for ref in image["backupStorageRefs"]} == {"Ready"}
