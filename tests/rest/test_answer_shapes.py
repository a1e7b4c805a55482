"""Answers: their members, schema and encoding (wire-protocol 4), and errors (wire-protocol 7)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from raw_client import STORAGE, STORAGES, UNKNOWN, ZONE, ZONES, RawClient, open_raw_client

from imagestore_sim.rest.errors import DESCRIPTIONS, ErrorCode
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
V1 = "/zstack/v1"
ONE = f"{V1}/backup-storage/{STORAGE}"
IMAGE_STORE = "org.zstack.storage.backup.imagestore.ImageStoreBackupStorageInventory"
GENERIC = "org.zstack.header.storage.backup.BackupStorageInventory"
ZONE_CLASS = "org.zstack.header.zone.ZoneInventory"
DATE = re.compile(r"[A-Z][a-z]{2} [1-9]\d?, \d{4} ([1-9]|1[0-2]):\d\d:\d\d (AM|PM)")
ODD = "a<b> & 'c'=d 镜像 \" \\"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("answers")) as raw_client:
        yield raw_client


@pytest.mark.parametrize(
    ("method", "target", "body", "keys"),
    [
        pytest.param("GET", ZONES, None, {"inventories", "schema"}, id="4.1 a query always has its schema"),
        pytest.param("GET", f"{ZONES}?replyWithCount=true", None, {"inventories", "schema", "total"}, id="4.1 total"),
        pytest.param("GET", f"{ZONES}?count=true", None, {"total", "schema"}, id="4.1 the count alone"),
        pytest.param("GET", f"{ZONES}/{UNKNOWN}", None, {"inventories", "schema"}, id="6.1 an unknown uuid"),
        pytest.param("POST", ZONES, {"params": {"name": "z"}}, {"inventory"}, id="4.1 a create"),
        pytest.param("PUT", f"{ONE}/actions", {"updateBackupStorage": {}}, {"inventory"}, id="4.1 an update"),
        pytest.param("DELETE", f"{V1}/backup-storage/{UNKNOWN}", None, set(), id="4.1 a deletion"),
        pytest.param("PUT", f"{V1}/management-nodes/actions", {"getVersion": {}}, {"version", "success"},
            id="4.1 success only where all fields are given"),
        pytest.param("GET", f"{V1}/accounts/sessions/x/valid", None, {"valid"}, id="4.1 one field"),
        pytest.param("GET", f"{ZONES}?q=nosuch=1", None, {"error"}, id="4.1 an error stands alone"),
    ],
)  # fmt: skip
async def test_the_keys_of_an_answer(
    raw_client: RawClient, method: str, target: str, body: object, keys: set[str]
) -> None:
    assert set((await raw_client.call(method, target, body)).json) == keys


async def test_the_keys_of_an_attachment_and_of_a_detachment(raw_client: RawClient) -> None:
    """Pin wire-protocol 4.1: both have the storage. They are one test, since the second needs the first."""
    for method in ("POST", "DELETE"):
        answer = await raw_client.call(method, f"{ZONES}/{ZONE}/backup-storage/{STORAGE}")
        assert set(answer.json) == {"inventory"}


@rows(
    ("method", "target", "body", "schema"),
    [
        pytest.param("GET", f"{V1}/backup-storage", None, {"inventories[0]": IMAGE_STORE}, id="4.2 a row's own class"),
        pytest.param("GET", f"{ZONES}?q=uuid={ZONE}", None, {"inventories[0]": ZONE_CLASS}, id="4.2 a list"),
        pytest.param("GET", f"{ZONES}/{UNKNOWN}", None, {}, id="4.2 an empty list"),
        pytest.param("GET", f"{ZONES}?count=true", None, {}, id="4.2 no list"),
        pytest.param("PUT", f"{ONE}/actions", {"updateBackupStorage": {}}, {"inventory": IMAGE_STORE}, id="4.2 one"),
        pytest.param("GET", f"{V1}/identity-models", None,
            {"configs[0]": "java.lang.String", "configs[1]": "java.lang.String"},
            id="4.2 plain elements of a top-level list"),
        pytest.param("GET", f"{V1}/accounts/sessions/x/valid", None, {}, id="4.2 plain values have no entry"),
        pytest.param("DELETE", f"{V1}/backup-storage/{UNKNOWN}", None, {}, id="4.2 nothing"),
    ],
)  # fmt: skip
async def test_the_schema(
    raw_client: RawClient, method: str, target: str, body: object, schema: dict[str, str]
) -> None:
    answer = await raw_client.send(method, target, body, X_JSON_Schema="true")
    if answer.status == 202:
        answer = await raw_client.follow(answer, X_JSON_Schema="true")
    assert answer.json["schema"] == schema


async def test_the_last_element_comes_first_in_a_schema(raw_client: RawClient) -> None:
    """Source: wire-protocol 4.2."""
    await raw_client.make_zone()
    keys = list((await raw_client.send("GET", ZONES)).json["schema"])
    assert keys == [f"inventories[{index}]" for index in reversed(range(len(keys)))]
    apis = (
        await raw_client.send("PUT", f"{V1}/management-nodes/actions", {"getSupportAPIs": {}}, X_JSON_Schema="1")
    ).json
    count = len(apis["supportApis"])
    assert list(apis["schema"]) == [f"supportApis[{index}]" for index in reversed(range(count))]


async def test_errors_have_no_schema_even_when_asked(raw_client: RawClient) -> None:
    """Source: wire-protocol 4.1."""
    assert list((await raw_client.send("GET", f"{ZONES}?q=nosuch=1", X_JSON_Schema="true")).json) == ["error"]


async def test_every_member_of_an_inventory(raw_client: RawClient) -> None:
    """Nulls are left out, empty lists kept, the subclass's fields first, numbers integers (wire-protocol 4.3)."""
    [inventory] = (await raw_client.send("GET", STORAGES)).json["inventories"]
    assert inventory == {
        "hostname": "10.0.0.1",
        "username": "root",
        "sshPort": 22,
        "uuid": STORAGE,
        "name": "imagestore-1",
        "url": "/zs/1",
        "totalCapacity": 1000,
        "availableCapacity": 100,
        "type": "ImageStoreBackupStorage",
        "state": "Enabled",
        "status": "Connected",
        "createDate": "Nov 5, 2017 8:05:04 AM",
        "lastOpDate": inventory["lastOpDate"],
        "attachedZoneUuids": [],
    }
    assert list(inventory)[:4] == ["hostname", "username", "sshPort", "uuid"]
    assert DATE.fullmatch(inventory["lastOpDate"])


