"""The APIs of backup storages of any type (domain 1.5, 2.2, 4, 5)."""

from __future__ import annotations

import pytest

from imagestore_sim.testing import CallFailed, Client
from kept_lab import reset_fixtures
from rows import rows

STORAGES = "/backup-storage"
UNKNOWN = "0123456789ab4def8123456789abcdef"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=1)]


imagestore_lab, imagestore_client = reset_fixtures()


async def one(client: Client, name: str = "imagestore-1") -> dict[str, object]:
    [storage] = await client.query(STORAGES, f"name={name}")
    return storage


@rows(
    ("before", "event", "after"),
    [
        ([], "disable", "Disabled"),
        (["disable"], "disable", "Disabled"),
        (["disable"], "enable", "Enabled"),
        ([], "enable", "Enabled"),
    ],
)
async def test_every_change_of_state_is_legal(
    imagestore_client: Client, before: list[str], event: str, after: str
) -> None:
    path = f"{STORAGES}/{(await one(imagestore_client))['uuid']}/actions"
    for earlier in before:
        await imagestore_client.call("PUT", path, {"changeBackupStorageState": {"stateEvent": earlier}})
    answer = await imagestore_client.call("PUT", path, {"changeBackupStorageState": {"stateEvent": event}})
    assert (answer["inventory"]["state"], answer["inventory"]["status"]) == (after, "Connected")


@pytest.mark.asyncio(loop_scope="function")
async def test_an_unknown_state_event_is_an_invalid_argument(shared_client: Client) -> None:
    path = f"{STORAGES}/{(await one(shared_client))['uuid']}/actions"
    with pytest.raises(CallFailed) as caught:
        await shared_client.call("PUT", path, {"changeBackupStorageState": {"stateEvent": "Disabled"}})
    assert caught.value.code == "SYS.1007"
    assert "are [enable, disable], but Disabled found" in caught.value.error["details"]


async def test_a_reconnect_answers_the_connected_storage(imagestore_client: Client) -> None:
    path = f"{STORAGES}/{(await one(imagestore_client))['uuid']}/actions"
    answer = await imagestore_client.call("PUT", path, {"reconnectBackupStorage": {}})
    assert (answer["inventory"]["status"], answer["inventory"]["hostname"]) == ("Connected", "imagestore-1")


async def test_a_null_in_an_update_does_not_change_the_field(imagestore_client: Client) -> None:
    path = f"{STORAGES}/{(await one(imagestore_client))['uuid']}/actions"
    await imagestore_client.call("PUT", path, {"updateBackupStorage": {"description": "kept"}})
    answer = await imagestore_client.call("PUT", path, {"updateBackupStorage": {"description": None, "name": "x"}})
    assert (answer["inventory"]["name"], answer["inventory"]["description"]) == ("x", "kept")


@pytest.mark.parametrize("mode", ["", "Permissive", "Enforcing"])
async def test_a_deleted_storage_is_gone_and_its_hostname_free(imagestore_client: Client, mode: str) -> None:
    storage = await one(imagestore_client)
    query = [("deleteMode", mode)]
    assert await imagestore_client.call("DELETE", f"{STORAGES}/{storage['uuid']}", query=query) == {}
    assert await imagestore_client.query(f"{STORAGES}/{storage['uuid']}") == []
    assert (await imagestore_client.add_image_store("imagestore-1"))["status"] == "Connected"


@pytest.mark.asyncio(loop_scope="function")
async def test_deleting_a_missing_storage_succeeds(shared_client: Client) -> None:
    assert await shared_client.call("DELETE", f"{STORAGES}/{UNKNOWN}") == {}


@pytest.mark.asyncio(loop_scope="function")
async def test_an_unknown_delete_mode_is_an_internal_error(shared_client: Client) -> None:
    storage = await one(shared_client)
    with pytest.raises(CallFailed) as caught:
        await shared_client.call("DELETE", f"{STORAGES}/{storage['uuid']}", query=[("deleteMode", "permissive")])
    enum = "org.zstack.header.message.APIDeleteMessage.DeletionMode"
    assert caught.value.error["details"] == f"No enum constant {enum}.permissive"


