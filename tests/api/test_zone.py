"""Zones (domain 2.4, 4)."""

from __future__ import annotations

import pytest

from fixed_data import B1, UNKNOWN, Z1, Z2
from imagestore_sim.api.zone import CREATE_ZONE
from imagestore_sim.testing import CallFailed, Client
from rows import rows

ACTIONS = f"/zones/{Z2}/actions"


async def test_zones_are_created_queried_and_deleted(fixed: Client) -> None:
    body = {"params": {"name": "East (1)", "description": "first", "isDefault": True}}
    zone = (await fixed.call("POST", "/zones", body))["inventory"]
    assert (zone["state"], zone["type"], zone["isDefault"]) == ("Enabled", "zstack", True)
    defaults = await fixed.query("/zones", "isDefault=true")
    assert [one["uuid"] for one in defaults] == [zone["uuid"]]
    assert await fixed.call("DELETE", f"/zones/{zone['uuid']}") == {}
    assert await fixed.query(f"/zones/{zone['uuid']}") == []


@rows("name", ["no/slash", "semi;colon", "Ünïcode", "x" * 256])
@rows(
    ("method", "path", "key"), [("POST", "/zones", "params"), ("PUT", ACTIONS, "updateZone")], ids=["create", "update"]
)
async def test_the_name_of_a_zone_follows_its_rule(fixed: Client, name: str, method: str, path: str, key: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call(method, path, {key: {"name": name}})
    assert caught.value.code == "SYS.1007"


async def test_a_new_zone_has_to_have_a_name(fixed: Client) -> None:
    with pytest.raises(CallFailed, match="is mandatory, can not be null"):
        await fixed.call("POST", "/zones", {"params": {"description": "d"}})


async def test_the_name_of_a_zone_is_trimmed_before_its_rule_is_checked(fixed: Client) -> None:
    answer = await fixed.call("POST", "/zones", {"params": {"name": ' 东区-1_(a.b:"+") '}})
    assert answer["inventory"]["name"] == '东区-1_(a.b:"+")'


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"name": "West"}, {"name": "West"}),
        ({"description": "d", "name": None}, {"description": "d", "name": "Zone2"}),
        ({"isDefault": True}, {"isDefault": True}),
        ({}, {"name": "Zone2", "isDefault": False}),
    ],
)
async def test_an_update_changes_what_it_gives(
    fixed: Client, values: dict[str, object], changed: dict[str, object]
) -> None:
    inventory = (await fixed.call("PUT", ACTIONS, {"updateZone": values}))["inventory"]
    assert inventory.items() >= changed.items()
    assert len(await fixed.query("/zones", "isDefault=true")) == 1


@pytest.mark.parametrize("event", ["enable", "disable"])
@pytest.mark.parametrize("zone", [Z1, Z2], ids=["enabled before", "disabled before"])
async def test_every_change_of_a_zone_s_state_is_legal(fixed: Client, zone: str, event: str) -> None:
    answer = await fixed.call("PUT", f"/zones/{zone}/actions", {"changeZoneState": {"stateEvent": event}})
    assert answer["inventory"]["state"] == {"enable": "Enabled", "disable": "Disabled"}[event]


