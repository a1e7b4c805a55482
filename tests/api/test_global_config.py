"""The global configuration (domain 3.6): every option, its default and its rule."""

from __future__ import annotations

import pytest

from imagestore_sim.testing import CallFailed, Client
from rows import rows

PATH = "/global-configurations"
OURS = "category=backupStorage"
DEFAULTS = {
    "ping.interval": "60",
    "ping.parallelismDegree": "50",
    "ping.maxFailure": "1",
    "ping.sleepPeriodAfterFailure": "1",
    "connection.autoReconnectOnError": "true",
    "connection.autoReconnectOnError.maxAttemptsNum": "0",
    "reservedCapacity": "1G",
}


async def change(client: Client, name: str, value: object) -> dict[str, object]:
    path = f"{PATH}/backupStorage/{name}/actions"
    answer = await client.call("PUT", path, {"updateGlobalConfig": {"value": value}})
    inventory: dict[str, object] = answer["inventory"]
    return inventory


async def test_every_option_has_its_default(fixed: Client) -> None:
    found = await fixed.query(PATH, OURS)
    assert {one["name"]: one["value"] for one in found} == DEFAULTS
    assert {one["name"]: one["defaultValue"] for one in found} == DEFAULTS
    assert list(found[0]) == ["id", "name", "category", "description", "defaultValue", "value"]
    assert len(await fixed.query(PATH)) == 711


async def test_options_can_be_queried(fixed: Client) -> None:
    [found] = await fixed.query(PATH, "name=ping.interval", OURS, fields="name,value")
    assert found == {"name": "ping.interval", "value": "60"}
    answer = await fixed.request("GET", f"{PATH}?q=name~=ping.%25&q={OURS}&sort=-name&limit=1&replyWithCount=true")
    assert (answer.body["inventories"][0]["name"], answer.body["total"]) == ("ping.sleepPeriodAfterFailure", 4)
    assert answer.body["schema"] == {"inventories[0]": "org.zstack.core.config.GlobalConfigInventory"}


