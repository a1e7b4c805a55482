"""The lab's clock over `/lab/v1/clock`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from simulator.clock import RealClock
from simulator.lab import Lab
from simulator.node import ManagementNode
from simulator.settings import Settings
from simulator.testing import Answer, Client

HOUR = 3600.0


async def ask(client: Client, method: str, path: str = "", body: object = None) -> Answer:
    return await client.request(method, f"{client.url}/lab/v1/clock{path}", body)


@pytest.mark.imagestore_lab(hosts=1, ping_interval=600)
async def test_a_clock_is_paused_stepped_and_resumed(imagestore_client: Client, imagestore_lab: Lab) -> None:
    first = (await ask(imagestore_client, "GET")).body
    assert (first["paused"], first["speed"]) == (False, 1)
    paused = (await ask(imagestore_client, "PUT", body={"paused": True})).body
    assert paused["paused"] is True
    await asyncio.sleep(0.05)  # real: that is what does not move it
    assert (await ask(imagestore_client, "GET")).body["time"] == pytest.approx(paused["time"], abs=0.01)
    await imagestore_lab.network["imagestore-1"].stop()
    stepped = (await ask(imagestore_client, "POST", "/step", {"seconds": "1h"})).body
    assert stepped["time"] - paused["time"] == pytest.approx(HOUR, abs=0.01)
    assert stepped["paused"] is True
    assert (await ask(imagestore_client, "PUT", body={"paused": False})).body["paused"] is False
    # Pings were due on the way, and what is due next is minutes away.
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=20)


@pytest.mark.imagestore_lab(hosts=0)
async def test_a_clock_is_sped_up(imagestore_client: Client) -> None:
    before = (await ask(imagestore_client, "PUT", body={"speed": 10000})).body
    assert before["speed"] == 10000
    await asyncio.sleep(0.1)  # real: a thousand seconds of the lab's
    assert (await ask(imagestore_client, "GET")).body["time"] - before["time"] > 900


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_a_virtual_clock_jumps_until_it_is_told_a_speed(imagestore_client: Client) -> None:
    assert (await ask(imagestore_client, "GET")).body["speed"] is None
    assert (await ask(imagestore_client, "PUT", body={"speed": 100})).body["speed"] == 100


@pytest.mark.imagestore_lab(hosts=0)
@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("PUT", "", {"speed": 0}, "speed: Input should be greater than 0"),
        ("PUT", "", {"paused": "perhaps"}, "paused: Input should be a valid boolean"),
        ("PUT", "", {"time": 0}, "time: is unknown; there are paused, speed"),
        ("POST", "/step", {}, "seconds: is required"),
        ("POST", "/step", {"seconds": -1}, "seconds: -1 is no duration"),
        ("POST", "/step", {"seconds": "2d"}, "seconds: Input should be less than or equal to 86400"),
    ],
)
async def test_what_cannot_be_is_told(
    imagestore_client: Client, method: str, path: str, body: object, error: str
) -> None:
    answer = await ask(imagestore_client, method, path, body)
    assert answer.status == 400
    assert answer.body["error"].startswith(error), answer.text


class PlainClock:
    """A clock that offers no more than every clock does."""

    def __init__(self) -> None:
        real = RealClock()
        self.time, self.monotonic, self.sleep = real.time, real.monotonic, real.sleep
        self.wait_for, self.local, self.outside = real.wait_for, real.local, real.outside


async def test_a_clock_that_cannot_be_changed_says_so(tmp_path: Path) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")), clock=PlainClock())
    await node.start()
    async with Client(node.url) as client:
        answer = await ask(client, "PUT", body={"paused": True})
    await node.stop()
    assert (answer.status, answer.body) == (404, {"error": "the clock of this node cannot be changed"})
