"""`/lab/v1/clock`: shows the lab's clock, pauses it, steps it, sets it and changes its speed."""

from __future__ import annotations

import math
from typing import Annotated

from aiohttp import web
from pydantic import BeforeValidator, Field, WithJsonSchema

from imagestore_sim.clock import FASTEST, SLOWEST
from imagestore_sim.lab_api.lab_time import LONGEST_STEP, NOT_ADJUSTABLE, LabTime
from imagestore_sim.lab_api.routes import Answer, Handler, Refused, Route, Shape, with_body
from imagestore_sim.units import Seconds, parse_time
from imagestore_sim.web_server import connection_of


def _to_epoch(value: object) -> object:
    return parse_time(value) if isinstance(value, str) else value


EpochTime = Annotated[
    float,
    BeforeValidator(_to_epoch),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]}, mode="validation"),
]


class ClockShape(Shape):
    """The time and the state of the clock."""

    time: float = Field(description="seconds since the epoch")
    elapsed: float = Field(description="seconds since the lab began, which never go back")
    paused: bool = Field(description="whether it stands still")
    speed: float | None = Field(description="seconds that pass in one of the machine's; null: it jumps to what is due")
    settled: bool = Field(description="whether the last step left nothing under way at any due time")


class ClockChange(Shape):
    """What to change; absent fields stay as they are. A time that is set is one to catch up with."""

    paused: bool | None = Field(None, description="whether it stands still")
    speed: float | None = Field(None, gt=0, allow_inf_nan=False, description=f"{SLOWEST:g} to {FASTEST:g}")
    time: EpochTime | None = Field(
        None, allow_inf_nan=False, description="a later time: seconds since the epoch, or ISO 8601 with an offset"
    )
    elapsed: Seconds | None = Field(None, description="a later time in place of `time`: seconds since the lab began")


class Step(Shape):
    """How far to step."""

    seconds: Seconds = Field(le=LONGEST_STEP, description="a number, or as in `2m30s`; at most 31 days at once")


class ClockRoutes:
    """Serves `/lab/v1/clock`. One step runs at a time."""

    def __init__(self, lab_time: LabTime) -> None:
        self._lab_time = lab_time

    def routes(self) -> list[Route]:
        """Return the declarations of its calls."""
        path, unchangeable = "/lab/v1/clock", {404: NOT_ADJUSTABLE}
        problems = {400: "a field cannot be used", 409: "the lab was reset meanwhile"} | unchangeable
        step = "Let time pass at once, with all that falls due on the way"
        change = "Pause, resume, change the speed, catch up with a time"
        return [
            Route(
                "GET",
                path,
                "The time and the state of the clock",
                Handler(self.show),
                ClockShape,
                problems=unchangeable,
            ),
            Route("PUT", path, change, with_body(ClockChange, self.change), ClockShape, problems=problems),
            Route("POST", f"{path}/step", step, with_body(Step, self.step), ClockShape, problems=problems),
        ]

    async def show(self, request: web.Request) -> Answer:
        """Return the state of the clock. Raise NotAdmitted if it cannot be changed."""
        return self._shape()

    async def change(self, request: web.Request, change: ClockChange) -> Answer:
        """Change all that is asked for, or nothing. Raise Refused, NotAdmitted."""
        clock, elapsed = self._lab_time.clock, self._elapsed_of(change)
        if change.speed is not None:
            try:
                clock.set_speed(change.speed)
            except ValueError as error:
                raise Refused(400, f"speed: {error}") from None
        if change.paused is not None and change.paused != clock.paused:
            clock.pause() if change.paused else clock.resume()
        if elapsed is not None:
            await self._lab_time.catch_up(elapsed, connection_of(request))
        return self._shape()

    def _elapsed_of(self, change: ClockChange) -> float | None:
        """Return the seconds since the lab began to catch up with, None for none. Raise Refused."""
        if change.time is not None and change.elapsed is not None:
            raise Refused(400, "time: give either it or elapsed")
        name = "elapsed" if change.time is None else "time"
        elapsed = change.elapsed if change.time is None else self._lab_time.elapsed_at(change.time)
        if elapsed is None:
            return None
        ahead = elapsed - self._lab_time.elapsed
        if ahead < 0:
            raise Refused(400, f"{name}: it is {-ahead:g} s before the lab's time, which never goes back")
        if ahead > LONGEST_STEP:
            raise Refused(400, f"{name}: it is {ahead:g} s ahead, and one call moves the clock {LONGEST_STEP:.0f} s")
        return elapsed

    async def step(self, request: web.Request, step: Step) -> Answer:
        """Step the clock, after the steps before it. Raise Refused, NotAdmitted."""
        try:
            await self._lab_time.step(step.seconds, connection_of(request))
        except ValueError as error:
            raise Refused(400, f"seconds: {error}") from None
        return self._shape()

    def _shape(self) -> ClockShape:
        clock, lab_time = self._lab_time.clock, self._lab_time
        speed = None if math.isinf(clock.speed) else clock.speed
        return ClockShape(
            time=clock.time(), elapsed=lab_time.elapsed, paused=clock.paused, speed=speed, settled=lab_time.settled
        )
