"""The registry of the oracle's invariants: what each says, and the function that decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imagestore_sim.explore.runs import Played
from imagestore_sim.scenario.format.oracle import OracleName


@dataclass(frozen=True, slots=True)
class Violation:
    """A way in which an invariant was broken, in words, and when, in seconds of the story."""

    invariant: OracleName
    text: str
    at: float


Found = Iterator[tuple[float, str]]
"""When it was broken, and how."""
Invariant = Callable[[Played], Found]
INVARIANTS: dict[OracleName, Invariant] = {}
STATEMENTS: dict[OracleName, str] = {}
"""What each invariant says."""


def holds(name: OracleName, statement: str) -> Callable[[Invariant], Invariant]:
    """Declare an invariant, and what it says."""

    def declare(invariant: Invariant) -> Invariant:
        INVARIANTS[name] = invariant
        STATEMENTS[name] = statement
        return invariant

    return declare
