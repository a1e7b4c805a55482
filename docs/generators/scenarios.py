"""Write the index of the library into docs/scenarios.md, and draw each of its stories into docs/stories/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from imagestore_sim.scenario.library import read_library
from imagestore_sim.scenario.replay import replay_file
from imagestore_sim.scenario.report.thumbnail import thumbnail

PAGE = Path(__file__).parents[1] / "scenarios.md"
PICTURES = "stories"
BEGIN = "<!-- the index, written by docs/generators/scenarios.py -->\n"


def index() -> Iterator[str]:
    """Yield the lines of the index: a row for each story."""
    yield "| | story | why | faults |"
    yield "| --- | --- | --- | --- |"
    for story in read_library():
        why = re.split(r"(?<=[.?]) ", story.scenario.description.strip())[0].rstrip(".")
        kinds = ", ".join(f"`{kind}`" for kind in story.faults)
        picture = f"![]({PICTURES}/{story.picture.name})"
        yield f"| {picture} | [{story.scenario.title}](../scenarios/{story.file.name}) | {why} | {kinds} |"


def page() -> str:
    """Return the page with its index up to date; what stands above the index is written by hand."""
    head, _, _ = PAGE.read_text().partition(BEGIN)
    return head + BEGIN + "\n" + "\n".join(index()) + "\n"


def pictures() -> dict[str, str]:
    """Play every story in virtual time; return the picture of each by the name of its file."""
    return {one.picture.name: thumbnail(replay_file(one.file), alone=True) + "\n" for one in read_library()}
