"""The lab's clock over `/lab/v1/clock`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from imagestore_sim.backup_storage.events import PROBE_FAILED, Event, Subscription
from imagestore_sim.clock import RealClock
from imagestore_sim.faults import read_fault
from imagestore_sim.hosts import SimulatedHost, VirtualDisk
from imagestore_sim.lab import Lab
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.probe import ProbeFailure
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Answer, Client
from imagestore_sim.virtual_clock import VirtualClock

pytestmark = pytest.mark.thorough

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
    await imagestore_lab.wait_for("imagestore-1", "Disconnected", within=60)


@pytest.mark.imagestore_lab(hosts=0)
async def test_a_clock_is_sped_up(imagestore_client: Client) -> None:
    before = (await ask(imagestore_client, "PUT", body={"speed": 10000})).body
    assert before["speed"] == 10000
    await asyncio.sleep(0.1)  # real: a thousand seconds of the lab's
    assert (await ask(imagestore_client, "GET")).body["time"] - before["time"] > 900


@pytest.mark.imagestore_lab(hosts=0, clock="virtual")
async def test_a_virtual_clock_jumps_until_a_speed_is_set(imagestore_client: Client) -> None:
    assert (await ask(imagestore_client, "GET")).body["speed"] is None
    assert (await ask(imagestore_client, "PUT", body={"speed": 100})).body["speed"] == 100


@pytest.mark.imagestore_lab(hosts=0)
@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("PUT", "", {"speed": 0}, "speed: expected more than 0"),
        ("PUT", "", {"speed": 1e308}, "speed: the speed of a real clock is from 0.001 to 10000, but got 1e+308"),
        ("PUT", "", {"speed": 1e-300}, "speed: the speed of a real clock is from 0.001 to 10000, but got 1e-300"),
        ("PUT", "", {"speed": -1}, "speed: expected more than 0"),
        ("PUT", "", {"speed": "1_000"}, "speed: expected a number"),
        ("PUT", "", {"speed": "5\u00a0"}, "speed: expected a number"),
        ("PUT", "", {"speed": "inf"}, "speed: expected a number"),
        ("PUT", "", {"speed": "nan"}, "speed: expected a number"),
        ("PUT", "", {"paused": "perhaps"}, "paused: expected true or false"),
        ("PUT", "", {"tome": 0}, "tome: is unknown; there are paused, speed, time, elapsed"),
        ("POST", "/step", {}, "seconds: is required"),
        ("POST", "/step", {"seconds": -1}, "seconds: -1 is no duration"),
        ("POST", "/step", {"seconds": 1e308}, "seconds: 1e+308 is no duration"),
        ("POST", "/step", {"seconds": "9" * 400 + "s"}, "seconds: '999"),
        ("POST", "/step", {"seconds": "32d"}, "seconds: expected 2678400 or less"),
    ],
)
async def test_invalid_input_is_refused(
    imagestore_client: Client, method: str, path: str, body: object, error: str
) -> None:
    answer = await ask(imagestore_client, method, path, body)
    assert answer.status == 400
    assert answer.body["error"].startswith(error), answer.text


def failures(events: Subscription) -> list[Event]:
    """Return the events of hosts that did not answer."""
    received = [events.get_nowait() for _ in range(events.qsize())]
    return [one for one in received if one.path == PROBE_FAILED or one.content.get("newStatus") == "Disconnected"]


@pytest.mark.imagestore_lab(hosts=5, ping_interval=5)
@pytest.mark.parametrize("how", ["paused", "running", "resumed", "in a connect", "in a login", 100, 1000])
async def test_no_healthy_host_ever_fails_however_time_goes(imagestore_lab: Lab, how: str | int) -> None:
    clock = imagestore_lab.clock
    assert isinstance(clock, RealClock)
    with imagestore_lab.node.events.subscribe() as events:
        connecting = None
        if isinstance(how, int):
            clock.set_speed(how)
            await asyncio.sleep(0.5)  # real: in which pings are due each few milliseconds
        else:
            if how != "running":
                clock.pause()
            if how.startswith("in a"):
                connecting = asyncio.create_task(imagestore_lab.node.storages.lifecycle.reconnect_all())
                await asyncio.sleep(0.02 if how == "in a login" else 0)  # real: the login gets on
            if how == "resumed":
                await asyncio.sleep(0.1)  # real: nothing is due meanwhile
                clock.resume()
            await clock.step(120)
            if connecting is not None:
                await connecting
        assert failures(events) == []
        assert {one.status for one in await imagestore_lab.node.storages.records.tracked()} == {"Connected"}


@pytest.mark.imagestore_lab(hosts=1, ping_interval=600)
async def test_a_step_waits_for_the_thread_in_which_a_login_is_prepared(
    imagestore_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = asyncssh.SSHClientConnectionOptions.prepare

    def late(*arguments: Any, **options: Any) -> None:
        time.sleep(0.3)  # as a thread that a busy machine starts late
        prepare(*arguments, **options)

    monkeypatch.setattr(asyncssh.SSHClientConnectionOptions, "prepare", late)
    clock = imagestore_lab.clock
    assert isinstance(clock, RealClock)
    clock.pause()
    connecting = asyncio.create_task(imagestore_lab.node.storages.lifecycle.reconnect_all())
    assert await clock.step(60)
    await connecting
    assert [one.status for one in await imagestore_lab.node.storages.records.tracked()] == ["Connected"]


@pytest.mark.imagestore_lab(hosts=2, ping_interval=30)
@pytest.mark.parametrize("speed", [None, 200])
async def test_what_is_too_slow_fails_and_what_is_slow_does_not(imagestore_lab: Lab, speed: int | None) -> None:
    slow, too_slow = imagestore_lab.network.values()
    await slow.faults.apply(read_fault("slow_login", {"seconds": "3s"}))
    await too_slow.faults.apply(read_fault("slow_login", {"seconds": "6s"}))
    clock = imagestore_lab.clock
    assert isinstance(clock, RealClock)
    connecting = asyncio.create_task(imagestore_lab.node.storages.lifecycle.reconnect_all())
    if speed is None:
        clock.pause()
        await clock.step(8)
    else:
        clock.set_speed(speed)
    await asyncio.wait_for(connecting, 60)
    found = {one.name: one.status for one in await imagestore_lab.node.storages.records.tracked()}
    assert found["imagestore-2"] == "Disconnected"
    # At a speed, what the machine itself needs for a login counts as longer by that factor.
    assert speed is not None or found["imagestore-1"] == "Connected"
    probe = imagestore_lab.node.storages.status.last_probes[
        (await imagestore_lab.node.storages.records.tracked())[1].uuid
    ]
    assert isinstance(probe.outcome, ProbeFailure)
    assert probe.outcome.reason == "timeout"


@pytest.mark.imagestore_lab(hosts=1, ping_interval=600)
async def test_what_falls_due_in_a_step_is_done_before_the_answer(
    imagestore_client: Client, imagestore_lab: Lab
) -> None:
    await ask(imagestore_client, "PUT", body={"paused": True})
    host = imagestore_lab.network["imagestore-1"]
    for change, status in ((host.stop, "Disconnected"), (host.start, "Connected")):
        await change()
        await ask(imagestore_client, "POST", "/step", {"seconds": "1h"})
        assert [one["status"] for one in await imagestore_client.query("/backup-storage")] == [status]


async def test_a_step_waits_for_hosts_outside_of_the_process(tmp_path: Path) -> None:
    async with SimulatedHost("real", disk=VirtualDisk(2**40)) as host:  # on a clock of its own, like an sshd
        address, port = host.address
        records = f"backupStorages: [{{name: real, hostname: {address}, sshPort: {port}, url: /, password: p}}]"
        (tmp_path / "records.yaml").write_text(records)
        settings = Settings(
            port=0, database=str(tmp_path / "n.db"), bootstrap=tmp_path / "records.yaml", ping_interval=5
        )
        node = ManagementNode(settings)
        await node.start()
        try:
            assert isinstance(node.foundation.clock, RealClock)
            with node.events.subscribe() as events:
                node.foundation.clock.pause()
                await host.faults.apply(read_fault("latency", {"delay": "30ms"}))
                await node.foundation.clock.step(60)
                assert failures(events) == []
            assert [one.status for one in await node.storages.records.tracked()] == ["Connected"]
        finally:
            await node.stop()


class PlainClock:
    """A clock that cannot be paused, stepped or sped up."""

    jumps = False

    def __init__(self) -> None:
        real = RealClock()
        self.time, self.monotonic, self.sleep = real.time, real.monotonic, real.sleep
        self.wait_for, self.local, self.outside = real.wait_for, real.local, real.outside
        self.sleep_unless = real.sleep_unless


async def test_a_clock_that_cannot_be_changed_is_a_404(tmp_path: Path) -> None:
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db")), clock=PlainClock())
    await node.start()
    async with Client(node.url) as client:
        answer = await ask(client, "PUT", body={"paused": True})
    await node.stop()
    assert (answer.status, answer.body) == (404, {"error": "the clock of this node cannot be changed"})


@pytest.mark.imagestore_lab(hosts=1)
@pytest.mark.parametrize("seconds", [1e300, 1e11, "9" * 30 + "d"])
async def test_a_fault_cannot_last_for_ever(imagestore_client: Client, seconds: object) -> None:
    faults = f"{imagestore_client.url}/lab/v1/hosts/imagestore-1/faults"
    answer = await imagestore_client.request("POST", faults, {"kind": "refuse", "for": seconds})
    assert answer.status == 400
    assert "is no duration: it cannot be less than nothing, nor more than a hundred years" in answer.text


@pytest.mark.parametrize("clock", [RealClock, VirtualClock])
async def test_no_step_leads_to_a_time_that_has_no_date(clock: type[RealClock] | type[VirtualClock]) -> None:
    with pytest.raises(ValueError, match="goes beyond the year 9000"):
        await clock().step(8_000 * 365.25 * 86_400)
