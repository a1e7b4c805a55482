"""Paths, methods, statuses and headers (wire-protocol 1), and the order of checks (wire-protocol 0)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from raw_client import STORAGE, STORAGES, UNKNOWN, ZONE, ZONES, RawClient, open_raw_client, sha512

from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOGIN = "/zstack/v1/accounts/login"
ACTIONS = f"{STORAGES}/{STORAGE}/actions"
ADMIN = {"accountName": "admin", "password": sha512("password")}
NO_ACTION = "the body doesn't contain action mapping to the URL[{}]"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("urls")) as raw_client:
        yield raw_client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def strict_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("strict"), strict=True) as raw_client:
        yield raw_client


@rows(
    "target",
    [
        pytest.param(ZONES, id="1.1 with the context"),
        pytest.param("/v1/zones", id="1.1 without the context"),
        pytest.param(f"{ZONES}/{ZONE}", id="1.2 a variable"),
        pytest.param(f"/zstack/v1/zones//{ZONE}", id="1.2 two slashes inside"),
        pytest.param(f"//zstack/v1///zones/{ZONE}", id="1.2 two slashes at the start"),
        pytest.param(f"/v1//zones/{ZONE}", id="1.2 two slashes after the version"),
        pytest.param("/zstack/v1/%7Aones", id="1.2 a decoded literal"),
        pytest.param(f"{ZONES}?", id="1.2 an empty query string"),
        pytest.param(f"{ZONES}?q=name!=web-vm&sort=-createDate&fields=uuid", id="1.7 raw characters that may stand"),
        pytest.param(f"{ZONES}?q=name>=a", id="1.7 a raw > is forgiven"),
    ],
)
async def test_every_form_of_the_path_reaches_the_zones(raw_client: RawClient, target: str) -> None:
    answer = await raw_client.send("GET", target)
    assert (answer.status, answer.json["inventories"][0]["uuid"]) == (200, ZONE)


@rows(
    ("target", "shown"),
    [
        pytest.param("/zstack/v1/foo", "/v1/foo", id="1.5 unknown path"),
        pytest.param("/v1/foo", "/v1/foo", id="1.5 unknown path without the context"),
        pytest.param("/zstack/v1/foo%20b%C3%A9", "/v1/foo bé", id="1.5 shown decoded"),
        pytest.param("/zstack/v1/foo+b?x=1", "/v1/foo+b", id="1.2 a plus stays a plus"),
        pytest.param(f"{ZONES}/", "/v1/zones/", id="1.2 a slash at the end"),
        pytest.param("/zstack/v1/Zones", "/v1/Zones", id="1.2 case counts"),
        pytest.param(f"{ZONES}/a/b", "/v1/zones/a/b", id="1.2 a variable is one segment"),
        pytest.param("/zstack/v1", "/v1", id="1.2 the version alone"),
    ],
)
@rows("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_path_of_no_api_is_refused(raw_client: RawClient, method: str, target: str, shown: str) -> None:
    answer = await raw_client.send(method, target, b"{bad json", anonymous=True)
    assert (answer.status, answer.text) == (404, f"no api mapping to {shown}")


async def test_a_literal_path_takes_precedence_over_a_variable_one(raw_client: RawClient) -> None:
    """Source: wire-protocol 1.2."""
    answer = await raw_client.send("GET", STORAGES)
    assert [one["uuid"] for one in answer.json["inventories"]] == [STORAGE]


async def test_path_variables_replace_values_of_the_body(raw_client: RawClient) -> None:
    """Source: wire-protocol 1.2."""
    answer = await raw_client.call(
        "PUT", ACTIONS, {"updateImageStoreBackupStorage": {"uuid": UNKNOWN, "description": "x"}}
    )
    assert answer.json["inventory"]["uuid"] == STORAGE


@rows(
    ("method", "target", "body", "status", "text"),
    [
        pytest.param(
            "DELETE", ZONES, None, 500, f"No delete API found for the path[{ZONES}]", id="1.3 no DELETE in a slot"
        ),
        pytest.param(
            "POST",
            f"{ZONES}/x",
            None,
            500,
            f"No creational API found for the path[{ZONES}/x]",
            id="1.3 no POST in a shared slot",
        ),
        pytest.param(
            "GET", ACTIONS, None, 500, f"No query API found for the path[{ACTIONS}]", id="1.3 no GET in a shared slot"
        ),
        pytest.param("GET", "/v1/backup-storage/image-store/%61/actions", None, 500,
            "No query API found for the path[/v1/backup-storage/image-store/%61/actions]", id="1.3 raw URI, undecoded"),
        pytest.param("HEAD", ZONES, None, 405, "", id="1.3 HEAD in a shared slot"),
        pytest.param("PUT", ACTIONS, None, 500, "", id="1.3 PUT without a body"),
        pytest.param("PUT", ACTIONS, b"null", 500, "", id="1.3 PUT with a null"),
        pytest.param(
            "PUT",
            f"{STORAGES}/a%20b/actions",
            {"dance": {}},
            400,
            NO_ACTION.format("/v1/backup-storage/image-store/a b/actions"),
            id="1.3 no known action, path decoded",
        ),
        pytest.param("PUT", ACTIONS, {}, 400, NO_ACTION.format(ACTIONS.removeprefix("/zstack")), id="1.3 no action"),
        pytest.param("POST", ZONES, b"abc", 500,
            "java.lang.IllegalStateException: Expected BEGIN_OBJECT but was STRING at line 1 column 1 path $",
            id="1.4 no object"),
        pytest.param("POST", ZONES, b'{"a":1', 500, "java.io.EOFException: End of input at line 1 column 7 path $.",
            id="1.4 cut off"),
        pytest.param("POST", ZONES, b'{"a":1,}', 500,
            "com.google.gson.stream.MalformedJsonException: Expected name at line 1 column 9 path $.",
            id="1.4 a comma too many"),
        pytest.param("POST", ZONES, b'{"a":1,"a":2}', 500, "duplicate key: a", id="1.4 a key twice"),
        pytest.param("GET", ZONES, b'{"a":1,}', 500,
            "com.google.gson.stream.MalformedJsonException: Expected name at line 1 column 9 path $.",
            id="1.3 a GET's body is parsed too"),
        pytest.param("GET", "/zstack/v1/api-jobs/nosuch", None, 404, "the job has been expired", id="1.5 unknown job"),
        pytest.param("PUT", "/zstack/v1/api-jobs/nosuch", None, 405,
            "only GET method is allowed for querying job status", id="1.5 a job is only read"),
        pytest.param("HEAD", "/zstack/v1/api-jobs/nosuch", None, 405, "", id="1.5 HEAD of a job"),
    ],
)  # fmt: skip
async def test_requests_that_reach_no_api_get_a_plain_text(
    raw_client: RawClient, method: str, target: str, body: object, status: int, text: str
) -> None:
    """All of these come before authentication (wire-protocol 0)."""
    answer = await raw_client.send(method, target, body, anonymous=True)
    assert (answer.status, answer.text) == (status, text)


@rows(
    ("method", "target", "body"),
    [
        pytest.param(
            "PUT", LOGIN, {"logInByAccount": {"accountName": "admin", "password": sha512("password")}}, id="PUT"
        ),
        pytest.param(
            "POST", LOGIN, {"logInByAccount": {"accountName": "admin", "password": sha512("password")}}, id="POST"
        ),
        pytest.param("GET", f"{LOGIN}?accountName=admin&password={sha512('password')}", None, id="GET"),
        pytest.param("DELETE", f"{LOGIN}?accountName=admin&password={sha512('password')}", None, id="DELETE"),
        pytest.param(
            "PUT",
            f"{LOGIN}?accountName=nobody",
            {"logInByAccount": {**ADMIN, "more": 1}, "sibling": []},
            id="unknown keys and a PUT's query string are ignored",
        ),
    ],
)
async def test_a_path_with_one_api_ignores_the_method(
    raw_client: RawClient, method: str, target: str, body: object
) -> None:
    """Source: wire-protocol 1.3."""
    answer = await raw_client.send(method, target, body, anonymous=True)
    assert (answer.status, list(answer.json)) == (200, ["inventory"])


async def test_an_action_s_key_finds_an_api_of_any_method(raw_client: RawClient) -> None:
    """Only the body selects the API of a PUT (wire-protocol 1.3)."""
    answer = await raw_client.call("PUT", ZONES, {"createZone": {"name": "by-action"}})
    assert answer.json["inventory"]["name"] == "by-action"


async def test_the_first_known_action_is_chosen(raw_client: RawClient) -> None:
    """Source: wire-protocol 1.3."""
    body = {"reconnectNothing": {}, "updateImageStoreBackupStorage": {"description": "first"}}
    assert (await raw_client.call("PUT", ACTIONS, body)).json["inventory"]["description"] == "first"


@rows("raw", [b"", b"  ", b"null", b"{}", b'{"params":{}}', b'{"params":null}', b"[]", b"{params:{}}"])
async def test_an_absent_parameter_object_means_defaults(raw_client: RawClient, raw: bytes) -> None:
    """It is no HTTP error; validation then reports the missing fields (wire-protocol 1.3)."""
    answer = await raw_client.call("POST", ZONES, raw)
    assert answer.status == 503
    assert answer.error["details"].startswith("field[name] of message[")


@rows("raw", [b"", b"null", b"{}", b'{"params":{}}', b'{"params":null}'])
async def test_an_attachment_accepts_any_form_of_an_empty_body(raw_client: RawClient, raw: bytes) -> None:
    """Source: wire-protocol 1.3, clients 2.1."""
    zone = (await raw_client.make_zone())["uuid"]
    attached = await raw_client.call("POST", f"{ZONES}/{zone}/backup-storage/{STORAGE}", raw)
    assert attached.json["inventory"]["attachedZoneUuids"][-1] == zone


@rows(
    ("method", "target", "status", "text"),
    [
        pytest.param("GET", "/zstack/v1/zones/a%2Fb", 400, "encoded slash", id="1.7 %2F in the path"),
        pytest.param("GET", "/zstack/v1/zones/a%2fb", 400, "encoded slash", id="1.7 %2f in the path"),
        pytest.param("GET", "/zstack/v1/zones/a%zz", 400, "percent sign", id="1.7 no escape"),
        pytest.param("GET", "/zstack/elsewhere", 404, "nothing is served", id="1.7 outside of /v1"),
        pytest.param("PATCH", ZONES, 405, "not supported", id="1.7 PATCH"),
        pytest.param("TRACE", ZONES, 405, "not supported", id="1.7 TRACE"),
    ],
)
async def test_a_request_that_the_servlet_container_refuses_gets_a_page(
    raw_client: RawClient, method: str, target: str, status: int, text: str
) -> None:
    answer = await raw_client.send(method, target)
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert text in answer.text


async def test_options_lists_the_methods(raw_client: RawClient) -> None:
    """The answer has no CORS headers (wire-protocol 1.7)."""
    answer = await raw_client.send("OPTIONS", ZONES, anonymous=True)
    assert (answer.status, answer.headers["allow"]) == (200, "GET, HEAD, POST, PUT, DELETE, OPTIONS")
    assert not [name for name in answer.headers if name.startswith("access-control")]


@rows(
    ("method", "target", "status", "answers"),
    [
        pytest.param("GET", ZONES, 200, 2, id="1.6 200 stays open"),
        pytest.param("GET", "/zstack/v1/foo", 404, 2, id="1.6 404 stays open"),
        pytest.param("GET", f"{ZONES}?limit=x", 400, 1, id="1.6 400 closes"),
        pytest.param("DELETE", ZONES, 500, 1, id="1.6 500 closes"),
        pytest.param("GET", f"{ZONES}?q=nosuch=1", 503, 1, id="1.6 503 closes"),
    ],
)
async def test_which_statuses_close_the_connection(
    raw_client: RawClient, method: str, target: str, status: int, answers: int
) -> None:
    """A second request on the same connection is answered only where the first left it open."""
    headers = f"Host: x\r\nAuthorization: OAuth {raw_client.session}\r\n"
    second = f"GET {ZONES} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
    raw = await raw_client.exchange(f"{method} {target} HTTP/1.1\r\n{headers}\r\n{second}".encode())
    assert raw.startswith(f"HTTP/1.1 {status} ".encode())
    assert raw.count(b"HTTP/1.1 ") == answers
    assert (b"Connection: close" in raw.partition(b"\r\n\r\n")[0]) is (answers == 1)


async def test_the_headers_of_an_answer(raw_client: RawClient) -> None:
    """No cookie, no caching, no compression; but, unlike ZStack's, a Content-Type (wire-protocol 1.6)."""
    answer = await raw_client.send("GET", ZONES, Accept_Encoding="gzip")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert not {"set-cookie", "content-encoding", "etag", "cache-control", "vary"} & set(answer.headers)


