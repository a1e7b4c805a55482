"""Speeds a scenario up: shortens its times, its intervals and the transfers of images alike, as far as possible.

What real hosts need is not shortened: a login, an answer, the time-out of a probe. So every wait has to leave room for
a probe, beside the ping that it waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagestore_sim.backup_storage.global_config import PING_INTERVAL
from imagestore_sim.faults import Fault, ProbeAnswer
from imagestore_sim.images.expunge import INTERVAL as EXPUNGE_INTERVAL
from imagestore_sim.images.expunge import PERIOD as EXPUNGE_PERIOD
from imagestore_sim.images.sources import RATE
from imagestore_sim.scenario.format.api_steps import ApiStep, ClientStep
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.schema import Place, Problems
from imagestore_sim.scenario.format.steps import FaultStep, NodeFaultStep, Step, StopStep
from imagestore_sim.units import duration_text, parse_seconds

QUICK, DENIED, SLOW = 2.0, 5.0, 16.0
"""Seconds that a probe of a real host may take.

QUICK when it is answered or turned away, DENIED when PAM delays the denial, SLOW when it waits for the time-out of a
question (10 s) and then of a login (5 s).
"""
SHORTENED = {"within": "within", "lasts": "for", "during": "during", "over": "over", "down": "down"}
"""Fields of steps that are shortened, and their keys in a file."""
UNBOUND = ("over", "down")
"""Those of them that no ping has to come within."""
INTERVALS = (PING_INTERVAL.name, EXPUNGE_INTERVAL.name, EXPUNGE_PERIOD.name)
"""Options that are shortened: the interval of the pings, and when deleted images are expunged."""
STEP_TIMES = ("at", "after", "every", "until", "wait")


def sped_up(scenario: Scenario, speed: float) -> Scenario:
    """Return the scenario with its times and its intervals divided by `speed`, and images that come faster."""
    if speed == 1.0:
        return scenario
    settings = {PING_INTERVAL.name: f"{PING_INTERVAL.default}s"} | dict(scenario.settings)
    sources = tuple(one.model_copy(update={"rate": round((one.rate or RATE) * speed)}) for one in scenario.imageSources)
    node = scenario.node
    return scenario.model_copy(
        update={
            "settings": _faster_settings(settings, speed),
            "imageSources": sources,
            "node": node.model_copy(update={"probe_keep_alive": node.probe_keep_alive / speed}),
            "timeline": tuple(_faster_step(step, speed) for step in scenario.timeline),
            "ends": None if scenario.ends is None else scenario.ends / speed,
        }
    )


def _faster_settings(settings: dict[str, Any], speed: float) -> dict[str, Any]:
    given = {name: parse_seconds(settings[name]) for name in INTERVALS if name in settings}
    return settings | {name: f"{max(1, round(seconds / speed))}s" for name, seconds in given.items()}


def _faster_step(step: Step, speed: float) -> Step:
    content: Any = step.content
    changes = {name: getattr(step, name) / speed for name in STEP_TIMES if getattr(step, name) is not None}
    if step.settings is not None:
        changes["settings"] = _faster_settings(step.settings, speed)
    elif isinstance(content, FaultStep | NodeFaultStep):
        changes[step.kind] = content.model_copy(update={"fault": _faster_model(content.fault, speed)})
    elif not isinstance(content, str | float):
        changes[step.kind] = _faster_model(content, speed)
    return step.model_copy(update=changes)


def _faster_model(model: Any, speed: float) -> Any:
    return model.model_copy(
        update={name: value / speed for name in SHORTENED if (value := getattr(model, name, None)) is not None}
    )


# Limits


def too_fast(scenario: Scenario, speed: float) -> Problems:
    """Yield every time of a scenario that cannot be divided by `speed`: its place in the file, and why."""
    if speed == 1.0:
        return
    if scenario.nodes > 1:
        yield ("nodes",), f"--speed {speed:g} does not shorten the heartbeats and leases of nodes; at most --speed 1"
    for place in _ends_while_clients_wait(scenario):
        yield place, f"--speed {speed:g} shortens the fault, and not what clients under test wait; at most --speed 1"
    intervals = dict(_intervals(scenario))
    for place, interval in intervals.items():
        faster = interval / speed
        if faster < 1 or not faster.is_integer():
            yield (
                place,
                f"--speed {speed:g} makes {duration_text(interval)} {faster:.3g} s, and pings are a whole number "
                f"of seconds apart; {_try(scenario)}",
            )
    slowest, probe = max(intervals.values()), _longest_probe(scenario)
    for place, seconds in _waits(scenario):
        room = seconds - slowest if seconds > slowest else seconds
        if room / speed < probe:
            yield (
                place,
                f"--speed {speed:g} leaves {room / speed:.3g} s of {duration_text(seconds)} for a probe beside a ping "
                f"each {duration_text(slowest)}, and on real hosts it may take {probe:g} s; {_try(scenario)}",
            )


def _try(scenario: Scenario) -> str:
    return f"at most --speed {fastest(scenario):g}"


def fastest(scenario: Scenario) -> float:
    """Return the highest speed that keeps the meaning of a scenario; at least 1."""
    if scenario.nodes > 1 or any(_ends_while_clients_wait(scenario)):
        return 1.0
    intervals = [interval for _, interval in _intervals(scenario)]
    slowest, probe = max(intervals), _longest_probe(scenario)
    rooms = [seconds - slowest if seconds > slowest else seconds for _, seconds in _waits(scenario)]
    most = min((room / probe for room in rooms), default=slowest)
    speeds = (slowest / seconds for seconds in range(1, int(slowest) + 1))
    possible = (one for one in speeds if one <= most and all((each / one).is_integer() for each in intervals))
    return max((1.0, *possible))


def _ends_while_clients_wait(scenario: Scenario) -> Iterator[Place]:
    """Yield the time of every fault that meets clients under test and heals by itself.

    Their time-outs are those of real clients, and so are not shortened.
    """
    if not any(isinstance(step.content, ClientStep) for step in scenario.timeline):
        return
    for number, step in enumerate(scenario.timeline):
        if isinstance(step.content, NodeFaultStep) and step.content.fault.lasts is not None:
            yield ("timeline", number, step.kind, "for")


def _intervals(scenario: Scenario) -> Iterator[tuple[Place, float]]:
    """Yield the ping intervals: place and seconds."""
    name = PING_INTERVAL.name
    yield ("settings", name), parse_seconds(scenario.settings.get(name, f"{PING_INTERVAL.default}s"))
    for number, step in enumerate(scenario.timeline):
        if step.settings is not None and name in step.settings:
            yield ("timeline", number, "settings", name), parse_seconds(step.settings[name])


def _longest_probe(scenario: Scenario) -> float:
    answers = {step.content.fault.traits.answer for step in scenario.timeline if isinstance(step.content, FaultStep)}
    if ProbeAnswer.SILENT in answers or any(isinstance(step.content, StopStep) for step in scenario.timeline):
        return SLOW
    if any(isinstance(step.content, ApiStep) and step.content.makes() for step in scenario.timeline):
        return SLOW  # a transfer is a login and twenty writes, each of which waits for a real host
    return DENIED if ProbeAnswer.DENIED in answers else QUICK


def _waits(scenario: Scenario) -> Iterator[tuple[Place, float]]:
    """Yield every time that something has to be seen within, or that lies between two steps: place and seconds."""
    before = 0.0
    for number, step in enumerate(scenario.timeline):
        if step.at is not None:
            if step.at > before:
                yield ("timeline", number, "at"), step.at - before
            before = step.at
        for name in ("after", "every", "wait"):
            if (seconds := getattr(step, name)) is not None:
                yield ("timeline", number, name), seconds
        model: Fault | Any = step.content.fault if isinstance(step.content, FaultStep) else step.content
        for name, written in SHORTENED.items():
            seconds = getattr(model, name, None)
            if seconds is not None and name not in UNBOUND:
                yield ("timeline", number, step.kind, written), seconds
