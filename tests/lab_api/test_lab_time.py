"""Clients move the lab's time: `X-Lab-Time` on a request, and a time that `/lab/v1/clock` is set to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from imagestore_sim.lab_api import lab_time
from imagestore_sim.testing import Answer, Client
from imagestore_sim.testing.lab_thread import LabThread, running_lab

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
HOUR = 3600.0
DAY = 86400.0


@pytest.fixture(scope="module")
def stopped_lab() -> Iterator[LabThread]:
    """Return a lab that begins with the bubble of Go's testing/synctest, and stands still."""
    with running_lab(clock="2000-01-01T00:00:00Z", hosts=2, ping_interval=60) as thread:
        yield thread


@pytest_asyncio.fixture
async def client(stopped_lab: LabThread) -> AsyncIterator[Client]:
    async with Client(stopped_lab.lab.url) as client:
        await client.log_in()
        yield client


async def clock(client: Client, method: str = "GET", path: str = "", body: object = None) -> Answer:
    return await client.request(method, f"{client.url}/lab/v1/clock{path}", body)


async def elapsed(client: Client) -> float:
    """Return the seconds since the lab began; where the clock stands still, make them whole ones first."""
    state = (await clock(client)).body
    if state["paused"] and state["elapsed"] % 1:
        state = (await clock(client, "PUT", body={"elapsed": state["elapsed"] // 1 + 1})).body
    return float(state["elapsed"])


async def at(client: Client, time: object, path: str = "/zones", method: str = "GET", body: object = None) -> Answer:
    """Send a request that carries a time."""
    return await client.request(method, path, body, headers={"X-Lab-Time": str(time)})


async def test_a_request_makes_the_clock_catch_up_before_it_is_answered(client: Client, stopped_lab: LabThread) -> None:
    now = await elapsed(client)
    await stopped_lab.lab.network["imagestore-2"].stop()
    answer = await at(client, now + 120, "/backup-storage")
    statuses = {one["name"]: one["status"] for one in answer.body["inventories"]}
    assert statuses == {"imagestore-1": "Connected", "imagestore-2": "Disconnected"}
    assert (float(answer.headers["X-Lab-Time"]), answer.headers["X-Lab-Settled"]) == (now + 120, "true")
    await stopped_lab.lab.network["imagestore-2"].start()
    answer = await at(client, now + HOUR, "/backup-storage")
    assert {one["status"] for one in answer.body["inventories"]} == {"Connected"}


async def test_time_never_goes_back(client: Client) -> None:
    now = await elapsed(client)
    for earlier in (0, now - 1, now, "1999-01-01T00:00:00Z"):
        assert float((await at(client, earlier)).headers["X-Lab-Time"]) == now


async def test_a_time_may_be_absolute(client: Client) -> None:
    now = await elapsed(client)
    moment = datetime.fromtimestamp(BEGIN.timestamp() + now + HOUR, UTC)
    assert float((await at(client, moment.isoformat())).headers["X-Lab-Time"]) == now + HOUR
    state = (await clock(client)).body
    assert state == {
        "time": moment.timestamp(), "elapsed": now + HOUR, "paused": True, "speed": 1.0, "settled": True,
    }  # fmt: skip


async def test_a_job_that_needs_no_time_of_the_lab_has_ended_by_the_next_request(client: Client) -> None:
    now = await elapsed(client)
    new = {"params": {"name": "there", "hostname": "there", "username": "root", "password": "p", "url": "/Cloud_bs"}}
    accepted = await at(client, now, "/backup-storage/image-store", "POST", new)
    assert accepted.status == 202
    assert (await at(client, now, accepted.body["location"])).body["inventory"]["status"] == "Connected"


async def test_requests_catch_up_one_after_the_other(client: Client) -> None:
    now = await elapsed(client)
    answers = await asyncio.gather(*(at(client, now + ahead) for ahead in (3, 1, 2, 3)))
    reached = [float(one.headers["X-Lab-Time"]) for one in answers]
    assert {one.status for one in answers} == {200}
    assert min(reached) >= now + 1
    assert max(reached) == await elapsed(client) == now + 3


async def test_a_client_that_leaves_stops_the_clock_there(client: Client) -> None:
    now = await elapsed(client)
    catching_up = asyncio.create_task(at(client, now + 30 * DAY))
    async with asyncio.timeout(60):
        while (await clock(client)).body["elapsed"] == now:
            await asyncio.sleep(0.01)  # real: the clock is what moves
    catching_up.cancel()
    await asyncio.wait([catching_up])
    left = (await clock(client)).body["elapsed"]
    assert now < left < now + 30 * DAY
    await asyncio.sleep(0.05)  # real: the clock would go on
    assert (await clock(client)).body["elapsed"] == left


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("soon", "expected seconds since the lab began, or a time; 'soon' is no time with an offset"),
        ("-1", "expected seconds since the lab began, or a time; '-1' is no time with an offset"),
        ("1e3", "expected seconds since the lab began"),
        ("2024-01-01T08:00:00", "expected seconds since the lab began, or a time; '2024-01-01T08:00:00' is no time"),
        ("9" * 12, "it is 99"),
    ],
)
async def test_a_time_that_cannot_be_reached_is_refused_in_one_sentence(client: Client, time: str, text: str) -> None:
    now = await elapsed(client)
    refused = [await at(client, time), await at(client, time, f"{client.url}/lab/v1/clock")]
    assert [one.status for one in refused] == [400, 400]
    assert refused[0].text.startswith(f"X-Lab-Time: {text}")
    assert refused[1].body["error"] == refused[0].text
    assert await elapsed(client) == now


async def test_the_clock_can_be_set_to_a_later_time(client: Client) -> None:
    now = await elapsed(client)
    assert (await clock(client, "PUT", body={"elapsed": now + 60})).body["elapsed"] == now + 60
    later = datetime.fromtimestamp(BEGIN.timestamp() + now + 120, UTC)
    assert (await clock(client, "PUT", body={"time": later.isoformat()})).body["time"] == later.timestamp()
    assert (await clock(client, "PUT", body={"time": later.timestamp() + 60})).body["elapsed"] == now + 180
    for body, text in (
        ({"elapsed": 0}, f"elapsed: it is {now + 180:g} s before the lab's time, which never goes back"),
        ({"time": "2000-01-01T00:00:00Z"}, f"time: it is {now + 180:g} s before the lab's time"),
        ({"time": "noon"}, "time: 'noon' is no time with an offset"),
        ({"time": 0, "elapsed": 0}, "time: give either it or elapsed"),
        ({"elapsed": "40d", "paused": False}, "elapsed: it is "),
    ):
        refused = await clock(client, "PUT", body=body)
        assert (refused.status, refused.body["error"][: len(text)]) == (400, text)
    assert (await clock(client)).body["paused"] is True


async def test_a_clock_that_is_resumed_follows_the_machine(client: Client) -> None:
    await clock(client, "PUT", body={"paused": False})
    now = await elapsed(client)
    await asyncio.sleep(0.1)  # real: the machine's time is what passes
    assert 0.03 < await elapsed(client) - now < 60
    assert float((await at(client, now + HOUR)).headers["X-Lab-Time"]) >= now + HOUR - 0.001
    await clock(client, "PUT", body={"paused": True})


async def test_a_clock_that_is_reset_stands_still_again(client: Client) -> None:
    await clock(client, "PUT", body={"paused": False, "speed": 5})
    before = await elapsed(client)
    await client.request("POST", f"{client.url}/lab/v1/reset?wait=true")
    state = (await clock(client)).body
    assert (state["paused"], state["speed"]) == (True, 1.0)
    assert state["elapsed"] >= before


async def test_a_web_page_of_another_origin_cannot_move_the_clock(client: Client) -> None:
    now = await elapsed(client)
    headers = {"X-Lab-Time": str(now + 5), "Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    refused = await client.request("GET", "/zones", headers=headers)
    assert (refused.status, await elapsed(client)) == (403, now)


async def test_only_so_many_requests_wait_for_their_turn(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_time, "MOST_WAITING", 0)
    refused = await at(client, 0)
    assert (refused.status, refused.text) == (503, "0 requests wait to move the lab's clock already")


async def test_moving_the_clock_needs_the_token_of_the_lab() -> None:
    with running_lab(clock="paused", hosts=0, lab_token="sesame") as running:
        async with Client(running.lab.url) as client:
            await client.log_in()
            refused = await at(client, 60)
            assert refused.status == 401
            assert "`X-Lab-Token: TOKEN`" in refused.text
            headers = {"X-Lab-Time": "60", "X-Lab-Token": "sesame"}
            assert (await client.request("GET", "/zones", headers=headers)).headers["X-Lab-Time"] == "60.000000"
            clock = await client.request("GET", f"{client.url}/lab/v1/clock", headers={"X-Lab-Token": "sesame"})
            assert clock.body["elapsed"] == 60
            wrong = headers | {"X-Lab-Token": "open"}
            assert (await client.request("GET", "/zones", headers=wrong)).status == 401


async def test_a_node_without_the_labs_api_has_no_such_header() -> None:
    with running_lab(clock="paused", hosts=0, lab_api=False) as running:
        async with Client(running.lab.url) as client:
            await client.log_in()
            refused = await at(client, 60)
    assert (refused.status, refused.text) == (
        403, "this node does not offer the lab's API; start it with --lab-api for that",
    )  # fmt: skip


async def test_a_real_clock_that_is_paused_catches_up_too() -> None:
    with running_lab(hosts=1, ping_interval=60) as running:
        async with Client(running.lab.url) as client:
            await client.log_in()
            now = (await clock(client, "PUT", body={"paused": True})).body["elapsed"]
            await running.lab.network["imagestore-1"].stop()
            answer = await at(client, now + 120, "/backup-storage")
            assert [one["status"] for one in answer.body["inventories"]] == ["Disconnected"]
            assert float(answer.headers["X-Lab-Time"]) == pytest.approx(now + 120, abs=0.001)


@pytest.mark.parametrize("options", [{}, {"clock": "paused"}], ids=["real", "virtual"])
async def test_a_reset_ends_the_step_under_way_and_those_that_wait(options: dict[str, Any]) -> None:
    with running_lab(hosts=1, ping_interval=60, **options) as running:
        async with Client(running.lab.url) as client:
            await client.log_in()
            begun = (await clock(client)).body
            first = asyncio.create_task(clock(client, "POST", "/step", {"seconds": "31d"}))
            async with asyncio.timeout(60):
                while (await clock(client)).body["elapsed"] < begun["elapsed"] + 5 * 60:
                    await asyncio.sleep(0.01)  # real: the clock is what moves
            late = begun["elapsed"] + 20 * DAY
            waiting = [
                asyncio.create_task(one)
                for one in (
                    clock(client, "POST", "/step", {"seconds": "1d"}),
                    clock(client, "PUT", body={"elapsed": late}),
                    clock(client, "PUT", body={"time": begun["time"] + 20 * DAY}),
                    at(client, late),
                    at(client, late, f"{client.url}/lab/v1/clock"),
                )
            ]
            await asyncio.sleep(0.1)  # real: the requests arrive
            assert (await client.request("POST", f"{client.url}/lab/v1/reset?wait=true")).status == 200
            answers = [await one for one in (first, *waiting)]
            text = "the lab was reset, which ended this step of its clock before its time"
            assert [one.status for one in answers] == [409] * 6
            assert [one.text if "error" not in one.text else one.body["error"] for one in answers] == [text] * 6
            now = (await clock(client)).body
            assert (now["paused"], now["speed"], now["settled"]) == (begun["paused"], begun["speed"], True)
            await asyncio.sleep(0.2)  # real: a clock that is stepped on would be minutes ahead
            assert (await clock(client)).body["elapsed"] - now["elapsed"] < 5
            stepped = (await clock(client, "POST", "/step", {"seconds": 1})).body
            assert stepped["elapsed"] < now["elapsed"] + 60
            await client.log_in()
            assert (await at(client, stepped["elapsed"] + HOUR)).status == 200


async def test_a_client_that_leaves_while_it_waits_for_its_turn_moves_no_clock() -> None:
    with running_lab(hosts=1, ping_interval=60, clock="paused") as running:
        async with Client(running.lab.url) as client:
            await client.log_in()
            first, second = (asyncio.create_task(clock(client, "POST", "/step", {"seconds": "31d"})) for _ in range(2))
            async with asyncio.timeout(60):
                while not (await clock(client)).body["elapsed"]:
                    await asyncio.sleep(0.01)  # real: the clock is what moves
            for one in (second, first):
                one.cancel()
                await asyncio.wait([one])
            stands = await elapsed(client)
            assert stands < 31 * DAY
            assert (await clock(client, "POST", "/step", {"seconds": 1})).body["elapsed"] == stands + 1


async def test_new_records_leave_a_step_under_way() -> None:
    with running_lab(hosts=1, ping_interval=60, clock="paused") as running:
        async with Client(running.lab.url) as client:
            await client.log_in()
            step = asyncio.create_task(clock(client, "POST", "/step", {"seconds": "1d"}))
            async with asyncio.timeout(60):
                while not (await clock(client)).body["elapsed"]:
                    await asyncio.sleep(0.01)  # real: the clock is what moves
            snapshot = f"{client.url}/lab/v1/snapshot"
            assert (await client.request("PUT", snapshot, data=b"zones: []")).status == 200
            assert (await step).body["elapsed"] == DAY
