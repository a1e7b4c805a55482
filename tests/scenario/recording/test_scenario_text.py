"""A recording, written as a scenario, replays with the same statuses and capacities of each storage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imagestore_sim.backup_storage.events import STATUS_CHANGED
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap
from imagestore_sim.clock import START
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import parse_scenario, read_scenario
from imagestore_sim.scenario.play.results import Lane, Result
from imagestore_sim.scenario.recording.from_node import follow_node
from imagestore_sim.scenario.recording.recording import Recording
from imagestore_sim.scenario.recording.scenario_text import scenario_text
from imagestore_sim.scenario.recording.storage_story import reason_of
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from sshd import OpenSshServer

LIBRARY = Path(__file__).parents[3] / "scenarios"


def recording_of(scenario: Scenario, result: Result) -> Recording:
    """Return what a listener would have recorded from the first moment on."""
    events = [entry for entry in result.log if entry["kind"] == "event" and entry["at"] > 0]
    uuids = {entry["resourceUuid"] for entry in result.log if entry["kind"] == "event"}
    storages: list[dict[str, Any]] = []
    for one, lane in zip(scenario.all_storages(), result.lanes, strict=True):
        [uuid] = [
            uuid for uuid in uuids
            if any(e["resourceUuid"] == uuid and e["content"].get("totalCapacity") == lane.capacities[0][1]
                   and e["content"].get("availableCapacity") == lane.capacities[0][2] for e in result.log
                   if e["kind"] == "event" and e["at"] == 0)
        ]  # fmt: skip
        storages.append({
            "uuid": uuid, "name": one.name, "hostname": one.hostname, "url": one.url, "username": one.username,
            "sshPort": one.port, "status": "Connected", "totalCapacity": lane.capacities[0][1],
            "availableCapacity": lane.capacities[0][2],
        })  # fmt: skip
    interval = int(str(scenario.settings["ping.interval"]).removesuffix("s"))
    return Recording("http://a-node:8080", START, START + result.length, interval, storages, events)


def lived(lane: Lane) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the statuses and the capacities of a storage in their order."""
    return [status for _, status in lane.statuses], [capacity for _, *capacity in lane.capacities]  # type: ignore[misc]


AGENTS = """\
title: An agent that fails
hosts: {imagestore-1: {size: 1 TiB, used: 30%}}
settings: {ping.interval: 10s, ping.mode: agent}
timeline:
  - {at: 4m, fault: {host: imagestore-1, kind: certificate_expired, for: 1m}}
  - {at: 7m, fault: {host: imagestore-1, kind: registry_lost, path: /Cloud_bs, for: 1m}}
ends: 9m
"""


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["agent", "capacity"])
def test_what_pings_of_an_agent_met_replays_whatever_the_option_was_then(mode: str) -> None:
    scenario = parse_scenario(AGENTS)
    first = play_virtually(scenario)
    recording = recording_of(scenario, first)
    recording.ping_mode = mode
    second = play_virtually(parse_scenario(scenario_text(recording)))
    assert [lived(lane) for lane in second.lanes] == [lived(lane) for lane in first.lanes]
    assert {"certificate_expired", "registry_lost"} <= {reason_of(event) for event in recording.events}


@pytest.mark.parametrize(
    "name", ["disk-fills-up", "host-unreachable", "hung-mount", "half-open-host", "wrong-service-on-the-port",
             "disk-extended", "path-trouble", "shell-taken-away", "auto-reconnect-off"]
)  # fmt: skip
@pytest.mark.scenarios
def test_a_recorded_outage_replays_as_the_same_statuses_and_capacities(name: str) -> None:
    scenario = read_scenario(LIBRARY / f"{name}.yaml")
    first = play_virtually(scenario)
    text = scenario_text(recording_of(scenario, first))
    second = play_virtually(parse_scenario(text))
    assert [lived(lane) for lane in second.lanes] == [lived(lane) for lane in first.lanes], text
    assert not second.wrong, text


