"""A search finds the faults that are planted in the product: quickly those that many stories meet, in the end all."""

from __future__ import annotations

import pytest
from mutant import Mutant
from table import MUTANTS, first_sign, search

EASY = ("file-left", "task-left", "event-posted-twice", "job-open-after-kill")
MOST_STEPS = 5


def _ids(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.thorough
@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.name in EASY], ids=_ids)
def test_a_few_stories_show_a_planted_fault_that_many_meet(mutant: Mutant) -> None:
    assert first_sign(mutant, 1, 60) is not None


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of connections that a fault leaves open
@pytest.mark.parametrize("mutant", MUTANTS, ids=_ids)
def test_each_planted_fault_is_found_and_shrunk_to_a_few_steps(mutant: Mutant) -> None:
    row = search(mutant, 1, 1000)
    assert row.finding is not None
    assert row.finding.steps <= MOST_STEPS
