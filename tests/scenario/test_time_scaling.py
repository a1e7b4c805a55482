"""Speeding a scenario up: its times and its pings alike, as far as its meaning allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import parse_scenario, read_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.replay import play_virtually
from imagestore_sim.scenario.time_scaling import fastest, sped_up, too_fast
from rows import rows

LIBRARY = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


def story(timeline: str, settings: str = "ping.interval: 10s") -> Scenario:
    return parse_scenario(
        f"title: A story\nhosts: {{h-1: {{}}}}\nsettings: {{{settings}}}\ntimeline:\n"
        + "".join(f"  - {step}\n" for step in timeline.split(" | "))
    )


def complaints(scenario: Scenario, speed: float) -> list[str]:
    return [f"{'.'.join(str(one) for one in place)}: {text}" for place, text in too_fast(scenario, speed)]


def test_every_time_and_the_interval_of_pings_is_shortened_and_nothing_else() -> None:
    scenario = story(
        "{at: 1m, fault: {host: h-1, kind: slow_login, seconds: 4s, for: 5m}}"
        " | {at: 2m, every: 30s, until: 4m, fill: {host: h-1, to: 50%, over: 40s}}"
        " | {after: 20s, eventually: {storage: h-1, status: Connected, within: 50s}}"
        " | {stop: {host: h-1, for: 1m}} | {restart_node: {down: 10s}} | {wait: 20s}"
        " | {settings: {ping.interval: 20s}} | {stays: {storage: h-1, status: Connected, for: 30s}}"
    )
    slow, filled, eventually, stopped, restarted, waited, settled, stays = sped_up(scenario, 5).timeline
    assert (slow.at, slow.content.fault.lasts, slow.content.fault.seconds) == (12, 60, 4)
    assert (filled.at, filled.every, filled.until, filled.content.fault.over) == (24, 6, 48, 8)
    assert (eventually.after, eventually.content.within) == (4, 10)
    assert (stopped.content.lasts, restarted.content.down, waited.content, stays.content.lasts) == (12, 2, 4, 6)
    assert settled.content == {"ping.interval": "4s"}
    assert sped_up(scenario, 5).settings == {"ping.interval": "2s"}
    assert sped_up(scenario, 5).node.probe_keep_alive == 6
    assert sped_up(scenario, 1) is scenario
    assert sped_up(story("{wait: 1h}", settings=""), 60).settings == {"ping.interval": "1s"}


def test_a_fault_that_heals_by_itself_while_clients_under_test_wait_is_not_shortened() -> None:
    fault = "{at: 2m, fault: {node: no_accept, for: 1m}}"
    scenario = story(f"{fault} | {{client: {{method: GET, path: /zones}}}}")
    assert fastest(scenario) == 1
    [complaint, *_] = complaints(scenario, 5)
    assert complaint.startswith("timeline.0.fault.for: --speed 5 shortens the fault, and not what clients under test")
    assert fastest(story(fault)) > 1


def test_a_story_of_several_nodes_is_not_shortened() -> None:
    scenario = parse_scenario("title: A story\nhosts: {h-1: {}}\nnodes: 2\ntimeline:\n  - wait: 1h\n")
    assert fastest(scenario) == 1
    [complaint, *_] = complaints(scenario, 5)
    assert complaint == "nodes: --speed 5 does not shorten the heartbeats and leases of nodes; at most --speed 1"


BESIDE_A_PING = "for a probe beside a ping each 10s, and on real hosts it may take"


@rows(
    ("timeline", "speed", "complaint"),
    [
        ("{wait: 1h}", 20, "settings.ping.interval: --speed 20 makes 10s 0.5 s"),
        ("{wait: 1h}", 3, "settings.ping.interval: --speed 3 makes 10s 3.33 s"),
        (
            "{eventually: {storage: h-1, status: Connected, within: 15s}}",
            5,
            f"timeline.0.eventually.within: --speed 5 leaves 1 s of 15s {BESIDE_A_PING} 2 s; at most --speed 2.5",
        ),
        (
            "{fault: {host: h-1, kind: blackhole, for: 60s}}",
            5,
            f"timeline.0.fault.for: --speed 5 leaves 10 s of 1m {BESIDE_A_PING} 16 s; at most --speed 2.5",
        ),
        (
            "{fault: {host: h-1, kind: auth_failure, for: 30s}}",
            5,
            f"timeline.0.fault.for: --speed 5 leaves 4 s of 30s {BESIDE_A_PING} 5 s; at most --speed 3.33",
        ),
        ("{at: 1m, note: x} | {at: 61s, note: y}", 2, "timeline.1.at: --speed 2 leaves 0.5 s of 1s"),
    ],
)
def test_a_speed_that_changes_the_meaning_is_refused(timeline: str, speed: float, complaint: str) -> None:
    scenario = story(timeline)
    [found] = complaints(scenario, speed)
    assert found.startswith(complaint)
    assert complaints(scenario, fastest(scenario)) == []


def test_images_come_faster_and_are_expunged_earlier() -> None:
    text = """
title: t
hosts: {h-1: }
imageSources: [{url: "a", rate: 10 MiB}, {url: "b"}]
settings: {ping.interval: 10s, expungePeriod: 1h, expungeInterval: 10m}
timeline: [{at: 1m, add_image: {image: i}}]
"""
    faster = sped_up(parse_scenario(text), 5)
    assert [one.rate for one in faster.imageSources] == [50 * 2**20, 5 * 2**30]
    assert faster.settings == {"ping.interval": "2s", "expungePeriod": "720s", "expungeInterval": "120s"}


@pytest.mark.scenarios
@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: str(file.stem))
def test_a_story_holds_at_the_highest_speed_that_it_may_have(file: Path) -> None:
    scenario = read_scenario(file)
    speed = fastest(scenario)
    assert complaints(scenario, speed) == []
    if speed == 1:
        return  # it is played as it is elsewhere
    result = play_virtually(sped_up(scenario, speed), seed=scenario.seed)
    assert result.verdict is Verdict.HELD, (speed, result.wrong)
