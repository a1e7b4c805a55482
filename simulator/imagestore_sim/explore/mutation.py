"""Draws variations of a story that a person wrote: steps are moved, repeated, left out, and put between."""

from __future__ import annotations

import copy
from random import Random

from imagestore_sim.explore.generation import Names, draw_step, draw_swarm, nodes_in, with_healing
from imagestore_sim.explore.story import Content, read
from imagestore_sim.scenario.format.reader import unplayable_steps
from imagestore_sim.units import duration_text, parse_seconds

MOST_CHANGES = 6
"""Changes that are made to a story at most."""


def mutate(story: Content, seed: int) -> Content:
    """Return the variation of a story that a seed gives: the same one each time.

    What the story expects is left out: with other steps it would be otherwise. The oracle judges in its place.
    """
    draws = Random(f"variation {seed}")  # noqa: S311 - runs are to be the same, nothing is secret
    scenario = read(story)
    storages = [one.name for one in scenario.all_storages()]
    names = Names(list(scenario.all_hosts()), storages, nodes=nodes_in(story))
    swarm = draw_swarm(draws, names.hosts, names.nodes)
    timeline = [one for one in _with_times(story["timeline"]) if _acts(one)]
    for _ in range(draws.randint(1, MOST_CHANGES)):
        number = draws.randint(0, len(timeline))
        match draws.choice(("insert", "insert", "repeat", "move", "drop")):
            case "insert":
                if (step := draw_step(draws, swarm, names)) is not None:
                    timeline.insert(number, {"at": _time_at(timeline, number), **step})
            case "repeat" if timeline:
                timeline.insert(number, {**copy.deepcopy(draws.choice(timeline)), "at": _time_at(timeline, number)})
            case "move" if timeline:
                step = timeline.pop(draws.randrange(len(timeline)))
                number = min(number, len(timeline))
                timeline.insert(number, {**step, "at": _time_at(timeline, number)})
            case "drop" if len(timeline) > 1:
                timeline.pop(draws.randrange(len(timeline)))
    _ends(timeline)
    rest = {key: value for key, value in story.items() if key not in ("timeline", "invariants", "ends", "oracle")}
    order = {} if draws.random() < 0.3 else {"order": {"seed": seed}}
    made: Content = {**rest, "seed": seed, **order, "oracle": "all"}
    while unplayable := unplayable_steps(with_healing({**made, "timeline": timeline})):  # what they are about is gone
        timeline = [step for number, step in enumerate(timeline) if number not in unplayable]
    return with_healing({**made, "timeline": timeline})


def _ends(timeline: list[Content]) -> None:
    """Let no repetition end before it begins."""
    for step in timeline:
        if "until" in step and parse_seconds(step["until"]) < parse_seconds(step["at"]):
            step["until"] = step["at"]


def _acts(step: Content) -> bool:
    """Return whether a step does something."""
    return not {"expect", "eventually", "stays", "never", "note"} & set(step)


def _with_times(timeline: list[Content]) -> list[Content]:
    """Return steps that each say when they are: one that follows another begins with it, or so long after."""
    at = 0.0
    timed: list[Content] = []
    for step in timeline:
        at = parse_seconds(step["at"]) if "at" in step else at + parse_seconds(step.get("after", 0))
        timed.append(
            {"at": duration_text(at), **{key: value for key, value in step.items() if key not in ("at", "after")}}
        )
        at += parse_seconds(step.get("wait", 0))
        at += parse_seconds((step.get("eventually") or {}).get("within", 0)) / 2
    return timed


def _time_at(timeline: list[Content], number: int) -> str:
    """Return the time of the step that has a number, or of the last one."""
    return str(timeline[min(number, len(timeline) - 1)]["at"]) if timeline else "0s"
