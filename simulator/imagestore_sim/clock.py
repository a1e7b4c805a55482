"""Time: everything that waits or reads the time takes it from here, so that it can be real or virtual.

Only what asks a clock lives in its time. Timers that libraries set on the event loop (time-outs of aiohttp, keep-alive
of connections) stay with the machine's time, whatever the clock does: they guard against the real world.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from functools import partial, total_ordering
from types import TracebackType
from typing import Protocol, TypeVar

from imagestore_sim.in_flight import activity

T = TypeVar("T")
# Real seconds and turns of the event loop without anything under way: after these a clock that is pushed on goes to
# what is due next, and after those a time-out strikes.
QUIET = (0.002, 8)
SURELY_QUIET = (0.025, 24)
_outside: ContextVar[bool] = ContextVar("outside", default=False)
"""Whether somebody outside of this process is waited for, whom no clock of ours can hurry."""


NEVER = float("inf")
BEAT = 0.1  # real seconds, as the next
LEAST_STALL = 0.1
SLOWEST, FASTEST = 0.001, 10_000.0
"""The speeds of a clock that cannot jump."""
LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""Dates end with the year 9999, and nothing that is counted from here on may come near that."""


def check_step(now: float, seconds: float) -> None:
    """Raises ValueError for a step that is none, or that goes beyond LATEST."""
    if not seconds >= 0 or now + seconds > LATEST:
        raise ValueError(f"a step of {seconds:g} s goes beyond the year 9000")


class Clock(Protocol):
    """What a room may ask of time. Seconds everywhere, as floats."""

    def time(self) -> float:
        """Seconds since the epoch: for dates that people and clients read."""

    def monotonic(self) -> float:
        """Seconds that only ever go forward: for measuring how long something took."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less lets others run once."""

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """The result of `awaitable`, which is cancelled after `seconds`. Raises TimeoutError."""

    def local(self, seconds: float | None = None) -> datetime:
        """The node's own wall clock (no zone attached, whole seconds) now, or at `seconds` since the epoch."""

    def outside(self) -> AbstractContextManager[None]:
        """While the block runs somebody outside of this process is waited for: no time may be skipped."""


class AdjustableClock(Clock, Protocol):
    """A clock that can be held, pushed on and sped up."""

    @property
    def paused(self) -> bool:
        """Whether it stands still."""

    @property
    def speed(self) -> float:
        """Seconds that go by in one second of the machine; infinite when nobody waits for anything."""

    def pause(self) -> None:
        """Stand still: nothing that waits for the time goes on."""

    def resume(self) -> None:
        """Go on from where it was paused."""

    def set_speed(self, speed: float) -> None:
        """Let so many seconds go by in one of the machine's; time-outs shrink with it. Raises ValueError."""

    def restart(self) -> None:
        """Go on as it did in the beginning, neither paused nor sped up. Its time goes on from where it is."""

    async def step(self, seconds: float) -> None:
        """Let `seconds` go by at once, with all that falls due on the way; a clock that is paused stays paused."""


