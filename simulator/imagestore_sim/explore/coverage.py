"""What runs have met: edges of the status, reasons of failures, faults, steps, calls and their answers, branches.

A search that meets nothing new any more has seen what its declarations can show; what it never met is not tested by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imagestore_sim.backup_storage.events import STATUS_CHANGED
from imagestore_sim.explore.branches import Branches
from imagestore_sim.explore.oracle import EDGES
from imagestore_sim.explore.runs import Played
from imagestore_sim.faults import FAULTS, NODE_FAULTS
from imagestore_sim.reasons import Reason
from imagestore_sim.scenario.format.steps import FaultStep, NodeFaultStep

KINDS: Mapping[str, int | None] = {
    "edges": len(EDGES),
    "reasons": len(Reason),
    "faults": len(FAULTS),
    "node faults": len(NODE_FAULTS),
    "answers": None,
    "steps": None,
}
"""What is counted, and of how many there are; None: that is not known."""


def covered(played: Played) -> Iterator[tuple[str, str]]:
    """Yield what a run has met: its kind, and which."""
    for event in played.events:
        content = event.content
        if event.path == STATUS_CHANGED and (content["oldStatus"], content["newStatus"]) in EDGES:
            yield "edges", f"{content['oldStatus']} to {content['newStatus']}"
        if (reason := _reason_in(content)) in tuple(Reason):
            yield "reasons", str(reason)
    for step, result in zip(played.story.timeline, played.result.steps, strict=False):  # a run may break off
        if result.runs:
            yield "steps", step.kind
            if isinstance(step.content, FaultStep):
                yield "faults", step.content.fault.kind
            elif isinstance(step.content, NodeFaultStep):
                yield "node faults", step.content.fault.kind
    for request in played.result.requests:
        if request.error:
            yield "answers", request.error


def _reason_in(content: Mapping[str, Any]) -> object:
    reason = content.get("reason")
    return reason.get("reason") if isinstance(reason, Mapping) else reason


class Coverage:
    """What the runs of a search have met, all together."""

    def __init__(self, met: Iterable[tuple[str, str]] = (), branches: Branches | None = None) -> None:
        self._met = set(met)
        self.branches = branches or Branches()
        """Of the stories that were measured. Which ones they take depends on what a process has played before."""

    def add(self, met: Iterable[tuple[str, str]]) -> int:
        """Note what a run has met; return how much of it is new."""
        before = len(self._met)
        self._met.update(met)
        return len(self._met) - before

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(sorted(self._met))

    def __str__(self) -> str:
        """Return what was met but for branches: the same for the same runs."""
        counts = Counter(kind for kind, _ in self._met)
        return ", ".join(
            f"{counts[kind]}{'' if most is None else f' of {most}'} {kind}" for kind, most in KINDS.items()
        )
