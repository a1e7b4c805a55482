"""Numbers that have been given out and are not stored: their transactions are still open, or were rolled back."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

MOST_GAPS = 10_000
"""How many gaps are kept. A Galera cluster of three may leave one beside each number for good."""


class _Gap(NamedTuple):
    """Consecutive numbers, from `first` to `last`, that have been missing since `since` (seconds)."""

    first: int
    last: int
    since: float


class MissingNumbers:
    """The gaps between the numbers of what is stored, of which the oldest are dropped when there are too many."""

    def __init__(self, most: int = MOST_GAPS) -> None:
        self._most = most
        self._gaps: list[_Gap] = []  # in the order of their numbers, which is that in which they were noted

    def note(self, first: int, last: int, now: float) -> None:
        """Note that numbers above all that were noted before are missing; there are none if `last` is below `first`."""
        if first <= last:
            self._gaps.append(_Gap(first, last, now))
            del self._gaps[: -self._most]

    def __contains__(self, number: int) -> bool:
        return self._place_of(number) is not None

    def take(self, number: int) -> bool:
        """Return whether a number was missing. It is not, from now on."""
        place = self._place_of(number)
        if place is None:
            return False
        first, last, since = self._gaps[place]
        parts = (_Gap(first, number - 1, since), _Gap(number + 1, last, since))
        self._gaps[place : place + 1] = [part for part in parts if part.first <= part.last]
        return True

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The lowest and the highest number that is missing; None without any."""
        return (self._gaps[0].first, self._gaps[-1].last) if self._gaps else None

    def drop_until(self, time: float) -> None:
        """Drop the numbers that were noted at that time or before."""
        kept = next((place for place, gap in enumerate(self._gaps) if gap.since > time), len(self._gaps))
        del self._gaps[:kept]

    def clear(self) -> None:
        """Drop all."""
        self._gaps.clear()

    def _place_of(self, number: int) -> int | None:
        place = bisect_right(self._gaps, number, key=lambda gap: gap.first) - 1
        return place if place >= 0 and number <= self._gaps[place].last else None
