"""`/lab/v1/stories`: the library, and plays of its stories on the lab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from imagestore_sim.cli.stories import StoriesOnDemand
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.scenario import library
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client

SHORT = "short"
STORY = """\
title: A host is refused for a moment
hosts: {imagestore-1: , other: }
storages: [{name: gold, hostname: other}]
settings: {ping.interval: 2s}
timeline:
  - fault: {host: other, kind: refuse}
  - eventually: {storage: gold, status: Disconnected, within: 5m}
  - heal: {host: other}
  - eventually: {storage: gold, status: Connected, within: 5m}
"""


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library have a story of seconds, which holds on a busy machine as well, and a long one."""
    monkeypatch.setattr(library, "shipped", lambda path: tmp_path)
    (tmp_path / f"{SHORT}.yaml").write_text(STORY)
    (tmp_path / "long.yaml").write_text(STORY.replace("timeline:", "timeline:\n  - wait: 1h"))


@asynccontextmanager
async def lab_with_stories(**options: Any) -> AsyncIterator[tuple[Lab, Client]]:
    stories = StoriesOnDemand(lambda: lab.url, None, has_hosts=True, any_host=True)
    lab = Lab(Settings(port=0, hosts=1, ping_interval=1, **options), stories=stories.open)
    async with lab, stories, Client(lab.url) as client:
        await client.log_in()
        yield lab, client


async def call(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = await client.request(method, f"{client.url}/lab/v1/stories{path}", body)
    return answer.status, answer.body


async def ended(client: Client, path: str) -> Any:
    """Return a play once it has ended."""
    async with asyncio.timeout(60):
        while (play := (await call(client, "GET", path))[1])["state"] != "ended":
            await asyncio.sleep(0.05)
    return play


@pytest.mark.usefixtures("short")
async def test_a_story_is_played_on_the_lab_which_is_as_before_afterwards() -> None:
    async with lab_with_stories() as (lab, client):
        storages = await client.query("/backup-storage")
        status, begun = await call(client, "POST", f"/{SHORT}/plays", {})
        assert (status, begun["state"], begun["verdict"]) == (202, "preparing", None)
        assert (await call(client, "POST", "/long/plays", {}))[0] == 409
        status, shown = await call(client, "GET", "")
        assert (shown["playing"], shown["play"], shown["obstacle"]) == (SHORT, begun["id"], None)
        play = await ended(client, f"/{SHORT}/plays/{begun['id']}")
        assert (play["verdict"], play["problem"]) == ("held", "")
        assert {one["state"] for one in play["steps"]} == {"done"}
        assert {one["verdict"] for one in play["steps"] if one["expects"]} == {"held"}
        assert play["elapsed"] > 0
        assert play["picture"].startswith("<svg")
        await client.log_in()  # the records, and with them the sessions, were put aside
        again = await client.query("/backup-storage")
        assert [(one["uuid"], one["name"], one["status"]) for one in again] == [
            (one["uuid"], one["name"], "Connected") for one in storages
        ]
        assert not lab.clock.paused  # type: ignore[attr-defined]
        page = await client.request("GET", f"{client.url}/lab/v1/stories/{SHORT}/plays/{begun['id']}/report")
        assert page.headers["Content-Type"].startswith("text/html")
        assert "1 held" in page.text
        assert (await call(client, "GET", f"/{SHORT}"))[1]["plays"] == [begun["id"]]


@pytest.mark.thorough
@pytest.mark.usefixtures("short")
async def test_a_play_that_is_stopped_leaves_the_lab_as_it_was() -> None:
    async with lab_with_stories() as (_, client):
        _, begun = await call(client, "POST", "/long/plays", {"stepped": False})
        path = f"/long/plays/{begun['id']}"
        async with asyncio.timeout(60):
            while (await call(client, "GET", path))[1]["elapsed"] == 0:
                await asyncio.sleep(0.02)
        assert (await call(client, "GET", f"{path}/report"))[0] == 409
        status, stopping = await call(client, "DELETE", path)
        assert (status, stopping["stopped"]) == (202, True)
        play = await ended(client, path)
        assert (play["verdict"], play["problem"]) == ("unknown", "")
        await client.log_in()
        assert [one["name"] for one in await client.query("/backup-storage")] == ["imagestore-1"]
        assert (await client.request("GET", f"{client.url}/lab/v1/hosts")).body["hosts"][0]["faults"] == []


async def test_what_cannot_be_played_says_why() -> None:
    async with lab_with_stories() as (_, client):
        stories = {one["name"]: one for one in (await call(client, "GET", ""))[1]["stories"]}
        assert len(stories) > 60
        assert stories["disk-fills-up"]["obstacle"] is None
        assert "restart_node" in stories["node-restarted-in-the-outage"]["obstacle"]
        assert "--no-any-host" in stories["wrong-address-typed"]["obstacle"]
        status, refused = await call(client, "POST", "/node-restarted-in-the-outage/plays", {})
        assert (status, refused["error"]) == (409, stories["node-restarted-in-the-outage"]["obstacle"])
        _, story = await call(client, "GET", "/disk-fills-up")
        assert story["yaml"].startswith("# yaml-language-server: ")
        assert (story["faults"], story["lasts"], story["hosts"]) == (["fill", "resize"], 480.0, 1)
        assert story["steps"][1] == {
            "number": 2,
            "at": 60.0,
            "text": "fill over 5m to 100% on imagestore-1",
            "expects": False,
        }
        for method, path in (("GET", "/nowhere"), ("POST", "/nowhere/plays"), ("GET", "/disk-fills-up/plays/7")):
            assert (await call(client, method, path, {} if method == "POST" else None))[0] == 404


async def test_a_node_without_simulated_hosts_says_so(tmp_path: Path) -> None:
    stories = StoriesOnDemand(lambda: node.url, None, has_hosts=False)
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")), stories=stories.open)
    await node.start()
    try:
        async with stories, Client(node.url) as client:
            _, shown = await call(client, "GET", "")
            assert "imagestore-sim lab" in shown["obstacle"]
            assert (await call(client, "POST", "/disk-fills-up/plays", {}))[0] == 409
    finally:
        await node.stop()