@rows(
    ("path", "body", "code"),
    [
        (ACTIONS, {"changeZoneState": {"stateEvent": "Enabled"}}, "SYS.1007"),
        (ACTIONS, {"changeZoneState": {}}, "SYS.1007"),
        (f"/zones/{UNKNOWN}/actions", {"changeZoneState": {"stateEvent": "enable"}}, "SYS.1003"),
        (f"/zones/{UNKNOWN}/actions", {"updateZone": {"name": "x"}}, "SYS.1003"),
    ],
)
async def test_an_invalid_call_for_a_zone_is_refused(
    fixed: Client, path: str, body: dict[str, object], code: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("PUT", path, body)
    assert caught.value.code == code


@rows("zone", [Z1, UNKNOWN, "x"])
async def test_no_service_handles_the_info_of_a_zone(fixed: Client, zone: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("GET", f"/zones/{zone}/info")
    assert (caught.value.status, caught.value.code) == (503, "SYS.1008")
    name = "org.zstack.header.zone.APIGetZoneMsg"
    text = f'No service deals with message: {name} {{"{name}":{{"uuid":"{zone}"}}}}'
    assert caught.value.error["details"] == text
    assert caught.value.error["elaboration"] == "Error message: Internal error: No service to deal with message."


async def test_an_error_in_the_creation_of_a_zone_names_zstack_s_method(fixed: Client) -> None:
    chosen = "0123456789ab4def8123456789abcdef"
    await fixed.call("POST", "/zones", {"params": {"name": "one", "type": "zstack", "resourceUuid": chosen}})
    taken = "org.hibernate.exception.ConstraintViolationException: could not execute statement"
    for wrong, text in (
        ({"type": "bogus"}, "ZoneType type: bogus was not registered by any ZoneFactory"),
        ({"resourceUuid": chosen}, taken),
    ):
        with pytest.raises(CallFailed) as caught:
            await fixed.call("POST", "/zones", {"params": {"name": "two", **wrong}})
        assert caught.value.code == "SYS.1000"
        method = "private void org.zstack.compute.zone.ZoneManagerImpl.createZone("
        assert caught.value.error["details"].startswith(f"unhandled exception happened when calling {method}")
        assert caught.value.error["details"].endswith(f"), {text}")
    assert await fixed.query("/zones", "name=two") == []


async def test_the_error_for_an_invalid_name_has_the_rule(fixed: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/zones", {"params": {"name": "ap'os"}})
    rule = '^(?! )[\\u4e00-\\u9fa5a-zA-Z0-9\\-_.():+" ]*(?<! )$'
    message = "org.zstack.header.message.ApiMessageParamValidator"
    text = f"valid regex value for field[name] of message[{message}] are {rule}, but ap'os found"
    assert caught.value.error["details"] == text


async def test_deleting_a_missing_zone_succeeds_if_its_uuid_is_well_formed(fixed: Client) -> None:
    assert await fixed.call("DELETE", f"/zones/{UNKNOWN}") == {}
    with pytest.raises(CallFailed) as caught:
        await fixed.call("DELETE", "/zones/nosuch")
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1003", "invalid value[nosuch] of field [uuid]")


@pytest.mark.parametrize("mode", [None, "Permissive", "Enforcing"])
async def test_a_deleted_zone_leaves_its_storages_and_takes_its_tags(fixed: Client, mode: str | None) -> None:
    tag = {"resourceType": "ZoneVO", "resourceUuid": Z1, "tag": "prod"}
    await fixed.call("POST", "/user-tags", {"params": tag})
    assert await fixed.call("DELETE", f"/zones/{Z1}", query=[("deleteMode", mode)] if mode else []) == {}
    [storage] = await fixed.query(f"/backup-storage/{B1}")
    assert (storage["attachedZoneUuids"], storage["status"]) == ([Z2], "Connected")
    assert await fixed.query("/user-tags", "tag=prod") == []


async def test_an_unknown_delete_mode_is_an_internal_error(fixed: Client) -> None:
    with pytest.raises(CallFailed, match=r"No enum constant org\.zstack\.header\.message\.APIDeleteMessage"):
        await fixed.call("DELETE", f"/zones/{Z1}", query=[("deleteMode", "Force")])
    assert len(await fixed.query("/zones")) == 2


@rows(
    ("tags", "details"),
    [
        ({"systemTags": [1]}, "java.lang.Long cannot be cast to java.lang.String"),
        ({"systemTags": ["ephemeral::x", True]}, "java.lang.Boolean cannot be cast to java.lang.String"),
        ({"userTags": ["a", {}]}, f"{CREATE_ZONE}, com.google.gson.internal.LinkedTreeMap cannot be cast to"),
    ],
)
async def test_a_tag_that_is_not_a_string_is_an_internal_error(
    fixed: Client, tags: dict[str, object], details: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await fixed.call("POST", "/zones", {"params": {"name": "x"}, **tags})
    assert (caught.value.code, details in str(caught.value.error["details"])) == ("SYS.1000", True)
    assert await fixed.query("/zones", "name=x") == []


async def test_the_first_invalid_system_tag_is_reported(fixed: Client) -> None:
    with pytest.raises(CallFailed, match="no system tag matches foo::bar"):
        await fixed.call("POST", "/zones", {"params": {"name": "x"}, "systemTags": ["foo::bar", 1]})


async def test_the_answer_has_the_time_out_of_the_parameters(fixed: Client) -> None:
    body = {"params": {"name": "x", "timeout": 5}}
    for headers, milliseconds in (({}, 5), ({"X-API-Timeout": "2"}, 2000)):
        answer = await fixed.request("POST", "/zones", body, headers=headers)
        assert (answer.status, answer.body["apiTimeout"]) == (202, milliseconds)
