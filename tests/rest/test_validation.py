"""The rules of parameters: their error texts, and the order of the checks (wire-protocol 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import pytest

from imagestore_sim.api.image_store import APIAddImageStoreBackupStorageMsg
from imagestore_sim.api.session import APILogInByAccountMsg
from imagestore_sim.rest.errors import ApiError, NothingToDo
from imagestore_sim.rest.leniency import LENIENT, STRICT
from imagestore_sim.rest.messages import CreateMessage
from imagestore_sim.rest.parameters import Rule
from imagestore_sim.rest.validation import VALIDATOR, check_resource_uuid, in_java_order, validate
from rows import rows

KNOWN = "b1000000000040008000000000000001"


class APIProbeTheRulesMsg(CreateMessage, method="POST", path="/rules", package="org.example"):
    """A message with a field for each rule."""

    required: str
    short: Annotated[str | None, Rule(max_length=3)] = None
    long: Annotated[str | None, Rule(min_length=3)] = None
    choice: Annotated[str | None, Rule(valid_values=("a", "b"))] = None
    choices: Annotated[list[str] | None, Rule(valid_values=("a", "b"))] = None
    pattern: Annotated[str | None, Rule(valid_regex="[a-z]+")] = None
    filled: Annotated[list[str] | None, Rule(nonempty=True)] = None
    texts: Annotated[list[str] | None, Rule(empty_string=False)] = None
    nonempty: Annotated[str | None, Rule(empty_string=False)] = None
    number: Annotated[int | None, Rule(number_range=(1, 9))] = None
    port: Annotated[int | None, Rule(number_range=(1, 9), zero_is_unset=True)] = None
    exact: Annotated[str | None, Rule(max_length=3, trim=False)] = None
    thing: Annotated[str | None, Rule(resource="ThingVO")] = None
    things: Annotated[list[str] | None, Rule(resource="ThingVO")] = None
    gone: Annotated[str | None, Rule(resource="ThingVO", missing_is_done=True)] = None


async def missing(resource: str, uuids: Sequence[str]) -> list[str]:
    return [uuid for uuid in uuids if uuid != KNOWN]


async def check(**values: object) -> dict[str, object]:
    given: dict[str, object] = {"required": "x", **values}
    await validate(APIProbeTheRulesMsg.api, given, missing)
    return given


@rows(
    ("values", "code", "details"),
    [
        ({"required": None}, "SYS.1007", f"field[required] of message[{VALIDATOR}] is mandatory, can not be null"),
        (
            {"short": "four"},
            "SYS.1007",
            f"field[short] of message[{VALIDATOR}] exceeds max length of string. expected was <= 3, actual was 4",
        ),
        (
            {"long": "ab"},
            "SYS.1007",
            f"field[long] of message[{VALIDATOR}] less than the min length of string. expected was >= 3, actual was 2",
        ),
        ({"choice": "A"}, "SYS.1007", f"valid value for field[choice] of message[{VALIDATOR}] are [a, b], but A found"),
        (
            {"choices": ["a", "c"]},
            "SYS.1007",
            f"valid value for field[choices] of message[{VALIDATOR}] are [a, b], but c found",
        ),
        (
            {"pattern": "a1"},
            "SYS.1007",
            f"valid regex value for field[pattern] of message[{VALIDATOR}] are [a-z]+, but a1 found",
        ),
        ({"filled": []}, "SYS.1007", "field[filled] must be a nonempty list"),
        ({"texts": ["a", None]}, "SYS.1007", "field[texts] cannot contain a NULL element"),
        ({"texts": ["a", ""]}, "SYS.1007", "field[texts] cannot contain any empty string"),
        ({"nonempty": "  "}, "SYS.1007", "field[nonempty] cannot be an empty string"),
        ({"number": 0}, "SYS.1007", "field[number] must be in range of [1, 9]"),
        ({"number": 10}, "SYS.1007", "field[number] must be in range of [1, 9]"),
        ({"port": 10}, "SYS.1007", "field[port] must be in range of [1, 9]"),
        ({"thing": "nosuch"}, "SYS.1003", "invalid field[thing], resource[uuid:nosuch, type:ThingVO] not found"),
        (
            {"things": [KNOWN, "a", "b"]},
            "SYS.1003",
            "invalid field[things], resource[uuids:[a, b], type:ThingVO] not found",
        ),
        ({"gone": "malformed"}, "SYS.1003", "invalid value[malformed] of field [gone]"),
    ],
)
async def test_a_broken_rule_is_reported_with_zstack_s_text(values: dict[str, object], code: str, details: str) -> None:
    with pytest.raises(ApiError) as caught:
        await check(**values)
    assert (caught.value.error.code, caught.value.error.details) == (code, details)


@rows("uuid", ["B1000000000040008000000000000001", "b1000000000000000000000000000001", "short"])
async def test_a_resource_uuid_must_be_a_lower_case_uuid_of_a_known_version(uuid: str) -> None:
    with pytest.raises(ApiError, match=rf"resourceUuid\[{uuid}\] is not a valid uuid"):
        check_resource_uuid({"resourceUuid": uuid}, LENIENT)


async def test_an_empty_resource_uuid_means_unset_unless_strict() -> None:
    check_resource_uuid({"resourceUuid": ""}, LENIENT)
    with pytest.raises(ApiError, match=r"resourceUuid\[\] is not a valid uuid"):
        check_resource_uuid({"resourceUuid": ""}, STRICT)


async def test_a_port_of_zero_means_unset_unless_strict() -> None:
    assert "port" not in await check(port=0)
    with pytest.raises(ApiError, match="must be in range"):
        await validate(APIProbeTheRulesMsg.api, {"required": "x", "port": 0}, missing, STRICT)


async def test_the_length_of_a_text_is_counted_as_java_counts_it() -> None:
    with pytest.raises(ApiError, match="expected was <= 3, actual was 4"):
        await check(short="\N{CACTUS}\N{CACTUS}")


async def test_strings_are_trimmed_unless_a_field_says_otherwise() -> None:
    values = await check(short="  ab\t", exact=" a ")
    assert (values["short"], values["exact"]) == ("ab", " a ")


async def test_an_empty_string_counts_as_given() -> None:
    assert (await check(required=""))["required"] == ""


async def test_deleting_a_missing_resource_ends_the_call() -> None:
    with pytest.raises(NothingToDo):
        await check(gone="b2000000000040008000000000000002")


async def test_a_resource_that_exists_passes() -> None:
    await check(thing=KNOWN, things=[KNOWN], gone=KNOWN)


def test_fields_are_visited_as_a_java_hash_map_orders_them() -> None:
    names = [parameter.name for parameter in in_java_order(APILogInByAccountMsg.api.parameters)]
    assert names == [
        "password",
        "verifyCode",
        "accountName",
        "accountType",
        "clientInfo",
        "systemTags",
        "userTags",
        "captchaUuid",
    ]


def test_the_name_of_an_action_follows_from_the_class() -> None:
    assert APILogInByAccountMsg.api.action == "logInByAccount"
    assert APIAddImageStoreBackupStorageMsg.api.body_key == "params"
