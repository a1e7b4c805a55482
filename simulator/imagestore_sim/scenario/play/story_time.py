"""The time of a story: seconds since its beginning, when every storage has been tried once."""

from __future__ import annotations

from imagestore_sim.clock import Clock, RealClock


class StoryTime:
    """Counts the seconds of a story on the clock of its world."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: float | None = None

    def begin(self) -> None:
        """Let the story begin now."""
        self._began = self._clock.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the beginning, to the microsecond; 0 before it."""
        return 0.0 if self._began is None else round(self._clock.monotonic() - self._began, 6)

    def at(self, monotonic: float) -> float:
        """Return the seconds between the beginning and a `monotonic` time of the clock."""
        assert self._began is not None
        return monotonic - self._began

    def remaining(self, until: float) -> float:
        """Return the seconds from now to `until`, which counts from the beginning; negative when it is past."""
        assert self._began is not None
        return self._began + until - self._clock.monotonic()

    async def sleep_until(self, until: float) -> str:
        """Sleep until `until` seconds after the beginning; return how late that was, in words, or ''."""
        wait = self.remaining(until)
        await self._clock.sleep(max(0.0, wait))
        # A call takes its time on the machine, in which a clock that is sped up goes further.
        tolerance = max(1.0, self._clock.speed) if isinstance(self._clock, RealClock) else 1.0
        return f"it was due {-wait:g} s before: the steps above took longer" if wait < -tolerance else ""
