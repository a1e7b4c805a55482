"""The order of a story: usual, drawn from a seed, or pinned."""

from __future__ import annotations

import pytest

from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import play_virtually

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
