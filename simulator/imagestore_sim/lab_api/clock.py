"""`/lab/v1/clock`: shows the lab's clock, pauses it, steps it and changes its speed."""

from __future__ import annotations

import asyncio
import math
from typing import TypeGuard

from aiohttp import web
from pydantic import Field

from imagestore_sim.clock import FASTEST, SLOWEST, AdjustableClock, Clock
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape, with_body
from imagestore_sim.units import Seconds

LONGEST_STEP = 86400.0
"""Seconds."""
ADJUSTABLE = ("paused", "speed", "pause", "resume", "set_speed", "restart", "step")
NOT_ADJUSTABLE = {404: "the clock of this node cannot be changed"}


class ClockShape(Shape):
    """The time and the state of the clock."""

    time: float = Field(description="seconds since the epoch")
    paused: bool
    speed: float | None = Field(description="seconds that pass in one of the machine's; null: it jumps to what is due")


class ClockChange(Shape):
    """What to change; absent fields stay as they are."""

    paused: bool | None = None
    speed: float | None = Field(None, gt=0, allow_inf_nan=False, description=f"{SLOWEST:g} to {FASTEST:g}")


class Step(Shape):
    """How far to step."""

    seconds: Seconds = Field(le=LONGEST_STEP, description="a number, or as in `2m30s`; at most a day at once")


class ClockRoutes:
    """Serves `/lab/v1/clock`. One step runs at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._one_step = asyncio.Lock()

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        path, problems = "/lab/v1/clock", {400: "a field cannot be used"} | NOT_ADJUSTABLE
        step = "Let time pass at once, with all that falls due on the way"
        return [
            Route(
                "GET",
                path,
                "The time and the state of the clock",
                Handler(self.show),
                ClockShape,
                problems=NOT_ADJUSTABLE,
            ),
            Route(
                "PUT",
                path,
                "Pause, resume, change the speed",
                with_body(ClockChange, self.change),
                ClockShape,
                problems=problems,
            ),
            Route("POST", f"{path}/step", step, with_body(Step, self.step), ClockShape, problems=problems),
        ]

    async def show(self, request: web.Request) -> Answer:
        """Return the state of the clock. Raise Refused if it cannot be changed."""
        return _shape(self._adjustable())

    async def change(self, request: web.Request, change: ClockChange) -> Answer:
        """Change all that is asked for, or nothing. Raise Refused."""
        clock = self._adjustable()
        if change.speed is not None:
            try:
                clock.set_speed(change.speed)
            except ValueError as error:
                raise Refused(400, f"speed: {error}") from None
        if change.paused is not None and change.paused != clock.paused:
            clock.pause() if change.paused else clock.resume()
        return _shape(clock)

    async def step(self, request: web.Request, step: Step) -> Answer:
        """Step the clock, after the steps before it. Raise Refused."""
        clock = self._adjustable()
        async with self._one_step:
            try:
                await clock.step(step.seconds)
            except ValueError as error:
                raise Refused(400, f"seconds: {error}") from None
        return _shape(clock)

    def _adjustable(self) -> AdjustableClock:
        if not is_adjustable(self._clock):
            raise Refused(404, NOT_ADJUSTABLE[404])
        return self._clock


def is_adjustable(clock: Clock) -> TypeGuard[AdjustableClock]:
    """Return whether a clock can be paused, stepped and sped up."""
    return all(hasattr(clock, name) for name in ADJUSTABLE)


def _shape(clock: AdjustableClock) -> ClockShape:
    return ClockShape(time=clock.time(), paused=clock.paused, speed=None if math.isinf(clock.speed) else clock.speed)
