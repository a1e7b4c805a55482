"""The trash of a backup storage, and how it is cleaned up (domain 2.2)."""

from __future__ import annotations

import pytest

from fixed_data import B1, B2, B3, B4, I1, UNKNOWN
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.bootstrap.records import TrashRecord
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.testing import CallFailed, Client
from imagestore_sim.testing.client import Json
from rows import rows

TRASH = "/backup-storage/trash"
GIB = 2**30


def trash(storage: str, *paths: str) -> Json:
    """Return a bootstrap file with trash of an image on a storage."""
    return {
        "trash": [{"storageUuid": storage, "resourceUuid": UNKNOWN, "installPath": one, "size": 7} for one in paths]
    }


async def fill(client: Client, storage: str, *paths: str) -> list[int]:
    """Add trash; return the ids of all that a storage has."""
    await client.request("POST", f"{client.url}/lab/v1/snapshot", trash(storage, *paths))
    return [item["trashId"] for item in (await client.call("GET", TRASH, query=[("uuid", storage)]))["inventories"]]


async def clean(client: Client, storage: str, trash_id: int | None = None) -> Json:
    values = {} if trash_id is None else {"trashId": trash_id}
    return await client.call("PUT", f"/backup-storage/{storage}/trash/actions", {"cleanUpTrashOnBackupStorage": values})


@rows("more", [[], [("trashType", "MigrateImage")], [("resourceUuid", I1), ("resourceType", "x")]])
async def test_there_is_no_trash(fixed: Client, more: list[tuple[str, str]]) -> None:
    assert await fixed.call("GET", TRASH, query=[("uuid", B1), *more]) == {"inventories": []}


@rows(
    ("query", "code", "details"),
    [
        ([], "SYS.1007", "field[uuid] of message["),
        ([("uuid", UNKNOWN)], "SYS.1003", f"invalid field[uuid], resource[uuid:{UNKNOWN}, type:BackupStorageVO]"),
        ([("uuid", B1), ("trashType", "x")], "SYS.1007", "valid value for field[trashType] of message["),
        ([("uuid", B1), ("resourceUuid", I1)], "SYS.1007", "resourceUuid and resourceType must be set both or"),
        ([("uuid", B1), ("resourceType", "x")], "SYS.1007", "resourceUuid and resourceType must be set both or"),
    ],
)
async def test_half_of_a_resource_is_refused(
    fixed: Client, query: list[tuple[str, str]], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("GET", TRASH, query=query)
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)


@rows(
    ("trash_id", "results"),
    [(None, []), (7, [{"success": True, "trashId": 7, "size": 0}])],
)
async def test_a_clean_up_finds_nothing_to_do(fixed: Client, trash_id: int | None, results: list[object]) -> None:
    assert await clean(fixed, B1, trash_id) == {
        "result": {"resourceUuids": [], "details": [], "size": 0},
        "results": results,
        "success": True,
    }


async def test_trash_is_listed_kept_in_snapshots_and_cleaned_one_by_one(fixed: Client) -> None:
    first, second = await fill(fixed, B1, "zstore://gone/1", "zstore://gone/2")
    assert await fill(fixed, B1, "zstore://gone/1") == [first, second]
    found = await fixed.request(
        "GET", TRASH, query=[("uuid", B1), ("resourceUuid", UNKNOWN), ("resourceType", "ImageVO")]
    )
    item = found.body["inventories"][0]
    assert item.pop("createDate")
    assert item == {
        "trashId": first,
        "resourceUuid": UNKNOWN,
        "storageUuid": B1,
        "storageType": "BackupStorageVO",
        "resourceType": "ImageVO",
        "installPath": "zstore://gone/1",
        "isFolder": False,
        "size": 7,
        "trashType": "MigrateImage",
    }
    other = [("uuid", B1), ("resourceUuid", I1), ("resourceType", "ImageVO")]
    assert (await fixed.call("GET", TRASH, query=other))["inventories"] == []
    snapshot = (await fixed.request("GET", f"{fixed.url}/lab/v1/snapshot")).text
    assert "installPath: zstore://gone/2" in snapshot
    cleaned = await clean(fixed, B1, first)
    assert cleaned["result"] == {"resourceUuids": [UNKNOWN], "details": [], "size": 7}
    assert cleaned["results"] == [{"resourceUuid": UNKNOWN, "success": True, "trashId": first, "size": 7}]
    assert (await clean(fixed, B4, second))["result"]["size"] == 0  # that storage has no such item
    assert await fill(fixed, B1) == [second]


async def test_trash_whose_path_an_image_uses_is_kept(fixed: Client) -> None:
    used, free = await fill(fixed, B1, "zstore://both/1", "zstore://gone/1")
    cleaned = await clean(fixed, B1)
    why = f"zstore://both/1 is still in using by image [{I1}, {I1}], cannot remove it from trash before delete them"
    assert cleaned["result"] == {"resourceUuids": [UNKNOWN], "details": [why], "size": 7}
    assert [(one["trashId"], one["success"]) for one in cleaned["results"]] == [(used, False), (free, True)]
    assert cleaned["results"][0]["error"]["details"] == why
    assert await fill(fixed, B1) == [used]


@pytest.mark.parametrize(
    ("storage", "why"), [(B2, "its state is Disabled"), (B3, "its status is Disconnected")], ids=["disabled", "lost"]
)
async def test_trash_of_a_storage_that_refuses_is_kept(fixed: Client, storage: str, why: str) -> None:
    before = await fill(fixed, storage, "zstore://gone/1")
    with pytest.raises(CallFailed) as failed:
        await clean(fixed, storage)
    message = "org.zstack.header.storage.backup.DeleteBitsOnBackupStorageMsg"
    assert failed.value.error["details"] == f"backup storage cannot proceed message[{message}] because {why}"
    assert await fill(fixed, storage) == before


async def test_trash_for_an_unknown_storage_is_refused(fixed: Client) -> None:
    answer = await fixed.request("POST", f"{fixed.url}/lab/v1/snapshot", trash(UNKNOWN, "zstore://gone/1"))
    assert (answer.status, f"no backup storage has the uuid {UNKNOWN}" in str(answer.body)) == (400, True)


@pytest.mark.imagestore_lab(hosts=1, ping_interval=60, clock="virtual")
async def test_trash_takes_space_until_it_is_cleaned_up(
    imagestore_lab: Lab, imagestore_hosts: HostNetwork, imagestore_client: Client
) -> None:
    [storage] = await imagestore_lab.node.storages.records.tracked()
    host = imagestore_hosts["imagestore-1"]
    before = host.disk.available
    item = TrashRecord(storageUuid=storage.uuid, resourceUuid="a" * 32, installPath="zstore://gone/1", size=5 * GIB)
    await imagestore_lab.node.changes.add(Bootstrap(trash=(item,)))
    assert before - host.disk.available == 5 * GIB
    fault = await host.apply(read_fault("read_only", {}))
    with pytest.raises(CallFailed, match="Read-only file system"):
        await clean(imagestore_client, storage.uuid)
    await fault.heal()
    assert (await clean(imagestore_client, storage.uuid))["result"]["size"] == 5 * GIB
    assert host.disk.available == before
    [shown] = await imagestore_client.query("/backup-storage", f"uuid={storage.uuid}")
    assert shown["availableCapacity"] == before
