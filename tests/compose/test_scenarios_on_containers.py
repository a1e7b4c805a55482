"""Scenarios on containers: the same results as on simulated hosts, and nothing left, whatever ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

pytest.importorskip("aiodocker", reason="needs the extra `compose`")
from compose.compose_lab import ROOT, Finished, run, succeed
from imagestore_sim.scenario.format.reader import read_scenario
from imagestore_sim.scenario.play.comparison import differences
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.scenario.replay_on_containers import prepare_containers, replay_on_containers
from imagestore_sim.scenario.time_scaling import fastest, sped_up

pytestmark = [pytest.mark.compose, pytest.mark.asyncio(loop_scope="session")]

LIBRARY, SOURCE = ROOT / "scenarios", ROOT / "simulator"
COMMAND = (sys.executable, "-m", "imagestore_sim", "replay", "--hosts", "compose")
STORIES = (
    "path-trouble",
    "shell-taken-away",
    "host-key-changed",
    "session-limit",
    "wrong-service-on-the-port",
    "disk-extended",
    "password-rotated",
    "read-only-file-system",
    "noisy-shell",
    "wrong-address-typed",
)
"""Short scenarios, the longest first."""
JOBS = 10
REFUSAL_SECONDS = 60.0
REPLAY_SECONDS = 240.0
ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
OWN = "label=imagestore-sim.owner"
CUT = """
title: A cable is pulled, and the tester loses his patience
hosts:
  imagestore-1: {size: 1 TiB, used: 40%}
settings: {ping.interval: 1s}
timeline:
  - fault: {host: imagestore-1, kind: blackhole}
  - eventually: {storage: imagestore-1, status: Disconnected, within: 30s}
  - note: it is cut
  - wait: 10m
"""


def _play_on_both(name: str) -> list[str]:
    """Return how the results differ."""
    file = LIBRARY / f"{name}.yaml"
    scenario = read_scenario(file)
    speed = fastest(scenario)
    faster = sped_up(scenario, speed)
    simulated = play_virtually(faster, file=str(file), seed=scenario.seed)
    return differences(scenario, simulated, replay_on_containers(file, speed=speed))


async def test_short_stories_have_the_same_results_on_containers_as_on_simulated_hosts(lab_folder: Path) -> None:
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, prepare_containers)
    with ProcessPoolExecutor(JOBS, mp_context=get_context("spawn")) as pool:
        playing = [loop.run_in_executor(pool, _play_on_both, name) for name in STORIES]
        found = dict(zip(STORIES, await asyncio.gather(*playing), strict=True))
    assert found == {name: [] for name in STORIES}


async def _made_by(process: asyncio.subprocess.Process, field: str = "") -> list[str]:
    """Return the ids of containers, networks and volumes that a process has made; or a label of theirs."""
    owner, found = '{{.Label "imagestore-sim.owner"}}', []
    for command, identity in (("ps --all", ".ID"), ("network ls", ".ID"), ("volume ls", ".Name")):
        shown = f'{{{{.Label "{field}"}}}}' if field else f"{{{{{identity}}}}}"
        listed = await succeed("docker", *command.split(), "--filter", OWN, "--format", f"{owner} {shown}")
        lines = (line.partition(" ") for line in listed.splitlines())
        found += [what for label, _, what in lines if label.split("/")[3] == str(process.pid)]
    return found


async def _projects(process: asyncio.subprocess.Process) -> set[str]:
    return set(await _made_by(process, "com.docker.compose.project"))


def _loops(projects: set[str]) -> list[str]:
    """Return the disk images of those projects that loop devices still have."""
    files = (one / "loop" / "backing_file" for one in Path("/sys/block").glob("loop*"))
    images = [file.read_text().strip() for file in files if file.exists()]
    return [image for image in images if image.split("/")[1] in projects]


@asynccontextmanager
async def _cut_off(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield the process of a replay in the middle of a network cut."""
    file = folder / "cut.yaml"
    file.write_text(CUT)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, str(file), *options, cwd=folder, env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(SOURCE)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await asyncio.wait_for(_until_cut(process), 60)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _until_cut(process: asyncio.subprocess.Process) -> None:
    """Wait until a container of the run has a firewall rule that drops packets."""
    while True:
        for made in await _made_by(process):
            rules = await run("docker", "exec", made, "iptables", "--list-rules")
            if rules.status == 0 and "-j DROP" in rules.output:
                return
        await asyncio.sleep(0.5)


