"""How long the event loop has been blocked."""

from __future__ import annotations

import asyncio
import time

from imagestore_sim.clock.base import NEVER

BEAT = 0.1
"""Real seconds between two beats."""
LEAST_STALL = 0.1
"""Real seconds by which a beat must be late to count as a stall."""


class Stalls:
    """Measures how long the event loop was blocked, by beats that come late, while at least one wait needs it."""

    def __init__(self) -> None:
        self.total = 0.0
        """Real seconds."""
        self._users = 0
        self._due = NEVER
        self._beat: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Add a user on the running loop; the first one starts the beats."""
        self._users += 1
        if self._beat is None or self._beat[0] is not loop:
            self._next_beat(loop)

    def end(self) -> None:
        """Remove a user; the last one stops the beats."""
        self._users -= 1
        if self._users == 0 and self._beat is not None:
            self._beat[1].cancel()
            self._beat, self._due = None, NEVER

    def measure(self, now: float | None = None) -> None:
        """Add a stall that has just ended to the total; `now` is the time of the machine's monotonic clock."""
        late = (time.monotonic() if now is None else now) - self._due
        if late > LEAST_STALL:
            self.total += late
            self._due += late

    def _next_beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self.measure()
        self._due = time.monotonic() + BEAT
        self._beat = (loop, loop.call_later(BEAT, self._next_beat, loop))
