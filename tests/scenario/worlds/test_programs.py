"""A program of the user's own runs against the node of a story, in virtual time if its requests carry the time."""

from __future__ import annotations

import sys
from pathlib import Path

from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.replay import play_virtually

ASK = """
import os, sys, urllib.request
for moment in sys.argv[1:]:
    headers = {} if moment == "none" else {"X-Lab-Time": moment}
    request = urllib.request.Request(os.environ["IMAGESTORE_LAB_URL"] + "/zstack/v1/zones", headers=headers)
    try:
        urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        print(error.code, error.headers["X-Lab-Time"])
    except OSError as error:
        print(type(error).__name__)
"""


def played(tmp_path: Path, *steps: str) -> Result:
    (tmp_path / "ask.py").write_text(ASK)
    lines = "\n".join(f"  - {step}" for step in steps)
    few_pings = "settings: {ping.interval: 1h}\n"
    return play_virtually(parse_scenario(f"title: t\nhosts: {{a: }}\n{few_pings}timeline:\n{lines}\n", "s.yaml"))


def program(tmp_path: Path, arguments: str, end: str = "", within: str = "1m") -> str:
    command = f"{sys.executable} {tmp_path}/ask.py {arguments}; {end}"
    return f"program: {{command: '{command}', within: {within}}}"


def test_hours_that_a_program_asks_for_pass_at_once_and_no_other_second(tmp_path: Path) -> None:
    result = played(tmp_path, program(tmp_path, "10 36000"))
    assert result.verdict is Verdict.HELD, result.wrong
    assert result.steps[0].seen == "exit status 0: 400 10.000000\n400 36000.000000"
    assert result.length == 36000.0


def test_a_step_that_falls_due_in_the_time_of_a_program_happens_then(tmp_path: Path) -> None:
    outage = "{at: 100s, kill_node: {down: 10s}}"
    result = played(tmp_path, "{at: 0s, " + program(tmp_path, "50 150 200") + "}", outage)
    assert result.verdict is Verdict.HELD, result.wrong
    assert [one.began for one in result.windows] == [100.0]
    assert result.steps[0].seen.splitlines()[0] == "exit status 0: 400 50.000000"


def test_a_program_that_carries_no_time_has_the_machines(tmp_path: Path) -> None:
    result = played(tmp_path, program(tmp_path, "none", "sleep 0.3"))
    assert result.verdict is Verdict.HELD, result.wrong
    assert 0 < result.length < 60


def test_a_program_has_to_end_well_and_in_time(tmp_path: Path) -> None:
    result = played(tmp_path, program(tmp_path, "", "exit 3"), program(tmp_path, "", "sleep 60", within="1s"))
    assert [one.seen for one in result.steps] == ["exit status 3", "killed after 1s of the machine"]
    assert {one.verdict for one in result.steps} == {Verdict.FAILED}