async def test_json_is_compact(raw_client: RawClient) -> None:
    """Source: wire-protocol 4.3."""
    text = (await raw_client.send("GET", STORAGES)).text
    assert text == text.strip()
    assert text.startswith('{"inventories":[{"hostname":"10.0.0.1","username":"root","sshPort":22,')


async def test_success_bodies_are_safe_in_html(raw_client: RawClient) -> None:
    """Non-ASCII characters are not escaped (wire-protocol 4.3)."""
    escaped = r'"description":"a\u003cb\u003e \u0026 \u0027c\u0027\u003dd 镜像 \" \\"'
    ended = await raw_client.call("PUT", f"{ONE}/actions", {"updateBackupStorage": {"description": ODD}})
    assert ended.json["inventory"]["description"] == ODD
    assert escaped in ended.text
    assert escaped in (await raw_client.send("GET", STORAGES)).text


async def test_errors_of_jobs_are_escaped_and_those_of_synchronous_calls_are_not(raw_client: RawClient) -> None:
    """Source: wire-protocol 4.3."""
    body = {"changeBackupStorageState": {"stateEvent": "<'=&>"}}
    assert r"but \u003c\u0027\u003d\u0026\u003e found" in (await raw_client.call("PUT", f"{ONE}/actions", body)).text
    login = {"logIn": {"username": "a", "password": "b", "loginType": "<'=&>"}}
    assert "unsupported login type <'=&>" in (await raw_client.send("PUT", f"{V1}/login", login)).text


