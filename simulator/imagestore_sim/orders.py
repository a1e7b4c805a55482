"""What runs first among things that are ready, and how long work takes: drawn from a seed, or as it always was.

Virtual time leaves these choices open, as a machine does: which task goes on first, which socket is read first, whose
thread has its result first, and how long a message or a call of the store is under way. Each choice is a draw. A draw
of 0 is the plain order: the one in which everything runs without an Order.

A draw has a name, `2 Jobs._run 4`: the fourth since step 2 of the story began that is about `Jobs._run` (0:
before the first step). The name stays when anything else does more or less before it. It has a number, too, among all
draws of its kind: that changes with everything that happens before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Protocol, TypeVar

N = TypeVar("N", int, float)
Picks = Mapping[str, Mapping[int | str, float]]
"""By kind of draw, and name or number (from 1): what was drawn. All others are 0."""
BEFORE_ALL = 0
"""The part of a story before its first step."""


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
    """Chooses where the plain order is one of several. `what` is what a draw is about."""

    def is_open(self, kind: Draw) -> bool:
        """Return whether a draw of this kind may be one that is not plain; else there is no need to ask."""

    def first(self, kind: Draw, count: int, what: str) -> int:
        """Return which of `count` things goes first; 0: as usual. `what`: the first one in the plain order."""

    def delay(self, what: str) -> float:
        """Return how many seconds something is under way; 0: as usual."""

    def begin_part(self, number: int) -> None:
        """Name draws by this step of the story from now on."""


class SeededOrder:
    """Draws from a seed; without a seed, all draws are plain but for those that are pinned, by name or number."""

    def __init__(self, seed: int | None = None, pinned: Picks | None = None) -> None:
        self.drawn: dict[str, dict[int | str, float]] = {}
        """What was drawn that was not plain, so far, by the names of the draws."""
        self._pinned = {kind: dict((pinned or {}).get(kind, {})) for kind in Draw}
        self._missed = {kind: set(pins) for kind, pins in self._pinned.items()}
        self._numbers = dict.fromkeys(Draw, 0)
        self._of_part: Counter[tuple[Draw, str]] = Counter()
        """How many draws of a kind have been about something since the part began."""
        self._part = BEFORE_ALL
        self._random = random.Random(f"order {seed}")  # noqa: S311 - runs are to be the same, nothing is secret
        self._rates = {kind: 0.0 if seed is None else self._random.choice(RATES[kind]) for kind in Draw}

    def is_open(self, kind: Draw) -> bool:
        """Return whether a draw of this kind may be one that is not plain."""
        return bool(self._rates[kind] or self._pinned[kind])

    def first(self, kind: Draw, count: int, what: str) -> int:
        """Return which of `count` things goes first; a pin beyond the last one stands for the last one."""
        name = self._next(kind, what)
        if (pin := self._pin(kind, name)) is not None:
            return self._note(kind, name, min(int(pin), count - 1))
        if self._is_plain(kind):
            return 0
        return self._note(kind, name, self._random.randrange(count))

    def delay(self, what: str) -> float:
        """Return how many seconds something is under way."""
        name = self._next(Draw.DELAYS, what)
        if (pin := self._pin(Draw.DELAYS, name)) is not None:
            return self._note(Draw.DELAYS, name, pin)
        if self._is_plain(Draw.DELAYS):
            return 0.0
        return self._note(Draw.DELAYS, name, self._random.choice(DELAYS))

    def begin_part(self, number: int) -> None:
        """Name draws by this step of the story from now on."""
        self._part = number
        self._of_part.clear()

    def missed(self) -> Iterator[str]:
        """Yield the kind and the key of each pin whose draw has not come so far."""
        for kind, keys in self._missed.items():
            yield from (f"{kind} {key}" for key in self._pinned[kind] if key in keys)

    def _next(self, kind: Draw, what: str) -> str:
        """Count a draw, and return its name."""
        self._numbers[kind] += 1
        self._of_part[kind, what] += 1
        return f"{self._part} {what} {self._of_part[kind, what]}"

    def _pin(self, kind: Draw, name: str) -> float | None:
        """Return what the draw that was counted last is pinned to: by its name, or else by its number."""
        pins = self._pinned[kind]
        for key in (name, self._numbers[kind]):
            if key in pins:
                self._missed[kind].discard(key)
                return pins[key]
        return None

    def _is_plain(self, kind: Draw) -> bool:
        rate = self._rates[kind]
        return not rate or self._random.random() >= rate

    def _note(self, kind: Draw, name: str, drawn: N) -> N:
        if drawn:
            self.drawn.setdefault(kind, {})[name] = drawn
        return drawn
