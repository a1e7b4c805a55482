"""The machine's time, which can be paused, stepped and sped up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, tzinfo

from typing_extensions import override

from imagestore_sim.clock.base import FASTEST, SLOWEST, check_step
from imagestore_sim.clock.loop_timers import LoopTimers
from imagestore_sim.clock.pace import Pace
from imagestore_sim.clock.stepping import Stepper
from imagestore_sim.clock.timers import Timer, TimerClock

_outside: ContextVar[bool] = ContextVar("outside", default=False)
"""Whether the current task waits for something outside this process, which no clock can hurry."""


class RealClock(TimerClock):
    """The machine's time until it is paused, stepped or sped up.

    While it steps or runs fast, it stands still at each timeout that falls due until nothing is under way: an answer
    that takes the machine a millisecond must not come too late because the clock has moved on by minutes.
    """

    stands_still_for_timeouts = True
    """Whether a fast clock waits until nothing is under way before a timeout expires."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(zone)
        self._pace = Pace()
        self._timers = LoopTimers(self._pace)
        self._stepper = Stepper(self._pace, self._timers)
        if self.stands_still_for_timeouts:
            self._timers.on_early_timeout = self._stepper.expire_when_quiet

    @override
    def time(self) -> float:
        machine = time.monotonic()
        return time.time() + (self._pace.at(machine) - machine)

    @override
    def monotonic(self) -> float:
        return self._pace.now()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the block runs, use the machine's time for its timeouts, and make steps wait for it."""
        token = _outside.set(True)
        self._stepper.outside += 1
        try:
            yield
        finally:
            self._stepper.outside -= 1
            _outside.reset(token)

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._pace.paused

    @property
    def speed(self) -> float:
        """Seconds that pass in one second of the machine."""
        return self._pace.speed

    def pause(self) -> None:
        """Stand still."""
        self._change(paused=True)

    def resume(self) -> None:
        """Continue."""
        self._change(paused=False)

    def set_speed(self, speed: float) -> None:
        """Let `speed` seconds pass in one of the machine's. Raise ValueError."""
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"the speed of a real clock is from {SLOWEST:g} to {FASTEST:g}, but got {speed:g}")
        self._change(speed=speed)

    def restart(self) -> None:
        """Run at the machine's speed, not paused. The time itself does not go back."""
        self._change(speed=1.0, paused=False)

    async def step(self, seconds: float) -> bool:
        """Let `seconds` pass. What falls due on the way is done, in its order, before time moves on.

        Steps wait for each other. Work that needs more time than the step has is still running at its end. Return
        whether nothing was under way any more in real time at each due time. Raise ValueError for a step beyond LATEST.
        """
        check_step(self.time(), seconds)
        return await self._stepper.step(seconds)

    async def settle(self) -> bool:
        """Wait until nothing is under way in real time; return False if that takes too long."""
        return await self._stepper.settle()

    @override
    def call_at_timeout(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self._made += 1
        return self._timers.arm_timeout(seconds, self._made, callback, outside=_outside.get())

    @override
    def cancel(self, timer: Timer) -> None:
        super().cancel(timer)
        self._timers.disarm(timer)

    @override
    def _arm(self, timer: Timer) -> None:
        self._timers.arm(timer)

    def _change(self, *, now: float | None = None, speed: float | None = None, paused: bool | None = None) -> None:
        self._pace.change(now=now, speed=speed, paused=paused)
        self._timers.rearm()
