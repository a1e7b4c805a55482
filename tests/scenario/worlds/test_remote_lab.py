"""Scenarios on a lab that is running: on its hosts, by its clock, and restored in the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientResponseError

from imagestore_sim.cli.exits import FAILURE, INTERRUPTED, UNUSABLE_INPUT
from imagestore_sim.hosts import HostNetwork
from imagestore_sim.lab import Lab
from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import play_on_lab
from imagestore_sim.scenario.worlds.event_stream import open_stream
from imagestore_sim.scenario.worlds.remote_lab_rules import broken_rules
from imagestore_sim.testing import Client
from processes import COMMAND, child, run, run_here

TIB = 2**40
pytestmark = [pytest.mark.thorough, pytest.mark.imagestore_lab(hosts=1, ping_interval=5)]
STORY = """\
title: One host of the lab is broken, and one of the scenario's own
hosts:
  imagestore-1: {size: 1 TiB, used: 40%}
  fresh: {size: 2 TiB, mount: /Cloud_bs, password: secret}
storages:
  - {name: gold, hostname: imagestore-1, zone: north}
  - {name: silver, hostname: fresh, password: secret, zone: north}
zones: [north]
settings: {ping.interval: 1s, connection.autoReconnectOnError: true}
timeline:
  - expect: {storage: gold, status: Connected, availableCapacity: ~ 60%}
  - at: 1s
    fault: {host: imagestore-1, kind: refuse, for: 10s}
  - eventually: {storage: gold, status: Disconnected, within: 9s}
  - expect: {storage: silver, status: Connected, availableCapacity: 2 TiB}
  - eventually: {storage: gold, status: Connected, within: 30s}
  - fill: {host: fresh, to: 50%}
  - eventually: {storage: silver, availableCapacity: 1 TiB, within: 20s}
  - settings: {ping.maxFailure: 2}
  - call: {method: POST, path: /zones, body: {params: {name: south}}}
  - stop: {host: fresh}
  - eventually: {event: disconnected, storage: silver, reason: unreachable, within: 30s}
  - expect: {query: "/zones?q=name=south", count: 1}
invariants:
  - unchanged: {while: Disconnected}
"""
QUIET = """\
title: Nothing much
hosts: {fresh: }
timeline:
  - fault: {host: fresh, kind: read_only}
  - wait: 1h