@pytest.mark.parametrize(
    ("kind", "encoding", "strictly"),
    [
        pytest.param("application/json; charset=utf-8", "utf-8", "é", id="UTF-8"),
        pytest.param('text/plain;charset="UTF-8"', "utf-8", "é", id="UTF-8 in quotes"),
        pytest.param("application/json; charset=latin1", "latin-1", "é", id="Latin-1"),
        pytest.param("application/json; charset=utf-16", "utf-16", "é", id="UTF-16"),
        pytest.param("application/json", "utf-8", "Ã©", id="undeclared"),
        pytest.param("application/x-www-form-urlencoded", "utf-8", "Ã©", id="a form, undeclared"),
        pytest.param("application/json; charset=utf-8", "latin-1", None, id="not what is declared"),
        pytest.param("application/json; charset=nosuch", "utf-8", None, id="unknown"),
    ],
)
async def test_the_character_set_of_a_body(
    raw_client: RawClient, strict_client: RawClient, kind: str, encoding: str, strictly: str | None
) -> None:
    """Without a declaration a strict node reads Latin-1, a lenient one UTF-8 (wire-protocol 1.8)."""
    body = '{"updateImageStoreBackupStorage": {"description": "é"}}'.encode(encoding)
    for node, expected in ((raw_client, "é" if strictly else None), (strict_client, strictly)):
        answer = await node.call("PUT", ACTIONS, body, Content_Type=kind)
        if expected is None:
            assert (answer.status, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
        else:
            assert answer.json["inventory"]["description"] == expected


@rows("method", ["FOO", "get", "PATCH", "TRACE", "PROPFIND"])
@rows("target", [ZONES, LOGIN, "/zstack/v1/foo", f"{ZONES}?q=name='a'"])
async def test_an_unknown_method_gets_a_page(raw_client: RawClient, method: str, target: str) -> None:
    answer = await raw_client.send(method, target)
    assert (answer.status, answer.headers["content-type"]) == (405, "text/html; charset=utf-8")
    assert "HTTP Status 405" in answer.text
    assert "GET" in answer.headers["allow"]


async def test_a_body_larger_than_the_limit_is_refused(raw_client: RawClient) -> None:
    answer = await raw_client.send("POST", ZONES, b" " * (2 * 1024 * 1024 + 1))
    assert (answer.status, answer.text) == (
        413,
        "the body exceeds the limit of 2097152 bytes",
    )


async def test_a_strict_node_refuses_raw_characters_in_a_query(strict_client: RawClient) -> None:
    """Source: wire-protocol 1.7."""
    for raw in '|{}<>[]"^\\`':
        assert (await strict_client.send("GET", f"{ZONES}?q=name{raw}=a")).status == 400
    assert (await strict_client.send("GET", f"{ZONES}?q=name%3E%3Da")).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        pytest.param("/v1/zones", 404, id="no context"),
        pytest.param("/zstack/v1/tags", 404, id="an API of the paid editions"),
        pytest.param("/zstack/v1/database-backups", 404, id="another"),
    ],
)
async def test_a_strict_node_does_not_serve_paid_apis_or_other_contexts(
    raw_client: RawClient, strict_client: RawClient, target: str, status: int
) -> None:
    assert (await strict_client.send("GET", target)).status == status
    assert (await raw_client.send("GET", target)).status in (200, 503)


