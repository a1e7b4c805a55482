"""A running lab's clock, as it is followed from outside: what waits here waits for the lab's time."""

from __future__ import annotations

from imagestore_sim.clock import RealClock
from imagestore_sim.scenario.worlds.lab_client import LabTime


class FollowingClock(RealClock):
    """Says what the lab's clock said last, and goes on from there at its speed until it is shown anew."""

    stands_still_for_timeouts = False
    """What is under way is so in another process, whose own clock sees to it."""

    def __init__(self) -> None:
        super().__init__()
        self._origin: float | None = None  # what the lab's clock said first

    def time(self) -> float:
        """The lab's, in seconds since the epoch."""
        return (self._origin or 0.0) + self.monotonic()

    @property
    def next_due(self) -> float | None:
        """When somebody waits for first, by `monotonic`; None if nobody waits."""
        first = min(self._handles, default=None)
        return None if first is None else first.deadline

    def show(self, seen: LabTime) -> None:
        """What the lab's clock says now. This one never goes back: it waits instead for the other to come up."""
        if self._origin is None:
            self._origin = seen.time - self.monotonic()
        now = max(self.monotonic(), seen.time - self._origin)
        self._change(now=now, paused=seen.paused, speed=1.0 if seen.speed is None else seen.speed)
        for timer in sorted(one for one in self._handles if one.deadline <= now):  # a paused clock would not
            self._fire(timer)