@pytest.mark.sshd
@pytest.mark.scenarios
async def test_an_outage_of_a_real_sshd_is_recorded_and_replays_as_the_same_statuses(
    sshd: OpenSshServer, tmp_path: Path
) -> None:
    settings = Settings(
        port=0, ping_interval=1, database=str(tmp_path / "node.db"), identity_file=sshd.identity_file
    )  # fmt: skip
    record = BackupStorageRecord(
        name="real", hostname="127.0.0.1", sshPort=sshd.port, username=sshd.username, url=str(tmp_path / "bs")
    )
    node = ManagementNode(settings)
    await node.start(Bootstrap(backupStorages=(record,)))
    stop = asyncio.Event()
    async with Client(node.url) as client:
        await client.log_in()
        recording = asyncio.create_task(follow_node(node.url, stop, account="admin", password="password"))
        await asyncio.sleep(1)
        for outage in (sshd.frozen(), stopped(sshd)):
            with outage:
                await client.wait_for_status("real", "Disconnected", within=90)
            await client.wait_for_status("real", "Connected", within=90)
        await asyncio.sleep(0.5)
        stop.set()
        recorded = await recording
    await node.stop()
    changes = [one["content"] for one in recorded.events if one["path"] == STATUS_CHANGED]
    text = scenario_text(recorded)
    result = await asyncio.to_thread(run_virtually_in_a_thread, text)
    [lane] = result.lanes
    assert [status for _, status in lane.statuses] == ["Connected", *(one["newStatus"] for one in changes)], text
    assert {"blackhole", "refuse"} <= {window.text.split()[0] for window in result.windows}


@contextmanager
def stopped(sshd: OpenSshServer) -> Iterator[None]:
    """Keep an sshd from running."""
    sshd.stop()
    try:
        yield
    finally:
        sshd.start()


def run_virtually_in_a_thread(text: str) -> Result:
    return play_virtually(parse_scenario(text))


IMAGES = """
title: images come and go
hosts: {h-1: {size: 1 TiB, used: 10%}, h-2: {size: 1 TiB, used: 20%}}
imageSources:
  - {url: "*/broken", error: 404 Not Found}
  - {url: "zstore://*", rate: 1 GiB}
  - {url: "*", size: 40 GiB, actualSize: 20 GiB, rate: 2 GiB}
settings: {ping.interval: 10s, connection.autoReconnectOnError: false}
timeline:
  - {at: 20s, add_image: {image: "debian-{1..2}"}}
  - {at: 60s, add_image: {image: broken, error: SYS.1002}}
  - {at: 70s, delete_image: {image: debian-1, storage: h-1}}
  - {at: 80s, recover_image: {image: debian-1}}
  - {at: 90s, delete_image: {image: "debian-*"}}
  - {at: 100s, expunge_image: {image: debian-2, storage: h-2}}
  - {at: 110s, recover_image: {image: debian-1, storage: h-1}}
  - {at: 120s, sync_image: {image: debian-1, from: h-1, to: h-2, as: copy, error: SYS.1006}}
  - {at: 130s, expunge_image: {image: debian-1}}
  - {at: 140s, sync_image: {image: debian-1, from: h-1, to: h-2, as: copy}}
  - {at: 200s, fill: {host: h-1, to: 50%}}
  - {at: 230s, note: the end}
"""


@pytest.mark.usefixtures("few_steps")
@pytest.mark.thorough
def test_images_that_came_and_went_come_and_go_in_the_replay() -> None:
    scenario = parse_scenario(IMAGES)
    first = play_virtually(scenario)
    assert [(one.text, one.seen) for one in first.wrong] == []
    text = scenario_text(recording_of(scenario, first))
    second = play_virtually(parse_scenario(text))
    assert not second.problem
    assert [(one.text, one.seen) for one in second.wrong] == []
    for one, other in zip(first.lanes, second.lanes, strict=True):
        assert lived(other)[0] == lived(one)[0]
        assert lived(other)[1][-1] == lived(one)[1][-1], text
    assert images_of(second) == images_of(first), text
    assert text.count("fill:") == 1, text


def images_of(result: Result) -> list[tuple[str, object, object, object]]:
    """Return what the events of images say, in their order."""
    return [
        (one["path"], *(one["content"].get(name) for name in ("name", "newStatus", "actualSize")))
        for one in result.log
        if one["kind"] == "event" and one["path"].startswith("/image/") and one["path"] != "/image/bits/removed"
    ]
