"""Images, which are records only (domain 2.1, 2.2, 4)."""

from __future__ import annotations

import pytest

from fixed_data import B1, B2, B3, B4, I1, I2, I3, UNKNOWN
from imagestore_sim.testing import CallFailed, Client
from rows import rows

REF = "org.zstack.header.image.ImageBackupStorageRefInventory"
IMAGE = "org.zstack.header.image.ImageInventory"
BACKUP_STORAGE = "org.zstack.header.storage.backup"


def add(**values: object) -> dict[str, object]:
    given = {"name": "new", "url": "http://x/new.qcow2", "format": "qcow2", "backupStorageUuids": [B1]}
    return {"params": given | values}


def copy(**values: object) -> dict[str, object]:
    return {"srcBackupStorageUuid": B1, "dstBackupStorageUuid": B2, "name": "copy"} | values


async def test_an_image_names_its_storages(fixed: Client) -> None:
    answer = await fixed.request("GET", "/images?sort=name")
    images = {image["name"]: image for image in answer.body["inventories"]}
    assert [ref["backupStorageUuid"] for ref in images["both"]["backupStorageRefs"]] == [B1, B2]
    assert images["nowhere"]["backupStorageRefs"] == []
    ref = images["one"]["backupStorageRefs"][0]
    assert isinstance(ref.pop("id"), int)
    assert ref.pop("createDate") == ref.pop("lastOpDate")
    assert ref == {"imageUuid": I2, "backupStorageUuid": B1, "installPath": "zstore://one/1", "status": "Ready"}
    assert answer.body["schema"] == {
        "inventories[2]": IMAGE,
        "inventories[2].backupStorageRefs[0]": REF,
        "inventories[1]": IMAGE,
        "inventories[0]": IMAGE,
        "inventories[0].backupStorageRefs[0]": REF,
        "inventories[0].backupStorageRefs[1]": REF,
    }


@rows(
    ("conditions", "found"),
    [
        (("name=both",), [I1]),
        ((f"backupStorageRef.backupStorageUuid={B1}",), [I1, I2]),
        ((f"backupStorageRefs={B2}",), [I1]),
        (("backupStorage.name=store-2",), [I1]),
        (("backupStorage.state=Disabled", "size>10"), [I1]),
        (("backupStorageRef.status!=Ready",), []),
        (("__systemTag__=qemuga",), [I2]),
        (("description not null",), [I2]),
    ],
)
async def test_images_are_queried_by_their_fields_and_storages(
    fixed: Client, conditions: tuple[str, ...], found: list[str]
) -> None:
    assert [image["uuid"] for image in await fixed.query("/images", *conditions)] == found


async def test_an_image_is_found_by_its_uuid_or_is_not(fixed: Client) -> None:
    assert [image["uuid"] for image in await fixed.query(f"/images/{I3}")] == [I3]
    assert await fixed.query(f"/images/{UNKNOWN}") == []
    assert await fixed.query("/images", fields="name", sort="-name", limit="1") == [{"name": "one"}]


@pytest.mark.parametrize("mode", ["Permissive", "Enforcing"])
async def test_an_image_is_deleted_with_its_last_storage(fixed: Client, mode: str) -> None:
    await fixed.call("DELETE", f"/backup-storage/{B1}", query=[("deleteMode", mode)])
    assert [image["uuid"] for image in await fixed.query("/images")] == [I1, I3]
    [both] = await fixed.query(f"/images/{I1}")
    assert [ref["backupStorageUuid"] for ref in both["backupStorageRefs"]] == [B2]
    await fixed.call("DELETE", f"/backup-storage/{B2}", query=[("deleteMode", mode)])
    assert [image["uuid"] for image in await fixed.query("/images")] == [I3]


async def test_an_image_is_added_to_the_storages_that_can_hold_it(fixed: Client) -> None:
    body = add(backupStorageUuids=[B1, B3, B4], resourceUuid=UNKNOWN, platform="WindowsVirtio", url="/tmp/new.raw")
    image = (await fixed.call("POST", "/images", body))["inventory"]
    assert (image["uuid"], image["status"], image["state"]) == (UNKNOWN, "Ready", "Enabled")
    assert (image["platform"], image["url"]) == ("Windows", "file:///tmp/new.raw")
    assert (image["mediaType"], image["format"], image["virtio"]) == ("RootVolumeTemplate", "qcow2", True)
    assert (image["guestOsType"], image["architecture"]) == ("Windows", "x86_64")
    # Not to the one that is Disconnected
    assert [ref["backupStorageUuid"] for ref in image["backupStorageRefs"]] == [B1, B4]


