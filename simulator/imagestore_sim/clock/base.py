"""What every clock offers, and the bounds of its time."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol, TypeGuard, TypeVar

T = TypeVar("T")

NEVER = float("inf")
"""A deadline that no time reaches, and the speed of a clock that jumps."""
SLOWEST, FASTEST = 0.001, 10_000.0
"""Bounds of the speed of a clock that cannot jump."""
START = 1_704_067_200.0
"""2024-01-01 00:00:00 UTC, in seconds since the epoch: when virtual time begins."""
LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""Seconds since the epoch. Dates end with the year 9999, and no time that is added to now may come near that."""


def check_step(now: float, seconds: float) -> None:
    """Raise ValueError for a step back, or for one beyond LATEST."""
    if not seconds >= 0 or now + seconds > LATEST:
        raise ValueError(f"a step of {seconds:g} s goes beyond the year 9000")


def time_after(now: float, seconds: float) -> float:
    """Return the time `seconds` after `now`: later than that for any seconds above zero.

    A float has no room for seconds that are too few beside the time. A task that waits for a time so near would find it
    as near each time, and a clock that moves on only when all tasks wait would stand still.
    """
    return max(now + seconds, math.nextafter(now, math.inf)) if seconds > 0 else now + seconds


class Clock(Protocol):
    """What a room may ask of time. All times are seconds, as floats."""

    @property
    def jumps(self) -> bool:
        """Whether it moves on by itself to whatever is due next."""

    def time(self) -> float:
        """Return the seconds since the epoch: for dates that people and clients read."""

    def monotonic(self) -> float:
        """Return seconds that never go back: for measuring how long something took."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less lets other tasks run once."""

    async def wait_for(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Return the result of `awaitable`. After `seconds`, cancel it and raise TimeoutError.

        It is a limit of work. Time in which the event loop stood still, so that no work went on, does not count.
        """

    async def sleep_unless(self, awaitable: Awaitable[object], seconds: float) -> bool:
        """Wait for `seconds`, unless `awaitable` is done before. Return whether it is; else it is cancelled.

        All time counts, as for `sleep`.
        """

    def local(self, seconds: float | None = None) -> datetime:
        """Return the node's local time, now or at `seconds` since the epoch: naive, in whole seconds."""

    def outside(self) -> AbstractContextManager[None]:
        """Skip no time while the block runs: it waits for something outside this process, which runs in real time."""


class AdjustableClock(Clock, Protocol):
    """A clock that can be paused, stepped and sped up."""

    @property
    def paused(self) -> bool:
        """Whether it stands still."""

    @property
    def speed(self) -> float:
        """Seconds that pass in one second of the machine; infinite for a clock that jumps to what is due."""

    def pause(self) -> None:
        """Stand still: no sleep ends and no timeout expires."""

    def resume(self) -> None:
        """Continue from where it was paused."""

    def set_speed(self, speed: float) -> None:
        """Let `speed` seconds pass in one of the machine's; timeouts shrink with it. Raise ValueError."""

    def restart(self) -> None:
        """Run at its first speed, not paused. The time itself does not go back."""

    async def step(self, seconds: float) -> bool:
        """Let `seconds` pass at once, with all that falls due on the way. A paused clock stays paused.

        Return whether nothing was under way any more in real time at each due time.
        """

    async def settle(self) -> bool:
        """Wait until nothing is left to do at this moment; return False if something is still under way."""


_ADJUSTABLE = ("paused", "speed", "pause", "resume", "set_speed", "restart", "step", "settle")


def is_adjustable(clock: Clock) -> TypeGuard[AdjustableClock]:
    """Return whether a clock can be paused, stepped and sped up."""
    return all(hasattr(clock, name) for name in _ADJUSTABLE)