@total_ordering
class Timer:
    """A callback that is due at a time of its clock. Those due at the same time are in the order they were made."""

    __slots__ = ("callback", "deadline", "number")

    def __init__(self, deadline: float, number: int, callback: Callable[[], object]) -> None:
        self.deadline = deadline
        self.number = number
        self.callback: Callable[[], object] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return (self.deadline, self.number) < (other.deadline, other.number)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    @property
    def over(self) -> bool:
        """Whether it has fired or been cancelled."""
        return self.callback is None

    def fire(self) -> None:
        """Call back, unless that is over."""
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class TimerClock(ABC):
    """What every clock does with its timers. Waiting is safe to cancel, and leaves no timer behind."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._made = 0

    @abstractmethod
    def time(self) -> float:
        """Seconds since the epoch."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds that only ever go forward."""

    @abstractmethod
    def _arm(self, timer: Timer) -> None:
        """See to it that a new timer fires."""

    def cancel(self, timer: Timer) -> None:
        """Do not call back."""
        timer.callback = None

    def call_at(self, deadline: float, callback: Callable[[], object]) -> Timer:
        """Call back at a time of `monotonic`."""
        self._made += 1
        timer = Timer(deadline, self._made, callback)
        self._arm(timer)
        return timer

    def guard(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after `seconds`, as a time-out: not while what it bounds is under way in real time."""
        return self.call_at(self.monotonic() + seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less lets others run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        timer = self.call_at(self.monotonic() + seconds, partial(wake, future))
        try:
            await future
        finally:
            self.cancel(timer)

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """The result of `awaitable`, which is cancelled after `seconds`. Raises TimeoutError."""
        async with _Deadline(self, seconds):
            return await awaitable

    def local(self, seconds: float | None = None) -> datetime:
        """The wall clock of its zone, in whole seconds."""
        moment = datetime.fromtimestamp(self.time() if seconds is None else seconds, self.zone)
        return moment.replace(tzinfo=None, microsecond=0)


def wake(future: asyncio.Future[None]) -> None:
    """Let those go on who wait for a future, if anybody still does."""
    if not future.done():
        future.set_result(None)


class _Deadline:
    """Cancels the task that runs the block at its deadline, and turns that into a TimeoutError at its end.

    A cancellation from elsewhere goes through as what it is, even in the same moment.
    """

    def __init__(self, clock: TimerClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self._clock.guard(max(0.0, self._seconds), self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.cancel(self._timer)
        ours = self._expired and self._task.uncancel() <= self._cancelling
        if ours and isinstance(error, asyncio.CancelledError):
            raise TimeoutError(f"not done within {self._seconds:g} s") from error


class _Guard(Timer):
    """The timer of a time-out, which strikes no earlier than by its clock, and not while bytes are on their way.

    Once as much of the machine's time has gone by, it strikes in any case; time in which the event loop was held, and
    could not hear of what came, does not count.
    """

    __slots__ = ("stalled", "strikes_at")

    def __init__(
        self, deadline: float, number: int, callback: Callable[[], object], strikes_at: float, stalled: float
    ) -> None:
        super().__init__(deadline, number, callback)
        self.strikes_at = strikes_at
        """The machine's time."""
        self.stalled = stalled
        """For how long the loop had been held when its time was last reckoned."""


class _Stalls:
    """Measures for how long the event loop is held, by what falls due too late, for as long as anybody wants it."""

    def __init__(self) -> None:
        self.total = 0.0
        """Seconds of the machine's."""
        self._wanted = 0
        self._due = NEVER
        self._beat: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def begin(self) -> None:
        """One more wants it."""
        self._wanted += 1
        loop = asyncio.get_running_loop()
        if self._beat is None or self._beat[0] is not loop:
            self._go_on(loop)

    def end(self) -> None:
        """One less does."""
        self._wanted -= 1
        if self._wanted == 0 and self._beat is not None:
            self._beat[1].cancel()
            self._beat, self._due = None, NEVER

    def measure(self) -> None:
        """Add the stall that is just over, if there was one."""
        late = time.monotonic() - self._due
        if late > LEAST_STALL:
            self.total += late
            self._due += late

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self.measure()
        self._due = time.monotonic() + BEAT
        self._beat = (loop, loop.call_later(BEAT, self._go_on, loop))


class RealClock(TimerClock):
    """The machine's time, until somebody pauses it, pushes it on or changes its speed.

    Pushed on or sped up it stands still at each time-out that falls due, until nothing is under way any more.
    """

    holds = True

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(zone)
        self._handles: dict[Timer, tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle | None]] = {}
        self._since = 0.0  # on the machine's clock, when this one
        self._then = 0.0  # said so, and has gone on at its rate ever since
        self._speed = 1.0
        self._paused = False
        self._held = 0  # by how many it is kept standing for a moment
        self._outside = 0
        self._striking: set[asyncio.Task[None]] = set()
        self._steps: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}
        self._stalls = _Stalls()

    def time(self) -> float:
        machine = time.monotonic()
        return time.time() + (self._at(machine) - machine)

    def monotonic(self) -> float:
        return self._at(time.monotonic())

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the block runs its time-outs are the machine's, and no step goes by it."""
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
        """Seconds that go by in one second of the machine."""
        return self._speed

    @property
    def _rate(self) -> float:
        return 0.0 if self._paused or self._held else self._speed

    def _at(self, machine: float) -> float:
        return self._then + (machine - self._since) * self._rate

    def pause(self) -> None:
        """Stand still."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._set(paused=False)

    def set_speed(self, speed: float) -> None:
        """Let so many seconds go by in one of the machine's. Raises ValueError."""
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"the speed of a real clock is from {SLOWEST:g} to {FASTEST:g}, but got {speed:g}")
        self._set(speed=speed)

    def restart(self) -> None:
        """Go on at the machine's speed. Its time goes on from where it is."""
        self._set(speed=1.0, paused=False)

    async def step(self, seconds: float) -> None:
        """Let `seconds` go by; what falls due on the way is done, in its order, before time goes on.

        Steps follow each other. What needs more time than there is in the step is still under way in the end. Raises
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
            self._set(now=max(first.deadline, self.monotonic()))
            due = sorted(one for one in self._handles if one.deadline <= first.deadline)
            if any(isinstance(one, _Guard) for one in due):
                await activity().quiet(*SURELY_QUIET)
            for timer in due:
                if not timer.over:
                    self._fire(timer)
            await self._settle()
        self._set(now=max(end, self.monotonic()))

    async def _settle(self) -> None:
        """Wait until nothing is under way, hosts outside of this process included."""
        await activity().quiet(*QUIET)
        while self._outside:
            await asyncio.sleep(QUIET[0])
            await activity().quiet(*QUIET)

    def _hold(self) -> None:
        now = self.monotonic()
        self._held += 1
        self._set(now=now)

    def _release(self) -> None:
        now = self.monotonic()
        self._held -= 1
        self._set(now=now)

    def _set(self, *, now: float | None = None, speed: float | None = None, paused: bool | None = None) -> None:
        machine = time.monotonic()
        self._then = self._at(machine) if now is None else now
        self._since = machine
        self._speed = self._speed if speed is None else speed
        self._paused = self._paused if paused is None else paused
        for timer, (loop, handle) in list(self._handles.items()):
            if handle is not None:
                handle.cancel()
            self._wait(timer, loop)

    def guard(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after `seconds`; for somebody outside of this process those are the machine's."""
        machine = time.monotonic()
        self._made += 1
        self._stalls.measure()
        self._stalls.begin()
        guard = _Guard(self._at(machine) + seconds, self._made, callback, machine + seconds, self._stalls.total)
        loop = asyncio.get_running_loop()
        if _outside.get():
            guard.deadline = NEVER  # no step comes by it
            self._handles[guard] = (loop, loop.call_later(seconds, self._due, guard))
        else:
            self._wait(guard, loop)
        return guard

    def cancel(self, timer: Timer) -> None:
        """Do not call back."""
        super().cancel(timer)
        self._forget(timer)

    def _arm(self, timer: Timer) -> None:
        self._wait(timer, asyncio.get_running_loop())

    def _wait(self, timer: Timer, loop: asyncio.AbstractEventLoop) -> None:
        seconds = max(0.0, timer.deadline - self.monotonic())
        if seconds == NEVER:
            assert isinstance(timer, _Guard)
            left = max(0.0, timer.strikes_at - time.monotonic())
            self._handles[timer] = (loop, loop.call_later(left, self._due, timer))
            return
        handle = loop.call_later(seconds / self._rate, self._due, timer) if self._rate else None
        self._handles[timer] = (loop, handle)

    def _due(self, timer: Timer) -> None:
        """A timer's time has come; a time-out that came sooner than by the machine's clock looks around first."""
        if isinstance(timer, _Guard) and self._is_put_off(timer):
            return
        early = isinstance(timer, _Guard) and time.monotonic() < timer.strikes_at
        if not (early and self.holds and self._speed > 1):
            self._fire(timer)
            return
        self._hold()
        task = asyncio.get_running_loop().create_task(self._strike())
        self._striking.add(task)
        task.add_done_callback(self._striking.discard)

    def _is_put_off(self, guard: _Guard) -> bool:
        """Give a time-out the time in which the loop was held; whether there was any."""
        self._stalls.measure()
        owed = self._stalls.total - guard.stalled
        if owed <= 0:
            return False
        guard.stalled = self._stalls.total
        guard.strikes_at = max(guard.strikes_at, time.monotonic()) + owed
        guard.deadline = max(guard.deadline, self.monotonic()) + owed * self._rate
        self._wait(guard, self._handles[guard][0])
        return True

    async def _strike(self) -> None:
        """Let the time-outs strike that are due, as soon as nothing is under way."""
        try:
            await self._step_to(self.monotonic())
        finally:
            self._release()

    def _fire(self, timer: Timer) -> None:
        self._forget(timer)
        timer.fire()

    def _forget(self, timer: Timer) -> None:
        loop, handle = self._handles.pop(timer, (None, None))
        if loop is not None and isinstance(timer, _Guard):
            self._stalls.end()
        if handle is not None:
            handle.cancel()
