"""The phases of a probe, and the time spent in each."""

from __future__ import annotations

from typing import Literal, get_args

from imagestore_sim.clock import Clock

Phase = Literal["resolve", "tcp", "kex", "auth", "channel", "command"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class Phases:
    """A stopwatch for the phases of one probe; a phase that is begun again adds to its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self.milliseconds: dict[str, float] = {}
        self.current: Phase = "resolve"

    def begin(self, phase: Phase) -> None:
        """End the current phase and begin `phase`."""
        self.end()
        self.current = phase
        self._since = self._clock.monotonic()

    def end(self) -> None:
        """Stop the watch. The phase stays `current`, since failures are classified by it."""
        if self._since is not None:
            spent = (self._clock.monotonic() - self._since) * 1000
            self.milliseconds[self.current] = self.milliseconds.get(self.current, 0.0) + spent
            self._since = None
