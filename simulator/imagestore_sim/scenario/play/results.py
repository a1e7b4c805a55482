"""The result of a scenario, as plain data that processes can pass on: for the terminal, reports and tests."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The verdict on a step or an invariant. One that was never evaluated is unknown, which is not a pass."""

    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "unknown"


Outcome = tuple[Verdict, str]
"""The verdict on a step, and what was seen."""
DONE: Outcome = (Verdict.HELD, "")
"""That of an action, of which nothing is to be seen."""

MOST_SHOWN = 3
"""Pins of an order that are named."""


def ending_of(status: int) -> str:
    """Return how a program has ended: `exit status 1`, or the signal that has killed it."""
    if status >= 0:
        return f"exit status {status}"
    known = {int(one): one.name for one in signal.Signals}
    return f"killed by {known.get(-status, f'signal {-status}')}"


@dataclass(slots=True)
class StepResult:
    """A step of the timeline, or an invariant; times in seconds since the beginning."""

    number: int
    kind: str
    text: str
    expects: bool
    verdict: Verdict = Verdict.UNKNOWN
    began: float | None = None
    ended: float | None = None
    seen: str = ""
    """What was seen, in words."""
    runs: int = 0
    """How many times it was evaluated."""


@dataclass(slots=True)
class Window:
    """A time in which something was wrong with a host (or `node`, the management node)."""

    host: str
    text: str
    began: float
    ended: float | None = None


@dataclass(slots=True)
class Request:
    """A call of the API, and its answer."""

    at: float
    method: str
    path: str
    status: int
    error: str = ""
    node: str = ""
    """Which of several nodes was asked."""


@dataclass(slots=True)
class Lane:
    """The statuses and capacities of a storage over time."""

    name: str
    host: str
    statuses: list[tuple[float, str]] = field(default_factory=list)
    """Time and status; '' while the storage has no record."""
    capacities: list[tuple[float, int, int]] = field(default_factory=list)
    """Time, total and available, in seconds and bytes."""
    uuid: str = ""

    def add(self, at: float, status: str | None, capacity: tuple[int, int] | None) -> None:
        """Append a status ('' for a storage without a record) and a capacity (total, available), unless unchanged."""
        if status is not None and (not self.statuses or self.statuses[-1][1] != status):
            self.statuses.append((at, status))
        if capacity is not None and (not self.capacities or self.capacities[-1][1:] != capacity):
            self.capacities.append((at, *capacity))


@dataclass(slots=True)
class Result:
    """All that a run of a scenario has shown."""

    file: str
    title: str
    description: str = ""
    seed: int = 0
    clock: str = "virtual"
    steps: list[StepResult] = field(default_factory=list)
    invariants: list[StepResult] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    """Every step, event, request and verdict, in their order."""
    length: float = 0.0
    """Seconds of the scenario's clock."""
    seconds: float = 0.0
    """Seconds of the machine's."""
    interrupted: bool = False
    problem: str = ""
    """Why the scenario was not played to its end, or ''."""
    missed_pins: list[str] = field(default_factory=list)
    """The pins of the order whose draws have not come: it is not the order that was pinned any more."""

    @property
    def missed_order(self) -> str:
        """Which pins of the order did not come, in a sentence; '' if all did."""
        if not self.missed_pins:
            return ""
        shown = [*self.missed_pins[:MOST_SHOWN], *(["…"] if len(self.missed_pins) > MOST_SHOWN else [])]
        draws = "draw of its order that is" if len(self.missed_pins) == 1 else "draws of its order that are"
        return f"{len(self.missed_pins)} {draws} pinned did not come: {', '.join(shown)}"

    @property
    def checks(self) -> list[StepResult]:
        """Steps and invariants."""
        return [*self.steps, *self.invariants]

    @property
    def verdict(self) -> Verdict:
        """Held if all steps and invariants have held."""
        verdicts = {one.verdict for one in self.checks}
        if Verdict.FAILED in verdicts or self.problem:
            return Verdict.FAILED
        return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts else Verdict.HELD

    @property
    def wrong(self) -> list[StepResult]:
        """The steps and invariants that have not held."""
        return [one for one in self.checks if one.verdict is not Verdict.HELD]
