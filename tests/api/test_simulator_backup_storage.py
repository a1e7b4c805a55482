"""Simulator storages: always connected, without a host (domain 2.2)."""

from __future__ import annotations

import pytest

from fixed_data import UNKNOWN, Z2
from imagestore_sim.testing import CallFailed, Client
from rows import rows

PATH = "/backup-storage/simulators"
OUT_OF_RANGE = "org.hibernate.exception.DataException: could not execute statement"


async def add(client: Client, **values: object) -> dict[str, object]:
    given = {"name": "sim", "url": "/simulator", "totalCapacity": 2**50, "availableCapacity": 2**49} | values
    inventory: dict[str, object] = (await client.call("POST", PATH, {"params": given}))["inventory"]
    return inventory


async def test_a_simulator_storage_is_connected_with_the_given_capacity(fixed: Client) -> None:
    storage = await add(fixed, resourceUuid=UNKNOWN, description="d")
    assert storage["uuid"] == UNKNOWN
    assert (storage["type"], storage["status"], storage["state"]) == ("SimulatorBackupStorage", "Connected", "Enabled")
    assert (storage["totalCapacity"], storage["availableCapacity"]) == (2**50, 2**49)
    assert not storage.keys() & {"hostname", "username", "sshPort"}
    assert await fixed.query("/backup-storage", "type=SimulatorBackupStorage") == [storage]


async def test_its_schema_is_the_generic_inventory(fixed: Client) -> None:
    await add(fixed)
    answer = await fixed.request("GET", "/backup-storage?q=name=sim")
    assert answer.body["schema"] == {"inventories[0]": "org.zstack.header.storage.backup.BackupStorageInventory"}


async def test_many_may_share_name_and_url_and_all_have_nothing_by_default(fixed: Client) -> None:
    for _ in range(2):
        storage = await add(fixed, totalCapacity=None, availableCapacity=None)
        assert (storage["totalCapacity"], storage["availableCapacity"]) == (0, 0)


@rows(
    ("values", "code", "details"),
    [
        ({"name": None}, "SYS.1007", "field[name] of message["),
        ({"url": ""}, "SYS.1007", "field[url] cannot be an empty string"),
        ({"totalCapacity": -1}, "SYS.1000", OUT_OF_RANGE),
        ({"availableCapacity": -1}, "SYS.1000", OUT_OF_RANGE),
        ({"type": "foo"}, "SYS.1000", "BackupStorageType type: foo was not registered by any BackupStorageFactory"),
        ({"type": ""}, "SYS.1000", "BackupStorageType type:  was not registered by any BackupStorageFactory"),
        ({"type": "Ceph"}, "SYS.1000", "class org.zstack.header.simulator.storage.backup.APIAddSimulatorBackupStorage"),
    ],
)
async def test_an_invalid_add_is_refused(fixed: Client, values: dict[str, object], code: str, details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await add(fixed, **values)
    assert caught.value.code == code
    assert caught.value.error["details"].startswith(details)


async def test_it_is_a_backup_storage_like_any_other(fixed: Client) -> None:
    uuid = (await add(fixed))["uuid"]
    path = f"/backup-storage/{uuid}/actions"
    bodies: list[dict[str, object]] = [
        {"updateBackupStorage": {"name": "other"}},
        {"changeBackupStorageState": {"stateEvent": "disable"}},
        {"reconnectBackupStorage": {}},
    ]
    for body in bodies:
        changed = (await fixed.call("PUT", path, body))["inventory"]
    assert (changed["name"], changed["state"], changed["status"]) == ("other", "Disabled", "Connected")
    attached = await fixed.call("POST", f"/zones/{Z2}/backup-storage/{uuid}", {})
    assert attached["inventory"]["attachedZoneUuids"] == [Z2]
    assert await fixed.call("DELETE", f"/backup-storage/{uuid}") == {}
    assert await fixed.query(f"/backup-storage/{uuid}") == []