@rows(
    ("name", "value"),
    [
        ("ping.interval", "1"),
        ("ping.interval", 7),
        ("ping.parallelismDegree", "0"),
        ("ping.maxFailure", "0"),
        ("ping.sleepPeriodAfterFailure", "-1"),
        ("connection.autoReconnectOnError", "FALSE"),
        ("connection.autoReconnectOnError", False),
        ("connection.autoReconnectOnError.maxAttemptsNum", "3"),
        ("reservedCapacity", "512M"),
        ("reservedCapacity", "1024"),
    ],
)
async def test_a_valid_value_takes_effect_at_once(fixed: Client, name: str, value: object) -> None:
    changed = await change(fixed, name, value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    assert changed.pop("description")
    assert changed.pop("id")
    assert changed == {
        "name": name,
        "category": "backupStorage",
        "defaultValue": DEFAULTS[name],
        "value": text,
    }
    [found] = await fixed.query(PATH, f"name={name}", OURS)
    assert found["value"] == text


@rows(
    ("name", "value", "complaint"),
    [
        ("ping.interval", "0", "should not less than 1, but got 0"),
        ("ping.parallelismDegree", "-1", "should not less than 0, but got -1"),
        ("ping.maxFailure", "-1", "should not less than 0, but got -1"),
        ("ping.sleepPeriodAfterFailure", "-2", "should not less than -1, but got -2"),
        ("connection.autoReconnectOnError.maxAttemptsNum", "-1", "should not less than 0, but got -1"),
    ],
)
async def test_a_number_below_its_least_value_is_an_invalid_argument(
    fixed: Client, name: str, value: str, complaint: str
) -> None:
    with pytest.raises(CallFailed) as caught:
        await change(fixed, name, value)
    details = f"Global config[category: backupStorage, name: {name}] {complaint}"
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1007", details)


@rows(
    ("name", "value", "details"),
    [
        (
            "ping.interval",
            "soon",
            "GlobalConfig[category:backupStorage, name:ping.interval] is of type java.lang.Integer,"
            " the value[soon] cannot be converted to that type, null",
        ),
        (
            "connection.autoReconnectOnError",
            "yes",
            "GlobalConfig[category:backupStorage, name:connection.autoReconnectOnError]'s value[yes]"
            " is not a valid boolean string[true, false].",
        ),
        (
            "reservedCapacity",
            "1GB",
            "1GB is not a size string; a size string consists of a number ending with suffix B/K/M/G/T or without"
            " suffix; for example, 512M, 1G",
        ),
        ("nosuch", "1", "Unable to find GlobalConfig[category: backupStorage, name: nosuch]"),
    ],
)
async def test_an_invalid_value_is_an_invalid_argument(fixed: Client, name: str, value: str, details: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await change(fixed, name, value)
    assert (caught.value.code, caught.value.error["details"]) == ("SYS.1007", details)
    assert {one["name"]: one["value"] for one in await fixed.query(PATH, OURS)} == DEFAULTS


async def test_a_reset_gives_every_option_its_default(fixed: Client) -> None:
    await change(fixed, "ping.interval", "5")
    await change(fixed, "reservedCapacity", "5G")
    assert await fixed.call("PUT", f"{PATH}/actions", {"resetGlobalConfig": {}}) == {}
    assert {one["name"]: one["value"] for one in await fixed.query(PATH, OURS)} == DEFAULTS


async def test_the_valid_values_of_an_option_can_be_queried(fixed: Client) -> None:
    assert await fixed.call("GET", f"{PATH}/image/deletionPolicy") == {
        "options": {"validValue": ["Direct", "Delay", "Never"]}
    }
    assert await fixed.call("GET", f"{PATH}/backupStorage/ping.interval") == {
        "options": {"numberGreaterThanOrEqual": 1, "numberLessThanOrEqual": 2147483647}
    }
    with pytest.raises(CallFailed) as caught:
        await fixed.call("GET", f"{PATH}/image/foo")
    assert caught.value.error["details"] == "Unable to find GlobalConfig[category: image, name: foo]"


@rows("value", [None, {}])
async def test_no_value_is_an_internal_error_without_a_text(fixed: Client, value: object) -> None:
    body = {"updateGlobalConfig": {"value": None} if value is None else {}}
    with pytest.raises(CallFailed) as caught:
        await fixed.call("PUT", f"{PATH}/backupStorage/ping.interval/actions", body)
    error = {"code": "SYS.1000", "description": "An internal error happened in system"}
    assert caught.value.error == error


async def test_a_value_of_the_wrong_type_is_explained(fixed: Client) -> None:
    with pytest.raises(CallFailed) as caught:
        await change(fixed, "ping.interval", "soon")
    message = "The input value cannot be converted to expected type for this GlobalConfig."
    assert caught.value.error["elaboration"] == f"Error message: {message}"
    assert (caught.value.error["messages"]["code"], caught.value.error["messages"]["method"]) == ("1000", "regex")


async def test_the_mode_of_pings_is_listed_only_while_it_is_not_zstacks(fixed: Client) -> None:
    assert (await change(fixed, "ping.mode", "tcp"))["defaultValue"] == "capacity"
    [found] = await fixed.query(PATH, "name=ping.mode")
    assert (found["category"], found["value"]) == ("backupStorage", "tcp")
    assert len(await fixed.query(PATH)) == 712
    with pytest.raises(CallFailed, match=r"icmp is not a valid value. Valid values are \[capacity, ssh, tcp"):
        await change(fixed, "ping.mode", "icmp")
    options = await fixed.call("GET", f"{PATH}/backupStorage/ping.mode")
    assert options["options"]["validValue"][:3] == ["capacity", "ssh", "tcp"]
    await fixed.call("PUT", f"{PATH}/actions", {"resetGlobalConfig": {}})
    assert len(await fixed.query(PATH)) == 711
