"""What HTTP requests are answered over a real socket: statuses, texts, headers, order of checks (wire-protocol 0-3)."""

from __future__ import annotations

import asyncio
import re

import pytest
from simulator.lab import Lab
from simulator.testing import Client

pytestmark = pytest.mark.imagestore_lab(hosts=1)
STORAGES = "/backup-storage/image-store"
ADD = {"params": {"hostname": "h-1", "username": "root", "password": "password", "name": "h-1", "url": "/zs"}}


async def test_both_base_paths_serve_the_api(imagestore_client: Client) -> None:
    for prefix in ("/zstack/v1", "/v1"):
        answer = await imagestore_client.request("GET", f"{imagestore_client.url}{prefix}/zones")
        assert answer.status == 200


async def test_slashes_that_follow_each_other_count_as_one(imagestore_client: Client, imagestore_lab: Lab) -> None:
    [zone] = await imagestore_client.query("/zones")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(imagestore_lab.url.rpartition(":")[2]))
    request = f"GET //zstack/v1/zones//{zone['uuid']} HTTP/1.1\r\nHost: x\r\n"
    writer.write(
        f"{request}Authorization: OAuth {imagestore_client.session_uuid}\r\nConnection: close\r\n\r\n".encode()
    )
    assert b'"name":"zone-1"' in await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/foo", 404, "no api mapping to /v1/foo"),
        ("GET", "/zones/", 404, "no api mapping to /v1/zones/"),
        ("GET", "/Zones", 404, "no api mapping to /v1/Zones"),
        ("DELETE", "/zones", 500, "No delete API found for the path[/zstack/v1/zones]"),
        ("PUT", "/zones", 500, ""),
        ("HEAD", "/zones", 405, ""),
        ("POST", "/backup-storage/x", 500, "No creational API found for the path[/zstack/v1/backup-storage/x]"),
        ("GET", f"{STORAGES}/x/actions", 500, f"No query API found for the path[/zstack/v1{STORAGES}/x/actions]"),
        ("GET", "/api-jobs/nosuch", 404, "the job has been expired"),
        ("DELETE", "/api-jobs/nosuch", 405, "only GET method is allowed for querying job status"),
        ("GET", f"{STORAGES}?limit=abc", 400, "Invalid query parameter. 'limit' must be an integer"),
    ],
)
async def test_a_request_that_means_no_api_is_told_so_in_plain_text(
    imagestore_client: Client, method: str, path: str, status: int, text: str
) -> None:
    answer = await imagestore_client.request(method, path)
    assert (answer.status, answer.text) == (status, text)


async def test_a_put_without_a_known_action_is_refused(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("PUT", f"{STORAGES}/x/actions", {"dance": {}})
    text = f"the body doesn't contain action mapping to the URL[/v1{STORAGES}/x/actions]"
    assert (answer.status, answer.text) == (400, text)


@pytest.mark.parametrize("data", [b"abc", b'{"params":', b'{"a":1,}'])
async def test_malformed_json_is_a_500_before_authentication(imagestore_lab: Lab, data: bytes) -> None:
    async with Client(imagestore_lab.url) as client:
        answer = await client.request("POST", STORAGES, data=data)
    assert answer.status == 500
    assert answer.text.startswith(("java.", "com.google.gson."))


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 400, "missing header 'Authorization'"),
        ({"Authorization": "Bearer x"}, 400, "Authorization type must be 'OAuth'"),
        ({"Authorization": "oauth x"}, 400, "Authorization type must be 'OAuth'"),
        (
            {"Authorization": "ZStack id:signature"},
            500,
            "RestAuthenticationType type: ZStack was not registered by any RestAuthenticationBackend",
        ),
    ],
)
async def test_the_authorization_header_s_form_is_checked(
    imagestore_lab: Lab, headers: dict[str, str], status: int, text: str
) -> None:
    async with Client(imagestore_lab.url) as client:
        answer = await client.request("GET", "/zones", headers=headers)
    assert (answer.status, answer.text) == (status, text)


