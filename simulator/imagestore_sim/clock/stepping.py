"""Steps of a real clock: time moves on from one due timer to the next, and waits for what each sets in motion."""

from __future__ import annotations

import asyncio

from imagestore_sim.clock.loop_timers import LoopTimers, TimeoutTimer
from imagestore_sim.clock.pace import Pace
from imagestore_sim.in_flight import activity

# Real seconds, and turns of the event loop, without any activity: after QUIET a clock that is stepped moves on to what
# is due next; a timeout waits for SURELY_QUIET before it expires.
QUIET = (0.002, 8)
SURELY_QUIET = (0.025, 24)


class Stepper:
    """Steps a pace. Steps on one event loop wait for each other."""

    def __init__(self, pace: Pace, timers: LoopTimers) -> None:
        self._pace = pace
        self._timers = timers
        self.outside = 0
        """How many tasks wait for something outside this process."""
        self._expiring: set[asyncio.Task[None]] = set()
        self._one_step: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    async def step(self, seconds: float) -> None:
        """Let `seconds` pass; what falls due on the way is done, in its order, before time moves on."""
        async with self._one_step.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            self._hold()
            try:
                await self._step_to(self._pace.now() + seconds)
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

    async def _step_to(self, end: float) -> None:
        await self._settle()
        while (first := self._timers.first) is not None and first.deadline <= end:
            self._set(max(first.deadline, self._pace.now()))
            due = self._timers.due_by(first.deadline)
            if any(isinstance(one, TimeoutTimer) for one in due):
                await activity().quiet(*SURELY_QUIET)
            for timer in due:
                if not timer.over:
                    self._timers.fire(timer)
            await self._settle()
        self._set(max(end, self._pace.now()))

    async def _settle(self) -> None:
        """Wait until nothing is under way, neither in this process nor outside."""
        await activity().quiet(*QUIET)
        while self.outside:
            await asyncio.sleep(QUIET[0])
            await activity().quiet(*QUIET)

    def _set(self, now: float) -> None:
        self._pace.change(now=now)
        self._timers.rearm()

    def _hold(self) -> None:
        self._pace.hold()
        self._timers.rearm()

    def _release(self) -> None:
        self._pace.release()
        self._timers.rearm()
