"""The lanes of storages over a time: statuses, capacities, faults of hosts and of the node, requests as ticks."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from imagestore_sim.lab import Lab
from imagestore_sim.lab_api import timeline
from imagestore_sim.testing import Client
from rows import rows

pytestmark = [
    pytest.mark.imagestore_lab(hosts=3, ping_interval=5, clock="virtual"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def imagestore_lab(reset_lab: Lab) -> Lab:
    return reset_lab


@pytest_asyncio.fixture(loop_scope="module")
async def imagestore_client(reset_client: Client) -> Client:
    return reset_client


async def lab(client: Client, method: str, path: str, body: object = None, **query: object) -> dict[str, Any]:
    asked = [(name.removesuffix("_"), str(value)) for name, value in query.items()]
    answer = await client.request(method, f"{client.url}/lab/v1{path}", body, query=asked)
    assert answer.status < 300, answer.text
    return dict(answer.body)


def statuses(lane: dict[str, Any]) -> list[str | None]:
    return [one["status"] for one in lane["statuses"]]


async def test_a_broken_host_shows_in_its_lane_with_the_fault_and_the_requests(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await imagestore_lab.clock.sleep(1)
    began = imagestore_lab.clock.time()
    await imagestore_lab.clock.sleep(1)
    fault = await lab(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=30)
    await lab(imagestore_client, "POST", "/hosts/imagestore-2/stop")
    await lab(imagestore_client, "POST", "/node/faults", {"kind": "api_error"})
    await imagestore_lab.clock.sleep(1)
    await lab(imagestore_client, "DELETE", "/node/faults")
    await lab(imagestore_client, "POST", "/heal", {})
    await imagestore_lab.wait_for("imagestore-1", "Connected", within=30)
    await lab(imagestore_client, "POST", "/hosts/imagestore-3/fill", {"to": "90%"})
    await imagestore_lab.clock.sleep(10)
    await imagestore_client.query("/zones")
    shown = await lab(imagestore_client, "GET", "/timeline", from_=began)
    by_name = {lane["name"]: lane for lane in shown["lanes"]}
    assert statuses(by_name["imagestore-1"]) == ["Connected", "Disconnected", "Connecting", "Connected"]
    assert statuses(by_name["imagestore-3"]) == ["Connected"]
    times = [one["time"] for one in by_name["imagestore-1"]["statuses"]]
    assert times[0] == began
    assert times == sorted(times)
    before, after = by_name["imagestore-3"]["capacities"]
    assert (before["time"], before["total"]) == (began, after["total"])
    assert after["available"] < before["available"]
    faults = {(one["kind"], one["host"]): one for one in shown["faults"]}
    refused = faults["refuse", "imagestore-1"]
    assert refused["id"] == fault["id"]
    assert began < refused["from"] <= times[1] < refused["to"] <= times[-1]
    assert faults["stopped", "imagestore-2"]["to"] is None
    assert faults["fill", "imagestore-3"]["parameters"] == {"to": "90%"}
    assert faults["api_error", None]["to"] == pytest.approx(faults["api_error", None]["from"] + 1, abs=0.1)
    [tick] = [one for one in shown["requests"] if one["api"] == "APIQueryZoneMsg"]
    assert (tick["method"], tick["status"], tick["faults"]) == ("GET", 200, 0)
    assert (shown["lanesInAll"], shown["faultsLeftOff"], shown["eventsLeftOff"]) == (3, 0, False)


async def test_lanes_come_in_pages_and_by_name(imagestore_client: Client, imagestore_lab: Lab) -> None:
    first = await lab(imagestore_client, "GET", "/timeline", limit=2)
    rest = await lab(imagestore_client, "GET", "/timeline", start=2, limit=2)
    names = [lane["name"] for page in (first, rest) for lane in page["lanes"]]
    assert names == ["imagestore-1", "imagestore-2", "imagestore-3"]
    assert first["lanesInAll"] == rest["lanesInAll"] == 3
    one = await lab(imagestore_client, "GET", "/timeline", name="STORE-2")
    assert [lane["name"] for lane in one["lanes"]] == ["imagestore-2"]
    none = await lab(imagestore_client, "GET", "/timeline", name="%")
    assert none["lanes"] == []


async def test_only_the_lanes_that_changed_are_asked_for(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await imagestore_lab.clock.sleep(1)
    began = imagestore_lab.clock.time()
    assert (await lab(imagestore_client, "GET", "/timeline", from_=began - 0.1, changed=True))["lanes"] == []
    await lab(imagestore_client, "POST", "/hosts/imagestore-2/faults", {"kind": "latency", "delay": "1s"})
    await lab(imagestore_client, "POST", "/hosts/imagestore-3/faults", {"kind": "refuse"})
    await imagestore_lab.wait_for("imagestore-3", "Disconnected", within=30)
    shown = await lab(imagestore_client, "GET", "/timeline", from_=began, changed=True)
    assert [lane["name"] for lane in shown["lanes"]] == ["imagestore-2", "imagestore-3"]


async def test_storages_that_come_and_go_have_lanes(imagestore_client: Client, imagestore_lab: Lab) -> None:
    began = imagestore_lab.clock.time()
    await imagestore_lab.clock.sleep(1)
    added = await imagestore_client.add_image_store("new-1", name="gold")
    await imagestore_lab.clock.sleep(1)
    between = imagestore_lab.clock.time()
    await imagestore_lab.clock.sleep(1)
    await imagestore_client.call("DELETE", f"/backup-storage/{added['uuid']}")
    gone = (await lab(imagestore_client, "GET", "/timeline", from_=began, start=3))["lanes"]
    assert [(one["name"], one["hostname"], one["exists"]) for one in gone] == [("gold", "new-1", False)]
    assert statuses(gone[0])[0] is None
    assert statuses(gone[0])[-2:] == ["Connected", None]
    [there] = (await lab(imagestore_client, "GET", "/timeline", from_=began, to=between, start=3))["lanes"]
    assert statuses(there)[-1] == "Connected"


async def test_what_is_too_much_is_left_off_and_counted(
    imagestore_client: Client, imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST_SPANS", 2)
    monkeypatch.setattr(timeline, "MOST_WINDOWS", 1)
    began = imagestore_lab.clock.time()
    for _ in range(2):
        await lab(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
        await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=30)
        await lab(imagestore_client, "POST", "/heal", {})
        await imagestore_lab.wait_for("imagestore-1", "Connected", within=30)
    shown = await lab(imagestore_client, "GET", "/timeline", from_=began, limit=1)
    assert len(shown["lanes"][0]["statuses"]) == 2
    assert shown["lanes"][0]["leftOff"] >= 4
    assert (len(shown["faults"]), shown["faultsLeftOff"]) == (1, 1)


async def test_a_fault_of_the_node_that_lasts_is_shown_however_many_came_and_went_since(
    imagestore_client: Client, imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST_EVENTS", 3)
    lasting = await lab(
        imagestore_client, "POST", "/node/faults", {"kind": "status", "code": 418, "when": {"path": "/x"}}
    )
    for _ in range(3):
        healed = await lab(
            imagestore_client, "POST", "/node/faults", {"kind": "status", "code": 418, "when": {"path": "/x"}}
        )
        await lab(imagestore_client, "DELETE", f"/node/faults/{healed['id']}")
    await imagestore_lab.clock.sleep(1)
    shown = await lab(imagestore_client, "GET", "/timeline", from_=imagestore_lab.clock.time() - 0.5)
    assert [(one["id"], one["to"]) for one in shown["faults"]] == [(lasting["id"], None)]


async def test_a_secret_of_a_fault_is_not_shown(imagestore_client: Client, imagestore_lab: Lab) -> None:
    fault = {"kind": "password_rotated", "password": "hunter2"}
    await lab(imagestore_client, "POST", "/hosts/imagestore-1/faults", fault)
    assert "hunter2" not in str(await lab(imagestore_client, "GET", "/timeline"))


@rows(
    ("query", "problem"),
    [
        ({"from_": 5, "to": 5}, "from: expected a time before `to`"),
        ({"limit": 1000}, "limit: "),
        ({"from_": 0, "to": 1e308}, "to: "),
        ({"from_": float("nan")}, "from: expected a number"),
        ({"to": float("inf")}, "to: expected a number"),
        ({"start": 10**30}, "start: "),
    ],
)
async def test_a_time_or_a_page_that_cannot_be_is_refused(
    query: dict[str, float], problem: str, imagestore_client: Client
) -> None:
    asked = [(name.removesuffix("_"), str(value)) for name, value in query.items()]
    answer = await imagestore_client.request("GET", f"{imagestore_client.url}/lab/v1/timeline", query=asked)
    assert answer.status == 400
    assert problem in answer.text


async def test_a_reset_forgets_what_was_done_to_hosts(imagestore_client: Client, imagestore_lab: Lab) -> None:
    await lab(imagestore_client, "POST", "/hosts/imagestore-1/faults", {"kind": "refuse"})
    await lab(imagestore_client, "POST", "/reset", wait="true")
    assert (await lab(imagestore_client, "GET", "/timeline"))["faults"] == []
