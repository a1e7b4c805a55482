"""Faults of jobs, as a client that polls meets them; what the jobs have changed, beside what they report."""

from __future__ import annotations

import pytest

from imagestore_sim.lab import Lab
from imagestore_sim.testing import Answer, CallFailed, Client
from kept_lab import reset_fixtures
from node_faults import heal, requests, set_fault, shown

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.imagestore_lab(hosts=1, ping_interval=3600, clock="virtual"),
]
ZONE = {"params": {"name": "z"}}
ADDED = {"params": {"name": "s", "hostname": "s", "username": "root", "password": "password", "url": "/Cloud_bs"}}
CALLS = [
    pytest.param("/zones", ZONE, "/zones", id="a job of one transaction"),
    pytest.param("/backup-storage/image-store", ADDED, "/backup-storage", id="a job that waits for a host"),
]


imagestore_lab, imagestore_client = reset_fixtures()


async def begin(client: Client, path: str, body: object) -> str:
    """Begin a job, and return the address to poll."""
    answer = await client.request("POST", path, body)
    assert answer.status == 202, answer.text
    location: str = answer.body["location"]
    return location


async def there(client: Client, path: str, body: object) -> bool:
    """Return whether the resource of a call exists."""
    name = "z" if body is ZONE else "s"
    return bool(await client.query(path, f"name={name}"))


@pytest.mark.parametrize(("path", "body", "queried"), CALLS)
@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_slow_job_does_its_work_early_or_late_and_ends_late(
    imagestore_client: Client, imagestore_lab: Lab, point: str, path: str, body: object, queried: str
) -> None:
    await set_fault(imagestore_client, "job_slow", by="30s", point=point, when={"first": 1})
    location = await begin(imagestore_client, path, body)
    await imagestore_lab.clock.sleep(29)
    assert (await imagestore_client.request("GET", location)).status == 202
    assert await there(imagestore_client, queried, body) == (point == "after")
    await imagestore_lab.clock.sleep(2)
    assert (await imagestore_client.request("GET", location)).status == 200
    assert await there(imagestore_client, queried, body)


async def test_a_job_that_is_stuck_ends_when_the_fault_heals(imagestore_client: Client, imagestore_lab: Lab) -> None:
    fault = await set_fault(imagestore_client, "job_stuck", when={"api": "CreateZone", "first": 1})
    location = await begin(imagestore_client, "/zones", ZONE)
    await imagestore_lab.clock.sleep(7200)
    polled = await imagestore_client.request("GET", location)
    assert (polled.status, polled.body) == (202, {})
    assert await imagestore_client.query("/zones", "name=z")
    assert (await shown(imagestore_client, fault))["healedBy"] == "count"  # it meets no more, and holds the one it met
    await heal(imagestore_client, fault)
    assert (await imagestore_client.follow(location)).status == 200


async def test_a_job_that_is_stuck_before_its_work_has_changed_nothing(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, "job_stuck", point="before")
    await begin(imagestore_client, "/zones", ZONE)
    await imagestore_lab.clock.sleep(60)
    assert await imagestore_client.query("/zones", "name=z") == []


@pytest.mark.parametrize(("path", "body", "queried"), CALLS)
async def test_a_lost_job_is_unknown_though_its_work_is_done(
    imagestore_client: Client, imagestore_lab: Lab, path: str, body: object, queried: str
) -> None:
    await set_fault(imagestore_client, "job_lost", when={"first": 1})
    location = await begin(imagestore_client, path, body)
    polled = await imagestore_client.request("GET", location)
    assert (polled.status, polled.text) == (404, "the job has been expired")
    await imagestore_lab.clock.sleep(5)
    assert await there(imagestore_client, queried, body)


async def test_the_uuid_of_a_lost_job_can_be_used_again_while_it_runs(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, "job_lost", when={"first": 1})
    await set_fault(imagestore_client, "job_slow", by="10s", point="before", when={"first": 1})
    for name in ("lost", "found"):
        params = {"params": {"name": name}}
        answer = await imagestore_client.request("POST", "/zones", params, headers={"X-Job-UUID": "a" * 32})
        assert answer.status == 202, answer.text
    assert (await imagestore_client.follow(answer.body["location"])).body["inventory"]["name"] == "found"
    await imagestore_lab.clock.sleep(11)
    assert len(await imagestore_client.query("/zones", "name?=lost,found")) == 2
    assert (await imagestore_client.request("GET", answer.body["location"])).status == 200


