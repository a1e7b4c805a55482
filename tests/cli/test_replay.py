"""`imagestore-sim replay`: what it prints, its exit status, and input that it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from example_scenario import EXAMPLE
from imagestore_sim.cli.replay import Options
from imagestore_sim.lab import Lab
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import replay_file
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from imagestore_sim.units import parse_seconds
from processes import COMMAND, child, run, run_here, running

LIBRARY = Path(__file__).parent.parent.parent / "scenarios"
FAILS = EXAMPLE.replace("within: 15s", "within: 1s")


@pytest.mark.processes
def test_verdicts_are_printed_and_decide_the_exit_status(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(EXAMPLE)
    held = run_here("replay", "good.yaml", "--report", "out", cwd=tmp_path)
    assert (held.status, "held    good.yaml: The disk fills up" in held.output) == (0, True), held
    assert (tmp_path / "out" / "index.html").exists()
    (tmp_path / "bad.yaml").write_text(FAILS)
    failed = asyncio.run(run("replay", ".", "-j", "2", cwd=tmp_path))
    assert failed.status == 1
    assert "failed step 5 at 8m: eventually gold: availableCapacity 1 TiB, within 1s" in failed.output
    assert "seen: gold: availableCapacity 0 B" in failed.output
    assert "1 failed, 1 held in" in failed.output
    assert "to run it again: imagestore-sim replay bad.yaml --seed 0" in failed.output


def test_the_command_to_run_it_again_says_how_it_was_played_and_no_secret() -> None:
    assert Options().command(["a b.yaml"], 7) == "imagestore-sim replay 'a b.yaml' --seed 7"
    assert Options(clock="real", speed=2.5).command(["a"], 0) == (
        "imagestore-sim replay a --clock real --speed 2.5 --seed 0"
    )
    on_containers = Options(clock="real", hosts="compose", jobs=3)
    assert on_containers.command(["a", "b"], None) == "imagestore-sim replay a b --hosts compose"
    on_lab = Options(node="http://me:secret-1@lab:8080", account="me", password="secret-2", lab_token="secret-3")
    assert on_lab.command(["a"], 5) == "imagestore-sim replay a --node 'http://***@lab:8080' --account me"


def test_unusable_input_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(EXAMPLE)
    (tmp_path / "worse.yaml").write_text(EXAMPLE.replace("fill:", "fil:"))
    finished = run_here("replay", "good.yaml", "worse.yaml", cwd=tmp_path)
    assert finished.status == 2
    assert "worse.yaml, line 11, column 5: timeline.2.fil" in finished.errors
    assert "held" not in finished.output
    for arguments in (
        ("nowhere.yaml",),
        (),
        ("good.yaml", "--clock", "wall"),
        ("good.yaml", "--speed", "3"),
        ("good.yaml", "--report", "good.yaml"),
        ("good.yaml", "--report", "/proc/self"),
    ):
        assert run_here("replay", *arguments, cwd=tmp_path).status == 2
    (tmp_path / "empty").mkdir()
    assert "there is no scenario" in run_here("replay", "empty", cwd=tmp_path).errors


@pytest.mark.scenarios
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_ends_with_status_3_and_a_report(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "long.yaml").write_text(EXAMPLE)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    async with child(
        *COMMAND, "replay", "long.yaml", "--clock", "real", "--report", "out", cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(temporary)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    ) as process:  # fmt: skip
        async with asyncio.timeout(60):
            while not list(temporary.glob("imagestore-sim-*/node.db")):  # its node is there: it plays
                await asyncio.sleep(0.05)
        process.send_signal(how)
        output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 3, errors
    assert b"interrupted long.yaml" in output
    assert (tmp_path / "out" / "junit.xml").exists()


@pytest.mark.scenarios
async def test_an_outage_of_a_running_node_is_recorded_and_replays(tmp_path: Path) -> None:
    settings = Settings(port=0, ping_interval=1, hosts=2, database=str(tmp_path / "lab.db"))
    async with Lab(settings) as lab:
        recording = asyncio.create_task(run("record", lab.url, "--out", "outage.yaml", "--for", "20s", cwd=tmp_path))
        await lab.requests.wait(api="GetCurrentTime", within=60)  # the last that it asks before it records
        await asyncio.sleep(2)
        host = lab.network["imagestore-1"]
        await host.stop()
        await lab.wait_for("imagestore-1", "Disconnected", within=60)
        host.disk.resize(host.disk.size * 2)
        await host.start()
        await lab.wait_for("imagestore-1", "Connected", within=60)
        finished = await recording
    assert finished.status == 0, finished
    assert "outage.yaml: " in finished.output
    result = await asyncio.to_thread(replay_file, tmp_path / "outage.yaml")
    assert result.verdict is Verdict.HELD, (result.wrong, (tmp_path / "outage.yaml").read_text())
    [first, second] = result.lanes
    assert [status for _, status in second.statuses] == ["Connected"]
    assert [status for _, status in first.statuses][:2] == ["Connected", "Disconnected"]
    assert first.statuses[-1][1] == "Connected"
    assert len({total for _, total, _ in first.capacities}) == 2
    nobody = await run("record", "http://127.0.0.1:1", "--out", "outage.yaml", cwd=tmp_path)
    assert (nobody.status, "127.0.0.1:1" in nobody.errors) == (2, True)


@pytest.mark.processes
@pytest.mark.imagestore_lab(hosts=0)
async def test_a_recording_lasts_as_long_as_was_asked_for_once_it_has_begun(
    imagestore_client: Client, tmp_path: Path
) -> None:
    url = imagestore_client.url
    finished = await run("record", url, "--out", "quiet.yaml", "--for", "2s", cwd=tmp_path)
    assert finished.status == 0, finished
    began, ended = finished.output.splitlines()
    assert began == f"recording {url} for 2s"
    assert parse_seconds(ended.removeprefix("quiet.yaml: 0 events of ")) >= 2


@pytest.mark.processes
@pytest.mark.parametrize("limit", [("--for", "60s"), ()], ids=["for-a-time", "until-ctrl-c"])
async def test_a_node_that_dies_while_it_is_recorded_is_told_and_what_was_recorded_is_kept(
    tmp_path: Path, limit: tuple[str, ...]
) -> None:
    async with running("lab", "--port", "0", "--hosts", "1", cwd=tmp_path) as lab:
        arguments = ("record", lab.url, "--out", "cut.yaml", *limit)
        async with child(*COMMAND, *arguments, cwd=tmp_path, stdout=PIPE, stderr=PIPE) as recorder:
            assert recorder.stdout is not None
            assert (await asyncio.wait_for(recorder.stdout.readline(), 60)).startswith(b"recording ")
            async with Client(lab.url) as client:
                await client.log_in()
                await client.add_image_store("kept-1")
            await lab.stop(signal.SIGKILL)
            output, errors = await asyncio.wait_for(recorder.communicate(), 60)
    assert (recorder.returncode, output.decode().partition(": ")[0]) == (1, "cut.yaml"), errors
    assert errors.decode() == (
        f"imagestore-sim: {lab.url}: the node has ended, or cannot be reached any more;"
        " cut.yaml holds what was recorded until then\n"
    )
    assert "kept-1" in (tmp_path / "cut.yaml").read_text()


@pytest.mark.processes
async def test_a_node_that_cannot_be_asked_as_a_recording_ends_is_told(tmp_path: Path) -> None:
    async with Lab(Settings(port=0, hosts=0)) as lab, Client(lab.url) as client:
        recording = asyncio.create_task(run("record", lab.url, "--out", "cut.yaml", "--for", "3s", cwd=tmp_path))
        await lab.requests.wait(api="GetCurrentTime", within=60)
        fault = {"kind": "status", "preset": "nginx_502", "when": {"api": "GetCurrentTime"}}
        assert (await client.request("POST", f"{lab.url}/lab/v1/node/faults", fault)).status == 201
        finished = await recording
    assert (finished.status, "cut.yaml: 1 events of " in finished.output) == (1, True), finished  # the fault is one
    assert "cannot be reached any more; cut.yaml holds" in finished.errors
