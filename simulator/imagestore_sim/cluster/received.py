"""Which messages of other nodes were taken already."""

from __future__ import annotations

KEPT = 10_000
"""Numbers of each sender that are remembered; an older message is taken for one that came already."""


class _Sender:
    """The numbers of the messages of one node: all up to `before`, and those in `after`."""

    def __init__(self) -> None:
        self.before = 0
        self.after: set[int] = set()

    def is_new(self, number: int) -> bool:
        """Return whether a message has not come yet, and note that it has."""
        if number <= self.before or number in self.after:
            return False
        self.after.add(number)
        self._shrink()
        return True

    def _shrink(self) -> None:
        while self.before + 1 in self.after or len(self.after) > KEPT:
            self.before += 1
            self.after.discard(self.before)


class Received:
    """The numbers of the messages that came, by the uuid of their sender and by its start.

    At each start a node numbers its messages from 1, under the same uuid: the others may not have noticed yet that it
    was away.
    """

    def __init__(self) -> None:
        self._senders: dict[str, dict[str, _Sender]] = {}

    def is_new(self, sender: str, start: str, number: int) -> bool:
        """Return whether a message has not come yet, and note that it has."""
        return self._senders.setdefault(sender, {}).setdefault(start, _Sender()).is_new(number)

    def forget(self, sender: str) -> None:
        """Forget a node that has left."""
        self._senders.pop(sender, None)
