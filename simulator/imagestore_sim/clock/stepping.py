"""Steps of a real clock: time moves on from one due timer to the next, and waits for what each sets in motion."""

from __future__ import annotations

import asyncio
import time

from imagestore_sim.clock.loop_timers import LoopTimers, TimeoutTimer
from imagestore_sim.clock.pace import Pace
from imagestore_sim.in_flight import activity

# Turns of the event loop without any activity: after QUIET a clock that is stepped moves on to what is due next; a
# timeout waits for SURELY_QUIET before it expires.
QUIET = 32
SURELY_QUIET = 128
OUTSIDE_PAUSE = 0.002
"""Real seconds between two looks at work outside of this process."""
LONGEST_OUTSIDE = 60.0
"""Real seconds for which a step waits for it at one due time."""


class Stepper:
    """Steps a pace. Steps on one event loop wait for each other."""

    def __init__(self, pace: Pace, timers: LoopTimers) -> None:
        self._pace = pace
        self._timers = timers
        self.outside = 0
        """How many tasks wait for something outside this process."""
        self._expiring: set[asyncio.Task[None]] = set()
        self._one_step: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    async def step(self, seconds: float) -> bool:
        """Let `seconds` pass; what falls due on the way is done, in its order, before time moves on.

        Return whether nothing was under way any more at each due time, and at the end.
        """
        async with self._one_step.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            self._hold()
            try:
                return await self._step_to(self._pace.now() + seconds)
            finally:
                self._release()

    def expire_when_quiet(self) -> None:
        """Stand still until nothing is under way; then let expire what is due by now."""
        self._hold()
        task = asyncio.get_running_loop().create_task(self._expire())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _expire(self) -> None:
        try:
            await self._step_to(self._pace.now())
        finally:
            self._release()

    async def _step_to(self, end: float) -> bool:
        settled = await self.settle()
        while (first := self._timers.first) is not None and first.deadline <= end:
            self._set(max(first.deadline, self._pace.now()))
            due = self._timers.due_by(first.deadline)
            if any(isinstance(one, TimeoutTimer) for one in due):
                settled &= await activity().quiet(SURELY_QUIET)
            for timer in due:
                if not timer.over:
                    self._timers.fire(timer)
            settled &= await self.settle()
        self._set(max(end, self._pace.now()))
        return settled

    async def settle(self) -> bool:
        """Wait until nothing is under way, neither in this process nor outside; return False if that takes too long."""
        begun = time.monotonic()  # real: work is
        settled = await activity().quiet(QUIET)
        while self.outside and time.monotonic() - begun < LONGEST_OUTSIDE:
            await asyncio.sleep(OUTSIDE_PAUSE)
            settled = await activity().quiet(QUIET)
        return settled and not self.outside

    def _set(self, now: float) -> None:
        self._pace.change(now=now)
        self._timers.rearm()

    def _hold(self) -> None:
        self._pace.hold()
        self._timers.rearm()

    def _release(self) -> None:
        self._pace.release()
        self._timers.rearm()
