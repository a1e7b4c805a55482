"""Play scenarios/, draw each story into docs/stories/, and write the index of the library: `make stories`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import read_scenario
from imagestore_sim.scenario.format.steps import FaultStep
from imagestore_sim.scenario.replay import replay_file
from imagestore_sim.scenario.report.thumbnail import thumbnail

PAGE = Path(__file__).with_name("scenarios.md")
THUMBNAILS = PAGE.with_name("stories")
LIBRARY = PAGE.parent.parent / "scenarios"
BEGIN = "<!-- the index, written by docs/write_scenarios.py -->\n"


def library() -> list[tuple[Path, Scenario]]:
    """Return every scenario of the library, in the order of their files."""
    return [(file, read_scenario(file)) for file in sorted(LIBRARY.glob("*.yaml"))]


def faults(scenario: Scenario) -> list[str]:
    """Return the kinds of faults in a scenario, in their order."""
    return list(
        dict.fromkeys(one.content.fault.kind for one in scenario.timeline if isinstance(one.content, FaultStep))
    )


def index() -> Iterator[str]:
    """Yield the lines of the index: one for each story."""
    yield "| | story | why | faults |"
    yield "| --- | --- | --- | --- |"
    for file, scenario in library():
        why = re.split(r"(?<=[.?]) ", scenario.description.strip())[0].rstrip(".")
        kinds = ", ".join(f"`{kind}`" for kind in faults(scenario))
        image = f"![]({THUMBNAILS.name}/{file.stem}.svg)"
        yield f"| {image} | [{scenario.title}](../scenarios/{file.name}) | {why} | {kinds} |"


def page_with_index() -> str:
    """Return the page with its index up to date."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + "\n".join(index()) + "\n"


def thumbnails() -> Iterator[tuple[Path, str]]:
    """Yield the file of each story's thumbnail, and its content."""
    for file, _ in library():
        yield THUMBNAILS / f"{file.stem}.svg", thumbnail(replay_file(file), alone=True) + "\n"


if __name__ == "__main__":
    THUMBNAILS.mkdir(exist_ok=True)
    drawn = dict(thumbnails())
    for file in set(THUMBNAILS.glob("*.svg")) - set(drawn):
        file.unlink()
    for file, text in drawn.items():
        file.write_text(text)
    PAGE.write_text(page_with_index())
