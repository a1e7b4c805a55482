"""The library in scenarios/: every story holds, says why it matters, and no kind of fault is missing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagestore_sim.cli.replay import Options, run_replay
from imagestore_sim.cli.replay_batch import find_files
from imagestore_sim.faults import FAULTS, NODE_FAULTS
from imagestore_sim.scenario.format.reader import read_scenario
from imagestore_sim.scenario.format.steps import FaultStep, NodeFaultStep
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import replay_file

ROOT = Path(__file__).parent.parent.parent
LIBRARY = ROOT / "scenarios"
FILES = find_files([LIBRARY])
WEEK = """\
title: Seven days of a hundred hosts
hosts:
  imagestore-{1..100}: {size: 10 TiB, used: 20%}
node: {probe_keep_alive: 8d}
settings: {ping.interval: 1h}
timeline:
  - {at: 1h, fill: {host: "*", to: 80%, over: 6d}}
  - {at: 2d, fault: {host: "imagestore-{1..10}", kind: blackhole, for: 6h}}
  - {at: 3d, fault: {host: "imagestore-{11..20}", kind: hung_mount, path: /Cloud_bs, for: 6h}}
  - {at: 4d, stop: {host: imagestore-5*, for: 6h}}
  - {at: 6d, every: 2h, until: 6d20h, fault: {host: "imagestore-{1..5}", kind: refuse, for: 1h}}
  - {at: 7d, eventually: {storage: "*", status: Connected, availableCapacity: ~ 20%, within: 3h}}
invariants:
  - never: {storage: "imagestore-9?", status: Disconnected}
"""


@dataclass(frozen=True)
class Replayed:
    """How the library was replayed once."""

    status: int
    seconds: float
    report: Path

    @property
    def events(self) -> list[Path]:
        """The event logs, one a story."""
        return sorted((self.report / "events").iterdir())


def replayed(report: Path) -> Replayed:
    began = time.monotonic()
    status = run_replay([LIBRARY], Options(jobs=2, report=report))
    return Replayed(status, time.monotonic() - began, report)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """Replay the library; the tests of the module share what came of it."""
    return replayed(tmp_path_factory.mktemp("library") / "first")


@pytest.mark.scenarios
def test_every_story_holds_and_the_library_is_quick(first: Replayed) -> None:
    assert first.status == 0
    assert first.seconds < 180
    assert len(first.events) == len(FILES)


@pytest.mark.scenarios
def test_the_library_gives_the_same_events_each_time(first: Replayed, tmp_path: Path) -> None:
    for run in ("second", "third"):
        again = replayed(tmp_path / run)
        assert again.status == 0
        for one, other in zip(first.events, again.events, strict=True):
            assert (one.name, one.read_bytes()) == (other.name, other.read_bytes())


@pytest.mark.scenarios
def test_a_week_of_a_hundred_hosts_takes_less_than_two_minutes(tmp_path: Path) -> None:
    file = tmp_path / "week.yaml"
    file.write_text(WEEK)
    result = replay_file(file)
    assert result.verdict is Verdict.HELD, result.wrong
    assert result.length >= 7 * 86400
    assert result.seconds < 120


def test_every_story_says_why_it_matters() -> None:
    assert len(FILES) >= 25
    for file in FILES:
        scenario = read_scenario(file)
        assert len(scenario.description) > 100, file
        assert scenario.oracle or any(step.expects for step in scenario.timeline), file


def test_every_kind_of_fault_is_in_a_story() -> None:
    steps = [step.content for file in FILES for step in read_scenario(file).timeline]
    assert {one.fault.kind for one in steps if isinstance(one, FaultStep)} == set(FAULTS)


def test_every_kind_of_fault_of_the_management_plane_is_in_a_story() -> None:
    steps = [step.content for file in FILES for step in read_scenario(file).timeline]
    assert {one.fault.kind for one in steps if isinstance(one, NodeFaultStep)} == set(NODE_FAULTS)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "story",
    [
        "a-third-of-answers-lost",
        "bodies-that-cannot-be-read",
        "hooks-twice-and-out-of-order",
        "restart-before-the-poll",
    ],
)
def test_a_story_of_the_management_plane_gives_the_same_log_each_time(tmp_path: Path, story: str) -> None:
    for run in range(3):
        assert run_replay([LIBRARY / f"{story}.yaml"], Options(report=tmp_path / str(run))) == 0
    logs = {(tmp_path / str(run) / "events" / f"{story}.jsonl").read_bytes() for run in range(3)}
    assert len(logs) == 1