"""


async def clock(client: Client, method: str, change: Mapping[str, object] | None = None) -> Mapping[str, object]:
    return (await client.request(method, f"{client.url}/lab/v1/clock", change)).body


async def records_and_hosts(client: Client) -> tuple[str, str]:
    """Return records and hosts, without what a reconnect changes."""
    records = yaml.safe_load((await client.request("GET", f"{client.url}/lab/v1/snapshot")).text)
    for one in records["backupStorages"]:
        del one["lastOpDate"]
    for one in (*records["backupStorages"], *records["accounts"]):
        one.pop("password", None)  # sealed with another nonce each time
    hosts = (await client.request("GET", f"{client.url}/lab/v1/hosts")).body["hosts"]
    return str(records), str([{**one, "logins": 0, "connections": 0} for one in hosts])


async def settled(client: Client, expected: tuple[str, str]) -> tuple[str, str]:
    """Return records and hosts as soon as they are as `expected`, or after a minute.

    Where time is fast and the machine is slow, a ping of the lab's own may have timed out meanwhile, which the next
    reconnect repairs.
    """
    for _ in range(1200):
        if (found := await records_and_hosts(client)) == expected:
            break
        await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize("change", [{"speed": 5}, {"speed": 15}, {"paused": True}], ids=["fast", "faster", "paused"])
async def test_a_story_is_played_on_a_running_lab_which_is_as_before_in_the_end(
    imagestore_client: Client, change: Mapping[str, object]
) -> None:
    await clock(imagestore_client, "PUT", change)
    before, clock_before = await records_and_hosts(imagestore_client), await clock(imagestore_client, "GET")
    result = await play_on_lab(imagestore_client.url, parse_scenario(STORY))
    assert not result.problem
    assert [(one.text, one.seen) for one in result.wrong] == []
    assert await settled(imagestore_client, before) == before
    clock_after = await clock(imagestore_client, "GET")
    passes = {"time": 0, "elapsed": 0}
    assert {**clock_after, **passes} == {**clock_before, **passes}
    passed = float(str(clock_after["time"])) - float(str(clock_before["time"]))
    assert passed >= result.length >= 6
    gold, silver = result.lanes
    statuses = [status for _, status in gold.statuses]
    assert (statuses[:2], statuses[-1]) == (["Connected", "Disconnected"], "Connected")
    assert [status for _, status in silver.statuses][:2] == ["Connected", "Disconnected"]
    assert [capacity for _, *capacity in silver.capacities] == [[2 * TIB, 2 * TIB], [2 * TIB, TIB]]


@pytest.mark.imagestore_lab(hosts=2, ping_interval=5, clock="virtual")
async def test_long_jobs_of_a_story_leave_nothing_on_a_lab(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    story = """
title: t
hosts: {"imagestore-{1..2}": {size: 1 TiB}}
imageSources: [{url: "*", actualSize: 10 GiB, rate: 1 GiB}]
timeline:
  - add_image: {image: one, storage: imagestore-1, long_job: download}
  - expect: {query: /longjobs/$download, each: {state: Running}}
  - eventually: {image: one, status: Ready, within: 30s}
  - sync_image: {image: one, from: imagestore-1, to: imagestore-2, as: copied}
  - add_image: {image: two, storage: imagestore-1}
  - sync_image: {image: two, from: imagestore-1, to: imagestore-2, as: copying, long_job: copy}
  - add_image: {image: three, storage: imagestore-1, long_job: under-way}
  - expect: {query: "/longjobs?q=state=Running", count: 2}
"""
    result = await play_on_lab(imagestore_client.url, parse_scenario(story, "s.yaml", broken_rules))
    assert (result.problem, [(one.text, one.seen) for one in result.wrong]) == ("", [])
    assert await imagestore_client.query("/longjobs") == []
    assert await imagestore_client.query("/images") == []
    for host in ("imagestore-1", "imagestore-2"):
        assert imagestore_hosts[host].disk.listdir("/Cloud_bs/registry") == []


@pytest.mark.imagestore_lab(hosts=1, ping_interval=5, clock="virtual")
async def test_images_of_a_story_leave_neither_record_nor_bits_nor_source_on_a_lab(
    imagestore_client: Client, imagestore_hosts: HostNetwork
) -> None:
    before = await records_and_hosts(imagestore_client)
    story = """
title: t
hosts: {imagestore-1: {size: 1 TiB}}
storages: [{name: gold, hostname: imagestore-1, url: /Cloud_bs}]
imageSources: [{url: "*", actualSize: 10 GiB, rate: 10 GiB}]
timeline:
  - add_image: {image: "debian-{1..2}"}
  - eventually: {storage: gold, availableCapacity: ~ 1004 GiB, within: 30s}
  - delete_image: {image: debian-1}
  - expect: {image: debian-1, status: Deleted, actualSize: 10 GiB}
