"""The table of mutants: which are found, after how many runs, and to how many steps they shrink.

`python tests/explore/mutants/table.py [--runs 200] [--first 1] [NAME…]` plants one after the other.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import life_mutants
import pytest
import runtime_mutants
from mutant import Mutant

from imagestore_sim.explore.findings import Finding
from imagestore_sim.explore.invariants import Violation
from imagestore_sim.explore.searching import collect_garbage_seldom, play_seed, shrink_seed

MUTANTS = (*runtime_mutants.MUTANTS, *life_mutants.MUTANTS)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one mutant; times in seconds of the processor."""

    mutant: Mutant
    runs: int
    """Stories that were played until one showed it."""
    seconds: float
    finding: Finding | None = None
    shrinking: float = 0.0

    def __str__(self) -> str:
        if self.finding is None:
            return f"| {self.mutant.name} | {self.mutant.what} | not found | {self.runs} | {self.seconds:.0f} | | | |"
        found = self.finding
        return (
            f"| {self.mutant.name} | {self.mutant.what} | {found.invariant} | {self.runs} | {self.seconds:.0f}"
            f" | {found.steps} of {found.before} | {found.runs} | {self.shrinking:.0f} |"
        )


def first_sign(mutant: Mutant, first: int, runs: int) -> tuple[int, Violation] | None:
    """Play stories with a mutant planted; return the seed of the first that shows it, and how."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        for seed in range(first, first + runs):
            if violations := play_seed(seed).violations:
                return seed, violations[0]
    return None


def search(mutant: Mutant, first: int, runs: int) -> Row:
    """Play stories with a mutant planted until one shows it, and shrink that."""
    began = time.process_time()
    sign = first_sign(mutant, first, runs)
    found = time.process_time()
    if sign is None:
        return Row(mutant, runs, found - began)
    with pytest.MonkeyPatch.context() as patch:
        mutant.plant(patch)
        finding = shrink_seed(*sign)
    return Row(mutant, sign[0] - first + 1, found - began, finding, time.process_time() - found)


def chosen(names: list[str]) -> Iterator[Mutant]:
    """Yield the mutants with these names; without a name, all."""
    return (one for one in MUTANTS if not names or one.name in names)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| planted | what is wrong | found by | in story | CPU s | steps | candidates | CPU s to shrink |")
    print("|---|---|---|---|---|---|---|---|")
    collect_garbage_seldom()
    for mutant in chosen(given.names):
        print(search(mutant, given.first, given.runs), flush=True)


if __name__ == "__main__":
    main()