@pytest.mark.parametrize("form", ["OAuth {}", "OAuth{}", "OAuth    {}  "])
async def test_spaces_around_the_session_do_not_matter(imagestore_client: Client, form: str) -> None:
    headers = {"authorization": form.format(imagestore_client.session_uuid)}
    imagestore_client.session_uuid = None
    assert (await imagestore_client.request("GET", "/zones", headers=headers)).status == 200


async def test_a_bad_session_fails_a_synchronous_call_at_once(imagestore_client: Client) -> None:
    imagestore_client.session_uuid = "0" * 32
    answer = await imagestore_client.request("GET", "/zones")
    assert answer.status == 503
    assert answer.body["error"]["code"] == "ID.1001"
    assert answer.body["error"]["details"] == "Session expired"
    assert list(answer.body) == ["error"]


async def test_a_bad_session_fails_an_asynchronous_call_through_its_job(imagestore_client: Client) -> None:
    imagestore_client.session_uuid = "0" * 32
    accepted = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    assert accepted.status == 202
    done = await imagestore_client.follow(accepted.body["location"])
    assert (done.status, done.body["error"]["code"]) == (503, "ID.1001")


async def test_a_bad_argument_is_told_even_with_a_bad_session(imagestore_client: Client) -> None:
    imagestore_client.session_uuid = "0" * 32
    accepted = await imagestore_client.request("POST", "/zones", {"params": {}})
    done = await imagestore_client.follow(accepted.body["location"])
    assert done.body["error"]["code"] == "SYS.1007"


async def test_a_path_with_one_api_ignores_the_method(imagestore_lab: Lab) -> None:
    password = "b109f3bbbc244eb82441917ed06d618b9008dd09b3befd1b5e07394c706a8bb980b1d7785e5976ec049b46df5f1326af5a2ea6d103fd07c95385ffab0cacbc86"  # noqa: E501
    async with Client(imagestore_lab.url) as client:
        posted = await client.request(
            "POST", "/accounts/login", {"logInByAccount": {"accountName": "admin", "password": password}}
        )
        got = await client.request("GET", f"/accounts/login?accountName=admin&password={password}")
    assert (posted.status, got.status) == (200, 200)


async def test_an_asynchronous_call_answers_its_job_s_place_built_from_the_host_header(
    imagestore_client: Client,
) -> None:
    job = "0123456789abcdef0123456789abcdef"
    headers = {"Host": "mn.example:8080", "X-Job-UUID": job, "X-API-Timeout": "7"}
    answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}}, headers=headers)
    assert answer.status == 202
    assert answer.body == {"apiTimeout": 7000, "location": f"http://mn.example:8080/zstack/v1/api-jobs/{job}"}


async def test_the_default_time_out_is_half_an_hour_in_milliseconds(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    assert answer.body["apiTimeout"] == 1_800_000


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({"X-Job-UUID": "short"}, 400, "Invalid header[X-Job-UUID], it must be a UUID with '-' stripped"),
        ({"X-API-Timeout": "soon"}, 500, 'For input string: "soon"'),
    ],
)
async def test_a_bad_special_header_is_refused(
    imagestore_client: Client, headers: dict[str, str], status: int, text: str
) -> None:
    answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}}, headers=headers)
    assert (answer.status, answer.text) == (status, text)


async def test_a_job_s_uuid_serves_once(imagestore_client: Client) -> None:
    headers = {"X-Job-UUID": "a" * 32}
    await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}}, headers=headers)
    again = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}}, headers=headers)
    assert (again.status, again.text) == (400, f"Duplicate job uuid[{'a' * 32}]")


