"""How a clock's time follows the machine's."""

from __future__ import annotations

import time


class Pace:
    """A time that is linear between changes: it was `_base` when the machine's clock was `_since`."""

    def __init__(self) -> None:
        self._since = 0.0
        self._base = 0.0
        self.speed = 1.0
        """Seconds that pass in one second of the machine, unless it stands still."""
        self.paused = False
        self._holders = 0
        """How many steps and expiring timeouts keep it standing still."""

    @property
    def rate(self) -> float:
        """Seconds that pass in one second of the machine; 0 while it stands still."""
        return 0.0 if self.paused or self._holders else self.speed

    def at(self, machine: float) -> float:
        """Return its time when the machine's monotonic clock is `machine`."""
        return self._base + (machine - self._since) * self.rate

    def now(self) -> float:
        """Return its time now."""
        return self.at(time.monotonic())

    def change(self, *, now: float | None = None, speed: float | None = None, paused: bool | None = None) -> None:
        """Change its time or its rate from now on."""
        machine = time.monotonic()
        self._base = self.at(machine) if now is None else now
        self._since = machine
        self.speed = self.speed if speed is None else speed
        self.paused = self.paused if paused is None else paused

    def hold(self) -> None:
        """Stand still until as many calls of `release`."""
        now = self.now()
        self._holders += 1
        self.change(now=now)

    def release(self) -> None:
        """Undo one `hold`."""
        now = self.now()
        self._holders -= 1
        self.change(now=now)
