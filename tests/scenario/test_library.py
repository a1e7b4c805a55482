"""The library in scenarios/: every story holds, tells why it matters, and no kind of fault is missing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from simulator.hosts.faults import FAULTS
from simulator.scenario.command import Options, find_files, run_replay
from simulator.scenario.reader import read_scenario
from simulator.scenario.results import Verdict
from simulator.scenario.runner import replay
from simulator.scenario.steps import FaultStep

ROOT = Path(__file__).parent.parent.parent
LIBRARY = ROOT / "scenarios"
FILES = find_files([LIBRARY])
QUICK = ("disk-fills-up", "host-unreachable", "hung-mount", "password-rotated", "zone-detached-under-failure")


@pytest.mark.parametrize("name", QUICK)
def test_a_story_holds(name: str) -> None:
    result = replay(LIBRARY / f"{name}.yaml")
    assert result.verdict is Verdict.HELD, result.wrong


@pytest.mark.scenarios
def test_the_whole_library_holds_and_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    status = run_replay([LIBRARY], Options(jobs=2))
    assert status == 0, capsys.readouterr().out
    assert time.monotonic() - began < 60


def test_every_story_tells_why_it_matters() -> None:
    assert len(FILES) >= 25
    for file in FILES:
        scenario = read_scenario(file)
        assert len(scenario.description) > 100, file
        assert any(step.expects for step in scenario.timeline), file


def test_every_kind_of_fault_is_in_a_story() -> None:
    steps = [step.what for file in FILES for step in read_scenario(file).timeline]
    assert {one.fault.kind for one in steps if isinstance(one, FaultStep)} == set(FAULTS)


def test_the_index_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "docs")])
    import write_scenarios  # type: ignore[import-not-found, unused-ignore]

    assert write_scenarios.PAGE.read_text() == write_scenarios.written(), "run `python docs/write_scenarios.py`"
