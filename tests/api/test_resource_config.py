"""Options with values of their own for single resources (observed 22)."""

from __future__ import annotations

import pytest

from fixed_data import B1, I1, Z1
from imagestore_sim.testing import CallFailed, Client
from other_accounts import client_of, new_account

PATH = "/resource-configurations"
NOWHERE = "b1000000000040008000000000000001"


def update(category: str, name: str, resource: str, value: str = "2G") -> tuple[str, str, object]:
    return "PUT", f"{PATH}/{category}/{name}/{resource}/actions", {"updateResourceConfig": {"value": value}}


async def test_a_storage_has_a_value_of_its_own_until_it_is_deleted(fixed: Client) -> None:
    one = f"{PATH}/{B1}/backupStorage/reservedCapacity"
    assert (await fixed.call("GET", one))["effectiveConfigs"] == []
    for value in ("2G", "3G"):
        changed = (await fixed.call(*update("backupStorage", "reservedCapacity", B1, value)))["inventory"]
        assert (changed["resourceType"], changed["value"]) == ("BackupStorageVO", value)
    found = await fixed.call("GET", one)
    assert (found["value"], [row["uuid"] for row in found["effectiveConfigs"]]) == ("3G", [changed["uuid"]])
    several = await fixed.call("GET", f"{PATH}/{B1}/backupStorage?names=reservedCapacity")
    assert [(each["name"], each["value"]) for each in several["configs"]] == [("reservedCapacity", "3G")]
    assert [row["name"] for row in await fixed.query(PATH, f"resourceUuid={B1}")] == ["reservedCapacity"]
    assert await fixed.call("DELETE", f"{PATH}/backupStorage/reservedCapacity/{B1}") == {}
    assert (await fixed.call("GET", one))["value"] == "1G"
    assert await fixed.query(PATH) == []


async def test_a_value_goes_with_its_resource(fixed: Client) -> None:
    await fixed.call(*update("host", "cpu.overProvisioning.ratio", Z1, "5"))
    configs = {"resourceConfigs": [{"category": "kvm", "name": "reservedMemory", "value": "2G"}]}
    set_ = await fixed.call("POST", f"{PATH}/{Z1}/resource-configs/actions", {"params": configs})
    assert [(one["name"], one["value"]) for one in set_["inventories"]] == [("reservedMemory", "2G")]
    assert len(await fixed.query(PATH)) == 2
    await fixed.call("DELETE", f"/zones/{Z1}")
    assert await fixed.query(PATH) == []


async def test_what_binds_no_resource_is_refused(fixed: Client) -> None:
    bindable = (await fixed.call("GET", f"{PATH}/bindable"))["bindableConfigs"]
    assert (len(bindable), await fixed.call("GET", f"{PATH}/bindable/image")) == (59, {"bindableConfigs": []})
    image = "global config[category:image, name:image.deletionPolicy] cannot bind resource"
    option = ("backupStorage", "reservedCapacity")
    for call, code, told in (
        (("GET", f"{PATH}/{I1}/image"), "SYS.1007", "field[names] of message"),
        (("GET", f"{PATH}/{I1}/image?names=deletionPolicy"), "SYS.1007", image),
        (("GET", f"{PATH}/{I1}/image/deletionPolicy"), "SYS.1007", image),
        (update("image", "deletionPolicy", I1), "SYS.1007", image),
        (("DELETE", f"{PATH}/image/deletionPolicy/{I1}"), "SYS.1007", image),
        (update("image", "foo", I1), "SYS.1007", "no global config[category:image, name:image.foo] found"),
        (update(*option, NOWHERE), "SYS.1003", "type:ResourceVO] not found"),
        (update(*option, Z1), "SYS.1006", "cannot bind to resourceType: ZoneVO"),
        (("DELETE", f"{PATH}/backupStorage/reservedCapacity/{Z1}"), "SYS.1006", "cannot bind to resourceType: ZoneVO"),
        (update(*option, B1, "x"), "SYS.1006", "x"),
        (("PUT", update(*option, B1)[1], {"updateResourceConfig": {}}), "SYS.1007", "field[value] of message"),
    ):
        with pytest.raises(CallFailed) as failed:
            await fixed.call(*call)
        assert (failed.value.code, told in str(failed.value.error["details"])) == (code, True), (call, failed.value)
    assert await fixed.call("DELETE", f"{PATH}/backupStorage/reservedCapacity/{NOWHERE}") == {}


async def test_an_account_has_no_access_to_the_values_of_storages(fixed: Client) -> None:
    await new_account(fixed, "ann")
    await fixed.call(*update("backupStorage", "reservedCapacity", B1))
    async with client_of(fixed, "ann") as ann:
        assert await ann.query(PATH) == []
        with pytest.raises(CallFailed, match=f"account has no access to the resource\\[uuid: {B1}\\]"):
            await ann.call("GET", f"{PATH}/{B1}/backupStorage/reservedCapacity")
        with pytest.raises(CallFailed, match="is not the owner of the resource"):
            await ann.call(*update("backupStorage", "reservedCapacity", B1))
