"""A lab whose clock stands still does the same again: the same calls give the same answers and events, byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest

from imagestore_sim.backup_storage.events import PROBE_FAILED, Event, Subscription
from imagestore_sim.lab import Lab, clock_of_loop, lab_loop
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import login_of
from imagestore_sim.testing.lab_thread import running_lab

HOST = {"hostname": "spot", "name": "spot", "username": "root", "password": "password", "url": "/Cloud_bs"}
IMAGE = {
    "name": "i",
    "url": "http://images/i.qcow2",
    "format": "qcow2",
    "mediaType": "RootVolumeTemplate",
    "platform": "Linux",
}
LAST = "/backup-storage/deleted"
"""The path of the last event."""
LATE = {"kind": "latency", "delay": "1s", "jitter": "3s"}


class Story:
    """Sends the same calls to a lab at the same times, and keeps every byte that is answered."""

    def __init__(self, client: Client, pause: float) -> None:
        """Let `pause` seconds pass before each of the last questions."""
        self._client = client
        self._pause = pause
        self._now = 0.0
        self.kept: list[str] = []

    async def send(self, method: str, path: str, body: object = None, *, after: float = 0.0) -> str:
        """Send a request `after` seconds, follow its job, and return the uuid of what it made, if it made something."""
        self._now += after
        headers = {"X-Lab-Time": f"{self._now}"}
        answer = await self._client.request(method, path, body, headers=headers)
        if answer.status == 202:
            answer = await self._client.request("GET", answer.body["location"], headers=headers)
        self.kept.append(answer.text)
        made = answer.body.get("inventory")
        return str(made["uuid"]) if isinstance(made, dict) else ""

    async def tell(self) -> None:
        """Make resources, break a host, mend it, slow down another, and let time pass."""
        client, lab = self._client, f"{self._client.url}/lab/v1"
        client.session_uuid = await self.send("PUT", "/accounts/login", login_of("admin", "password"))
        await self.send("POST", "/zones", {"params": {"name": "z"}})
        storage = await self.send("POST", "/backup-storage/image-store", {"params": HOST}, after=10)
        await self.send("POST", "/images", {"params": {**IMAGE, "backupStorageUuids": [storage]}}, after=10)
        await client.request("POST", f"{lab}/hosts/imagestore-2/stop")
        await self.send("GET", "/zones", after=300)
        await client.request("POST", f"{lab}/hosts/imagestore-2/start")
        await self.send("POST", f"{lab}/hosts/imagestore-1/faults", LATE)
        for path in ("/zones", "/backup-storage", "/images", f"{lab}/timeline", f"{lab}/clock"):
            await self.send("GET", path, after=self._pause)
        await self.send("DELETE", f"/backup-storage/{storage}")


async def past_events(url: str) -> str:
    """Return the stream of events up to the last one, as it comes."""
    received = ""
    headers = {"Last-Event-ID": "0"}
    async with aiohttp.ClientSession() as http, http.get(f"{url}/lab/v1/events", headers=headers) as response:
        while LAST not in received or not received.endswith("\n\n"):
            received += (await response.content.readany()).decode()
    return received


async def told(seed: int, pause: float) -> tuple[str, str]:
    """Return the answers to the calls of the story in a lab of its own, and its stream of events."""
    with running_lab(clock="paused", hosts=2, ping_interval=60, seed=seed) as running:
        async with Client(running.lab.url) as client:
            story = Story(client, pause)
            await story.tell()
            return "\n".join(story.kept), await past_events(client.url)


@pytest.mark.thorough
@pytest.mark.parametrize("pause", [61, 180])
async def test_the_same_seed_and_calls_give_the_same_answers_and_events_byte_by_byte(pause: float) -> None:
    first, again, other = await told(7, pause), await told(7, pause), await told(8, pause)
    assert first == again
    assert "Disconnected" in first[1]
    assert first[0] != other[0]
    assert first[1] != other[1]


def _burn() -> None:
    while True:
        sum(number * number for number in range(10_000))


@contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """Keep cores busy during the block."""
    burning = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(processes)]
    for one in burning:
        one.start()
    try:
        yield
    finally:
        for one in burning:
            one.kill()
            one.join()


def failures(events: Subscription) -> list[Event]:
    """Return the events of hosts that did not answer."""
    received = [events.get_nowait() for _ in range(events.qsize())]
    return [one for one in received if one.path == PROBE_FAILED or one.content.get("newStatus") == "Disconnected"]


async def stepped(settings: Settings, seconds: float) -> str:
    """Step a lab in two steps, one with a host that is stopped; fail if another one fails; return the digest of all."""
    lab = Lab(settings, clock=clock_of_loop())
    async with lab:
        clock = lab.clock
        assert hasattr(clock, "step")
        assert hasattr(clock, "pause")
        clock.pause()
        with lab.node.events.subscribe() as events:
            settled = [await clock.step(seconds / 2)]
            assert failures(events) == []
            await lab.network["imagestore-2"].stop()
            settled.append(await clock.step(seconds / 2))
            found = failures(events)
    assert settled == [True, True]
    assert {one.resource_uuid[:8] for one in found} == {"00000002"}
    return hashlib.sha256(repr([(one.path, one.resource_uuid, one.content) for one in found]).encode()).hexdigest()


def digests(runs: int, seconds: float, settings: Settings) -> set[str]:
    """Return the digests of `runs` runs, each on an event loop of its own."""
    found = set()
    for _ in range(runs):
        with asyncio.Runner(loop_factory=lambda: lab_loop(settings)) as runner:
            found.add(runner.run(stepped(settings, seconds)))
    return found


@pytest.mark.parametrize("clock", ["paused", "real"])
def test_a_step_never_makes_a_healthy_host_fail(clock: str) -> None:
    found = digests(2, 40, Settings(port=0, hosts=4, ping_interval=5, seed=1, clock=clock))
    assert len(found) == 1 or clock == "real"  # when the clock was paused is chance there


@pytest.mark.thorough
@pytest.mark.parametrize("clock", ["paused", "real"])
def test_ten_minutes_of_twenty_hosts_on_a_busy_machine_are_the_same_each_time(clock: str) -> None:
    with busy_machine(2):
        found = digests(5, 600, Settings(port=0, hosts=20, ping_interval=5, seed=1, clock=clock))
    assert len(found) == 1 or clock == "real"
