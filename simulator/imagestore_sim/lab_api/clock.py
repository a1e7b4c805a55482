"""The lab's clock: `/lab/v1/clock` shows it, holds it, speeds it up and pushes it on."""

from __future__ import annotations

import asyncio
import math
from typing import TypeGuard

from aiohttp import web
from pydantic import Field

from imagestore_sim.clock import FASTEST, SLOWEST, AdjustableClock, Clock
from imagestore_sim.lab_api.routes import Given, Handler, Refused, Route, Shape, with_body
from imagestore_sim.units import Seconds

LONGEST_STEP = 86400.0
OFFERED = ("paused", "speed", "pause", "resume", "set_speed", "restart", "step")
NOT_OFFERED = {404: "the clock of this node cannot be changed"}


class ClockShape(Shape):
    """What the clock says."""

    time: float = Field(description="seconds since the epoch")
    paused: bool
    speed: float | None = Field(description="seconds that go by in one of the machine's; null: it jumps to what is due")


class ClockChange(Shape):
    """What to change of the clock; the rest stays."""

    paused: bool | None = None
    speed: float | None = Field(None, gt=0, allow_inf_nan=False, description=f"{SLOWEST:g} to {FASTEST:g}")


class Step(Shape):
    """How far to push the clock on."""

    seconds: Seconds = Field(le=LONGEST_STEP, description="a number, or as in `2m30s`; at most a day at once")


class ClockRoutes:
    """Answers the requests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._one_step = asyncio.Lock()

    def routes(self) -> list[Route]:
        """The calls."""
        path, problems = "/lab/v1/clock", {400: "a field cannot be used"} | NOT_OFFERED
        step = "Let time go by at once, with all that falls due on the way"
        return [
            Route("GET", path, "What the clock says", Handler(self.show), ClockShape, problems=NOT_OFFERED),
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

    async def show(self, request: web.Request) -> Given:
        """The clock."""
        return _shape(self._adjustable())

    async def change(self, request: web.Request, wanted: ClockChange) -> Given:
        """Change the clock: all that is asked for, or nothing."""
        clock = self._adjustable()
        if wanted.speed is not None:
            try:
                clock.set_speed(wanted.speed)
            except ValueError as error:
                raise Refused(400, f"speed: {error}") from None
        if wanted.paused is not None and wanted.paused != clock.paused:
            clock.pause() if wanted.paused else clock.resume()
        return _shape(clock)

    async def step(self, request: web.Request, wanted: Step) -> Given:
        """Push the clock on; one step at a time."""
        clock = self._adjustable()
        async with self._one_step:
            try:
                await clock.step(wanted.seconds)
            except ValueError as error:
                raise Refused(400, f"seconds: {error}") from None
        return _shape(clock)

    def _adjustable(self) -> AdjustableClock:
        if not is_adjustable(self._clock):
            raise Refused(404, NOT_OFFERED[404])
        return self._clock


def is_adjustable(clock: Clock) -> TypeGuard[AdjustableClock]:
    return all(hasattr(clock, name) for name in OFFERED)


def _shape(clock: AdjustableClock) -> ClockShape:
    return ClockShape(time=clock.time(), paused=clock.paused, speed=None if math.isinf(clock.speed) else clock.speed)
