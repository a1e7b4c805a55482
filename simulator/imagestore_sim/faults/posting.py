"""What a fault of the management plane may do to a post to a web hook: the protocol `Posting`."""

from __future__ import annotations

from typing import Protocol


class Posting(Protocol):
    """One post, before it is sent for the first time. Faults act in the order in which they were set."""

    def lose(self) -> None:
        """Send it never."""

    def delay(self, seconds: float) -> None:
        """Send it that much later, on the clock, or as soon as the fault that acts is healed."""

    def repeat(self, copies: int) -> None:
        """Send it that many times more once the receiver has taken it."""

    def send_after_the_next(self, seconds: float) -> None:
        """Send it once a later post to the same address has ended, or after that many seconds."""
