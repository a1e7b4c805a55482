"""`/lab/v1/node/faults`: set, list and heal faults of the management plane, and read what they did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from typing import Any

import aiohttp
import pytest

from imagestore_sim.faults import NODE_FAULTS
from imagestore_sim.lab import Lab
from imagestore_sim.rest.journal import Entry
from imagestore_sim.rest.node_faults import FAULT_HEALED, FAULT_HIT, FAULT_SET, MOST_FAULTS
from imagestore_sim.testing import Client
from kept_lab import reset_fixtures

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.imagestore_lab(hosts=0)]
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
TEAPOT = {"kind": "status", "code": 418}
Json = dict[str, Any]


imagestore_lab, imagestore_client = reset_fixtures()


async def lab_api(client: Client, method: str, path: str, body: object = None, status: int = 200) -> Json:
    answer = await client.request(method, f"{client.url}/lab/v1{path}", body)
    assert answer.status == status, answer.text
    return answer.body


async def set_fault(client: Client, **body: object) -> Json:
    return await lab_api(client, "POST", "/node/faults", body, 201)


async def events(lab: Lab) -> list[Json]:
    stored = await lab.node.parts.store.event_log.since(0, 1000)
    return [one.to_json() for one in stored if one.path.startswith("/management-node/fault/")]


def sockets() -> int:
    """Return the number of sockets that this process has open."""
    found = 0
    for descriptor in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # that of the list itself
            found += stat.S_ISSOCK(os.stat(int(descriptor)).st_mode)
    return found


async def test_a_fault_is_set_met_listed_and_healed(imagestore_client: Client, imagestore_lab: Lab) -> None:
    fault = await set_fault(imagestore_client, **TEAPOT, when={"api": "QueryZone", "every": 2}, **{"for": "1h"})
    assert 3590 < fault.pop("secondsLeft") <= 3600
    assert 3590 < fault.pop("healsAt") - imagestore_lab.clock.time() <= 3600
    parameters = {"code": 418, "when": {"api": "QueryZone", "every": 2}, "for": 3600}
    expected = {"id": "status-1", "kind": "status", "parameters": parameters, "matches": 0, "hits": 0, "left": None}
    assert fault == {**expected, "healedBy": None}
    statuses = [(await imagestore_client.request("GET", "/zones")).status for _ in range(5)]
    assert statuses == [200, 418, 200, 418, 200]
    assert (await imagestore_client.request("GET", "/accounts")).status == 200
    [listed] = (await lab_api(imagestore_client, "GET", "/node/faults"))["faults"]
    assert (listed["matches"], listed["hits"]) == (5, 2)
    healed = await lab_api(imagestore_client, "DELETE", "/node/faults/status-1")
    assert (healed["hits"], healed["secondsLeft"], healed["healedBy"]) == (2, None, "hand")
    assert await lab_api(imagestore_client, "DELETE", "/node/faults/status-1") == healed
    assert await lab_api(imagestore_client, "GET", "/node/faults") == {"faults": [], "healed": [healed]}
    assert (await imagestore_client.request("GET", "/zones")).status == 200
    gone = await lab_api(imagestore_client, "GET", "/node/faults/status-9", status=404)
    assert gone == {"error": "there is no fault status-9"}


async def test_events_say_what_a_fault_did(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await set_fault(imagestore_client, **TEAPOT, count=1)
    assert (await imagestore_client.request("GET", "/zones?q=password=hush")).status == 418
    found = await events(imagestore_lab)
    assert [one["path"] for one in found] == [FAULT_SET, FAULT_HIT, FAULT_HEALED]
    assert {one["resourceUuid"] for one in found} == {"status-1"}
    assert found[0]["content"] == {"kind": "status", "parameters": {"code": 418, "count": 1}}
    assert found[1]["content"] == {
        "kind": "status",
        "hit": 1,
        "method": "GET",
        "path": "/zstack/v1/zones?q=password%3D***",
        "api": "APIQueryZoneMsg",
        "account": ADMIN,
        "job": None,
    }
    assert found[2]["content"] == {"kind": "status", "healedBy": "count", "hits": 1}


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_a_fault_heals_by_itself_on_the_clock(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await set_fault(imagestore_client, **TEAPOT, **{"for": "10m"})
    await imagestore_lab.clock.sleep(599)
    assert (await imagestore_client.request("GET", "/zones")).status == 418
    await imagestore_lab.clock.sleep(2)
    assert (await imagestore_client.request("GET", "/zones")).status == 200
    assert (await lab_api(imagestore_client, "GET", "/node/faults/status-1"))["healedBy"] == "time"


@pytest.mark.imagestore_lab(hosts=1)
async def test_one_call_heals_hosts_and_the_management_plane(imagestore_client: Client) -> None:
    await lab_api(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "read_only"}, 201)
    await set_fault(imagestore_client, kind="no_accept")
    await set_fault(imagestore_client, **TEAPOT)
    await lab_api(imagestore_client, "POST", "/heal", {"kind": "status"})
    assert [one["id"] for one in (await lab_api(imagestore_client, "GET", "/node/faults"))["faults"]] == ["no_accept-1"]
    [host] = (await lab_api(imagestore_client, "POST", "/heal"))["hosts"]
    assert host["faults"] == []
    assert (await lab_api(imagestore_client, "GET", "/node/faults"))["faults"] == []
    unknown = await lab_api(imagestore_client, "POST", "/heal", {"kind": "rust"}, 400)
    assert unknown["error"].startswith("kind: there is no fault 'rust'; there are ")


@pytest.mark.asyncio(loop_scope="function")
async def test_the_kinds_of_the_management_plane_are_listed_with_their_schemas(fixed: Client) -> None:
    kinds = await lab_api(fixed, "GET", "/faults")
    assert kinds["faults"] == []  # a node alone has no hosts
    assert [one["kind"] for one in kinds["nodeFaults"]] == sorted(NODE_FAULTS)
    by_kind = {one["kind"]: one for one in kinds["nodeFaults"]}
    lost = by_kind["answer_lost"]
    assert [one["name"] for one in lost["parameters"]] == ["when", "count", "point", "how", "for"]
    assert lost["schema"]["properties"]["how"]["enum"] == ["reset", "close", "silence"]
    assert (lost["layer"], lost["meets"], lost["example"]["kind"]) == ("connection", "any request", "answer_lost")


async def test_every_kind_can_be_set_as_its_example_shows(imagestore_client: Client) -> None:
    for kind in NODE_FAULTS.values():
        fault = await set_fault(imagestore_client, kind=kind.kind, **kind.example)
        await lab_api(imagestore_client, "DELETE", f"/node/faults/{fault['id']}")


async def test_nothing_is_touched_outside_of_the_api(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, kind="answer_lost", point="before")
    await set_fault(imagestore_client, **TEAPOT)
    for path in ("/healthz", "/readyz", "/metrics", "/lab/v1/requests", "/lab/v1/openapi.json", "/lab/v1/nosuch", "/"):
        answer = await imagestore_client.request("GET", f"{imagestore_client.url}{path}")
        assert (answer.status in (200, 404), answer.headers.get("X-Lab-Fault")) == (True, None), path
    assert {one["hits"] for one in (await lab_api(imagestore_client, "GET", "/node/faults"))["faults"]} == {0}


async def test_the_legacy_api_and_bad_requests_are_met(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, **TEAPOT, when={"path": "/api*"})
    await set_fault(imagestore_client, **TEAPOT, when={"path": "/v1/nosuch"})
    for path in ("/zstack/api", "/zstack/api/result/1", "/zstack/v1/nosuch", "/v1/nosuch"):
        assert (await imagestore_client.request("GET", f"{imagestore_client.url}{path}")).status == 418, path
    assert (await imagestore_client.request("GET", "/api-jobs/1")).status == 404


async def test_as_many_as_allowed_can_be_set_at_once(imagestore_client: Client, imagestore_lab: Lab) -> None:
    for _ in range(MOST_FAULTS):
        await set_fault(imagestore_client, kind="answer_lost", when={"path": "/v1/nothing"})
    refused = await lab_api(imagestore_client, "POST", "/node/faults", TEAPOT, 409)
    assert refused == {"error": "100 faults are set already, which is the most at once"}
    assert len((await lab_api(imagestore_client, "DELETE", "/node/faults"))["healed"]) == MOST_FAULTS
    assert imagestore_lab.node.foundation.node_faults.is_empty


@pytest.mark.thorough
async def test_no_more_than_allowed_are_set_by_calls_at_once(imagestore_client: Client) -> None:
    body = {"kind": "latency", "when": {"path": "nowhere"}}
    path = f"{imagestore_client.url}/lab/v1/node/faults"
    answers = await asyncio.gather(*(imagestore_client.request("POST", path, body) for _ in range(MOST_FAULTS + 10)))
    statuses = [answer.status for answer in answers]
    assert (statuses.count(201), statuses.count(409)) == (MOST_FAULTS, 10)


async def test_secrets_in_the_path_of_a_fault_are_masked(imagestore_client: Client, imagestore_lab: Lab) -> None:
    secret = "d" * 32
    when = {"path": f"/v1/accounts/sessions/{secret}"}
    fault = await set_fault(imagestore_client, kind="latency", delay="0s", when=when)
    assert fault["parameters"]["when"] == {"path": "/v1/accounts/sessions/***"}
    await imagestore_client.request("GET", f"/accounts/sessions/{secret}")
    listed = await lab_api(imagestore_client, "GET", "/node/faults")
    assert listed["faults"][0]["hits"] == 1
    assert secret not in f"{listed} {await events(imagestore_lab)}"


async def test_a_mistake_names_the_field(imagestore_client: Client) -> None:
    for body, error in (
        ({}, "kind: is required"),
        ({"kind": "rust"}, "there is no fault 'rust'; there are answer_lost, "),
        ({"kind": "latency", "dilay": 1}, "fault latency: dilay: is unknown; there are when, count, delay, jitter, "),
        (
            {"kind": "latency", "when": {"apo": "Add*"}},
            "fault latency: when.apo: is unknown; there are api, path,",
        ),
        ({"kind": "missing_field"}, "fault missing_field: field: is required"),
        (
            {"kind": "latency", "when": {"api": "CreateZon"}},
            "fault latency: when.api: no API is called 'CreateZon'; did you mean CreateZone?",
        ),
        ({"kind": "latency", "when": {"api": "*Zome*"}}, "fault latency: when.api: no API is called '*Zome*'"),
        ({"kind": "latency", "when": {"nht": 1}}, "fault latency: when.nht: is unknown; there are api, "),
        ({"kind": "latency", "when": {"nth": 0}}, "fault latency: when.nth: expected 1 or more"),
    ):
        refused = await lab_api(imagestore_client, "POST", "/node/faults", body, 400)
        assert refused["error"].startswith(error)


async def test_a_reset_forgets_the_faults_and_a_snapshot_does_not(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, **TEAPOT, when={"api": "QueryZone"})
    await set_fault(imagestore_client, kind="stale_reads")
    snapshot = await imagestore_client.request("GET", f"{imagestore_client.url}/lab/v1/snapshot")
    await imagestore_client.request("PUT", f"{imagestore_client.url}/lab/v1/snapshot", data=snapshot.text.encode())
    assert (await imagestore_client.request("GET", "/zones")).status == 418
    await lab_api(imagestore_client, "POST", "/reset")
    assert await lab_api(imagestore_client, "GET", "/node/faults") == {"faults": [], "healed": []}
    assert len(imagestore_lab.node.foundation.node_faults.tasks) == 0
    assert (await set_fault(imagestore_client, **TEAPOT))["id"] == "status-1"


@pytest.mark.imagestore_lab(hosts=1)
async def test_requests_are_selected_by_account_client_and_status_of_storages(imagestore_client: Client) -> None:
    [storage] = await imagestore_client.query("/backup-storage")
    path = f"/backup-storage/{storage['uuid']}"
    for when, hit in (
        ({"account": "admin"}, True),
        ({"account": ADMIN}, True),
        ({"account": "bob"}, False),
        ({"client": "127.0.0.*"}, True),
        ({"client": "terraform/*"}, True),
        ({"client": "curl/*"}, False),
        ({"storageStatus": "Connected"}, True),
        ({"storageStatus": "Dis*"}, False),
    ):
        await set_fault(imagestore_client, **TEAPOT, when=when)
        answer = await imagestore_client.request("GET", path, headers={"User-Agent": "terraform/1.5"})
        assert answer.status == (418 if hit else 200), when
        await lab_api(imagestore_client, "DELETE", "/node/faults")


async def test_an_answer_of_the_cache_is_met_as_others_are(imagestore_client: Client, imagestore_lab: Lab) -> None:
    for _ in range(2):
        await imagestore_client.query("/zones")
    hits = imagestore_lab.node.parts.response_cache.hits
    await set_fault(imagestore_client, **TEAPOT, when={"api": "QueryAccount"})
    await imagestore_client.query("/zones")  # read from the database again, after the event of the fault
    before = hits.total()
    await imagestore_client.query("/zones")
    assert hits.total() == before + 1  # a request that no fault meets
    await set_fault(imagestore_client, **TEAPOT, when={"api": "QueryZone"})
    assert (await imagestore_client.request("GET", "/zones")).status == 418
    assert (await imagestore_client.request("GET", "/zones")).status == 418


@pytest.mark.parametrize(("clients", "each"), [(6, 15), pytest.param(50, 200, marks=pytest.mark.soak)])
async def test_every_request_of_many_clients_is_accounted_for(
    imagestore_client: Client, imagestore_lab: Lab, clients: int, each: int
) -> None:
    await imagestore_client.query("/zones")
    open_before = sockets()
    for kind in ("answer_lost", "reset", "truncated", "malformed", "api_error"):
        await set_fault(imagestore_client, kind=kind, when={"probability": 0.1})
    for how in ("close", "reset"):
        await set_fault(imagestore_client, kind="answer_lost", point="before", how=how, when={"every": 7})
    await set_fault(imagestore_client, kind="latency", delay="5ms", when={"every": 3})
    await set_fault(imagestore_client, kind="slow_body", over="5ms", when={"every": 5})
    await set_fault(imagestore_client, kind="stale_reads", when={"every": 2})
    faults, journal = imagestore_lab.node.foundation.node_faults, imagestore_lab.node.foundation.journal
    rows: list[Entry] = []

    async def ask() -> None:
        async with Client(imagestore_lab.url) as client:
            client.session_uuid = imagestore_client.session_uuid
            for _ in range(each):
                with contextlib.suppress(OSError, aiohttp.ClientError, UnicodeDecodeError):
                    await client.request("GET", "/zones")

    with journal.watching("all", lambda _: True, rows.append):
        await asyncio.gather(*(ask() for _ in range(clients)))
    assert len(rows) >= clients * each  # aiohttp sends a GET once more when a connection was closed
    for applied in faults:
        assert applied.hits == sum(applied.id in row.faults for row in rows)
        assert applied.selector.matches == len(rows)
    await lab_api(imagestore_client, "POST", "/heal")
    assert faults.is_empty
    async with asyncio.timeout(60):  # real: threads close the snapshots of stale_reads, and the kernel sockets
        while len(faults.tasks) or sockets() > open_before:
            await asyncio.sleep(0.01)  # real: see above
