"""The ImageStore APIs, as a client sees them (domain 2.1, 3.1, 3.2, 3.4; the seed document's query)."""

from __future__ import annotations

import asyncio

import pytest

from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost
from imagestore_sim.rest.validation import VALIDATOR
from imagestore_sim.testing import CallFailed, Client
from kept_lab import reset_fixtures
from rows import rows

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=1)]


imagestore_lab, imagestore_client = reset_fixtures()


STORAGES = "/backup-storage/image-store"
SEED_FIELDS = [
    "hostname",
    "username",
    "sshPort",
    "uuid",
    "name",
    "url",
    "description",
    "totalCapacity",
    "availableCapacity",
    "type",
    "state",
    "status",
    "createDate",
    "lastOpDate",
    "attachedZoneUuids",
]


@pytest.mark.asyncio(loop_scope="function")
async def test_the_seed_s_own_request_answers_three_connected_storages(shared_client: Client) -> None:
    answer = await shared_client.request("GET", STORAGES)
    assert list(answer.body) == ["inventories", "schema"]
    assert [storage["name"] for storage in answer.body["inventories"]] == [f"imagestore-{n}" for n in (1, 2, 3)]
    for storage in answer.body["inventories"]:
        assert storage["status"] == "Connected"
        assert list(storage) == SEED_FIELDS
        assert storage["totalCapacity"] > storage["availableCapacity"] > 0


async def test_an_inventory_has_the_fifteen_fields_of_the_seed_in_its_order(imagestore_client: Client) -> None:
    await imagestore_client.add_image_store("h-1", description="My ImageStore Backup Storage.")
    [storage] = await imagestore_client.query(STORAGES, "name=h-1")
    assert list(storage) == SEED_FIELDS
    assert (storage["sshPort"], storage["state"], storage["type"]) == (22, "Enabled", "ImageStoreBackupStorage")
    assert all(isinstance(storage[name], int) for name in ("sshPort", "totalCapacity", "availableCapacity"))


async def test_capacity_is_what_the_host_s_disk_has(imagestore_client: Client, imagestore_hosts: HostNetwork) -> None:
    for storage in await imagestore_client.query(STORAGES):
        disk = imagestore_hosts[storage["hostname"]].disk
        assert (storage["totalCapacity"], storage["availableCapacity"]) == (disk.size, disk.available)


async def test_any_host_name_gets_a_host_of_its_own_when_it_is_added(imagestore_client: Client) -> None:
    added = await imagestore_client.add_image_store("172.24.189.211", username="zstack", password="whatever")
    assert (added["status"], added["hostname"]) == ("Connected", "172.24.189.211")
    assert "password" not in added


