"""Parameters over the wire: their rules, types and tags (wire-protocol 5), and `--strict`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from raw_client import STORAGE, STORAGES, UNKNOWN, ZONE, ZONES, RawClient, open_raw_client, sha512

from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
V1 = "/zstack/v1"
LOGIN = f"{V1}/accounts/login"
ONE = f"{V1}/backup-storage/{STORAGE}"
VALIDATOR = "org.zstack.header.message.ApiMessageParamValidator"
GOOD = {"name": "n", "hostname": "127.0.0.1", "username": "u", "password": "p", "url": "/z"}
PORT_RANGE = "field[sshPort] must be in range of [1, 65535]"
CIDR = "backupStorage::data::network::cidr::"
NO_UUID = (
    "resourceUuid[{}] is not a valid uuid. A valid uuid is a UUID(v4 recommended) with '-' stripped. see"
    " http://en.wikipedia.org/wiki/Universally_unique_identifier for format of UUID, the regular expression uses to"
    " validate a UUID is '[0-9a-f]{{8}}[0-9a-f]{{4}}[1-5][0-9a-f]{{3}}[89ab][0-9a-f]{{3}}[0-9a-f]{{12}}'"
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("parameters")) as raw_client:
        yield raw_client


@pytest.fixture(scope="module")
def strict_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("strict")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def strict(strict_folder: Path) -> AsyncIterator[RawClient]:
    async with open_raw_client(strict_folder, strict=True) as raw_client:
        yield raw_client


def mandatory(field: str) -> str:
    return f"field[{field}] of message[{VALIDATOR}] is mandatory, can not be null"


def too_long(field: str, limit: int, actual: int) -> str:
    limits = f"expected was <= {limit}, actual was {actual}"
    return f"field[{field}] of message[{VALIDATOR}] exceeds max length of string. {limits}"


@rows(
    ("changes", "code", "details"),
    [
        pytest.param({"url": None}, "SYS.1007", mandatory("url"), id="5.2 required"),
        pytest.param({"name": "x" * 256}, "SYS.1007", too_long("name", 255, 256), id="5.2 max length"),
        pytest.param({"name": f" {'x' * 255} "}, "BS", "", id="5.2 trimmed before it is measured"),
        pytest.param({"password": "x" * 255 + " "}, "BS", "", id="5.2 a password is trimmed like any other string"),
        pytest.param({"url": "x" * 2049}, "SYS.1007", too_long("url", 2048, 2049), id="5.2 max length of a url"),
        pytest.param({"description": "x" * 2049}, "SYS.1007", too_long("description", 2048, 2049), id="5.2 optional"),
        pytest.param({"hostname": ""}, "SYS.1007", "field[hostname] cannot be an empty string", id="5.2 empty string"),
        pytest.param({"url": "  "}, "SYS.1007", "field[url] cannot be an empty string", id="5.2 empty when trimmed"),
        pytest.param({"name": "", "username": ""}, "BS", "", id="5.2 an empty string satisfies required"),
        pytest.param({"sshPort": -1}, "SYS.1007", PORT_RANGE, id="5.2 too small"),
        pytest.param({"sshPort": 65536}, "SYS.1007", PORT_RANGE, id="5.2 too large"),
        pytest.param({"sshPort": 0}, "BS", "", id="5.2 0 means unset"),
        pytest.param({"resourceUuid": "xyz"}, "SYS.1007", NO_UUID.format("xyz"), id="5.1 no uuid"),
        pytest.param({"resourceUuid": "B1000000000040008000000000000009"}, "SYS.1007",
            NO_UUID.format("B1000000000040008000000000000009"), id="5.1 upper case"),
        pytest.param({"resourceUuid": "b1000000000060008000000000000009"}, "SYS.1007",
            NO_UUID.format("b1000000000060008000000000000009"), id="5.1 version 6"),
        pytest.param({"resourceUuid": "b1000000000040007000000000000009"}, "SYS.1007",
            NO_UUID.format("b1000000000040007000000000000009"), id="5.1 variant 7"),
        pytest.param({"resourceUuid": ""}, "BS", "", id="5.1 empty means unset"),
        pytest.param({"tagUuids": ["x", "y"]}, "SYS.1003",
            "invalid field[tagUuids], resource[uuids:[x, y], type:TagPatternVO] not found", id="5.2 resources"),
        pytest.param({"systemTags": ["a", None]}, "SYS.1007", "field[systemTags] cannot contain a NULL element",
            id="5.2 null in a list"),
        pytest.param({"requestIp": "1.2.3.4", "sessionId": "x", "timeout": 1, "nosuch": {}}, "BS", "",
            id="5.1 unknown keys"),
        pytest.param({"type": None, "description": None, "importImages": None}, "BS", "", id="5.3 null is absent"),
    ],
)  # fmt: skip
async def test_the_rules_of_an_add(raw_client: RawClient, changes: dict[str, object], code: str, details: str) -> None:
    """An add that keeps all rules fails at its host, which does not exist: code BS."""
    error = (await raw_client.call("POST", STORAGES, {"params": GOOD | {"sshPort": 1} | changes})).error
    if code == "BS":
        assert error["code"] == "SYS.1002"
        assert error["cause"]["code"] == "BS.1500"
    else:
        assert (error["code"], error["description"][:8], error["details"]) == (code, error["description"][:8], details)


async def test_the_first_broken_rule_in_java_s_order_is_reported(raw_client: RawClient) -> None:
    """The order is that of a HashMap, whatever the order in the body (wire-protocol 5.2)."""
    broken: dict[str, object] = {
        "importImages": True,
        "username": "x" * 256,
        "resourceUuid": "x",
        "systemTags": [None],
        "name": "x" * 256,
        "tagUuids": ["x"],
        "password": "x" * 256,
        "hostname": "",
        "url": "",
        "description": "x" * 2049,
        "sshPort": 70000,
    }
    order = []
    while "username" in broken:
        details = (await raw_client.call("POST", STORAGES, {"params": {**GOOD, **broken}})).error["details"]
        order.append(details.split("[")[1].split("]")[0])
        del broken[order[-1]]
    assert order == [
        "sshPort", "description", "url", "hostname", "password", "tagUuids", "name", "systemTags", "username"
    ]  # fmt: skip


@rows(
    ("action", "details"),
    [
        pytest.param({"changeBackupStorageState": {}}, mandatory("stateEvent"), id="5.2 required"),
        pytest.param({"changeBackupStorageState": {"stateEvent": "Enable"}},
            f"valid value for field[stateEvent] of message[{VALIDATOR}] are [enable, disable], but Enable found",
            id="5.2 valid values, case-sensitive"),
        pytest.param({"changeBackupStorageState": {"stateEvent": ""}},
            f"valid value for field[stateEvent] of message[{VALIDATOR}] are [enable, disable], but  found",
            id="5.2 empty is no valid value"),
    ],
)  # fmt: skip
async def test_a_value_must_be_one_of_the_valid_values(raw_client: RawClient, action: object, details: str) -> None:
    assert (await raw_client.call("PUT", f"{ONE}/actions", action)).error["details"] == details


async def test_a_valid_value_is_trimmed_first(raw_client: RawClient) -> None:
    """Source: wire-protocol 5.2."""
    body = {"changeBackupStorageState": {"stateEvent": " enable\t"}}
    assert (await raw_client.call("PUT", f"{ONE}/actions", body)).status == 200


@rows("name", ["a/b", "a@b", "a!"])
async def test_a_value_must_match_the_regular_expression(raw_client: RawClient, name: str) -> None:
    """Source: wire-protocol 5.2."""
    details = (await raw_client.call("POST", ZONES, {"params": {"name": name}})).error["details"]
    assert details.startswith(f"valid regex value for field[name] of message[{VALIDATOR}] are ")
    assert details.endswith(f", but {name} found")


@rows(
    ("target", "status", "details"),
    [
        pytest.param(f"{ZONES}/{UNKNOWN}", 200, "", id="5.2 a deletion of what is not there succeeds"),
        pytest.param(f"{ZONES}/malformed", 503, "invalid value[malformed] of field [uuid]", id="5.2 unless malformed"),
        pytest.param(f"{V1}/backup-storage/{UNKNOWN}", 200, "", id="5.2 a storage that is not there"),
        pytest.param(f"{V1}/backup-storage/malformed", 200, "", id="5.2 a storage, malformed"),
        pytest.param(f"{V1}/backup-storage/{UNKNOWN}?deleteMode=x", 200, "", id="5.1 the mode is not looked at"),
    ],
)
async def test_deleting_a_missing_resource_succeeds(
    raw_client: RawClient, target: str, status: int, details: str
) -> None:
    answer = await raw_client.call("DELETE", target)
    assert answer.status == status
    assert answer.text == "{}" if status == 200 else answer.error["details"] == details


@rows("query", ["", "?deleteMode=", "?deleteMode=Permissive", "?deleteMode=Enforcing", "?x=1"])
async def test_every_delete_mode_is_accepted(raw_client: RawClient, query: str) -> None:
    """Source: wire-protocol 5.1."""
    zone = await raw_client.make_zone()
    assert (await raw_client.call("DELETE", f"{ZONES}/{zone['uuid']}{query}")).text == "{}"


@rows("mode", ["permissive", "Force", "x"])
async def test_an_unknown_delete_mode_is_refused(raw_client: RawClient, mode: str) -> None:
    """Source: wire-protocol 5.1."""
    error = (await raw_client.call("DELETE", f"{ZONES}/{ZONE}?deleteMode={mode}")).error
    enum = "org.zstack.header.message.APIDeleteMessage.DeletionMode"
    assert (error["code"], error["details"]) == ("SYS.1000", f"No enum constant {enum}.{mode}")


@rows(
    ("changes", "status", "text"),
    [
        pytest.param({"sshPort": "abc"}, 400, "[sshPort] field is excepted an int or long, but was [abc].",
            id="5.3 no number"),
        pytest.param({"sshPort": 1.5}, 400, "[sshPort] field is excepted an int or long, but was [1.5].",
            id="5.3 a fraction"),
        pytest.param({"sshPort": [1, "a"]}, 400, "[sshPort] field is excepted an int or long, but was [[1, a]].",
            id="5.3 a list, as Java prints it"),
        pytest.param({"sshPort": {"a": None}}, 400, "[sshPort] field is excepted an int or long, but was [{a=null}].",
            id="5.3 a map, as Java prints it"),
        pytest.param({"sshPort": ""}, 400, "[sshPort] field is excepted an int or long, but was [].", id="5.3 empty"),
        pytest.param({"sshPort": 3000000000}, 500,
            "3000000000 is Integer overflow, Integer.MAX_VALUE is 2147483647", id="5.3 overflow"),
        pytest.param({"name": {}}, 500,
            "java.lang.IllegalStateException: Expected a string but was BEGIN_OBJECT at line 1 column 10 path $.name",
            id="5.3 an object for a string"),
        pytest.param({"systemTags": "a"}, 500,
            "java.lang.IllegalStateException: Expected BEGIN_ARRAY but was STRING at line 1 column 91"
            " path $.systemTags",
            id="5.3 a string for a list"),
    ],
)  # fmt: skip
async def test_a_value_of_the_wrong_type_is_refused_at_once(
    raw_client: RawClient, changes: dict[str, object], status: int, text: str
) -> None:
    answer = await raw_client.send("POST", STORAGES, {"params": GOOD | changes})
    assert (answer.status, answer.text) == (status, text)


@rows("value", ["yes", 1])
async def test_a_value_that_is_not_a_boolean_is_refused_at_once(raw_client: RawClient, value: object) -> None:
    """This holds for a field that the API's own class declares; Gson checks inherited ones (wire-protocol 5.3)."""
    answer = await raw_client.send("POST", f"{V1}/zones", {"params": {"name": "z", "isDefault": value}})
    text = f"Invalid value for boolean field [isDefault], [{value}] is not a valid boolean string[true, false]."
    assert (answer.status, answer.text) == (400, text)