async def test_the_answer_has_the_class_of_each_object(fixed: Client) -> None:
    answer = await fixed.request("POST", "/images", add())
    done = await fixed.follow(f"{answer.body['location']}")
    assert "schema" not in done.body
    polled = await fixed.request("GET", str(answer.body["location"]), headers={"X-JSON-Schema": "true"})
    assert polled.body["schema"] == {"inventory": IMAGE, "inventory.backupStorageRefs[0]": REF}


async def test_adding_an_image_may_take_three_days(fixed: Client) -> None:
    assert (await fixed.request("POST", "/images", add())).body["apiTimeout"] == 259_200_000


@rows(
    ("values", "code", "details"),
    [
        ({"name": None}, "SYS.1007", "field[name] of message["),
        ({"backupStorageUuids": []}, "SYS.1007", "field[backupStorageUuids] must be a nonempty list"),
        ({"mediaType": "Floppy"}, "SYS.1007", "valid value for field[mediaType] of message["),
        ({"format": "vhd"}, "SYS.1007", "unknown format[vhd]"),
        ({"type": "other"}, "SYS.1007", "unsupported image type[other]"),
        ({"mediaType": "ISO", "system": True}, "SYS.1007", "ISO cannot be used as system image"),
        ({"url": "gopher://x"}, "SYS.1007", "url must starts with file:///, http://, https://"),
        (
            {"backupStorageUuids": [B3]},
            "SYS.1006",
            f"no backup storage specified in uuids[{B3}] is available for adding this image; they are not"
            " in status Connected or not in state Enabled, or the uuid is invalid backup storage uuid",
        ),
        (
            {"backupStorageUuids": [B1, UNKNOWN]},
            "SYS.1003",
            f"invalid field[backupStorageUuids], resource[uuids:[{UNKNOWN}], type:BackupStorageVO] not found",
        ),
        (
            {"backupStorageUuids": [B2, B1]},
            "SYS.1002",
            f"Failed to download image[name:new] on all backup storage[{B1}, {B2}].",
        ),
        ({"format": None}, "SYS.1007", "unknown format[null]"),
        ({"format": "QCOW2"}, "SYS.1007", "unknown format[QCOW2]"),
        ({"url": "/etc/passwd"}, "SYS.1007", "image path [/etc/passwd] is in black list /**/.*/**;"),
        ({"url": "file:///home/x/.ssh/id"}, "SYS.1007", "image path [/home/x/.ssh/id] is in black list"),
        (
            {"systemTags": ["uploadImage::x"]},
            "SYS.1007",
            "no system tag matches[uploadImage::x] for resourceType[ImageVO]",
        ),
        (
            {"systemTags": ["bootMode::Bios"]},
            "SYS.1007",
            "[Bios] specified in system tag [bootMode::Bios] is not a valid boot mode",
        ),
    ],
)
async def test_an_image_that_cannot_be_added_is_refused(
    fixed: Client, values: dict[str, object], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/images", add(**values))
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)
    assert len(await fixed.query("/images")) == 3


async def test_a_uuid_can_be_used_once_whatever_the_type(fixed: Client) -> None:
    chosen = "0123456789ab4def8123456789abcdef"
    await fixed.call("POST", "/zones", {"params": {"name": "new", "resourceUuid": chosen}})
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/images", add(resourceUuid=chosen))
    taken = "org.hibernate.exception.ConstraintViolationException: could not execute statement"
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1000", taken)


async def test_an_image_on_a_simulator_storage_has_the_size_that_the_storage_has(fixed: Client) -> None:
    params = {
        "name": "sim",
        "url": "/sim/",
        "totalCapacity": 9,
        "availableCapacity": 9,
        "type": "SimulatorBackupStorage",
    }
    storage = (await fixed.call("POST", "/backup-storage/simulators", {"params": params}))["inventory"]["uuid"]
    body = add(backupStorageUuids=[storage], mediaType="DataVolumeTemplate", url="ftp://me:word@x/new.qcow2")
    image = (await fixed.call("POST", "/images", body))["inventory"]
    assert (image["size"], image["actualSize"], image["format"], len(image["md5Sum"])) == (100, 100, "simulator", 32)
    assert {"platform", "architecture", "guestOsType"}.isdisjoint(image)
    assert image["backupStorageRefs"][0]["installPath"] == "/sim/new"
    assert image["url"] == "ftp://me@x/new.qcow2"


