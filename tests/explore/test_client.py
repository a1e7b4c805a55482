"""Stories around a program of the user's own: drawn from a seed, and played with it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from imagestore_sim.explore import client
from imagestore_sim.explore.client import Around, ProgramFails, stories_around
from imagestore_sim.explore.searching import play_seed
from imagestore_sim.explore.story import read
from imagestore_sim.scenario.format.oracle import OracleName

APIS = ("APIAddImageMsg", "APIQueryImageMsg", "api-jobs")
ASKS_ONCE = """
import json, os, sys, urllib.request
url = os.environ["IMAGESTORE_LAB_URL"] + "/zstack/v1/management-nodes/actions"
request = urllib.request.Request(url, b'{"getVersion": {}}', {"Content-Type": "application/json"}, method="PUT")
request.add_header("X-Lab-Time", "2024-01-01T00:00:00Z")
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        json.load(answer)
except Exception as error:
    sys.exit(f"it believes that the node always answers: {type(error).__name__}")
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    (tmp_path / "program.py").write_text(ASKS_ONCE)
    return f"{sys.executable} {tmp_path}/program.py"


def test_a_seed_has_one_story_which_can_be_read_and_heals_when_the_program_has_ended() -> None:
    around = Around("./program", 60.0, APIS)
    for seed in range(200):
        story = around.story(seed)
        assert story == around.story(seed)
        read(story)
        number = next(number for number, step in enumerate(story["timeline"]) if "program" in step)
        assert not [step for step in story["timeline"][number + 1 :] if "at" in step]
    met = {step["fault"].get("when", {}).get("api") for step in _faults(around)}
    assert met >= set(APIS)


def _faults(around: Around) -> list[dict[str, dict[str, dict[str, str]]]]:
    return [step for seed in range(50) for step in around.story(seed)["timeline"] if "fault" in step]


def test_a_program_that_fails_without_a_fault_is_refused() -> None:
    with pytest.raises(ProgramFails, match="exit status 3: no more"):
        stories_around("echo no more; exit 3", 60.0)


def test_the_exit_status_of_a_program_is_a_verdict(program: str) -> None:
    around = stories_around(program, 60.0)
    assert around.apis == ("APIGetVersionMsg",)
    for seed in range(100):
        found = [one for one in play_seed(seed, around).violations if one.invariant is OracleName.PROGRAM_ENDS_WELL]
        if found:
            assert found[0].text.startswith("exit status 1: it believes that the node always answers")
            return
    pytest.fail("no story has made the program fail")


SLOWS_TIME_DOWN = """
import os, urllib.request
url = os.environ["IMAGESTORE_LAB_URL"] + "/lab/v1/clock"
request = urllib.request.Request(url, b'{"speed": 0.001}', {"Content-Type": "application/json"}, method="PUT")
urllib.request.urlopen(request, timeout=20).read()
"""


def test_a_program_that_slows_time_down_has_the_time_that_it_runs_only(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOWS_TIME_DOWN + ASKS_ONCE)
    around = stories_around(f"{sys.executable} {tmp_path}/slow.py", 60.0)
    began = time.monotonic()
    assert play_seed(1, around).problem == ""
    assert time.monotonic() - began < 60


def test_a_program_whose_story_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_RUN", 0.5)
    with pytest.raises(ProgramFails, match=r"its story does not end: it took more than 0\.5 s"):
        stories_around("sleep 20", 60.0)