@rows(
    ("body", "text"),
    [
        pytest.param({"params": []}, "java.util.ArrayList cannot be cast to java.util.Map", id="a list"),
        pytest.param({"params": "x"}, "java.lang.String cannot be cast to java.util.Map", id="a string"),
        pytest.param({"systemTags": "x"}, "java.lang.String cannot be cast to java.util.List", id="tags"),
        pytest.param({"userTags": {}}, "com.google.gson.internal.LinkedTreeMap cannot be cast to java.util.List",
            id="user tags"),
    ],
)  # fmt: skip
async def test_a_value_that_java_cannot_cast_is_refused(raw_client: RawClient, body: object, text: str) -> None:
    """Source: wire-protocol 5.3."""
    answer = await raw_client.send("POST", STORAGES, body)
    assert (answer.status, answer.text) == (500, text)


@rows("port", ["1", 1.0, "1.0", 1, "1e0"])
@rows("flag", ["true", "FALSE", True, None])
async def test_values_are_converted_to_the_type_of_their_field(
    raw_client: RawClient, port: object, flag: object
) -> None:
    """Source: wire-protocol 5.3."""
    error = (await raw_client.call("POST", STORAGES, {"params": GOOD | {"sshPort": port, "importImages": flag}})).error
    assert error["cause"]["opaque"] == {"reason": "refused"}