async def test_a_disabled_storage_cannot_proceed(fixed: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/images", add(backupStorageUuids=[B2]))
    message = f"{BACKUP_STORAGE}.DownloadImageMsg"
    assert caught.value.error["cause"]["details"] == (
        f"backup storage cannot proceed message[{message}] because its state is Disabled"
    )


async def test_a_storage_for_backups_refuses_images(fixed: Client) -> None:
    tag = {"resourceType": "BackupStorageVO", "resourceUuid": B1, "tag": "remote"}
    await fixed.call("POST", "/system-tags", {"params": tag})
    with pytest.raises(CallFailed, match="cannot add image, because it is used for backup remote"):
        await fixed.call("POST", "/images", add())


async def test_an_export_has_a_url_and_can_be_deleted(fixed: Client) -> None:
    path = f"/backup-storage/{B1}/actions"
    first = await fixed.request("PUT", path, {"exportImageFromBackupStorage": {"imageUuid": I1}})
    assert first.body["apiTimeout"] == 10_800_000
    exported = (await fixed.follow(str(first.body["location"]))).body
    assert exported.keys() == {"imageUrl", "exportMd5Sum", "success"}
    assert exported["imageUrl"].endswith(f"{I1}.qcow2")
    body = {"exportImageFromBackupStorage": {"imageUuid": I1, "exportFormat": "raw"}, "backupStorageUuid": B2}
    assert (await fixed.call("PUT", path, body))["imageUrl"].endswith(f"{I1}.raw")
    [image] = await fixed.query(f"/images/{I1}")
    assert "exportUrl" in image["backupStorageRefs"][0]
    assert await fixed.call("DELETE", f"/backup-storage/{B1}/exported-images/{I1}") == {}
    [image] = await fixed.query(f"/images/{I1}")
    assert not image["backupStorageRefs"][0].keys() & {"exportUrl", "exportMd5Sum"}


@rows(
    ("storage", "values", "code", "details"),
    [
        (UNKNOWN, {"imageUuid": I1}, "SYS.1003", "invalid field[backupStorageUuid], resource[uuid:"),
        (B1, {"imageUuid": UNKNOWN}, "SYS.1003", "invalid field[imageUuid], resource[uuid:"),
        (B1, {}, "SYS.1007", "field[imageUuid] of message["),
        (B1, {"imageUuid": I1, "exportFormat": "vmdk"}, "SYS.1007", "valid value for field[exportFormat]"),
        (B1, {"imageUuid": I3}, "SYS.1006", f"image[{I3}] not found on backup storage[{B1}]"),
        (B4, {"imageUuid": I1}, "SYS.1006", f"image[{I1}] not found on backup storage[{B4}]"),
        (B1, {"imageUuid": I2}, "SYS.1006", f"the backup storage[uuid:{B1}] has not enough capacity[101] to export"),
        (B3, {"imageUuid": I3}, "SYS.1006", "backup storage cannot proceed message["),
    ],
)
async def test_an_image_that_cannot_be_exported_is_refused(
    fixed: Client, storage: str, values: dict[str, object], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("PUT", f"/backup-storage/{storage}/actions", {"exportImageFromBackupStorage": values})
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (f"/images/{I2}/actions", "syncImageFromImageStoreBackupStorage"),
        (f"/backup-storage/{I2}/actions", "recoveryImageFromImageStoreBackupStorage"),
    ],
    ids=["sync", "recovery"],
)
async def test_an_image_is_copied_to_another_image_store(fixed: Client, path: str, key: str) -> None:
    made = (await fixed.call("PUT", path, {key: copy(description="d")}))["inventory"]
    assert made["uuid"] != I2
    assert (made["name"], made["description"], made["actualSize"]) == ("copy", "d", 101)
    assert [ref["backupStorageUuid"] for ref in made["backupStorageRefs"]] == [B2]
    with pytest.raises(CallFailed) as caught:
        await fixed.call("PUT", path, {key: copy()})
    details = f"target backup storage[uuid:{B2}] already contains the image [uuid:{I2}]"
    assert caught.value.error["details"] == details


@rows(
    ("values", "code", "details"),
    [
        ({"srcBackupStorageUuid": B2, "dstBackupStorageUuid": B1}, "SYS.1006", f"source backup storage[{B2}] doesn't"),
        ({"dstBackupStorageUuid": B3}, "SYS.1006", f"image store[uuid:{B3}] is in status Disconnected"),
        ({"dstBackupStorageUuid": B4}, "SYS.1003", "invalid field[dstBackupStorageUuid], resource[uuid:"),
        ({"name": ""}, "SYS.1007", "field[name] cannot be an empty string"),
        ({"name": None}, "SYS.1007", "field[name] of message["),
    ],
)
async def test_an_invalid_copy_is_refused(fixed: Client, values: dict[str, object], code: str, details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("PUT", f"/images/{I2}/actions", {"syncImageFromImageStoreBackupStorage": copy(**values)})
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)


