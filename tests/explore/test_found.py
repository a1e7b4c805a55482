"""What `explore` has found and somebody has mended stays mended: the stories in scenarios/found."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.explore.judging import play_judged
from imagestore_sim.explore.story import content_of, read
from imagestore_sim.scenario.play.results import Verdict

FOUND = Path(__file__).parent.parent.parent / "scenarios" / "found"
AT_EACH_RUN = ("no-errors-add-made-at-another-node", "no-errors-login-without-a-session")
"""One story with several nodes, and one with a single node; the others are played with the thorough tests."""
STORIES = [
    pytest.param(file, marks=() if file.stem in AT_EACH_RUN else pytest.mark.thorough, id=file.stem)
    for file in sorted(FOUND.glob("*.yaml"))
]


@pytest.mark.parametrize("file", STORIES)
def test_a_finding_that_was_mended_stays_so(file: Path) -> None:
    result = play_judged(read(content_of(file)), file=str(file))
    assert result.verdict is Verdict.HELD, [(one.text, one.seen) for one in result.wrong]
    assert result.missed_pins == [], "it has lost the order that it was found in"