async def test_numbers_and_booleans_are_accepted_as_strings(raw_client: RawClient) -> None:
    """Source: wire-protocol 5.3."""
    for given, stored in ((5, "5"), (True, "true"), (1.5, "1.5")):
        body = {"updateBackupStorage": {"description": given}}
        ended = await raw_client.call("PUT", f"{ONE}/actions", body)
        assert ended.json["inventory"]["description"] == stored


@rows(
    ("query", "status", "text"),
    [
        pytest.param("accountName=admin&accountName=b", 400, "Invalid query parameter[accountName], only one value is"
            " allowed for the parameter but multiple values found", id="5.3 a scalar twice"),
        pytest.param(f"accountName=admin&password={sha512('password')}&nosuch=1&no.such=2", 200, "",
            id="5.3 unknown names"),
        pytest.param(f"accountName=admin&password={sha512('password')}&clientInfo.clientIp=1.2.3.4", 200, "",
            id="5.3 a map"),
        pytest.param("clientInfo.a=1&clientInfo.a=2", 400, "duplicate map query parameter[clientInfo.a], there has been"
            " a parameter with the same map key", id="5.3 a map key twice"),
        pytest.param(f"accountName=admin&password={sha512('password')}&systemTags=a&systemTags=b", 200, "",
            id="5.3 a list by repetition"),
        pytest.param(f"accountName=admin&password={sha512('password')}&systemTags.1=b&systemTags.0=a", 200, "",
            id="5.3 a list by index"),
    ],
)  # fmt: skip
async def test_a_query_string(raw_client: RawClient, query: str, status: int, text: str) -> None:
    answer = await raw_client.send("GET", f"{LOGIN}?{query}", anonymous=True)
    assert answer.status == status
    assert not text or answer.text == text