@pytest.mark.asyncio(loop_scope="function")
async def test_a_query_by_uuid_answers_a_list_that_may_be_empty(shared_client: Client) -> None:
    storage = await one(shared_client)
    for path in (STORAGES, f"{STORAGES}/image-store"):
        assert [found["uuid"] for found in await shared_client.query(f"{path}/{storage['uuid']}")] == [storage["uuid"]]
        nothing = await shared_client.request("GET", f"{path}/{UNKNOWN}?limit=abc")
        assert (nothing.status, nothing.body) == (200, {"inventories": [], "schema": {}})


@pytest.mark.asyncio(loop_scope="function")
async def test_a_query_s_schema_names_each_row_s_own_class(shared_client: Client) -> None:
    answer = await shared_client.request("GET", f"{STORAGES}?limit=1&replyWithCount=true")
    own = "org.zstack.storage.backup.imagestore.ImageStoreBackupStorageInventory"
    assert answer.body["schema"] == {"inventories[0]": own}
    assert answer.body["total"] == 3


@pytest.mark.asyncio(loop_scope="function")
async def test_a_count_answers_no_inventories(shared_client: Client) -> None:
    answer = await shared_client.request("GET", f"{STORAGES}?count=true")
    assert answer.body == {"total": 3, "schema": {}}


@pytest.mark.asyncio(loop_scope="function")
async def test_conditions_sort_and_fields_go_together(shared_client: Client) -> None:
    found = await shared_client.query(
        f"{STORAGES}/image-store",
        "name~=imagestore-%",
        "status=Connected",
        "totalCapacity>0",
        sort="-name",
        fields="name,sshPort",
        limit="2",
    )
    assert found == [{"name": "imagestore-3", "sshPort": 22}, {"name": "imagestore-2", "sshPort": 22}]


@pytest.mark.asyncio(loop_scope="function")
async def test_an_unknown_field_is_an_internal_error_that_names_it(shared_client: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await shared_client.query(STORAGES, "foo=1")
    assert (caught.value.status, caught.value.code) == (503, "SYS.1000")
    assert caught.value.error["details"].endswith("BackupStorageInventory] not having field[foo]")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_password_can_be_neither_selected_nor_queried(shared_client: Client) -> None:
    for parameters in ({"fields": "password"}, {"sort": "password"}):
        with pytest.raises(CallFailed):
            await shared_client.query(f"{STORAGES}/image-store", **parameters)
    with pytest.raises(CallFailed, match="password"):
        await shared_client.query(f"{STORAGES}/image-store", "password~=%")


async def test_a_storage_is_attached_once_to_each_of_many_zones_in_order(imagestore_client: Client) -> None:
    storage = await one(imagestore_client)
    zones = [
        (await imagestore_client.call("POST", "/zones", {"params": {"name": name}}))["inventory"]["uuid"]
        for name in ("a", "b")
    ]
    for zone in zones:
        await imagestore_client.call("POST", f"/zones/{zone}/backup-storage/{storage['uuid']}", {})
    attached = (await one(imagestore_client))["attachedZoneUuids"]
    assert isinstance(attached, list)
    assert attached[1:] == zones
    with pytest.raises(CallFailed) as caught:
        await imagestore_client.call("POST", f"/zones/{zones[0]}/backup-storage/{storage['uuid']}", {})
    assert caught.value.code == "SYS.1006"
    assert f"has been attached to zone[uuid:{zones[0]}]" in caught.value.error["details"]


async def test_a_storage_is_detached_and_stays_connected(imagestore_client: Client) -> None:
    storage = await one(imagestore_client)
    assert isinstance(storage["attachedZoneUuids"], list)
    path = f"/zones/{storage['attachedZoneUuids'][0]}/backup-storage/{storage['uuid']}"
    answer = await imagestore_client.call("DELETE", path)
    assert (answer["inventory"]["attachedZoneUuids"], answer["inventory"]["status"]) == ([], "Connected")
    with pytest.raises(CallFailed, match="has not been attached"):
        await imagestore_client.call("DELETE", path)


async def test_a_storage_survives_its_zone(imagestore_client: Client) -> None:
    storage = await one(imagestore_client)
    assert isinstance(storage["attachedZoneUuids"], list)
    await imagestore_client.call("DELETE", f"/zones/{storage['attachedZoneUuids'][0]}")
    assert (await one(imagestore_client))["attachedZoneUuids"] == []