async def test_a_finished_job_can_be_polled_again_and_by_anyone(imagestore_client: Client) -> None:
    accepted = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    first = await imagestore_client.follow(accepted.body["location"])
    imagestore_client.session_uuid = None
    second = await imagestore_client.request("GET", accepted.body["location"])
    assert first.status == second.status == 200
    assert first.text == second.text
    assert "schema" not in first.body


async def test_a_poll_that_asks_for_the_schema_gets_it(imagestore_client: Client) -> None:
    accepted = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    await imagestore_client.follow(accepted.body["location"])
    polled = await imagestore_client.request("GET", accepted.body["location"], headers={"X-JSON-Schema": "true"})
    assert polled.body["schema"] == {"inventory": "org.zstack.header.zone.ZoneInventory"}


async def test_answers_are_json_objects_in_utf8_and_failures_close_the_connection(imagestore_client: Client) -> None:
    good = await imagestore_client.request("GET", "/zones")
    assert good.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Content-Encoding" not in good.headers
    bad = await imagestore_client.request("GET", f"{STORAGES}?q=foo=1")
    assert bad.status == 503
    assert bad.headers["Connection"] == "close"


@pytest.mark.parametrize("raw", [b"", b"null", b"{}", b'{"params":{}}', b'{"params":null}'])
async def test_an_attachment_takes_any_form_of_an_empty_body(imagestore_client: Client, raw: bytes) -> None:
    zone = await imagestore_client.call("POST", "/zones", {"params": {"name": "z"}})
    [storage] = await imagestore_client.query(STORAGES)
    path = f"/zones/{zone['inventory']['uuid']}/backup-storage/{storage['uuid']}"
    accepted = await imagestore_client.request("POST", path, data=raw)
    done = await imagestore_client.follow(accepted.body["location"])
    assert done.body["inventory"]["attachedZoneUuids"] == [*storage["attachedZoneUuids"], zone["inventory"]["uuid"]]


async def test_a_bare_connection_is_shrugged_off(imagestore_client: Client, imagestore_lab: Lab) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(imagestore_lab.url.rpartition(":")[2]))
    writer.close()
    await writer.wait_closed()
    assert (await imagestore_client.request("GET", "/zones")).status == 200


async def test_what_stands_outside_the_api_is_a_404(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("GET", f"{imagestore_client.url}/nothing/here")
    assert (answer.status, answer.text) == (404, "nothing is served at /nothing/here")


async def test_health_and_readiness_need_no_session(imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url) as client:
        health = await client.request("GET", f"{client.url}/healthz")
        ready = await client.request("GET", f"{client.url}/readyz")
    assert (health.status, health.body) == (200, {"alive": True})
    assert (ready.status, ready.body) == (200, {"ready": True, "waitingFor": []})


async def test_the_version_is_told_without_a_session(imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url) as client:
        answer = await client.call("PUT", "/management-nodes/actions", {"getVersion": {}})
    assert answer == {"version": "5.2.1", "success": True}


async def test_the_current_time_is_told_in_zstack_s_own_spelling(imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url) as client:
        answer = await client.call("PUT", "/management-nodes/actions", {"getCurrentTime": {}})
    assert set(answer["currentTime"]) == {"MillionSeconds", "Seconds"}


async def test_a_wrong_type_is_told_at_once_and_no_job_begins(imagestore_client: Client) -> None:
    answer = await imagestore_client.request("POST", STORAGES, {"params": ADD["params"] | {"sshPort": "abc"}})
    assert (answer.status, answer.text) == (400, "[sshPort] field is excepted an int or long, but was [abc].")


async def test_values_of_success_bodies_are_safe_in_html(imagestore_client: Client) -> None:
    await imagestore_client.add_image_store("h-1", description="a<b> & 'c'=d")
    answer = await imagestore_client.request("GET", STORAGES, query=[("q", "name=h-1")])
    assert r'"description":"a\u003cb\u003e \u0026 \u0027c\u0027\u003dd"' in answer.text
    assert re.search(r'"createDate":"[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M"', answer.text)