class TestTags:
    """Source: wire-protocol 5.1."""

    @pytest.mark.parametrize("place", ["beside", "inside"])
    async def test_tags_are_stored_with_the_new_resource(self, raw_client: RawClient, place: str) -> None:
        tags: dict[str, object] = {"systemTags": ["remote", "remote", f"{CIDR}10.0.0.0/8"], "userTags": [place, place]}
        body = {"params": {"name": "z"}, **tags} if place == "beside" else {"params": {"name": "z", **tags}}
        zone = (await raw_client.call("POST", ZONES, body)).json["inventory"]["uuid"]
        for condition in ("__systemTag__=remote", f"__systemTag__={CIDR}10.0.0.0/8", f"__userTag__={place}"):
            found = await raw_client.send("GET", f"{ZONES}?q={condition}&q=uuid={zone}")
            assert [one["uuid"] for one in found.json["inventories"]] == [zone], condition

    async def test_top_level_tags_replace_those_among_the_parameters(self, raw_client: RawClient) -> None:
        name = uuid.uuid4().hex
        body = {"params": {"name": name, "userTags": ["inside"]}, "userTags": ["beside"]}
        await raw_client.call("POST", ZONES, body)
        for tag, count in (("beside", 1), ("inside", 0)):
            query = f"q=name={name}&q=__userTag__={tag}&count=true"
            assert (await raw_client.send("GET", f"{ZONES}?{query}")).json["total"] == count

    @pytest.mark.parametrize(
        ("tags", "details"),
        [
            (["nosuch"], "no system tag matches nosuch"),
            (["remote", "nosuch::x"], "no system tag matches nosuch::x"),
            (["Remote"], "no system tag matches Remote"),
            (["remote", "ephemeral::x"], "no system tag matches ephemeral::x"),
            (
                [f"{CIDR}10.0.0.0/8", f"{CIDR}11.0.0.0/8"],
                "only one backup storage data network system tag is allowed, but 2 got",
            ),
            ([f"{CIDR}10.1.2.3/8"], "[10.1.2.3/8] is not a standard cidr, do you mean [10.0.0.0/8]?"),
        ],
    )
    async def test_a_system_tag_that_is_not_allowed_is_refused(
        self, raw_client: RawClient, tags: list[str], details: str
    ) -> None:
        for target, parameters in ((ZONES, {"name": "z"}), (STORAGES, GOOD)):
            error = (await raw_client.call("POST", target, {"params": parameters, "systemTags": tags})).error
            assert (error["code"], error["details"]) == ("SYS.1007", details)

    @pytest.mark.parametrize(
        "tags", [[], ["onlybackup"], ["allowbackup"], ["extraips::1.2.3.4,1.2.3.5"], ["ephemeral::x", "ephemeral::y"]]
    )
    async def test_a_known_system_tag_is_accepted(self, raw_client: RawClient, tags: list[str]) -> None:
        assert (await raw_client.call("POST", ZONES, {"params": {"name": "z"}, "systemTags": tags})).status == 200

    async def test_an_ephemeral_one_is_not_stored(self, raw_client: RawClient) -> None:
        zone = (await raw_client.call("POST", ZONES, {"params": {"name": "z"}, "systemTags": ["ephemeral::x"]})).json
        query = f"q=uuid={zone['inventory']['uuid']}&q=__systemTag__=ephemeral::x&count=true"
        assert (await raw_client.send("GET", f"{ZONES}?{query}")).json["total"] == 0

    async def test_a_failed_call_leaves_no_tag(self, raw_client: RawClient) -> None:
        resource = uuid.uuid4().hex
        body = {
            "params": GOOD | {"sshPort": 1, "resourceUuid": resource},
            "userTags": ["left"],
            "systemTags": ["remote"],
        }
        assert (await raw_client.call("POST", STORAGES, body)).status == 503
        assert (await raw_client.send("GET", f"{STORAGES}?q=__userTag__=left&count=true")).json["total"] == 0

    async def test_tags_are_ignored_by_a_call_that_creates_nothing(self, raw_client: RawClient) -> None:
        body = {"updateBackupStorage": {"name": "imagestore-1"}, "systemTags": ["nosuch"], "userTags": ["x"]}
        assert (await raw_client.call("PUT", f"{ONE}/actions", body)).status == 200
        assert (await raw_client.send("GET", f"{STORAGES}?q=__userTag__=x&count=true")).json["total"] == 0


