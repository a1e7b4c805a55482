"""Shrinking: the fewest steps, the roundest times, the plainest order."""

from __future__ import annotations

from typing import Any

import pytest

from imagestore_sim.explore.generation import generate
from imagestore_sim.explore.shrinking import shrink
from imagestore_sim.explore.story import Content, read
from imagestore_sim.scenario.format.reader import ScenarioError


def kinds_of(story: Content) -> list[str]:
    """Return the kinds of a story's steps; nothing for one that cannot be read."""
    try:
        return [step.kind for step in read(story).timeline]
    except ScenarioError:
        return []


def has(story: Content, *kinds: str) -> bool:
    return set(kinds) <= set(kinds_of(story))


def story(*steps: dict[str, Any], **rest: Any) -> Content:
    return {"title": "a story", "hosts": {"imagestore-{1..2}": {}}, "timeline": list(steps), **rest}


@pytest.mark.thorough
def test_only_the_steps_stay_that_a_failure_needs() -> None:
    [large] = [
        one for one in map(generate, range(200)) if has(one, "fault", "restart_node") and len(kinds_of(one)) > 20
    ][:1]
    found = shrink(large, lambda one: has(one, "fault", "restart_node"))
    assert sorted(kinds_of(found.story)) == ["fault", "restart_node"]
    assert found.runs < 200


def test_times_are_as_round_as_the_failure_allows() -> None:
    told = story(
        {"at": "1m17.3s", "stop": {"host": "imagestore-1"}}, {"at": "2m4.1s", "start": {"host": "imagestore-1"}}
    )
    found = shrink(told, lambda one: has(one, "stop", "start") and (read(one).timeline[1].at or 0) > 61)
    assert found.story["timeline"] == [
        {"stop": {"host": "imagestore-1"}},
        {"at": "2m", "start": {"host": "imagestore-1"}},
    ]


def test_parameters_that_do_not_matter_go() -> None:
    fault = {"host": "imagestore-1", "kind": "refuse", "cut": False, "for": "1m"}
    found = shrink(story({"fault": fault}, order={"seed": 3}, seed=4), lambda one: has(one, "fault"))
    assert found.story["timeline"] == [{"fault": {"host": "imagestore-1", "kind": "refuse"}}]
    assert not found.story.keys() & {"order", "seed"}


def test_draws_of_an_order_are_dropped_but_for_those_that_matter() -> None:
    pins = dict.fromkeys(range(1, 40), 1)
    told = story({"wait": "1s"}, order={"tasks": pins})
    found = shrink(told, lambda one: has(one, "wait") and 17 in one.get("order", {}).get("tasks", {}))
    assert found.story["order"] == {"tasks": {17: 1}}


def test_hundreds_of_draws_are_dropped_in_spans() -> None:
    told = story(
        {"wait": "1s"},
        order={"tasks": dict.fromkeys(range(1, 300), 1), "delays": dict.fromkeys(range(1, 100), 0.05), "seed": 3},
    )

    def fails(one: Content) -> bool:
        order = one.get("order", {})
        return 17 in order.get("tasks", {}) and 71 in order.get("delays", {})

    found = shrink(told, fails)
    assert (found.story["order"]["tasks"], found.story["order"]["delays"]) == ({17: 1}, {71: 0.05})
    assert found.runs < 60


def test_an_order_that_does_not_matter_goes_at_once() -> None:
    """A machine that is busy may play few stories in the time that there is."""
    told = story(
        *({"at": f"{second}.5s", "wait": "1s"} for second in range(8)),
        order={"tasks": dict.fromkeys(range(1, 100), 1)},
        settings={"ping.interval": "7s"},
        seed=4,
    )
    found = shrink(told, lambda one: len(kinds_of(one)) >= 4, most_runs=15)
    assert not found.story.keys() & {"order", "settings", "seed"}


def test_draws_are_named_by_the_steps_that_are_left() -> None:
    pins = {"0 a 1": 1, "1 a 1": 1, "2 a 1": 1, "3 a 2": 1, "4 a 3": 1, 7: 1}
    told = story(
        {"wait": "1s"}, {"note": "x"}, {"wait": "3s"}, {"stop": {"host": "imagestore-1"}}, order={"tasks": pins}
    )

    def fails(one: Content) -> bool:
        steps = kinds_of(one)
        number = steps.index("stop") + 1 if "stop" in steps else 0
        return f"{number} a 3" in one.get("order", {}).get("tasks", {})

    found = shrink(told, fails)
    assert (kinds_of(found.story), found.story["order"]) == (["stop"], {"tasks": {"1 a 3": 1}})


def test_a_story_that_cannot_be_simpler_stays_as_it_is() -> None:
    told = story({"wait": "1s"})
    assert shrink(told, lambda _: False).story == told


@pytest.mark.thorough
def test_no_more_stories_are_played_than_allowed() -> None:
    played: list[Content] = []

    def fails(one: Content) -> bool:
        played.append(one)
        return has(one, "fault")

    large = next(one for one in map(generate, range(200)) if has(one, "fault") and len(kinds_of(one)) > 10)
    shrink(large, fails, most_runs=5)
    assert len(played) <= 5
