"""Writes the index of the library into docs/scenarios.md, from scenarios/: `python docs/write_scenarios.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from simulator.scenario.model import Scenario
from simulator.scenario.reader import read_scenario
from simulator.scenario.steps import FaultStep

PAGE = Path(__file__).with_name("scenarios.md")
LIBRARY = PAGE.parent.parent / "scenarios"
BEGIN = "<!-- the index, written by docs/write_scenarios.py -->\n"


def library() -> list[tuple[Path, Scenario]]:
    """Every scenario of the library, in the order of their files."""
    return [(file, read_scenario(file)) for file in sorted(LIBRARY.glob("*.yaml"))]


def faults(scenario: Scenario) -> list[str]:
    """The kinds of faults that happen in a scenario, in their order."""
    return list(dict.fromkeys(one.what.fault.kind for one in scenario.timeline if isinstance(one.what, FaultStep)))


def index() -> Iterator[str]:
    """A line for each story."""
    yield "| story | why | faults |"
    yield "| --- | --- | --- |"
    for file, scenario in library():
        why = re.split(r"(?<=[.?]) ", scenario.description.strip())[0].rstrip(".")
        kinds = ", ".join(f"`{kind}`" for kind in faults(scenario))
        yield f"| [{scenario.title}](../scenarios/{file.name}) | {why} | {kinds} |"


def written() -> str:
    """The page, with the index as it has to be."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + "\n".join(index()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(written())