"""
    result = await play_on_lab(imagestore_client.url, parse_scenario(story, "s.yaml", broken_rules))
    assert (result.problem, [(one.text, one.seen) for one in result.wrong]) == ("", [])
    assert await imagestore_client.query("/images") == []
    assert imagestore_hosts["imagestore-1"].disk.listdir("/Cloud_bs/registry") == []
    assert (await imagestore_client.request("GET", f"{imagestore_client.url}/lab/v1/image-sources")).body[
        "sources"
    ] == []
    assert await settled(imagestore_client, before) == before


@pytest.mark.imagestore_lab(hosts=1, ping_interval=5, lab_token="correct-horse")
async def test_a_lab_that_asks_for_a_token_is_played_on_by_those_who_have_it(imagestore_client: Client) -> None:
    story = parse_scenario("title: t\nhosts: {fresh: }\ntimeline:\n  - expect: {storage: fresh, status: Connected}\n")
    result = await play_on_lab(imagestore_client.url, story, lab_token="correct-horse")
    assert (result.problem, [(one.text, one.seen) for one in result.wrong]) == ("", [])
    refused = await play_on_lab(imagestore_client.url, story, lab_token="wrong")
    assert "--lab-token" in refused.problem
    assert "correct-horse" not in refused.problem
    with pytest.raises(ClientResponseError, match="--lab-token"):
        async with open_stream(imagestore_client.url, lab_token="wrong"):
            pass


@pytest.mark.imagestore_lab(hosts=1, ping_interval=5, clock="virtual")
async def test_a_clock_that_jumps_is_held_and_pushed_on(imagestore_client: Client) -> None:
    before = await records_and_hosts(imagestore_client)
    result = await play_on_lab(imagestore_client.url, parse_scenario(STORY))
    assert (result.problem, [(one.text, one.seen) for one in result.wrong]) == ("", [])
    assert await records_and_hosts(imagestore_client) == before
    assert (await clock(imagestore_client, "GET"))["paused"] is False


async def test_a_story_that_is_interrupted_leaves_the_lab_as_before(imagestore_client: Client) -> None:
    before = await records_and_hosts(imagestore_client)
    playing = asyncio.create_task(play_on_lab(imagestore_client.url, parse_scenario(QUIET)))
    await until_broken(imagestore_client)
    playing.cancel()
    result = await playing
    assert (result.interrupted, result.verdict) == (True, Verdict.UNKNOWN)
    assert await records_and_hosts(imagestore_client) == before


async def until_broken(client: Client) -> None:
    async with asyncio.timeout(60):
        while "read_only" not in (await records_and_hosts(client))[1]:
            await asyncio.sleep(0.02)


async def test_a_lab_that_goes_away_ends_the_story(imagestore_client: Client, imagestore_lab: Lab) -> None:
    playing = asyncio.create_task(play_on_lab(imagestore_client.url, parse_scenario(QUIET)))
    await until_broken(imagestore_client)
    await imagestore_lab.node.stop()
    result = await playing
    assert not result.interrupted
    assert result.verdict is Verdict.FAILED
    assert imagestore_client.url in result.problem
    assert "could not be restored completely" in result.problem


async def test_a_node_that_is_running_is_not_restarted(imagestore_client: Client) -> None:
    story = parse_scenario("title: x\nhosts: {fresh: }\ntimeline: [restart_node: {down: 1s}]\n")
    result = await play_on_lab(imagestore_client.url, story)
    assert [(one.verdict, one.seen) for one in result.steps] == [
        (Verdict.FAILED, "a node that is running is not stopped")
    ]
    assert result.windows == []


async def test_what_was_there_is_not_changed_by_a_call(imagestore_client: Client) -> None:
    before = await records_and_hosts(imagestore_client)
    call = "call: {method: DELETE, path: /backup-storage/$imagestore-1}"
    story = f"title: x\nhosts: {{imagestore-1: }}\ntimeline: [note: first, {call}]\n"
    result = await play_on_lab(imagestore_client.url, parse_scenario(story))
    problem = "step 2: call DELETE /backup-storage/$imagestore-1: imagestore-1 was on the node before"
    assert result.problem == f"{problem}, and could not be restored"
    assert await records_and_hosts(imagestore_client) == before


@pytest.mark.parametrize(
    ("host", "url", "message"),
    [
        ("{mount: /Cloud_bs}", "/Cloud_bs", "it is there already, and has no disk of its own for a mount"),
        ("{port: 2222}", "/Cloud_bs", "it is there already, and has port 22"),
        ("{sftp: false}", "/Cloud_bs", "it is there already, and cannot have its SFTP disabled"),
        ("{inodes: 1000}", "/Cloud_bs", "it is there already, and has 67108864 inodes"),
        ("{}", "/other", "there is a storage on imagestore-1 already: imagestore-1, which has the url /Cloud_bs"),
    ],
)
async def test_a_host_that_cannot_be_what_the_story_says_is_refused(
    imagestore_client: Client, host: str, url: str, message: str
) -> None:
    before = await records_and_hosts(imagestore_client)
    storages = f"storages: [{{name: gold, hostname: imagestore-1, url: {url}}}]"
    story = f"title: x\nhosts: {{imagestore-1: {host}}}\n{storages}\ntimeline: [note: first]\n"
    result = await play_on_lab(imagestore_client.url, parse_scenario(story))
    assert message in result.problem
    assert await records_and_hosts(imagestore_client) == before


async def test_a_host_that_is_broken_already_is_refused(imagestore_client: Client) -> None:
    path = f"{imagestore_client.url}/lab/v1/hosts/imagestore-1/faults"
    await imagestore_client.request("POST", path, {"kind": "read_only"})
    result = await play_on_lab(
        imagestore_client.url, parse_scenario("title: x\nhosts: {imagestore-1: }\ntimeline: [note: y]\n")
    )
    assert result.problem == "host imagestore-1: it is there already, and has faults on it: read_only-1"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "timeline:\n  - restart_node: {down: 5s}",
            "line 4, column 5: timeline.1.restart_node: a node that is running",
        ),
        (
            "node: {host_keys: tofu}\ntimeline: [note: x]",
            "line 3, column 8: node.host_keys: says how a node is started",
        ),
        (
            "timeline:\n  - call: {method: POST, path: /accounts}",
            "line 4, column 5: timeline.1.call: what this makes on a running node (--node) could not be removed",
        ),
        (
            "accounts: {tenant: {}}\ntimeline: [note: x]",
            "line 3, column 1: accounts: a node that is running (--node) keeps its accounts",
        ),
        (
            "order: {seed: 3}\ntimeline: [note: x]",
            "line 3, column 1: order: a node that is running (--node) is in real time",
        ),
        (
            "timeline:\n  - add_image: {image: i}\n  - expect: {image: i, onDisk: 0}",
            "line 5, column 24: timeline.2.expect.onDisk: a lab that is running (--node) does not show the files",
        ),
    ],
)
def test_what_cannot_be_done_to_a_running_node_is_refused_with_its_place(lines: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(message)):
        parse_scenario(f"title: x\nhosts: {{a: }}\n{lines}\n", "x.yaml", broken_rules)


@pytest.mark.processes
async def test_the_command_plays_on_a_lab_and_refuses_other_servers(imagestore_client: Client, tmp_path: Path) -> None:
    file = tmp_path / "story.yaml"
    file.write_text("title: x\nhosts: {fresh: }\ntimeline: [expect: {storage: fresh, status: Disconnected}]\n")
    played = await run("replay", str(file), "--node", imagestore_client.url)
    assert (played.status, played.errors) == (FAILURE, "")
    assert "seen: fresh: status Connected" in played.output
    for options, message in (
        (("--node", imagestore_client.url, "--password", "wrong"), f"--node {imagestore_client.url}: HTTP 503"),
        (("--node", "http://127.0.0.1:9"), "--node http://127.0.0.1:9: cannot be reached: Connection refused"),
        (("--node", imagestore_client.url, "--jobs", "2"), "--node: the lab has hosts, a clock and a seed"),
    ):
        refused = await asyncio.to_thread(run_here, "replay", str(file), *options)
        assert (refused.status, refused.output) == (UNUSABLE_INPUT, "")
        assert message in refused.errors


@pytest.mark.processes
async def test_the_command_that_is_terminated_leaves_the_lab_as_before(
    imagestore_client: Client, tmp_path: Path
) -> None:
    before = await records_and_hosts(imagestore_client)
    file = tmp_path / "story.yaml"
    file.write_text(QUIET)
    async with child(*COMMAND, "replay", file, "--node", imagestore_client.url) as command:
        await until_broken(imagestore_client)
        command.terminate()
        assert await asyncio.wait_for(command.wait(), 60) == INTERRUPTED
    assert await records_and_hosts(imagestore_client) == before
