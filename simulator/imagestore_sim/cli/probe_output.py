"""The outcome of one probe, as text for people or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from imagestore_sim.masking import on_one_line
from imagestore_sim.probe import Capacity, ProbeFailure, Reached
from imagestore_sim.units import size_text

Outcome = Capacity | Reached | ProbeFailure


def print_json(outcome: Outcome) -> None:
    """Print the outcome as one JSON object: sizes in bytes, phases in milliseconds."""
    print(orjson.dumps(_to_json(outcome)).decode())


def _to_json(outcome: Outcome) -> dict[str, Any]:
    phases = {phase: round(milliseconds, 3) for phase, milliseconds in outcome.phases.items()}
    if isinstance(outcome, ProbeFailure):
        return {"reason": outcome.reason, "message": outcome.message, "phases": phases}
    if isinstance(outcome, Reached):
        return {"mode": outcome.mode, "phases": phases}
    inodes = {"total": outcome.inodes.total, "available": outcome.inodes.available} if outcome.inodes else None
    return {
        "total": outcome.total,
        "available": outcome.available,
        "inodes": inodes,
        "readOnly": outcome.read_only,
        "method": outcome.method,
        "phases": phases,
    }


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print what was found, or the reason of the failure and what to do, then the milliseconds of each phase."""
    for line in _lines(outcome):
        console.print(line, soft_wrap=True, highlight=False)
    phases = ", ".join(f"{phase} {milliseconds:.1f}" for phase, milliseconds in outcome.phases.items())
    console.print(Text(f"milliseconds: {phases or 'none'}", style="dim"), soft_wrap=True)


def _lines(outcome: Outcome) -> Iterator[Text]:
    if isinstance(outcome, ProbeFailure):
        yield Text.assemble((outcome.reason, "bold red"), f": {on_one_line(outcome.message)}")
        yield Text(f"what to do: {outcome.advice}")
        return
    if isinstance(outcome, Reached):
        yield Text("the agent answers")
        return
    yield Text(f"total      {outcome.total:>20,} bytes ({size_text(outcome.total)})")
    yield Text(f"available  {outcome.available:>20,} bytes ({size_text(outcome.available)})")
    if outcome.inodes is not None:
        yield Text(f"inodes     {outcome.inodes.available:>20,} of {outcome.inodes.total:,} available")
    if outcome.read_only:
        yield Text("read-only", style="yellow")
    yield Text(f"method     {outcome.method:>20}")
