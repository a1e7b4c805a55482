"""Timers of a clock, armed on the event loops that wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from imagestore_sim.clock.base import NEVER, time_after
from imagestore_sim.clock.pace import Pace
from imagestore_sim.clock.stalls import Stalls
from imagestore_sim.clock.timers import Timer


class TimeoutTimer(Timer):
    """The timer of a timeout, which does not expire while bytes are under way.

    Once `expires_at` has passed on the machine's clock, it expires in any case. Time in which the event loop was
    blocked, and could not read what had arrived, does not count.
    """

    __slots__ = ("expires_at", "stalled")

    def __init__(
        self, deadline: float, number: int, callback: Callable[[], object], expires_at: float, stalled: float
    ) -> None:
        super().__init__(deadline, number, callback)
        self.expires_at = expires_at
        """A time of the machine's monotonic clock."""
        self.stalled = stalled
        """The total of Stalls when its deadline was last computed."""


class LoopTimers:
    """Arms timers for the times of a Pace. After a change of the pace, `rearm` has to be called."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._handles: dict[Timer, tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle | None]] = {}
        self._stalls = Stalls()
        self.on_early_timeout: Callable[[], None] | None = None
        """Called instead of a timeout that is due earlier than by the machine's clock, since time runs fast."""

    @property
    def first(self) -> Timer | None:
        """The timer that is due first, None if there is none."""
        return min(self._handles, default=None)

    def due_by(self, deadline: float) -> list[Timer]:
        """Return the timers that are due by then, in their order."""
        return sorted(one for one in self._handles if one.deadline <= deadline)

    def arm(self, timer: Timer) -> None:
        """Arm a timer on the running loop."""
        self._arm(timer, asyncio.get_running_loop())

    def arm_timeout(self, seconds: float, number: int, callback: Callable[[], object], *, outside: bool) -> Timer:
        """Return a new timeout, armed on the running loop; if `outside`, for seconds of the machine."""
        machine, loop = time.monotonic(), asyncio.get_running_loop()
        self._stalls.measure(machine)
        self._stalls.begin(loop)
        deadline = NEVER if outside else time_after(self._pace.at(machine), seconds)  # no step reaches NEVER
        timer = TimeoutTimer(deadline, number, callback, machine + seconds, self._stalls.total)
        self._arm(timer, loop)
        return timer

    def rearm(self) -> None:
        """Arm every timer again, for the present pace."""
        for timer, (loop, handle) in list(self._handles.items()):
            if handle is not None:
                handle.cancel()
            self._arm(timer, loop)

    def disarm(self, timer: Timer) -> None:
        """Forget a timer; one that is not armed is ignored."""
        loop, handle = self._handles.pop(timer, (None, None))
        if loop is not None and isinstance(timer, TimeoutTimer):
            self._stalls.end()
        if handle is not None:
            handle.cancel()

    def fire(self, timer: Timer) -> None:
        """Disarm a timer and call back."""
        self.disarm(timer)
        timer.fire()

    def _arm(self, timer: Timer, loop: asyncio.AbstractEventLoop) -> None:
        if timer.deadline == NEVER:
            assert isinstance(timer, TimeoutTimer)
            left = max(0.0, timer.expires_at - time.monotonic())
            self._handles[timer] = (loop, loop.call_later(left, self._due, timer))
            return
        seconds, rate = max(0.0, timer.deadline - self._pace.now()), self._pace.rate
        self._handles[timer] = (loop, loop.call_later(seconds / rate, self._due, timer) if rate else None)

    def _due(self, timer: Timer) -> None:
        if isinstance(timer, TimeoutTimer):
            if self._is_put_off(timer):
                return
            early = time.monotonic() < timer.expires_at and self._pace.speed > 1
            if early and self.on_early_timeout is not None:
                self.on_early_timeout()
                return
        self.fire(timer)

    def _is_put_off(self, timer: TimeoutTimer) -> bool:
        """Extend a timeout by the time in which the loop was blocked. Return whether there was any."""
        self._stalls.measure()
        owed = self._stalls.total - timer.stalled
        if owed <= 0:
            return False
        timer.stalled = self._stalls.total
        timer.expires_at = max(timer.expires_at, time.monotonic()) + owed
        timer.deadline = max(timer.deadline, self._pace.now()) + owed * self._pace.rate
        self._arm(timer, self._handles[timer][0])
        return True
