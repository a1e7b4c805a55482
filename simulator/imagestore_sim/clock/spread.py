"""Spreads the beginnings of very many things over a time, so that all else has its turn meanwhile."""

from __future__ import annotations

from imagestore_sim.clock.base import Clock
from imagestore_sim.clock.real import RealClock

FEW = 250
"""Things that begin at once: what they take of the event loop is not noticed."""
FEW_IN_VIRTUAL_TIME = 10**9
"""The same in virtual time, where no request waits meanwhile, and each moment costs something."""
TURN_SECONDS = 0.02
"""How far ahead of its time a thing may begin: timers cost something, too."""
MOST_IN_A_TURN = 50
"""Things that begin in one turn of the event loop, unless others are given."""


class Spread:
    """Spreads things over a time: `turn` is awaited after each of them, and waits for the time of the next one."""

    def __init__(self, clock: Clock, count: int, seconds: float, in_a_turn: int = MOST_IN_A_TURN) -> None:
        """Spread `count` things over `seconds`, unless they are few. More things than that take longer.

        Where none waits for its time, `in_a_turn` of them begin in one turn of the event loop.
        """
        self._clock = clock
        self._in_a_turn = in_a_turn
        few = FEW if isinstance(clock, RealClock) else FEW_IN_VIRTUAL_TIME
        self._each = seconds / count if count > few else 0.0
        self._began = clock.monotonic()
        self._number = 0

    @property
    def at_once(self) -> bool:
        """Whether the things are few, and begin at once."""
        return not self._each

    def pauses(self) -> bool:
        """Count a thing that has begun; return whether `wait` is to be awaited before the next one."""
        self._number += 1
        return self._number % self._in_a_turn == 0 or self._ahead() > TURN_SECONDS

    async def wait(self) -> None:
        """Wait until the next thing is due; let other tasks run once if it is already, or TURN_SECONDS from now."""
        ahead = self._ahead()
        await self._clock.sleep(ahead if ahead > TURN_SECONDS else 0.0)

    async def turn(self) -> None:
        """Count a thing that has begun, and wait until the next one is due."""
        if self.pauses():
            await self.wait()

    def _ahead(self) -> float:
        """Return the seconds until the next thing is due."""
        return self._began + self._number * self._each - self._clock.monotonic()