async def _ended(process: asyncio.subprocess.Process) -> Finished:
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Finished(process.returncode, output.decode(), errors.decode())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_nothing_is_left_of_a_run_that_is_interrupted_during_a_network_cut(
    lab_folder: Path, tmp_path: Path, how: signal.Signals
) -> None:
    async with _cut_off(tmp_path) as process:
        projects = await _projects(process)
        assert (len(projects), len(_loops(projects))) == (1, 1)
        process.send_signal(how)
        finished = await _ended(process)
    assert finished.status == 3, finished
    assert "interrupted" in finished.output
    assert (await _made_by(process), _loops(projects)) == ([], [])
    assert [one.name for one in tmp_path.iterdir()] == ["cut.yaml"]


async def test_a_run_removes_the_leftovers_of_a_killed_one_but_nothing_of_one_that_runs(
    lab_folder: Path, tmp_path: Path
) -> None:
    folders = tmp_path / "killed", tmp_path / "alive"
    for folder in folders:
        folder.mkdir()
    async with _cut_off(folders[1]) as alive:
        made = await _made_by(alive)
        async with _cut_off(folders[0]) as killed:
            projects = await _projects(killed)
            killed.kill()
            await killed.communicate()
        assert len(await _made_by(killed)) == 5, "two containers, a network, and volumes for the disk and the authority"
        assert len(_loops(projects)) == 1
        assert len(list(folders[0].iterdir())) == 2, "the scenario, and the temporary folder"
        third = await run(*COMMAND, str(LIBRARY / "wrong-address-typed.yaml"), "--speed", "5", seconds=REPLAY_SECONDS,
                          TMPDIR=str(folders[0]), PYTHONPATH=str(SOURCE))  # fmt: skip
        assert third.status == 0, third
        assert (await _made_by(killed), _loops(projects)) == ([], [])
        assert [one.name for one in folders[0].iterdir()] == ["cut.yaml"]
        assert await _made_by(alive) == made
        alive.send_signal(signal.SIGINT)
        assert (await _ended(alive)).status == 3
    assert await _made_by(alive) == []


async def test_a_scenario_that_containers_cannot_play_is_refused_before_any_is_started(
    lab_folder: Path, tmp_path: Path
) -> None:
    async def refused(story: str, *options: str, engine: str = ENGINE) -> str:
        began = time.monotonic()
        command = (*COMMAND, str(LIBRARY / story), *options)
        finished = await run(*command, PYTHONPATH=str(SOURCE), DOCKER_HOST=engine)
        assert (finished.status, finished.output) == (2, ""), finished
        assert time.monotonic() - began < REFUSAL_SECONDS
        return finished.errors

    shrunk = await refused("disk-shrunk.yaml")
    assert "disk-shrunk.yaml, line 13, column 5: timeline.2.resize: " in shrunk
    assert "fault resize: not on containers" in shrunk
    (tmp_path / "inodes.yaml").write_text(
        "title: Files\nhosts:\n  h: {size: 1 TiB, used: 50%, inodes: 10}\ntimeline:\n  - stop: {host: h, for: 1m}\n"
    )
    inodes = await refused(str(tmp_path / "inodes.yaml"))
    assert "line 3, column 20: hosts.h.used: containers: a disk with `inodes` is in memory" in inodes
    assert "at most --speed 5" in await refused("disk-extended.yaml", "--speed", "50")
    assert "containers live in real time" in await refused("disk-extended.yaml", "--clock", "virtual")
    nobody = await refused("disk-extended.yaml", engine=f"unix://{tmp_path}/no.sock")
    assert "needs a Docker engine, and none answers" in nobody


async def test_kept_containers_stay_and_the_commands_to_remove_them_are_printed(
    lab_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "short.yaml"
    file.write_text("title: Short\nhosts: {imagestore-1: {size: 2 TiB, used: 1 TiB}}\n"
                    "timeline: [{expect: {storage: '*', availableCapacity: 1 TiB}}]\n")  # fmt: skip
    kept = await run(*COMMAND, str(file), "--keep", seconds=REPLAY_SECONDS, PYTHONPATH=str(SOURCE))
    assert kept.status == 0, kept
    looking, _, removing = kept.errors.partition("look at them with\n")[2].partition("and remove them with\n")
    assert ["-disks-1" in looked for looked in (await succeed("sh", "-ec", looking)).splitlines()[1:]].count(True) == 1
    await succeed("sh", "-ec", removing)
    assert (await succeed("sh", "-ec", looking)).splitlines()[1:] == []
