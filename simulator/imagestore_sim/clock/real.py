"""The machine's time, which can be paused, stepped and sped up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, tzinfo

from typing_extensions import override

from imagestore_sim.clock.base import FASTEST, NEVER, SLOWEST, check_step
from imagestore_sim.clock.stalls import Stalls
from imagestore_sim.clock.timers import Timer, TimerClock
from imagestore_sim.in_flight import activity

# Real seconds, and turns of the event loop, without any activity: after QUIET a clock that is stepped moves on to what
# is due next; a timeout waits for SURELY_QUIET before it expires.
QUIET = (0.002, 8)
SURELY_QUIET = (0.025, 24)
_outside: ContextVar[bool] = ContextVar("outside", default=False)
"""Whether the current task waits for something outside this process, which no clock can hurry."""


class _TimeoutTimer(Timer):
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


class RealClock(TimerClock):
    """The machine's time until it is paused, stepped or sped up.

    While it steps or runs fast, it stands still at each timeout that falls due until nothing is under way: an answer
    that takes the machine a millisecond must not come too late because the clock has moved on by minutes.
    """

    stands_still_for_timeouts = True
    """Whether a fast clock waits until nothing is under way before a timeout expires."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(zone)
        self._handles: dict[Timer, tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle | None]] = {}
        # Its time is linear between changes: it was _base when the machine's clock was _since, and grows at _rate.
        self._since = 0.0
        self._base = 0.0
        self._speed = 1.0
        self._paused = False
        self._holders = 0
        """How many steps and expiring timeouts keep it standing still."""
        self._outside = 0
        """How many tasks wait for something outside this process."""
        self._expiring: set[asyncio.Task[None]] = set()
        self._steps: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}
        self._stalls = Stalls()

    @override
    def time(self) -> float:
        machine = time.monotonic()
        return time.time() + (self._at(machine) - machine)

    @override
    def monotonic(self) -> float:
        return self._at(time.monotonic())

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the block runs, use the machine's time for its timeouts, and make steps wait for it."""
        token = _outside.set(True)
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1
            _outside.reset(token)

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused

    @property
    def speed(self) -> float:
        """Seconds that pass in one second of the machine."""
        return self._speed

    @property
    def _rate(self) -> float:
        return 0.0 if self._paused or self._holders else self._speed

    def _at(self, machine: float) -> float:
        return self._base + (machine - self._since) * self._rate

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

    async def step(self, seconds: float) -> None:
        """Let `seconds` pass. What falls due on the way is done, in its order, before time moves on.

        Steps wait for each other. Work that needs more time than the step has is still running at its end. Raise
        ValueError for a step beyond LATEST.
        """
        check_step(self.time(), seconds)
        async with self._steps.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            self._hold()
            try:
                await self._step_to(self.monotonic() + seconds)
            finally:
                self._release()

    async def _step_to(self, end: float) -> None:
        await self._settle()
        while (first := min(self._handles, default=None)) is not None and first.deadline <= end:
            self._change(now=max(first.deadline, self.monotonic()))
            due = sorted(one for one in self._handles if one.deadline <= first.deadline)
            if any(isinstance(one, _TimeoutTimer) for one in due):
                await activity().quiet(*SURELY_QUIET)
            for timer in due:
                if not timer.over:
                    self._fire(timer)
            await self._settle()
        self._change(now=max(end, self.monotonic()))

    async def _settle(self) -> None:
        """Wait until nothing is under way, neither in this process nor outside."""
        await activity().quiet(*QUIET)
        while self._outside:
            await asyncio.sleep(QUIET[0])
            await activity().quiet(*QUIET)

    def _hold(self) -> None:
        now = self.monotonic()
        self._holders += 1
        self._change(now=now)

    def _release(self) -> None:
        now = self.monotonic()
        self._holders -= 1
        self._change(now=now)

    def _change(self, *, now: float | None = None, speed: float | None = None, paused: bool | None = None) -> None:
        """Change its time or its rate, and rearm every timer for that."""
        machine = time.monotonic()
        self._base = self._at(machine) if now is None else now
        self._since = machine
        self._speed = self._speed if speed is None else speed
        self._paused = self._paused if paused is None else paused
        for timer, (loop, handle) in list(self._handles.items()):
            if handle is not None:
                handle.cancel()
            self._wait(timer, loop)

    def call_at_timeout(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after `seconds`; inside an `outside` block, after as many seconds of the machine."""
        machine = time.monotonic()
        self._made += 1
        self._stalls.measure()
        self._stalls.begin()
        timer = _TimeoutTimer(self._at(machine) + seconds, self._made, callback, machine + seconds, self._stalls.total)
        loop = asyncio.get_running_loop()
        if _outside.get():
            timer.deadline = NEVER  # no step reaches it
            self._handles[timer] = (loop, loop.call_later(seconds, self._due, timer))
        else:
            self._wait(timer, loop)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Keep a timer from firing."""
        super().cancel(timer)
        self._forget(timer)

    def _arm(self, timer: Timer) -> None:
        self._wait(timer, asyncio.get_running_loop())

    def _wait(self, timer: Timer, loop: asyncio.AbstractEventLoop) -> None:
        seconds = max(0.0, timer.deadline - self.monotonic())
        if seconds == NEVER:
            assert isinstance(timer, _TimeoutTimer)
            left = max(0.0, timer.expires_at - time.monotonic())
            self._handles[timer] = (loop, loop.call_later(left, self._due, timer))
            return
        handle = loop.call_later(seconds / self._rate, self._due, timer) if self._rate else None
        self._handles[timer] = (loop, handle)

    def _due(self, timer: Timer) -> None:
        """Fire a timer whose time has come.

        A timeout that is due earlier than by the machine's clock, since time runs fast, first lets the clock stand
        still until nothing is under way: the task that does this fires all that is due then, this timer among it.
        """
        if isinstance(timer, _TimeoutTimer) and self._is_put_off(timer):
            return
        early = isinstance(timer, _TimeoutTimer) and time.monotonic() < timer.expires_at
        if not (early and self.stands_still_for_timeouts and self._speed > 1):
            self._fire(timer)
            return
        self._hold()
        task = asyncio.get_running_loop().create_task(self._expire_when_quiet())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    def _is_put_off(self, timer: _TimeoutTimer) -> bool:
        """Extend a timeout by the time in which the loop was blocked. Return whether there was any."""
        self._stalls.measure()
        owed = self._stalls.total - timer.stalled
        if owed <= 0:
            return False
        timer.stalled = self._stalls.total
        timer.expires_at = max(timer.expires_at, time.monotonic()) + owed
        timer.deadline = max(timer.deadline, self.monotonic()) + owed * self._rate
        self._wait(timer, self._handles[timer][0])
        return True

    async def _expire_when_quiet(self) -> None:
        """Let the timeouts that are due expire as soon as nothing is under way."""
        try:
            await self._step_to(self.monotonic())
        finally:
            self._release()

    def _fire(self, timer: Timer) -> None:
        self._forget(timer)
        timer.fire()

    def _forget(self, timer: Timer) -> None:
        loop, handle = self._handles.pop(timer, (None, None))
        if loop is not None and isinstance(timer, _TimeoutTimer):
            self._stalls.end()
        if handle is not None:
            handle.cancel()