@rows(
    ("method", "target", "api"),
    [
        ("GET", "/zstack/v1/externalbackup/zbox/x/details", "APIGetZBoxBackupDetailsMsg"),
        ("POST", "/zstack/v1/zwatch/metrics", "APIPutMetricDataMsg"),
        ("DELETE", "/zstack/v1/zwatch/metrics", "APIDeleteMetricDataMsg"),
        ("POST", "/zstack/v1/database-backups", "APICreateDatabaseBackupMsg"),
        ("DELETE", "/zstack/v1/volume-backups/x", "APIDeleteVolumeBackupMsg"),
    ],
)
async def test_each_method_of_a_path_is_an_api_of_its_own(
    raw_client: RawClient, method: str, target: str, api: str
) -> None:
    answer = await raw_client.call(method, target, {"params": {}} if method == "POST" else None)
    assert answer.error["details"] == f"not emulated: {api}, see docs/fidelity.md"


@rows("path", ["database-backups", "externalbackup/zbox", "volume-backups/x"])
async def test_a_query_beside_other_apis_is_not_taken_for_one_of_them(raw_client: RawClient, path: str) -> None:
    assert (await raw_client.send("GET", f"/zstack/v1/{path}")).json == {"inventories": [], "schema": {}}


class TestTheOrderOfChecks:
    """Of several errors, the first check reports its own (wire-protocol 0)."""

    async def test_an_unknown_path_comes_before_a_bad_body(self, raw_client: RawClient) -> None:
        assert (await raw_client.send("POST", "/zstack/v1/foo", b"{bad", anonymous=True)).status == 404

    async def test_a_bad_body_comes_before_the_choice_of_an_api(self, raw_client: RawClient) -> None:
        assert (await raw_client.send("DELETE", ZONES, b"{bad", anonymous=True)).text.startswith("java.io.EOFException")

    async def test_the_choice_of_an_api_comes_before_authentication(self, raw_client: RawClient) -> None:
        assert (await raw_client.send("PUT", ACTIONS, {"x": 1}, anonymous=True)).text.startswith(
            "the body doesn't contain"
        )

    async def test_authentication_comes_before_types(self, raw_client: RawClient) -> None:
        answer = await raw_client.send("POST", STORAGES, {"params": {"sshPort": "abc"}}, anonymous=True)
        assert answer.text == "missing header 'Authorization'"

    async def test_types_come_before_special_headers(self, raw_client: RawClient) -> None:
        answer = await raw_client.send("POST", STORAGES, {"params": {"sshPort": "abc"}}, X_Job_UUID="short")
        assert answer.text == "[sshPort] field is excepted an int or long, but was [abc]."

    async def test_special_headers_come_before_tags(self, raw_client: RawClient) -> None:
        answer = await raw_client.send("POST", ZONES, {"systemTags": "x"}, X_Job_UUID="short")
        assert answer.text.startswith("Invalid header[X-Job-UUID]")

    async def test_rules_come_before_the_session(self, raw_client: RawClient) -> None:
        answer = await raw_client.call("POST", ZONES, {"params": {}}, Authorization="OAuth nosuch")
        assert answer.error["code"] == "SYS.1007"

    async def test_resources_come_before_the_session(self, raw_client: RawClient) -> None:
        body: dict[str, object] = {"reconnectImageStoreBackupStorage": {}}
        answer = await raw_client.call("PUT", f"{STORAGES}/{UNKNOWN}/actions", body, Authorization="OAuth nosuch")
        assert answer.error["code"] == "SYS.1003"

    async def test_the_session_comes_before_the_checks_of_an_api(self, raw_client: RawClient) -> None:
        body = {"params": {"name": "n", "hostname": "_", "username": "u", "password": "p", "url": "/z"}}
        answer = await raw_client.call("POST", STORAGES, body, Authorization="OAuth nosuch")
        assert answer.error["code"] == "ID.1001"

    async def test_the_checks_of_an_api_come_before_tags(self, raw_client: RawClient) -> None:
        body = {
            "params": {"name": "n", "hostname": "_", "username": "u", "password": "p", "url": "/z"},
            "systemTags": ["nosuch"],
        }
        assert (await raw_client.call("POST", STORAGES, body)).error["details"].startswith("hostname[_] is neither")
