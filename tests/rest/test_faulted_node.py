"""Faults of sessions, of access keys and of the node as a whole, as clients meet them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlsplit

import pytest

from hook_receiver import open_receiver
from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.lab import Lab
from imagestore_sim.rest.authentication import sign
from imagestore_sim.testing import Answer, CallFailed, Client
from kept_lab import reset_fixtures
from node_faults import heal, requests, set_fault
from rows import rows

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=3600, clock="virtual"),
]
KEY = {"accessKeyId": "a-key", "accessKeySecret": "its-secret", "account": "admin"}
ZONE_DATE = "%b %d, %Y %I:%M:%S %p"


imagestore_lab, imagestore_client = reset_fixtures()


async def test_a_session_expires_between_two_pages(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "session_expired", when={"api": "APIQuery*", "nth": 2})
    assert (await imagestore_client.request("GET", "/backup-storage?limit=1&start=0")).status == 200
    second = await imagestore_client.request("GET", "/backup-storage?limit=1&start=1")
    third = await imagestore_client.request("GET", "/backup-storage?limit=1&start=1")
    for answer in (second, third):  # it has ended: no later call may use it
        assert (answer.status, answer.body["error"]["code"]) == (503, "ID.1001")
        assert answer.body["error"]["details"] == "Session expired"
    await imagestore_client.log_in()
    assert (await imagestore_client.request("GET", "/backup-storage?limit=1&start=1")).status == 200


async def test_an_expired_session_of_an_asynchronous_call_shows_in_its_job(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "session_expired", when={"first": 1})
    answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    assert answer.status == 202
    ended = await imagestore_client.follow(answer.body["location"])
    assert (ended.status, ended.body["error"]["code"]) == (503, "ID.1001")


async def test_all_sessions_may_end_at_once(imagestore_client: Client, imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url, clock=imagestore_lab.clock) as other:
        await other.log_in()
        await set_fault(imagestore_client, "session_expired", everyone=True, when={"first": 1})
        for client in (imagestore_client, other):
            with pytest.raises(CallFailed) as failed:
                await client.query("/zones")
            assert failed.value.code == "ID.1001"


async def test_a_login_is_refused_as_one_too_many(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "sessions_full", when={"first": 1})
    assert await imagestore_client.query("/zones") is not None
    with pytest.raises(CallFailed) as failed:
        await imagestore_client.log_in()
    assert (failed.value.status, failed.value.code) == (503, "ID.1006")
    await imagestore_client.log_in()


async def signed(lab: Lab, client: Client) -> Answer:
    """Query with the key, at the time of the lab's clock."""
    date = format_datetime(datetime.fromtimestamp(lab.clock.time(), UTC), usegmt=True)
    header = f"ZStack {KEY['accessKeyId']}:{sign(KEY['accessKeySecret'], 'GET', date, '/v1/zones')}"
    return await client.request("GET", "/zones", headers={"Authorization": header, "Date": date})


@rows(("by", "status"), [("14m", 200), ("-14m", 200), ("26h", 403), ("-26h", 403)])
async def test_a_signature_is_judged_by_a_clock_that_is_wrong(
    imagestore_client: Client, imagestore_lab: Lab, by: str, status: int
) -> None:
    await imagestore_lab.node.changes.add(Bootstrap.model_validate({"accessKeys": [KEY]}))
    fault = await set_fault(imagestore_client, "clock_skew", by=by)
    answer = await signed(imagestore_lab, imagestore_client)
    assert answer.status == status
    assert (answer.text == "requestTimeTooSkewed") == (status == 403)
    await heal(imagestore_client, fault)
    assert (await signed(imagestore_lab, imagestore_client)).status == 200


@pytest.mark.parametrize(
    ("by", "date"), [("26h", "Mon, 01 Jan 0001 00:00:00 GMT"), ("-26h", "Fri, 31 Dec 9999 23:59:59 GMT")]
)
async def test_the_first_and_the_last_date_are_refused_by_a_clock_that_is_wrong(
    imagestore_client: Client, by: str, date: str
) -> None:
    await set_fault(imagestore_client, "clock_skew", by=by)
    headers = {"Authorization": "ZStack a-key:none", "Date": date}
    answer = await imagestore_client.request("GET", "/zones", headers=headers)
    assert (answer.status, answer.text) == (403, "requestTimeTooSkewed")


