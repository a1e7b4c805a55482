"""docs/same-results.md has every story, and why some are played on simulated hosts only."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("aiodocker", reason="needs the extra `compose`")
from generators.same_results import refusal
from imagestore_sim.scenario.format.reader import ScenarioError, read_scenario
from imagestore_sim.scenario.replay_on_containers import read_for_containers
from imagestore_sim.scenario.time_scaling import fastest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scenarios").glob("*.yaml"))
AGAIN = "run `make docs PAGES=same-results`"


@pytest.fixture
def lines() -> dict[str, list[str]]:
    """Return the cells of each line of the table, by file name."""
    text = (ROOT / "docs" / "same-results.md").read_text()
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if "](../scenarios/" in line]
    return {row[0].partition("](../scenarios/")[2].rstrip(")"): row for row in rows}


def why_not(file: Path) -> str | None:
    """Return why a story cannot be played on containers, in the words of the page; None where it can."""
    try:
        read_for_containers(file)
    except ScenarioError as error:
        return refusal(error)
    return None


def test_every_story_has_the_same_results_on_both_or_a_reason_why_not(lines: dict[str, list[str]]) -> None:
    assert list(lines) == [file.name for file in FILES], AGAIN
    for file in FILES:
        _, result, speed, _, _ = lines[file.name]
        if (reason := why_not(file)) is not None or result.startswith("not played: "):
            assert reason in (None, result), AGAIN
        else:
            assert (result, speed) == ("same", f"{fastest(read_scenario(file)):.3g}"), (file, AGAIN)


def test_titles_are_those_of_the_stories(lines: dict[str, list[str]]) -> None:
    for file in FILES:
        assert lines[file.name][0].strip().startswith(f"[{read_scenario(file).title}]"), AGAIN
