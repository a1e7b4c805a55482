"""What runs first among things that are ready, and how long work takes: drawn from a seed, or as it always was.

Virtual time leaves these choices open, as a machine does: which task goes on first, which socket is read first, whose
thread has its result first, and how long a message or a call of the store is under way. Each choice is a draw with a
number. A draw of 0 is the plain order: the one in which everything runs without an Order.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol, TypeVar

N = TypeVar("N", int, float)
Picks = Mapping[str, Mapping[int, float]]
"""By kind of draw and number, from 1: what was drawn. All others are 0."""


class Draw(StrEnum):
    """What is drawn."""

    TASKS = "tasks"
    """Which of the tasks that can go on runs first; those before it run at the end of the turn."""
    SOCKETS = "sockets"
    """Which of the sockets that are ready is handled first."""
    THREADS = "threads"
    """Which of the results of threads is handled first."""
    DELAYS = "delays"
    """How many seconds a message on a socket, or the result of a thread, is under way."""


RATES: Mapping[Draw, tuple[float, ...]] = {
    Draw.TASKS: (0.0, 0.01, 0.1, 0.5),
    Draw.SOCKETS: (0.0, 0.01, 0.1, 0.5),
    Draw.THREADS: (0.0, 0.01, 0.1, 0.5),
    Draw.DELAYS: (0.0, 0.0, 0.002, 0.02),
}
"""How often a draw is not plain: each run draws one for each kind, so that some runs change little."""
DELAYS = (0.001, 0.01, 0.05, 0.2)
"""Seconds, in virtual time."""


class Order(Protocol):
    """Chooses where the plain order is one of several."""

    def first(self, kind: Draw, count: int) -> int:
        """Return which of `count` things goes first; 0: as usual."""

    def delay(self) -> float:
        """Return how many seconds something is under way; 0: as usual."""


class SeededOrder:
    """Draws from a seed; without a seed, all draws are plain but for those that are pinned."""

    def __init__(self, seed: int | None = None, pinned: Picks | None = None) -> None:
        self.drawn: dict[str, dict[int, float]] = {}
        """What was drawn that was not plain, so far."""
        self._pinned = {kind: dict((pinned or {}).get(kind, {})) for kind in Draw}
        self._numbers = dict.fromkeys(Draw, 0)
        self._random = random.Random(f"order {seed}")  # noqa: S311 - runs are to be the same, nothing is secret
        self._rates = {kind: 0.0 if seed is None else self._random.choice(RATES[kind]) for kind in Draw}

    def first(self, kind: Draw, count: int) -> int:
        """Return which of `count` things goes first; a pin beyond the last one stands for the last one."""
        number = self._next(kind)
        if (pin := self._pinned[kind].get(number)) is not None:
            return self._note(kind, number, min(int(pin), count - 1))
        if self._is_plain(kind):
            return 0
        return self._note(kind, number, self._random.randrange(count))

    def delay(self) -> float:
        """Return how many seconds something is under way."""
        number = self._next(Draw.DELAYS)
        if (pin := self._pinned[Draw.DELAYS].get(number)) is not None:
            return self._note(Draw.DELAYS, number, pin)
        if self._is_plain(Draw.DELAYS):
            return 0.0
        return self._note(Draw.DELAYS, number, self._random.choice(DELAYS))

    def _next(self, kind: Draw) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind]

    def _is_plain(self, kind: Draw) -> bool:
        rate = self._rates[kind]
        return not rate or self._random.random() >= rate

    def _note(self, kind: Draw, number: int, drawn: N) -> N:
        if drawn:
            self.drawn.setdefault(kind, {})[number] = drawn
        return drawn