@rows(
    ("method", "target", "body", "error"),
    [
        pytest.param("POST", ZONES, {"params": {}}, [
            ("code", "SYS.1007"),
            ("description", "One or more API argument is invalid"),
            ("details", "field[name] of message[org.zstack.header.message.ApiMessageParamValidator] is mandatory,"
                        " can not be null"),
            ("cost", "1ms"),
        ], id="7.1 an argument"),
        pytest.param("PUT", f"{V1}/backup-storage/{UNKNOWN}/actions", {"reconnectBackupStorage": {}}, [
            ("code", "SYS.1003"),
            ("description", "A resource can not be found"),
            ("details", f"invalid field[uuid], resource[uuid:{UNKNOWN}, type:BackupStorageVO] not found"),
            ("cost", "1ms"),
        ], id="7.1 a resource"),
        pytest.param("DELETE", f"{ZONES}/{ZONE}/backup-storage/{STORAGE}", None, [
            ("code", "SYS.1006"),
            ("description", "An operation failed"),
            ("details", f"backup storage[uuid:{STORAGE}] has not been attached to zone[uuid:{ZONE}]"),
            ("cost", "1ms"),
        ], id="7.1 an operation"),
        pytest.param("DELETE", f"{ONE}?deleteMode=x", None, [
            ("code", "SYS.1000"),
            ("description", "An internal error happened in system"),
            ("details", "No enum constant org.zstack.header.message.APIDeleteMessage.DeletionMode.x"),
        ], id="7.1 nothing that was planned for has no cost"),
        pytest.param("GET", f"{ZONES}?q=nosuch=1", None, [
            ("code", "SYS.1000"),
            ("description", "An internal error happened in system"),
            ("details", "org.zstack.header.exception.CloudRuntimeException: inventory class[class"
                        " org.zstack.header.zone.ZoneInventory] not having field[nosuch]"),
        ], id="6.4 an unknown field has no cost"),
    ],
)  # fmt: skip
async def test_every_member_of_an_error(
    raw_client: RawClient, method: str, target: str, body: object, error: list[tuple[str, object]]
) -> None:
    assert list((await raw_client.call(method, target, body)).error.items()) == error


async def test_a_failed_add_has_its_cause(raw_client: RawClient) -> None:
    """The innermost error has the cost (wire-protocol 7.1)."""
    body = {
        "params": {"name": "n", "hostname": "127.0.0.1", "username": "u", "password": "p", "url": "/z", "sshPort": 1}
    }
    error = (await raw_client.call("POST", STORAGES, body)).error
    assert list(error) == ["code", "description", "details", "cause"]
    assert list(error["cause"]) == ["code", "description", "details", "cost", "opaque"]
    assert (error["code"], error["cause"]["code"], error["cause"]["opaque"]) == (
        "SYS.1002",
        "BS.1500",
        {"reason": "refused"},
    )
    assert error["details"] == error["cause"]["details"]


async def test_long_details_are_cut(raw_client: RawClient) -> None:
    """Source: wire-protocol 7.1."""
    body = {"changeBackupStorageState": {"stateEvent": "x" * 5000}}
    details = (await raw_client.call("PUT", f"{ONE}/actions", body)).error["details"]
    assert len(details) == 4096
    assert details.endswith("xxx...")


@rows("code", sorted(DESCRIPTIONS))
async def test_every_code_has_zstack_s_description(code: str) -> None:
    """Source: wire-protocol 7.3."""
    assert ErrorCode(code, "d").to_json()["description"] == DESCRIPTIONS[code] != ""
