"""The legacy API, as the official zstack-cli and the vendor's MCP server use it (wire-protocol 8, clients 1.5, 1.7)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from raw_client import STORAGE, UNKNOWN, ZONE, ZONES, RawClient, Response, open_raw_client, sha512

from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
API = "/zstack/api/"
LOGIN = "org.zstack.header.identity.APILogInByAccountMsg"
QUERY_ZONE = "org.zstack.header.zone.APIQueryZoneMsg"
CREATE_ZONE = "org.zstack.header.zone.APICreateZoneMsg"
STORAGES = "org.zstack.header.storage.backup"
IMAGE_STORES = "org.zstack.storage.backup.imagestore"
PAIR = {"zoneUuid": ZONE, "backupStorageUuid": STORAGE}
DATE = re.compile(r"[A-Z][a-z]{2} [1-9]\d?, \d{4} ([1-9]|1[0-2]):\d\d:\d\d (AM|PM)")
Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("legacy")) as raw_client:
        yield raw_client


async def send_message(
    raw_client: RawClient, name: str, fields: Mapping[str, object], *, path: str = API, method: str = "POST"
) -> Response:
    return await raw_client.send(
        method, path, {name: {"session": {"uuid": raw_client.session}, **fields}}, anonymous=True
    )


async def done(raw_client: RawClient, answer: Response) -> tuple[str, Json]:
    """Return the class and the members of a result, polling the job of an asynchronous message."""
    body = answer.json
    while body["state"] == "Processing":
        await asyncio.sleep(0.01)
        body = (await raw_client.send("GET", f"{API}result/{body['uuid']}", anonymous=True)).json
    assert body["state"] == "Done"
    [(key, value)] = json.loads(body["result"]).items()
    return key, value


async def result(raw_client: RawClient, name: str, fields: Mapping[str, object]) -> Json:
    return (await done(raw_client, await send_message(raw_client, name, fields)))[1]


@rows("path", ["/zstack/api", "/zstack/api/"])
@rows("method", ["POST", "PUT"])
async def test_a_synchronous_message_is_done_at_once(raw_client: RawClient, path: str, method: str) -> None:
    """The answer has its members in order, and its result one key (wire-protocol 8)."""
    answer = await send_message(raw_client, QUERY_ZONE, {"conditions": []}, path=path, method=method)
    assert (answer.status, list(answer.json)) == (200, ["state", "createdDate", "finishedDate", "result"])
    assert DATE.fullmatch(answer.json["createdDate"])
    key, value = await done(raw_client, answer)
    assert key == "org.zstack.header.zone.APIQueryZoneReply"
    assert (value["success"], value["inventories"][0]["uuid"]) == (True, ZONE)


async def test_an_asynchronous_message_is_polled_for(raw_client: RawClient) -> None:
    """Source: wire-protocol 8."""
    answer = await send_message(raw_client, CREATE_ZONE, {"name": "legacy"})
    assert (list(answer.json), answer.json["state"]) == (["uuid", "state", "createdDate"], "Processing")
    key, value = await done(raw_client, answer)
    assert key == "org.zstack.header.zone.APICreateZoneEvent"
    assert (value["success"], value["inventory"]["name"]) == (True, "legacy")
    for method in ("GET", "PUT"):
        again = await raw_client.send(method, f"{API}result/{answer.json['uuid']}", anonymous=True)
        assert list(again.json) == ["uuid", "state", "createdDate", "finishedDate", "result"]


async def test_a_job_of_either_api_is_found_in_both(raw_client: RawClient) -> None:
    accepted = await raw_client.send("POST", ZONES, {"params": {"name": "z"}})
    ended = await raw_client.follow(accepted)
    job = accepted.json["location"].rpartition("/")[2]
    legacy = await done(raw_client, await raw_client.send("GET", f"{API}result/{job}", anonymous=True))
    assert legacy[1]["inventory"] == ended.json["inventory"]
    there = (await send_message(raw_client, CREATE_ZONE, {"name": "z"})).json["uuid"]
    polled = Response(202, {}, json.dumps({"location": f"http://x/zstack/v1/api-jobs/{there}"}))
    assert (await raw_client.follow(polled)).json["inventory"]["name"] == "z"


async def test_logging_in_and_out(raw_client: RawClient) -> None:
    """The session is `{}` at first (clients 1.5)."""
    fields = {"accountName": "admin", "password": sha512("password"), "session": {}}
    key, value = await done(raw_client, await send_message(raw_client, LOGIN, fields))
    session = value["inventory"]["uuid"]
    assert "noSessionEvaluation" not in value["inventory"]
    assert (key, value["success"]) == ("org.zstack.header.identity.APILogInReply", True)
    logout = {"sessionUuid": session, "session": {"uuid": session}}
    assert await result(raw_client, "org.zstack.header.identity.APILogOutMsg", logout) == {"success": True}
    expired = await result(raw_client, QUERY_ZONE, {"session": {"uuid": session}})
    assert (expired["success"], expired["error"]["code"], expired["error"]["details"]) == (
        False,
        "ID.1001",
        "Session expired",
    )


@rows(
    ("fields", "details"),
    [
        ({}, f"session of message[{QUERY_ZONE}] is null"),
        ({"session": None}, f"session of message[{QUERY_ZONE}] is null"),
        ({"session": {}}, "session uuid is null"),
        ({"session": {"uuid": None}}, "session uuid is null"),
    ],
)
async def test_a_message_without_a_session_is_refused(raw_client: RawClient, fields: Json, details: str) -> None:
    """A call that fails before its handler is answered with a base class, without `messages` (wire-protocol 2.3)."""
    key, value = await done(raw_client, await raw_client.send("POST", API, {QUERY_ZONE: fields}, anonymous=True))
    assert key == "org.zstack.header.message.APIReply"
    assert list(value) == ["success", "error"]
    assert list(value["error"]) == ["code", "description", "details", "elaboration", "cost"]
    assert (value["error"]["code"], value["error"]["details"]) == ("ID.1001", details)


@rows(
    ("message", "fields", "name"),
    [
        pytest.param(LOGIN, {"accountName": "admin", "password": "x"}, "org.zstack.header.identity.APILogInReply",
            id="its own handler answers a wrong password"),
        pytest.param(LOGIN, {"accountName": "admin"}, "org.zstack.header.message.APIReply", id="a parameter missing"),
        pytest.param(CREATE_ZONE, {}, "org.zstack.header.message.APIEvent", id="an event"),
        pytest.param("org.zstack.storage.backup.sftp.APIUpdateSftpBackupStorageMsg", {"uuid": "x"},
            "org.zstack.header.message.APIEvent", id="no such resource"),
    ],
)  # fmt: skip
async def test_a_call_that_fails_before_its_handler_is_answered_with_a_base_class(
    raw_client: RawClient, message: str, fields: Json, name: str
) -> None:
    key, value = await done(raw_client, await send_message(raw_client, message, fields))
    assert (key, value["success"]) == (name, False)


async def test_an_asynchronous_failure_is_in_the_result(raw_client: RawClient) -> None:
    value = await result(raw_client, CREATE_ZONE, {})
    assert (list(value), value["success"], value["error"]["code"]) == (["success", "error"], False, "SYS.1007")


@rows("name", ["org.zstack.header.apimediator.APIIsReadyToGoMsg"])
async def test_readiness_needs_no_session(raw_client: RawClient, name: str) -> None:
    """Source: wire-protocol 8."""
    answer = await raw_client.send("POST", "/zstack/api", {name: {}}, anonymous=True)
    assert await done(raw_client, answer) == (f"{name.removesuffix('Msg')}Reply", {"success": True})


@rows(
    ("conditions", "count"),
    [
        pytest.param([], 1, id="none"),
        pytest.param([{"name": "name", "op": "=", "value": "imagestore-1"}], 1, id="="),
        pytest.param([{"name": "name", "op": "!=", "value": "imagestore-1"}], 0, id="!="),
        pytest.param([{"name": "totalCapacity", "op": ">", "value": "999"}], 1, id=">"),
        pytest.param([{"name": "totalCapacity", "op": ">=", "value": 1001}], 0, id=">= with a number"),
        pytest.param([{"name": "totalCapacity", "op": "<", "value": "1000"}], 0, id="<"),
        pytest.param([{"name": "totalCapacity", "op": "<=", "value": "1000"}], 1, id="<="),
        pytest.param([{"name": "name", "op": "in", "value": "a,imagestore-1"}], 1, id="in"),
        pytest.param([{"name": "name", "op": "not in", "value": "a,imagestore-1"}], 0, id="not in"),
        pytest.param([{"name": "name", "op": "like", "value": "%store%"}], 1, id="like"),
        pytest.param([{"name": "name", "op": "not like", "value": "%store%"}], 0, id="not like"),
        pytest.param([{"name": "description", "op": "is null", "value": ""}], 1, id="is null"),
        pytest.param([{"name": "description", "op": "is not null"}], 0, id="is not null"),
        pytest.param([{"name": "__userTag__", "op": "=", "value": "gold"}], 1, id="a tag"),
        pytest.param(
            [{"name": "state", "op": "=", "value": "Enabled"}, {"name": "sshPort", "op": "=", "value": "23"}],
            0,
            id="all must hold",
        ),
    ],
)
@rows("name", [f"{STORAGES}.APIQueryBackupStorageMsg", f"{IMAGE_STORES}.APIQueryImageStoreBackupStorageMsg"])
async def test_the_conditions_of_a_query(raw_client: RawClient, name: str, conditions: list[Json], count: int) -> None:
    if "QueryBackupStorage" in name and any(one["name"] == "sshPort" for one in conditions):
        conditions = [*conditions[:-1], {"name": "name", "op": "=", "value": "x"}]
    value = await result(raw_client, name, {"conditions": conditions, "replyWithCount": "true", "limit": "50"})
    assert (len(value["inventories"]), value["total"], value["success"]) == (count, count, True)


async def test_the_other_parameters_of_a_query(raw_client: RawClient) -> None:
    """Numbers and booleans may be strings (clients 1.5, 1.7)."""
    for name in ("a-1", "a-2", "a-3"):
        await raw_client.make_zone(name=name)
    conditions = [{"name": "name", "op": "like", "value": "a-%"}]
    for fields in (
        {"limit": "2", "start": "1", "sortBy": "name", "sortDirection": "desc", "fields": ["name"]},
        {"limit": 2, "start": 1, "sortBy": "name", "sortDirection": "DESC", "fields": ["name"], "count": False},
    ):
        value = await result(raw_client, QUERY_ZONE, {"conditions": conditions, **fields})
        assert [zone["name"] for zone in value["inventories"]] == ["a-2", "a-1"]
        assert all(set(zone) <= {"name", "isDefault"} for zone in value["inventories"])
    counted = await result(raw_client, QUERY_ZONE, {"conditions": conditions, "count": "true"})
    assert counted == {"total": 3, "success": True}


@rows(
    ("condition", "details"),
    [
        ({"name": "name", "op": "~=", "value": "a"}, "unknown QueryOp type[~=]"),
        ({"name": "name", "value": "a"}, "unknown QueryOp type[null]"),
        (
            {"name": "name", "op": "="},
            '\'value\' of query condition {"name":"name","op":"="} cannot be null',
        ),
    ],
)
async def test_an_invalid_condition_is_refused(raw_client: RawClient, condition: Json, details: str) -> None:
    value = await result(raw_client, QUERY_ZONE, {"conditions": [condition]})
    assert (value["success"], value["error"]["code"], value["error"]["details"]) == (False, "SYS.1007", details)


@rows(
    ("name", "fields", "path"),
    [
        (f"{STORAGES}.APIUpdateBackupStorageMsg", {"uuid": STORAGE, "description": "x"}, "inventory"),
        (f"{STORAGES}.APIChangeBackupStorageStateMsg", {"uuid": STORAGE, "stateEvent": "enable"}, "inventory"),
        (f"{IMAGE_STORES}.APIUpdateImageStoreBackupStorageMsg", {"uuid": STORAGE, "sshPort": "22"}, "inventory"),
        (f"{STORAGES}.APIDeleteBackupStorageMsg", {"uuid": UNKNOWN, "deleteMode": "Permissive"}, "success"),
        ("org.zstack.header.managementnode.APIGetVersionMsg", {}, "version"),
        ("org.zstack.header.managementnode.APIQueryManagementNodeMsg", {}, "inventories"),
        ("org.zstack.core.config.APIUpdateGlobalConfigMsg",
         {"category": "backupStorage", "name": "ping.interval", "value": "60"}, "inventory"),
    ],
)  # fmt: skip
async def test_every_message_that_the_clients_send_is_served(
    raw_client: RawClient, name: str, fields: Json, path: str
) -> None:
    """All path variables come as fields; values may be strings (clients 1.5, 1.7)."""
    value = await result(raw_client, name, fields)
    assert value["success"] is True
    assert path in value


async def test_a_storage_is_attached_to_a_zone_and_detached(raw_client: RawClient) -> None:
    for name in ("APIAttachBackupStorageToZoneMsg", "APIDetachBackupStorageFromZoneMsg"):
        value = await result(raw_client, f"{STORAGES}.{name}", PAIR)
        assert value["success"] is True
        assert value["inventory"]["uuid"] == STORAGE


async def test_an_add_with_strings_fails_at_the_host_alone(raw_client: RawClient) -> None:
    """Source: clients 1.5."""
    new = {"name": "n", "hostname": "127.0.0.1", "username": "u", "password": "p", "url": "/z", "sshPort": "1"}
    value = await result(
        raw_client, f"{IMAGE_STORES}.APIAddImageStoreBackupStorageMsg", new | {"importImages": "false"}
    )
    assert value["error"]["cause"]["code"] == "BS.1500"


@rows(
    ("body", "text"),
    [
        pytest.param(b'{"org.zstack.NoSuchMsg": {}}', "Unable to deserialize class org.zstack.NoSuchMsg", id="a class"),
        pytest.param(b'{"APIQueryZoneMsg": {}}', "Unable to deserialize class APIQueryZoneMsg", id="a short name"),
        pytest.param(b"abc", 'java.lang.IllegalStateException: Not a JSON Object: "abc"', id="no JSON"),
        pytest.param(b"[1, {a: null}]", 'java.lang.IllegalStateException: Not a JSON Object: [1,{"a":null}]',
            id="a list"),
        pytest.param(b'{"a": {"b": ', "java.io.EOFException: End of input at line 1 column 13 path $.a.b", id="an end"),
        pytest.param(b'{"%s": 5}' % QUERY_ZONE.encode(),
            "java.lang.IllegalStateException: Expected BEGIN_OBJECT but was NUMBER at path $", id="no fields"),
        pytest.param(b'{"%s": {"limit": "x"}}' % QUERY_ZONE.encode(),
            'java.lang.NumberFormatException: For input string: "x"', id="no number"),
        pytest.param(b'{"%s": {"fields": "x"}}' % QUERY_ZONE.encode(),
            "java.lang.IllegalStateException: Expected BEGIN_ARRAY but was STRING at path $.fields", id="no list"),
    ],
)  # fmt: skip
async def test_a_message_that_cannot_be_decoded_is_answered_with_a_text(
    raw_client: RawClient, body: bytes, text: str
) -> None:
    """The status is 200 (wire-protocol 8)."""
    answer = await raw_client.send("POST", API, body, anonymous=True)
    assert (answer.status, answer.text) == (200, text)


@rows("body", [b"", b" ", b"null", b"{}", b'{"%s": null}' % QUERY_ZONE.encode()])
async def test_a_body_on_which_zstack_fails_is_answered_with_a_page(raw_client: RawClient, body: bytes) -> None:
    answer = await raw_client.send("POST", API, body, anonymous=True)
    assert (answer.status, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")


async def test_an_unknown_result_is_answered_with_a_page(raw_client: RawClient) -> None:
    """Source: wire-protocol 8."""
    answer = await raw_client.send("GET", f"{API}result/nosuch", anonymous=True)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "No api result[uuid:nosuch] found" in answer.text


@rows(("method", "path"), [("GET", API), ("DELETE", API), ("POST", f"{API}result/x"), ("DELETE", f"{API}result/x")])
async def test_other_methods_are_refused(raw_client: RawClient, method: str, path: str) -> None:
    assert (await raw_client.send(method, path, anonymous=True)).status == 405


async def test_a_silent_connection_is_closed(raw_client: RawClient) -> None:
    """The CLI learns its own address that way (clients 1.5)."""
    host, _, port = raw_client.address.partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()
    assert (await raw_client.send("GET", ZONES)).status == 200


async def test_tags_and_roles_are_checked_here_too(raw_client: RawClient) -> None:
    value = await result(raw_client, CREATE_ZONE, {"name": "z", "systemTags": ["nosuch"]})
    assert value["error"]["details"] == "no system tag matches nosuch"
    session = (await raw_client.log_in("test", "secret"))["uuid"]
    value = await result(raw_client, CREATE_ZONE, {"name": "z", "session": {"uuid": session}})
    assert value["error"]["code"] == "ID.1002"