@rows(
    ("image", "source", "destination", "details"),
    [
        (I1, B1, B1, "Source BS and Destination BS cannot be the same."),
        (I1, B1, B2, "Source BS and Destination BS must not be Disabled."),
        (I3, B1, B3, f"Image[uuid:{I3}] is not in source backup storage[uuid:{B1}]"),
        (I1, B1, B3, "Cannot migrate image from ImageStoreBackupStorage to ImageStoreBackupStorage."),
        (I1, B1, B4, "Cannot migrate image from ImageStoreBackupStorage to SftpBackupStorage."),
    ],
)
async def test_an_image_cannot_migrate_between_storages_that_are_not_ceph(
    fixed: Client, image: str, source: str, destination: str, details: str
) -> None:
    body = {"backupStorageMigrateImage": {"srcBackupStorageUuid": source, "dstBackupStorageUuid": destination}}
    with pytest.raises(CallFailed) as caught:
        await fixed.call("PUT", f"/backup-storage/images/{image}/actions", body)
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1006", details)


async def test_there_are_no_migration_candidates(fixed: Client) -> None:
    assert await fixed.call("GET", f"/backup-storage/{B1}/migration-candidates") == {"inventories": []}
    with pytest.raises(CallFailed, match="type:BackupStorageVO] not found"):
        await fixed.call("GET", f"/backup-storage/{UNKNOWN}/migration-candidates")


@rows(
    "path",
    [
        f"/images/candidate-backup-storage?volumeUuid={UNKNOWN}",
        f"/images/candidate-backup-storage?volumeSnapshotUuid={UNKNOWN}",
        f"/images/volumes/{UNKNOWN}/candidate-backup-storage",
        f"/images/volume-snapshots/{UNKNOWN}/candidate-backup-storage",
    ],
)
async def test_candidates_are_the_connected_storages_that_are_attached(fixed: Client, path: str) -> None:
    answer = await fixed.request("GET", path)
    assert [one["uuid"] for one in answer.body["inventories"]] == [B1, B4]


async def test_candidates_are_for_a_volume_or_a_snapshot(fixed: Client) -> None:
    with pytest.raises(CallFailed, match="either volumeUuid or volumeSnapshotUuid must be set"):
        await fixed.call("GET", "/images/candidate-backup-storage")


async def test_the_images_on_an_image_store_are_listed(fixed: Client) -> None:
    body: dict[str, object] = {"getImagesFromImageStoreBackupStorage": {}}
    answer = await fixed.request("PUT", f"/backup-storage/{B1}/image-store", body, headers={"X-JSON-Schema": "true"})
    infos = answer.body["infos"]
    assert [info.pop("created")[-2:] in ("AM", "PM") for info in infos] == [True, True]
    assert infos == [
        {"id": I1, "arch": "x86_64", "size": 50, "virtualsize": 70, "name": "both"},
        {"id": I2, "desc": "alone", "size": 101, "virtualsize": 0, "name": "one"},
    ]
    struct = "org.zstack.storage.backup.imagestore.ImageStoreImageStruct"
    assert answer.body["schema"] == {"infos[1]": struct, "infos[0]": struct}
    with pytest.raises(CallFailed, match="type:ImageStoreBackupStorageVO] not found"):
        await fixed.call("PUT", f"/backup-storage/{B4}/image-store", body)


@pytest.mark.thorough
async def test_many_images_are_listed_with_all_their_refs(fixed: Client) -> None:
    for number in range(70):
        await fixed.call("POST", "/images", add(name=f"n{number:02}", backupStorageUuids=[B1, B4]))
    images = await fixed.query("/images", "name~=n__", sort="name")
    assert [len(image["backupStorageRefs"]) for image in images] == [2] * 70


async def test_an_add_of_an_image_can_be_validated_only(fixed: Client) -> None:
    only: dict[str, object] = {"systemTags": ["validationOnly"]}
    assert await fixed.call("POST", "/images", add() | only) == {}
    assert len(await fixed.query("/images")) == 3
    with pytest.raises(CallFailed, match=r"unknown format\[vhd\]"):
        await fixed.call("POST", "/images", add(format="vhd") | only)
