"""A registry of the functions that carry out steps, by the keys of the steps in the file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from imagestore_sim.scenario.play.context import PlayContext
from imagestore_sim.scenario.play.results import Outcome

Handler = Callable[[PlayContext, Any], Awaitable[Outcome]]
"""Carries out a step: gets the value at the step's key. Raises what the runner calls PROBLEMS."""
H = TypeVar("H", bound=Handler)


class StepHandlers(dict[str, Handler]):
    """Handlers by the key of their steps in the file."""

    def handles(self, *keys: str) -> Callable[[H], H]:
        """Register the decorated function for the steps with these keys."""

        def register(handler: H) -> H:
            self.update(dict.fromkeys(keys, handler))
            return handler

        return register