async def test_the_uuid_of_a_job_that_a_reset_has_cut_off_can_be_drawn_again(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await set_fault(imagestore_client, "job_stuck", point="before")
    locations = []
    for _ in range(2):
        locations.append(await begin(imagestore_client, "/zones", ZONE))
        await imagestore_lab.node.changes.reset(wait=True)
        await imagestore_client.log_in()
    assert locations[0] == locations[1]


async def test_a_job_may_be_lost_at_its_end(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await set_fault(imagestore_client, "job_lost", point="after")
    await set_fault(imagestore_client, "job_slow", by="10s")
    location = await begin(imagestore_client, "/zones", ZONE)
    assert (await imagestore_client.request("GET", location)).status == 202
    await imagestore_lab.clock.sleep(11)
    assert (await imagestore_client.request("GET", location)).status == 404


@pytest.mark.parametrize(("path", "body", "queried"), CALLS)
async def test_a_job_fails_without_its_work(imagestore_client: Client, path: str, body: object, queried: str) -> None:
    wanted = {"code": "SYS.1000", "details": "no space left", "description": "a summary"}
    fault = await set_fault(imagestore_client, "job_fails", **wanted, when={"first": 1})
    answer = await imagestore_client.follow(await begin(imagestore_client, path, body))
    error = answer.body["error"]
    assert answer.status == 503
    assert {name: error[name] for name in wanted} == wanted
    assert not await there(imagestore_client, queried, body)
    [row] = [row for row in await requests(imagestore_client, f"/zstack/v1{path}") if row["method"] == "POST"]
    assert row["faults"] == [fault]


@pytest.mark.parametrize(("path", "body", "queried"), CALLS)
async def test_a_job_is_done_but_reported_failed_so_that_trying_again_finds_it(
    imagestore_client: Client, path: str, body: object, queried: str
) -> None:
    await set_fault(imagestore_client, "job_done_but_reported_failed", details="lost", when={"first": 1})
    with pytest.raises(CallFailed) as failed:
        await imagestore_client.call("POST", path, body)
    assert failed.value.error["details"] == "lost"
    assert await there(imagestore_client, queried, body)


async def test_a_job_that_fails_by_itself_keeps_its_own_error(imagestore_client: Client) -> None:
    await set_fault(imagestore_client, "job_done_but_reported_failed", details="lost")
    with pytest.raises(CallFailed) as failed:
        await imagestore_client.call("POST", "/zones", {"params": {}})
    assert failed.value.code == "SYS.1007"


async def test_the_first_of_two_faults_that_fail_a_job_wins_and_their_delays_add_up(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    for details in ("one", "two"):
        await set_fault(imagestore_client, "job_fails", details=details)
        await set_fault(imagestore_client, "job_slow", by="5s", point="before")
    location = await begin(imagestore_client, "/zones", ZONE)
    began = imagestore_lab.clock.monotonic()
    answer = await imagestore_client.follow(location)
    assert answer.body["error"]["details"] == "one"
    assert imagestore_lab.clock.monotonic() - began == pytest.approx(10, abs=0.5)


async def test_jobs_of_the_message_api_meet_the_same_faults(imagestore_client: Client) -> None:
    async def add(name: str) -> Answer:
        session = {"uuid": imagestore_client.session_uuid}
        body = {"org.zstack.header.zone.APICreateZoneMsg": {"name": name, "session": session}}
        return await imagestore_client.request("POST", f"{imagestore_client.url}/zstack/api", body)

    async def result(uuid: str) -> Answer:
        return await imagestore_client.request("GET", f"{imagestore_client.url}/zstack/api/result/{uuid}")

    await set_fault(imagestore_client, "job_lost", when={"nth": 1})
    await set_fault(imagestore_client, "job_fails", details="by a fault", when={"nth": 2})
    assert (await result((await add("a")).body["uuid"])).status == 404
    job = (await add("b")).body["uuid"]
    while (answer := await result(job)).body["state"] != "Done":
        pass
    assert "by a fault" in answer.body["result"]