async def test_an_add_creates_the_folders_of_an_image_store(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    await imagestore_client.add_image_store("h-1", url="/zs/store")
    assert {"registry", "export"} <= set(imagestore_hosts["h-1"].disk.listdir("/zs/store"))


async def test_a_chosen_uuid_is_used_and_cannot_be_used_twice(imagestore_client: Client) -> None:
    chosen = "0123456789ab4def8123456789abcdef"
    assert (await imagestore_client.add_image_store("h-1", resourceUuid=chosen))["uuid"] == chosen
    with pytest.raises(CallFailed, match="ConstraintViolationException: could not execute statement"):
        await imagestore_client.add_image_store("h-2", resourceUuid=chosen)
    assert len(await imagestore_client.query(STORAGES, "name~=h-%")) == 1


@pytest.mark.asyncio(loop_scope="function")
@rows(
    ("values", "code", "details"),
    [
        ({"sshPort": 70000}, "SYS.1007", "field[sshPort] must be in range of [1, 65535]"),
        ({"hostname": "lab_1"}, "SYS.1007", "hostname[lab_1] is neither an IPv4 address nor a valid hostname"),
        ({"hostname": "::1"}, "SYS.1007", "hostname[::1] is neither an IPv4 address nor a valid hostname"),
        ({"hostname": ""}, "SYS.1007", "field[hostname] cannot be an empty string"),
        ({"url": "zs/store"}, "SYS.1007", "absolute file path required: zs/store"),
        ({"url": "/proc/zs"}, "SYS.1007", "the url contains an invalid folder[/dev or /proc or /sys]"),
        ({"url": "/development"}, "SYS.1007", "the url contains an invalid folder[/dev or /proc or /sys]"),
        (
            {"hostname": "imagestore-1"},
            "SYS.1006",
            "duplicate backup storage. There has been an image store backup storage[hostname:imagestore-1]",
        ),
        (
            {"hostname": "imagestore-1", "url": "relative"},
            "SYS.1006",
            "duplicate backup storage. There has been an image store backup storage[hostname:imagestore-1]",
        ),
        ({"resourceUuid": "xyz"}, "SYS.1007", "resourceUuid[xyz] is not a valid uuid."),
        (
            {"username": None},
            "SYS.1007",
            f"field[username] of message[{VALIDATOR}] is mandatory, can not be null",
        ),
    ],
)
async def test_an_add_that_breaks_a_rule_fails_through_its_job(
    shared_client: Client, values: dict[str, object], code: str, details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await shared_client.add_image_store(str(values.pop("hostname", "h-1")), **values)
    assert (caught.value.status, caught.value.code) == (503, code)
    assert str(caught.value.error["details"]).startswith(details)
    assert len(await shared_client.query(STORAGES)) == 3


async def test_a_port_of_zero_is_the_default_port(imagestore_client: Client) -> None:
    assert (await imagestore_client.add_image_store("h-1", sshPort=0))["sshPort"] == 22


async def test_a_wrong_password_fails_the_job_with_its_reason_and_no_row_stays(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    await imagestore_hosts.add(SimulatedHost("locked-1", credentials=Credentials("root", "secret-of-the-host")))
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.add_image_store("locked-1", password="my-wrong-guess")
    error = caught.value.error
    assert (error["code"], error["cause"]["code"]) == ("SYS.1002", "BS.1500")
    assert error["details"] == error["cause"]["details"]
    assert error["cause"]["opaque"] == {"reason": "auth_failed"}
    assert "my-wrong-guess" not in str(error)
    assert await imagestore_client.query(STORAGES, "name=locked-1") == []
    added = await imagestore_client.add_image_store("locked-1", password="secret-of-the-host")
    assert added["status"] == "Connected"


async def test_a_storage_that_is_being_added_shows_as_connecting_without_capacity(imagestore_client: Client) -> None:
    lab = f"{imagestore_client.url}/lab/v1/hosts"
    await imagestore_client.request("POST", lab, {"name": "h-1"})
    await imagestore_client.request("POST", f"{lab}/h-1/faults", {"kind": "slow_login", "seconds": "300ms"})
    seen = set()
    add = asyncio.ensure_future(imagestore_client.add_image_store("h-1"))
    while not add.done():
        found = await imagestore_client.query(STORAGES, "name=h-1")
        seen |= {(one["status"], one["totalCapacity"] > 0) for one in found}
    await add
    assert ("Connecting", False) in seen
    assert seen <= {("Connecting", False), ("Connected", True)}


async def test_an_update_changes_the_record_and_nothing_else(imagestore_client: Client) -> None:
    [before] = await imagestore_client.query(STORAGES, "name=imagestore-1")
    body = {"updateImageStoreBackupStorage": {"name": "gold", "description": None, "sshPort": "2222", "url": "/other"}}
    after = (await imagestore_client.call("PUT", f"{STORAGES}/{before['uuid']}/actions", body))["inventory"]
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed - {"lastOpDate"} == {"name", "sshPort"}


TAKEN = "org.hibernate.exception.ConstraintViolationException: could not execute statement"


@pytest.mark.imagestore_lab(hosts=2)
async def test_an_update_to_a_hostname_in_use_is_an_internal_error(imagestore_client: Client) -> None:
    [storage] = await imagestore_client.query(STORAGES, "name=imagestore-1")
    body = {"updateImageStoreBackupStorage": {"name": "gold", "hostname": "imagestore-2"}}
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("PUT", f"{STORAGES}/{storage['uuid']}/actions", body)
    assert caught.value.code == "SYS.1000"
    assert caught.value.error["details"] == TAKEN
    assert await imagestore_client.query(STORAGES, "name=gold") == []


async def test_new_credentials_show_at_the_next_connect(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    await imagestore_hosts.add(SimulatedHost("locked-1", credentials=Credentials("root", "password")))
    storage = await imagestore_client.add_image_store("locked-1")
    actions = f"{STORAGES}/{storage['uuid']}/actions"
    await imagestore_client.call("PUT", actions, {"updateImageStoreBackupStorage": {"password": "wrong"}})
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("PUT", actions, {"reconnectImageStoreBackupStorage": {}})
    assert (caught.value.code, caught.value.error["opaque"]) == ("BS.1500", {"reason": "auth_failed"})
    await imagestore_client.call("PUT", actions, {"updateImageStoreBackupStorage": {"password": "password"}})
    again = await imagestore_client.call("PUT", actions, {"reconnectImageStoreBackupStorage": {}})
    assert again["inventory"]["status"] == "Connected"


@pytest.mark.parametrize("action", ["updateImageStoreBackupStorage", "reconnectImageStoreBackupStorage"])
async def test_an_action_on_a_missing_storage_is_not_found(imagestore_client: Client, action: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("PUT", f"{STORAGES}/nosuch/actions", {action: {}})
    assert caught.value.code == "SYS.1003"
    expected = "invalid field[uuid], resource[uuid:nosuch, type:ImageStoreBackupStorageVO] not found"
    assert caught.value.error["details"] == expected


async def test_a_disaster_image_store_is_one_with_the_tag_remote(imagestore_client: Client) -> None:
    values = {"name": "far", "username": "root", "password": "password", "url": "/zs", "hostname": "h-1"}
    body = {"params": values | {"attachPoint": "a", "endPoint": "b"}, "systemTags": ["remote", "allowbackup"]}
    added = (await imagestore_client.call("POST", f"{STORAGES}/disaster", body))["inventory"]
    assert (added["type"], added["status"]) == ("ImageStoreBackupStorage", "Connected")
    assert [one["uuid"] for one in await imagestore_client.query(STORAGES, "__systemTag__=remote")] == [added["uuid"]]
    assert len(await imagestore_client.query("/system-tags", "tag=remote")) == 1


@pytest.mark.imagestore_lab(clock="virtual")
async def test_space_is_reclaimed_from_a_connected_image_store(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    [storage] = await imagestore_client.query(STORAGES, "name=imagestore-1")
    path = f"{STORAGES}/{storage['uuid']}/actions"
    body: dict[str, object] = {"reclaimSpaceFromImageStore": {}}
    assert await imagestore_client.call("PUT", path, body) == {"gcResult": {"freedSpaceInBytes": 0}}
    await imagestore_hosts["imagestore-1"].stop()
    await imagestore_client.wait_for_status("imagestore-1", "Disconnected")
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("PUT", path, body)
    assert caught.value.code == "SYS.1006"
    assert caught.value.error["details"].startswith("reclaim imagestore error, because:")


@pytest.mark.imagestore_lab(clock="virtual")
async def test_a_quota_is_set_on_some_image_stores_or_all(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    uuids = [storage["uuid"] for storage in await imagestore_client.query(STORAGES)]

    async def set_quota(**values: object) -> object:
        return await imagestore_client.call("PUT", f"{STORAGES}/actions", {"setImageStoreBackupStorageQuota": values})

    assert await set_quota(maxCapacity=2**40) == {}
    assert await set_quota(maxCapacity="5", uuids=uuids[:1]) == {}
    for values, text in (
        ({}, "field[maxCapacity] of message"),
        ({"maxCapacity": 1, "uuids": ["nosuch"]}, "type:ImageStoreBackupStorageVO] not found"),
    ):
        with pytest.raises(CallFailed) as caught:
            await set_quota(**values)
        assert text in caught.value.error["details"]
    await imagestore_hosts["imagestore-1"].stop()
    away = await imagestore_client.wait_for_status("imagestore-1", "Disconnected")
    with pytest.raises(CallFailed) as caught:
        await set_quota(maxCapacity=1)
    assert caught.value.error["details"].startswith(
        f"failed to set max capacity on image store[uuid:{away['uuid']}], because: "
    )


async def test_a_password_is_trimmed_like_any_other_text(imagestore_client: Client) -> None:
    assert (await imagestore_client.add_image_store("imagestore-9", password=" password "))["status"] == "Connected"


async def test_a_hostname_is_checked_when_it_is_updated(imagestore_client: Client) -> None:
    [storage] = await imagestore_client.query(STORAGES, "name=imagestore-1")
    path = f"{STORAGES}/{storage['uuid']}/actions"
    for hostname in ("", "a_b", "::1"):
        with pytest.raises(CallFailed) as caught:
            await imagestore_client.call("PUT", path, {"updateImageStoreBackupStorage": {"hostname": hostname}})
        details = f"hostname[{hostname}] is neither an IPv4 address nor a valid hostname"
        assert (caught.value.code, caught.value.error["details"]) == ("SYS.1007", details)
