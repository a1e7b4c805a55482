"""How much a story plays, as far as its text tells: one that plays for minutes is no use to a search.

A search plays a story hundreds of times, and so does shrinking. Virtual time itself costs nothing; what happens in it
costs milliseconds each time: a call, a ping, a heartbeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from imagestore_sim.backup_storage.global_config import PING_INTERVAL
from imagestore_sim.cluster import MODES
from imagestore_sim.scenario.format.api_steps import ApiStep, ClientStep
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.options import OPTIONS, option_text
from imagestore_sim.scenario.format.reader import ScenarioError
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import Step

MOST = {
    "steps": 1000,
    "hosts": 200,
    "storages": 200,
    "actions": 5_000,
    "polls of jobs": 20_000,
    "days": 400,
    "pings": 20_000,
    "turns of other work": 20_000,
    "heartbeats of nodes": 100_000,
}
"""The most that a search plays in one story: each of these takes a minute or two of a processor."""
DAY = 86400.0
INTERVAL = "nterval"
"""In the names of options that say how often something happens."""


def check_extent(story: Scenario) -> None:
    """Raise ScenarioError for a story that plays more than MOST."""
    for what, amount in _extent_of(story).items():
        if amount > MOST[what]:
            raise ScenarioError(f"it plays {amount:,.0f} {what}, and a search plays {MOST[what]:,} of them at the most")


def _extent_of(story: Scenario) -> dict[str, float]:
    """Return how much a story plays, by the words of MOST."""
    times = list(_times(story))
    seconds = max(end for _, end, _ in times) if story.ends is None else story.ends
    storages = len(story.all_storages())
    nodes = story.nodes if story.nodes > 1 else 0
    return {
        "steps": len(story.timeline),
        "hosts": len(story.all_hosts()),
        "storages": storages,
        "actions": sum(often * size for (_, _, often), size in zip(times, _sizes(story), strict=True)),
        "polls of jobs": sum(often * _polls(step) for (step, _, often) in times),
        "days": seconds / DAY,
        "pings": storages * seconds / _shortest(story, PING_INTERVAL.name),
        "turns of other work": sum(seconds / _shortest(story, name) for name in _intervals(story)),
        "heartbeats of nodes": nodes * seconds / MODES[story.node.cluster_mode].beat,
    }


def _times(story: Scenario) -> Iterator[tuple[Step, float, float]]:
    """Yield each step, when it ends, in seconds of the story, and how often it happens."""
    before = 0.0
    for step in story.timeline:
        began = step.at if step.at is not None else before + (step.after or 0.0)
        before, often = began + _lasts(step), 1.0
        if step.every is not None and step.until is not None:
            before, often = max(before, step.until), 1 + (step.until - began) / step.every
        yield step, before, often


def _lasts(step: Step) -> float:
    """Return the seconds that a step takes, as far as it says."""
    if step.kind == "wait":
        return step.wait or 0.0
    content = step.content
    waits = getattr(content, "within", 0.0) if step.kind == "kill_node" and content.commits else 0.0
    return waits + (getattr(content, "down", None) or 0.0)


def _sizes(story: Scenario) -> Iterator[int]:
    """Yield for each step how many things it acts on: hosts, or images, each on some storages."""
    hosts, storages = list(story.all_hosts()), [one.name for one in story.all_storages()]
    images: list[str] = []
    for step in story.timeline:
        content = step.content
        if isinstance(content, ApiStep):
            images += content.makes()
        by_kind: Sequence[tuple[str, Sequence[str]]] = (("host", hosts), ("storage", storages), ("image", images))
        size = 1
        for name, there in by_kind:
            size *= max(1, _matches(getattr(content, name, None), there))
        yield size


def _matches(patterns: Any, there: Sequence[str]) -> int:
    """Return how many names match, if a step names any."""
    return len(list(matching(patterns, there))) if isinstance(patterns, tuple) else 0


def _polls(step: Step) -> float:
    """Return how often a client asks for its job at the most."""
    content = step.content
    return content.gives_up / content.poll if isinstance(content, ClientStep) and not content.hook else 0.0


def _intervals(story: Scenario) -> list[str]:
    """Return the options of a story that say how often something happens, beside pings."""
    given = {*story.settings, *(name for step in story.timeline for name in step.settings or ())}
    return sorted(name for name in given if INTERVAL in name and name != PING_INTERVAL.name)


def _shortest(story: Scenario, name: str) -> float:
    """Return the shortest time that an option says in a story, in seconds; a second at least."""
    first = {name: OPTIONS[name].default, **story.settings}
    changes = [first, *(step.settings or {} for step in story.timeline)]
    return max(1.0, min(float(option_text(name, one[name])) for one in changes if name in one))
