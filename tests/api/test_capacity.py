"""GetBackupStorageCapacity and GetBackupStorageTypes (domain 2.2, 5)."""

from __future__ import annotations

import pytest

from fixed_data import B1, B2, B3, B4, UNKNOWN, Z1, Z2
from imagestore_sim.testing import CallFailed, Client
from rows import rows

CAPACITIES = "/backup-storage/capacities"


@rows(
    ("query", "total", "available"),
    [
        ([("backupStorageUuids", B1)], 1000, 100),
        ([("backupStorageUuids", B1), ("backupStorageUuids", B2)], 3000, 300),
        ([("backupStorageUuids.0", B1), ("backupStorageUuids.1", B2)], 3000, 300),
        # A storage named twice counts once
        ([("backupStorageUuids", B1), ("backupStorageUuids", B1)], 1000, 100),
        # Disabled and Disconnected ones count with what was last known
        ([("backupStorageUuids", B2), ("backupStorageUuids", B3)], 6000, 600),
        ([("all", "true")], 15000, 1500),
        # Zones: a storage that is attached to two of them counts twice
        ([("zoneUuids", Z1)], 3000, 300),
        ([("zoneUuids", Z2)], 9000, 900),
        ([("zoneUuids", Z1), ("zoneUuids", Z2)], 12000, 1200),
        # Uuids of storages come before all, and both before zones
        ([("backupStorageUuids", B4), ("zoneUuids", Z1)], 8000, 800),
        ([("backupStorageUuids", B4), ("all", "true")], 8000, 800),
        ([("zoneUuids", Z1), ("all", "true")], 15000, 1500),
    ],
)
async def test_capacities_add_up(fixed: Client, query: list[tuple[str, str]], total: int, available: int) -> None:
    expected = {"totalCapacity": total, "availableCapacity": available, "success": True}
    assert await fixed.call("GET", CAPACITIES, query=query) == expected


@rows("query", [[], [("all", "false")], [("all", "yes")]])
async def test_a_call_without_a_storage_is_an_invalid_argument(fixed: Client, query: list[tuple[str, str]]) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("GET", CAPACITIES, query=query)
    assert (caught.value.status, caught.value.code) == (503, "SYS.1007")
    text = "zoneUuids, backupStorageUuids must have at least one be none-empty list, or all is set to true"
    assert caught.value.error["details"] == text


@rows(
    ("query", "details"),
    [
        (
            [("backupStorageUuids", B1), ("backupStorageUuids", UNKNOWN)],
            f"invalid field[backupStorageUuids], resource[uuids:[{UNKNOWN}], type:BackupStorageVO] not found",
        ),
        ([("zoneUuids", UNKNOWN)], f"invalid field[zoneUuids], resource[uuids:[{UNKNOWN}], type:ZoneVO] not found"),
        ([("zoneUuids", B1)], f"invalid field[zoneUuids], resource[uuids:[{B1}], type:ZoneVO] not found"),
    ],
)
async def test_a_missing_storage_is_refused(fixed: Client, query: list[tuple[str, str]], details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("GET", CAPACITIES, query=query)
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1003", details)


async def test_no_storages_have_no_capacity(fixed: Client) -> None:
    for storage in (B1, B2, B3, B4):
        await fixed.call("DELETE", f"/backup-storage/{storage}")
    nothing = {"totalCapacity": 0, "availableCapacity": 0, "success": True}
    assert await fixed.call("GET", CAPACITIES, query=[("all", "true")]) == nothing
    assert await fixed.call("GET", CAPACITIES, query=[("zoneUuids", Z1)]) == nothing


async def test_the_types_that_are_emulated_are_listed(fixed: Client) -> None:
    types = ["ImageStoreBackupStorage", "SftpBackupStorage", "SimulatorBackupStorage"]
    assert await fixed.call("GET", "/backup-storage/types") == {"types": types}
    answer = await fixed.request("GET", "/backup-storage/types", headers={"X-JSON-Schema": "true"})
    assert answer.body["schema"] == {f"types[{index}]": "java.lang.String" for index in (2, 1, 0)}
