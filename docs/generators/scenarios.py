"""Write the index of the library into docs/scenarios.md, and draw each of its stories into docs/stories/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import read_scenario
from imagestore_sim.scenario.format.steps import FaultStep, NodeFaultStep
from imagestore_sim.scenario.replay import replay_file
from imagestore_sim.scenario.report.thumbnail import thumbnail

PAGE = Path(__file__).parents[1] / "scenarios.md"
PICTURES = "stories"
LIBRARY = PAGE.parent.parent / "scenarios"
BEGIN = "<!-- the index, written by docs/generators/scenarios.py -->\n"


def library() -> list[tuple[Path, Scenario]]:
    """Return every scenario of the library, in the order of their files."""
    return [(file, read_scenario(file)) for file in sorted(LIBRARY.glob("*.yaml"))]


def faults(scenario: Scenario) -> list[str]:
    """Return the kinds of faults that a scenario applies, in their order."""
    return list(
        dict.fromkeys(
            one.content.fault.kind for one in scenario.timeline if isinstance(one.content, FaultStep | NodeFaultStep)
        )
    )


def index() -> Iterator[str]:
    """Yield the lines of the index: a row for each story."""
    yield "| | story | why | faults |"
    yield "| --- | --- | --- | --- |"
    for file, scenario in library():
        why = re.split(r"(?<=[.?]) ", scenario.description.strip())[0].rstrip(".")
        kinds = ", ".join(f"`{kind}`" for kind in faults(scenario))
        picture = f"![]({PICTURES}/{file.stem}.svg)"
        yield f"| {picture} | [{scenario.title}](../scenarios/{file.name}) | {why} | {kinds} |"


def page() -> str:
    """Return the page with its index up to date; what stands above the index is written by hand."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + "\n".join(index()) + "\n"


def pictures() -> dict[str, str]:
    """Play every story in virtual time; return the picture of each by the name of its file."""
    return {f"{file.stem}.svg": thumbnail(replay_file(file), alone=True) + "\n" for file, _ in library()}