async def test_a_chosen_resource_uuid_is_used(raw_client: RawClient) -> None:
    """Source: wire-protocol 5.1."""
    chosen = "a1000000000010009000000000000077"
    assert (await raw_client.make_zone(resourceUuid=chosen))["uuid"] == chosen


class TestAStrictNode:
    """A strict node refuses what a lenient one accepts (docs/fidelity.md)."""

    async def test_refuses_an_empty_resource_uuid(self, strict: RawClient) -> None:
        error = (await strict.call("POST", ZONES, {"params": {"name": "z", "resourceUuid": ""}})).error
        assert error["details"] == NO_UUID.format("")

    async def test_refuses_a_port_of_zero(self, strict: RawClient) -> None:
        error = (await strict.call("POST", STORAGES, {"params": GOOD | {"sshPort": 0}})).error
        assert error["details"] == PORT_RANGE

    async def test_refuses_an_empty_delete_mode(self, strict: RawClient) -> None:
        error = (await strict.call("DELETE", f"{ZONES}/{ZONE}?deleteMode=")).error
        assert error["details"] == "No enum constant org.zstack.header.message.APIDeleteMessage.DeletionMode."

    async def test_accepts_everything_else(self, strict: RawClient) -> None:
        assert (await strict.call("POST", ZONES, b"{params: {name: 'z'}}")).status == 200
