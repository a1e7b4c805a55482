"""The journal of requests over `/lab/v1/requests`: find, count, wait, clear."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from imagestore_sim.lab import Lab
from imagestore_sim.rest.journal import MOST_BODY_BYTES, UNREADABLE, Body, Journal
from imagestore_sim.testing import Answer, Client
from imagestore_sim.testing.client import CallFailed
from kept_lab import reset_fixtures
from rows import rows

ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
STORAGES = "/backup-storage"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=0)]


imagestore_lab, imagestore_client = reset_fixtures()


async def ask(client: Client, below: str = "", **query: str) -> Answer:
    return await client.request("GET", f"{client.url}/lab/v1/requests{below}", query=list(query.items()))


async def found(client: Client, **query: str) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = (await ask(client, **query)).body["requests"]
    return requests


async def test_a_request_is_found_by_what_it_was(imagestore_client: Client, imagestore_lab: Lab) -> None:
    storage = await imagestore_client.add_image_store("gold")
    await imagestore_client.query(STORAGES, "name=gold")
    [added] = await found(imagestore_client, method="post", path="/zstack/v1/backup-storage/*")
    assert (added["status"], added["account"]) == (202, ADMIN)
    assert added["milliseconds"] > 0
    assert abs(added["time"] - imagestore_lab.clock.time()) < 20
    polls = await found(imagestore_client, path="/zstack/v1/api-jobs/*", status="200")
    assert [one["job"] for one in polls] == [added["job"]]
    [asked] = await found(imagestore_client, path="*q=name*")
    assert (asked["path"], asked["body"]) == ("/zstack/v1/backup-storage?q=name%3Dgold", None)
    assert (await imagestore_client.request("GET", f"{STORAGES}/{storage['uuid']}")).status == 200
    assert (await imagestore_client.request("GET", "/nosuch")).status == 404
    [missing] = await found(imagestore_client, since=str(asked["number"]), status="404")
    assert missing["path"] == "/zstack/v1/nosuch"


async def test_a_request_answered_from_the_cache_is_kept_too(imagestore_client: Client) -> None:
    for _ in range(3):
        await imagestore_client.query(STORAGES)
    asked = await found(imagestore_client, path="/zstack/v1/backup-storage")
    assert [one["account"] for one in asked] == [ADMIN] * 3
    count = (await ask(imagestore_client, "/count", path="/zstack/v1/backup-storage")).body
    assert count == {"count": 3, "undecided": 0, "dropped": 0, "last": asked[-1]["number"]}
    assert {one["api"] for one in asked} == {"APIQueryBackupStorageMsg"}


async def test_a_legacy_request_is_kept_with_its_account_and_job(imagestore_client: Client) -> None:
    session = {"uuid": imagestore_client.session_uuid}
    body = {"org.zstack.header.zone.APICreateZoneMsg": {"name": "z", "session": session}}
    answer = await imagestore_client.request("POST", f"{imagestore_client.url}/zstack/api", body)
    [asked] = await found(imagestore_client, path="/zstack/api")
    assert (asked["account"], asked["job"]) == (ADMIN, answer.body["uuid"])
    assert '"session":"***"' in asked["body"]


async def test_secrets_are_masked_and_bodies_are_bounded(imagestore_client: Client) -> None:
    await imagestore_client.request("POST", "/zones", {"params": {"password": "hush-1", "description": "d" * 20_000}})
    await imagestore_client.request("GET", STORAGES, query=[("q", "password=hush-2")])
    await imagestore_client.request("POST", "/zones", data=b'{"params": {"password": "hush-3')
    text = (await ask(imagestore_client)).text
    assert "hush" not in text
    assert str(imagestore_client.session_uuid) not in text
    bodies = [one["body"] for one in await found(imagestore_client, method="POST")]
    assert '"password":"***"' in bodies[0]
    assert len(bodies[0]) == MOST_BODY_BYTES
    assert bodies[1] == UNREADABLE


async def test_a_test_waits_until_a_client_has_asked(imagestore_client: Client) -> None:
    last = (await ask(imagestore_client, "/count")).body["last"]
    waiting = asyncio.create_task(
        ask(imagestore_client, "/wait", path="/zstack/v1/zones*", since=str(last), count="2", within="50s")
    )
    for _ in range(2):
        await imagestore_client.query("/zones")
    answer = await waiting
    assert answer.status == 200
    assert [one["path"] for one in answer.body["requests"]] == ["/zstack/v1/zones"] * 2


async def test_a_wait_that_times_out_returns_what_has_come(imagestore_client: Client) -> None:
    await imagestore_client.query("/zones")
    answer = await ask(imagestore_client, "/wait", path="/zstack/v1/zones", count="2", within="50ms")
    assert answer.status == 408
    assert answer.body["error"] == "1 of 2 requests came within 0.05 s"
    assert len(answer.body["requests"]) == 1


async def test_numbers_continue_after_the_journal_is_cleared(imagestore_client: Client) -> None:
    last = (await ask(imagestore_client, "/count")).body["last"]
    cleared = await imagestore_client.request("DELETE", f"{imagestore_client.url}/lab/v1/requests")
    assert cleared.body == {"done": True}
    empty = {"requests": [], "undecided": 0, "dropped": 0, "last": last}
    assert (await ask(imagestore_client)).body == empty
    await imagestore_client.query("/zones")
    assert [one["number"] for one in await found(imagestore_client)] == [last + 1]


@rows(
    ("query", "error"),
    [
        ({"status": "ok"}, "status: expected a text of the pattern"),
        ({"status": "6xx"}, "status: expected a text of the pattern"),
        ({"path": ""}, "path: expected a text that is not empty"),
        ({"since": "-1"}, "since: expected 0 or more"),
        ({"count": "0"}, "count: expected 1 or more"),
        ({"within": "2m"}, "within: expected 60 or less"),
        ({"until": "1"}, "until: is unknown; there are method, path, api, account, status, "),
    ],
)
async def test_an_invalid_query_is_refused(imagestore_client: Client, query: dict[str, str], error: str) -> None:
    answer = await ask(imagestore_client, "/wait", **query)
    assert answer.status == 400
    assert answer.body["error"].startswith(error), answer.text


@rows(
    "path",
    ["/zstack/v1/accounts/sessions/hush", "/zstack/v1/accounts/sessions/[a-z]*", "/zstack/v1/login[?]password=hush"],
)
async def test_a_query_that_asks_for_a_secret_is_refused_and_names_the_field(
    imagestore_client: Client, path: str
) -> None:
    for below in ("", "/count", "/wait", "/next"):
        answer = await ask(imagestore_client, below, path=path)
        error = "the query string: path: a secret in it is masked in the journal: expect *** or `*` in its place"
        assert (answer.status, answer.body) == (400, {"error": error}), below


async def test_a_query_of_very_many_parameters_is_refused(imagestore_client: Client) -> None:
    answer = await ask(imagestore_client, **{f"p{number}": "1" for number in range(101)})
    error = "the query string: has 101 members, and 100 at most are read"
    assert (answer.status, answer.body) == (400, {"error": error})


@rows(
    ("path", "count"),
    [
        ("/zstack/v1/zone[s]*", 1),
        ("/zstack/v1/[!a-y]one[a-z]", 1),
        ("/zstack/v1/zone[!s]", 0),
        ("/zstack/v1/zone[", 0),
        ("/zstack/v1/zone[z-a]", 0),
        ("/zstack/v1/account[s]/sessions/*", 0),
        ("/zstack/v1/account[s]/sessions/[*][*]*", 0),
    ],
)
async def test_a_glob_may_have_brackets(imagestore_client: Client, path: str, count: int) -> None:
    await imagestore_client.request("DELETE", f"{imagestore_client.url}/lab/v1/requests")
    await imagestore_client.query("/zones")
    answer = await ask(imagestore_client, "/count", path=path)
    assert (answer.status, answer.body.get("count")) == (200, count), answer.text
    assert (await ask(imagestore_client, path=path)).status == 200
    body = {"path": path}
    assert (await imagestore_client.request("POST", f"{imagestore_client.url}/lab/v1/requests/count", body)).body[
        "count"
    ] == count


async def test_a_parameter_that_is_given_twice_is_refused(imagestore_client: Client) -> None:
    path = f"{imagestore_client.url}/lab/v1/requests?api=Add*&api=Delete*"
    answer = await imagestore_client.request("GET", path)
    assert (answer.status, answer.body) == (400, {"error": "api: is given twice"})


def row(path: str, body: Body = None, ended: float = 0.0) -> dict[str, Any]:
    return {"ended": ended, "method": "GET", "path": path, "status": 200, "seconds": 0.0, "account": None, "job": None,
            "body": body}  # fmt: skip


async def test_only_the_latest_requests_are_kept_and_the_others_counted() -> None:
    journal = Journal(most=2)
    for number in range(5):
        journal.add(**row(f"/{number}", ended=float(number)))
    assert [(entry.number, entry.path) for entry in journal.since(0)] == [(4, "/3"), (5, "/4")]
    assert [journal.dropped_since(number) for number in (0, 1, 3, 5)] == [3, 2, 0, 0]
    assert [journal.dropped_since(0, after) for after in (1.0, 2.0)] == [3, 0]
    journal.clear()
    assert journal.dropped_since(0) == 0
    journal.add(**row("/5"))
    journal.add(**row("/6"))
    journal.add(**row("/7"))
    assert journal.dropped_since(0) == 1
    journal.restart()
    assert (journal.dropped_since(0), journal.last) == (0, 0)


async def test_rows_together_hold_no_more_bytes_than_allowed() -> None:
    journal = Journal(most_bytes=100_000)
    for number in range(40):
        journal.add(**row(f"/{number}", {"text": "é" * 32_000}))
    kept = list(journal.since(0))
    assert len(kept) == 100_000 // (kept[-1].size) >= 6
    assert all(len(str(one.body).encode()) <= MOST_BODY_BYTES and not one.body_is_whole for one in kept)
    assert journal.dropped_since(0) == 40 - len(kept)


@pytest.mark.thorough
async def test_a_thousand_waiting_clients_cost_a_request_little(imagestore_client: Client, imagestore_lab: Lab) -> None:
    async def wait(session: aiohttp.ClientSession, path: str) -> int:
        query = {"path": path, "within": "60s"}
        async with session.get(f"{imagestore_client.url}/lab/v1/requests/wait", params=query) as answer:
            return answer.status

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    waiting = [asyncio.create_task(wait(session, f"/zstack/v1/late-{number % 3}")) for number in range(1000)]
    async with asyncio.timeout(60):
        while imagestore_lab.node.foundation.journal.watchers < 1000:
            await asyncio.sleep(0.05)
    refused = await ask(imagestore_client, "/wait", path="/x", within="1s")
    assert (refused.status, refused.body["error"]) == (503, "1000 clients wait for requests already")
    began = time.thread_time()
    for _ in range(100):
        await imagestore_client.request("GET", "/nosuch")
    each = (time.thread_time() - began) / 100
    for number in range(3):
        await imagestore_client.request("GET", f"/late-{number}")
    assert set(await asyncio.gather(*waiting)) == {200}
    await session.close()
    assert each < 0.01
    assert imagestore_lab.node.foundation.journal.watchers == 0


async def test_requests_are_followed_one_answer_after_the_other(imagestore_client: Client) -> None:
    await imagestore_client.query("/zones")
    first = (await ask(imagestore_client, "/next", api="QueryZone")).body
    assert [one["api"] for one in first["requests"]] == ["APIQueryZoneMsg"]
    last = str(first["last"])
    nothing = (await ask(imagestore_client, "/next", since=last, within="0.05s")).body
    assert (nothing["requests"], nothing["last"]) == ([], first["last"])
    waiting = asyncio.ensure_future(ask(imagestore_client, "/next", since=last, within="50s", method="GET"))
    await asyncio.sleep(0.05)
    await imagestore_client.query("/images")
    assert [one["api"] for one in (await waiting).body["requests"]] == ["APIQueryImageMsg"]
    for _ in range(3):
        await imagestore_client.query("/zones")
    latest = (await ask(imagestore_client, "/next", since=last, limit="2")).body
    assert (len(latest["requests"]), latest["leftOff"]) == (2, 2)
    after_a_reset = (await ask(imagestore_client, "/next", since="100000", within="1s")).body
    assert after_a_reset["requests"]


async def test_a_request_comes_with_its_job_its_events_and_its_probes(imagestore_client: Client) -> None:
    storage = await imagestore_client.add_image_store("gold", password="hunter2")
    [added] = await found(imagestore_client, api="AddImageStore*")
    shown = (await ask(imagestore_client, f"/{added['number']}")).body
    assert shown["request"] == {**added, "time": pytest.approx(added["time"], abs=0.01)}
    assert (shown["job"]["uuid"], shown["job"]["state"], shown["job"]["error"]) == (added["job"], "Done", None)
    paths = [one["path"] for one in shown["events"]]
    assert "/backup-storage/status/change" in paths
    assert "/backup-storage/added" in paths
    assert {one["resourceUuid"] for one in shown["events"]} == {storage["uuid"]}
    assert [(one["storageUuid"], one["succeeded"]) for one in shown["probes"]] == [(storage["uuid"], True)]
    assert shown["probes"][0]["phases"]["auth"] > 0
    assert {one["api"] for one in shown["related"]} == {"api-jobs"}
    assert "hunter2" not in str(shown)


async def test_a_request_that_failed_comes_with_the_error_of_its_job(imagestore_client: Client) -> None:
    with pytest.raises(CallFailed):
        await imagestore_client.add_image_store("no host")
    [added] = await found(imagestore_client, api="AddImageStore*")
    job = (await ask(imagestore_client, f"/{added['number']}")).body["job"]
    assert (job["state"], job["error"]) == ("Failed", "SYS.1007")
    assert job["details"]


async def test_a_request_without_a_job_has_nothing_beside_it(imagestore_client: Client) -> None:
    await imagestore_client.query("/zones")
    [asked] = await found(imagestore_client, api="QueryZone")
    shown = (await ask(imagestore_client, f"/{asked['number']}")).body
    assert (shown["job"], shown["events"], shown["probes"], shown["related"]) == (None, [], [], [])
    for number in ("9999", "zero"):
        assert (await ask(imagestore_client, f"/{number}")).status == 404
