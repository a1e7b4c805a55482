"""The order of a story: usual, drawn from a seed, or pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import play_virtually
from processes import run_here

STORY = """
title: three hosts go down, and come back
hosts: {"imagestore-{1..3}": }
settings: {ping.interval: 10s}
timeline:
  - {at: 1s, stop: {host: "*", for: 25s}}
  - eventually: {storage: "*", status: Disconnected, within: 1m}
  - eventually: {storage: "*", status: Connected, within: 2m}
"""


def log_of(order: str = "") -> list[dict[str, object]]:
    result = play_virtually(parse_scenario(STORY + order, "s.yaml"))
    assert result.verdict is Verdict.HELD
    return result.log


@pytest.mark.thorough
def test_a_story_has_another_log_in_another_order_and_the_same_one_in_the_same_order() -> None:
    usual = log_of()
    drawn = log_of("order: {seed: 3}")
    assert drawn == log_of("order: {seed: 3}")
    assert drawn != usual
    assert log_of("order: {tasks: {1: 0}}") == usual
    assert log_of("order: {delays: {1: 50ms}}") != usual


def test_replay_tells_which_pins_have_no_draw(tmp_path: Path) -> None:
    pins = "order: {tasks: {99999: 1}, delays: {7 RequestHandler 1: 1s, 0 Link 1: 1ms}}"
    story = f"title: t\nhosts: {{a: }}\n{pins}\ntimeline:\n  - expect: {{storage: a, status: Connected}}\n"
    (file := tmp_path / "pinned.yaml").write_text(story)
    done = run_here("replay", str(file), "--report", str(tmp_path / "report"))
    said = "2 draws of its order that are pinned did not come: tasks 99999, delays 7 RequestHandler 1"
    assert (done.status, f"note {said}\n" in done.output) == (0, True), done
    assert said in (tmp_path / "report" / "index.html").read_text()
