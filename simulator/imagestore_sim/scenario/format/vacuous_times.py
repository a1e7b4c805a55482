"""Finds expectations in which no time passes, or that the end of the story cuts off."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imagestore_sim.scenario.format.api_steps import ApiStep
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.schema import Problems
from imagestore_sim.scenario.format.steps import Step
from imagestore_sim.units import duration_text


def problems_of_times(scenario: Scenario) -> Problems:
    """Yield windows that reach beyond the end of the story, and those in which no time passes."""
    now, ends = 0.0, scenario.ends
    for number, step in enumerate(scenario.timeline):
        now = step.at if step.at is not None else now + (step.after or 0.0)
        window = _window(step)
        if ends is not None and window is not None and step.expects:
            name, seconds = window
            beyond = now >= ends if name == "within" else now + seconds > ends
            if beyond:
                text = f"the scenario ends at {duration_text(ends)}, so this could not be decided: expected "
                text += "a step before that" if now >= ends else f"no more than {duration_text(ends - now)}"
                yield ("timeline", number, step.kind, name), text
        if step.never is not None and step.never.during is None and not _passes(scenario, number, now):
            text = "this covers no time: it holds to the end of the scenario, and nothing after it takes any"
            yield ("timeline", number, "never"), f"{text}; expected during, or a later step"
    if scenario.invariants and not _passes(scenario, -1, 0.0):
        yield (
            ("invariants",),
            "these cover no time: no step of the timeline takes any; expected ends, or a step that does",
        )


def _window(step: Step) -> tuple[str, float] | None:
    if step.eventually is not None:
        return "within", step.eventually.within
    if step.stays is not None:
        return "for", step.stays.lasts
    if step.never is not None and step.never.during is not None:
        return "during", step.never.during
    return None


TAKE_TIME: Sequence[Callable[[Step], bool]] = (
    lambda step: bool(step.after or step.wait),
    lambda step: step.eventually is not None or step.stays is not None,
    lambda step: any(one is not None for one in (step.restart_node, step.kill_node, step.start_node)),
    lambda step: step.program is not None,
    lambda step: step.never is not None and step.never.during is not None,
    lambda step: isinstance(step.content, ApiStep) or step.until is not None,
)


def _passes(scenario: Scenario, after: int, now: float) -> bool:
    """Return whether time passes after the step with index `after`, which is at `now`."""
    if scenario.ends is not None:
        return scenario.ends > now
    later = scenario.timeline[after + 1 :]
    return any(takes(step) for step in later for takes in TAKE_TIME) or any((one.at or 0.0) > now for one in later)
