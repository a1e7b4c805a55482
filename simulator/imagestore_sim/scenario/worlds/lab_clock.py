"""A running lab's clock, as it is followed from outside: what waits here waits for the lab's time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import NoReturn

import aiohttp
from typing_extensions import override

from imagestore_sim.clock import RealClock
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.scenario.worlds.lab_client import LabClient, LabRefused, LabTime
from imagestore_sim.testing.client import plain_reason

LOOK_SECONDS = 0.1
"""Real seconds between two requests for the lab's time."""
QUIET_SECONDS = 0.03
"""Real seconds for the lab to report what has fallen due, before its clock is stepped on."""
LONGEST_PAUSE = 300.0
"""Real seconds that somebody may pause the lab's clock for."""
LONGEST_STEP = 1.0
"""Seconds of the lab's clock."""


class FollowingClock(RealClock):
    """Shows what the lab's clock showed last, and continues from there at its speed until it is shown again."""

    stands_still_for_timeouts = False
    """What is under way is so in another process, whose own clock waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._origin: float | None = None  # what the lab's clock showed first

    @override
    def time(self) -> float:
        return (self._origin or 0.0) + self.monotonic()

    @property
    def next_due(self) -> float | None:
        """The `monotonic` time that is waited for first; None if none is."""
        first = self._timers.first
        return None if first is None else first.deadline

    def show(self, seen: LabTime) -> None:
        """Take over what the lab's clock shows; never go back, but wait for the lab's clock to catch up."""
        if self._origin is None:
            self._origin = seen.time - self.monotonic()
        now = max(self.monotonic(), seen.time - self._origin)
        self._change(now=now, paused=seen.paused, speed=1.0 if seen.speed is None else seen.speed)
        for timer in self._timers.due_by(now):  # a paused clock would not
            self._timers.fire(timer)


class LabTimeFollower:
    """Shows a lab's time to a clock; steps the lab's clock if it was paused, or jumps, when the scenario began."""

    def __init__(self, url: str, lab: LabClient, clock: FollowingClock) -> None:
        self._url = url
        self._lab = lab
        self._clock = clock
        self._steps = False

    async def begin(self, undo: AsyncExitStack) -> None:
        """Show the time. Pause a clock that jumps, which would be gone before the first step; resume it in `undo`."""
        now = await self._lab.time()
        if now.speed is None and not now.paused:
            await self._lab.pause()
            undo.push_async_callback(self._lab.resume)
            now = await self._lab.time()
        self._steps = now.paused
        self._clock.show(now)

    async def refresh(self) -> None:
        """Show the time of now."""
        self._clock.show(await self._lab.time())

    async def follow(self) -> NoReturn:
        """Show the time again and again. Raise WorldProblem when the lab is gone, or was paused for too long."""
        paused = 0.0
        while True:
            try:
                if self._steps:
                    await asyncio.sleep(QUIET_SECONDS)  # real: another process reports what has fallen due
                    self._clock.show(await self._lab.step(self._next_step()))
                    continue
                await asyncio.sleep(LOOK_SECONDS)  # real: as often as that is asked
                now = await self._lab.time()
            except (LabRefused, aiohttp.ClientError, OSError, TimeoutError) as error:
                raise WorldProblem(f"{self._url}: {plain_reason(error)}") from error
            self._clock.show(now)
            paused = paused + LOOK_SECONDS if now.paused else 0.0
            if paused > LONGEST_PAUSE:
                raise WorldProblem(
                    f"the lab's clock was paused in the middle, and has stood still for {LONGEST_PAUSE:g} s"
                )

    def _next_step(self) -> float:
        due = self._clock.next_due
        return LONGEST_STEP if due is None else min(LONGEST_STEP, max(0.0, due - self._clock.monotonic()))
