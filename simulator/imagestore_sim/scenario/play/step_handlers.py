"""The functions that carry out steps, each registered by the keys of its steps, and what they work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from imagestore_sim.clock import Clock
from imagestore_sim.scenario.play.condition_waiter import ConditionWaiter
from imagestore_sim.scenario.play.fault_windows import FaultWindows
from imagestore_sim.scenario.play.observer import Observer
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.scenario.play.story_time import StoryTime
from imagestore_sim.scenario.play.world import World
from imagestore_sim.tasks import Tasks

Outcome = tuple[Verdict, str]
"""Whether a step has held, and what was seen."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """What the steps of a run work with."""

    world: World
    clock: Clock
    time: StoryTime
    observer: Observer
    waiter: ConditionWaiter
    windows: FaultWindows
    tasks: Tasks
    """What steps leave running; it is cancelled when the story ends."""


Handler = Callable[[StepContext, Any], Awaitable[Outcome]]
"""Carries out a step: gets what stands at the step's key in the file. Raises what the runner calls PROBLEMS."""
H = TypeVar("H", bound=Handler)


class StepHandlers(dict[str, Handler]):
    """Handlers by the key of their steps in the file."""

    def handles(self, *keys: str) -> Callable[[H], H]:
        """Register the decorated function for the steps with these keys."""

        def register(handler: H) -> H:
            self.update(dict.fromkeys(keys, handler))
            return handler

        return register
