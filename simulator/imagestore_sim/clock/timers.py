"""Timers, and the waiting that every clock builds on them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from functools import partial, total_ordering
from types import TracebackType
from typing import Self, TypeVar

from imagestore_sim.clock.base import time_after

T = TypeVar("T")


@total_ordering
class Timer:
    """A callback that is due at a time of its clock. Timers of one time are ordered by when they were made."""

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
        """Call the callback, unless the timer is over."""
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class TimerClock(ABC):
    """Waits by timers; subclasses decide when they fire. A wait that is cancelled leaves no timer behind."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._made = 0

    @property
    def jumps(self) -> bool:
        """Whether it moves on by itself to whatever is due next."""
        return False

    @abstractmethod
    def time(self) -> float:
        """Return the seconds since the epoch."""

    @abstractmethod
    def monotonic(self) -> float:
        """Return seconds that never go back."""

    @abstractmethod
    def _arm(self, timer: Timer) -> None:
        """Make sure that a new timer fires."""

    def cancel(self, timer: Timer) -> None:
        """Keep a timer from firing."""
        timer.callback = None

    def call_at(self, deadline: float, callback: Callable[[], object]) -> Timer:
        """Call back at `deadline`, a time of `monotonic`."""
        self._made += 1
        timer = Timer(deadline, self._made, callback)
        self._arm(timer)
        return timer

    def call_at_timeout(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after `seconds`, as a timeout.

        A clock that skips time does not let it expire while the work that it bounds is under way in real time.
        """
        return self._call_after(seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less lets other tasks run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        timer = self._call_after(seconds, partial(wake, future))
        try:
            await future
        finally:
            self.cancel(timer)

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Return the result of `awaitable`. After `seconds`, cancel it and raise TimeoutError."""
        with _Timeout(self, seconds, self.call_at_timeout):
            return await awaitable

    async def sleep_unless(self, awaitable: Awaitable[object], seconds: float) -> bool:
        """Wait for `seconds`, unless `awaitable` is done before. Return whether it is; else it is cancelled.

        All time counts, as for `sleep`: a limit of work would go on for as long as the event loop has stood still.
        """
        limit = _Timeout(self, seconds, self._call_after)
        try:
            with limit:
                await awaitable
        except TimeoutError:
            if not limit.expired:
                raise
        return not limit.expired

    def _call_after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        return self.call_at(time_after(self.monotonic(), seconds), callback)

    def local(self, seconds: float | None = None) -> datetime:
        """Return the local time of its zone, now or at `seconds` since the epoch: naive, in whole seconds."""
        moment = datetime.fromtimestamp(self.time() if seconds is None else seconds, self.zone)
        return moment.replace(tzinfo=None, microsecond=0)


def wake(future: asyncio.Future[None]) -> None:
    """Complete a future, unless it is done: its waiter may have been cancelled."""
    if not future.done():
        future.set_result(None)


class _Timeout:
    """Cancels the current task when the block takes longer than `seconds`, and raises TimeoutError in its place.

    A cancellation from elsewhere passes as a CancelledError, even if it comes at the same moment: task.uncancel()
    counts the requests, as asyncio.timeout() does.
    """

    def __init__(
        self, clock: TimerClock, seconds: float, call_after: Callable[[float, Callable[[], object]], Timer]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clock = clock
        self._seconds = seconds
        self._task = task
        self._cancelling = task.cancelling()
        self.expired = False
        self._timer = call_after(max(0.0, seconds), self._expire)

    def _expire(self) -> None:
        self.expired = True
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.cancel(self._timer)
        ours = self.expired and self._task.uncancel() <= self._cancelling
        if ours and isinstance(error, asyncio.CancelledError):
            raise TimeoutError(f"not done within {self._seconds:g} s") from error