async def test_the_dates_of_a_session_are_those_of_a_clock_that_is_wrong(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, "clock_skew", by="-3h")
    answer = await log_in(imagestore_client)
    session = answer.body["inventory"]
    expires = datetime.strptime(session["expiredDate"], ZONE_DATE)
    now = imagestore_lab.clock.local()
    assert abs(expires - (now + timedelta(hours=2 - 3))) < timedelta(minutes=1)
    shown = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert abs(shown - (imagestore_lab.clock.time() - 3 * 3600)) < 60


async def log_in(client: Client) -> Answer:
    """Return the whole answer to a login."""
    await client.log_in()
    path, body = "/accounts/login", {"logInByAccount": {"accountName": "admin", "password": PASSWORD}}
    return await client.request("PUT", path, body)


PASSWORD = (  # of `password`, as SHA-512
    "b109f3bbbc244eb82441917ed06d618b9008dd09b3befd1b5e07394c706a8bb9"
    "80b1d7785e5976ec049b46df5f1326af5a2ea6d103fd07c95385ffab0cacbc86"
)


async def test_a_node_that_is_not_ready_refuses_calls_and_still_answers_polls(imagestore_client: Client) -> None:
    begun = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    await set_fault(imagestore_client, "not_ready")
    for method, path, body in (("GET", "/zones", None), ("POST", "/zones", {"params": {"name": "y"}})):
        answer = await imagestore_client.request(method, path, body)
        error = answer.body["error"]
        assert (answer.status, error["code"]) == (503, "SYS.1010")
        assert error["details"].endswith("] is not ready yet")
    assert (await imagestore_client.follow(begun.body["location"])).status == 200


async def test_a_call_for_a_node_that_has_left_ends_with_its_error(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "node_left")
    queried = await imagestore_client.request("GET", "/zones")
    begun = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}})
    assert begun.status == 202
    ended = await imagestore_client.follow(begun.body["location"])
    for answer in (queried, ended):
        error = answer.body["error"]
        assert (answer.status, error["code"]) == (503, "SYS.1012")
        assert error["details"] == "management node[uuid:e0000000000000000000000000000002] is unavailable"


async def add(client: Client, name: str) -> Answer:
    params = {"name": name, "hostname": name, "username": "root", "password": "password", "url": "/Cloud_bs"}
    return await client.request("POST", "/backup-storage/image-store", {"params": params})


async def test_a_node_that_starts_again_between_a_call_and_its_poll_fails_the_job(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, "job_slow", by="1h", when={"first": 1})
    restart = await set_fault(imagestore_client, "restart", when={"api": "api-jobs"})
    location = (await add(imagestore_client, "s")).body["location"]
    with suppress(OSError):  # aiohttp asks again by itself where it may
        await imagestore_client.request("GET", location)
    ended = await imagestore_client.request("GET", location)
    assert (ended.status, ended.body["error"]["code"]) == (503, "SYS.1012")
    assert "was restarted" in ended.body["error"]["details"]
    rows = await requests(imagestore_client, urlsplit(location).path)
    assert [(row["status"], row["faults"]) for row in rows[:2]] == [(0, [restart]), (503, [])]
    # The session lives on, and the storages are connected again.
    await imagestore_client.wait_for_status("imagestore-1", "Connected")


async def test_a_start_posts_the_ends_of_the_jobs_that_it_fails(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await set_fault(imagestore_client, "job_stuck", when={"api": "CreateZone"})
    await set_fault(imagestore_client, "restart", when={"api": "QueryZone"})
    async with open_receiver(imagestore_lab) as receiver:
        hook = {"X-Web-Hook": receiver.url}
        answer = await imagestore_client.request("POST", "/zones", {"params": {"name": "z"}}, headers=hook)
        with suppress(OSError):
            await imagestore_client.query("/zones")
        polled = await imagestore_client.request("GET", answer.body["location"])
        await imagestore_lab.clock.sleep(5)
        assert (polled.status, receiver.bodies) == (503, [polled.body])


async def test_a_start_takes_back_what_was_half_done_and_resets_other_connections(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    session = imagestore_client.session_uuid
    reader, writer = await asyncio.open_connection("127.0.0.1", int(imagestore_lab.url.rpartition(":")[2]))
    writer.write(f"GET /zstack/v1/zones HTTP/1.1\r\nHost: a\r\nAuthorization: OAuth {session}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await set_fault(imagestore_client, "job_slow", by="1h", point="before", when={"first": 1})
    await set_fault(imagestore_client, "restart", point="after", when={"api": "AddImageStoreBackupStorage"})
    with pytest.raises((ConnectionError, OSError)):
        await add(imagestore_client, "s")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert await imagestore_client.query("/backup-storage", "name=s") == []
