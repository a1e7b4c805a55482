"""The corpus of recorded answers: the emulator, when strict, answers what ZStack 5.2.1 answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from imagestore_sim.parity.corpus import CORPUS, FILES, Case, compared, read_cases, read_deviations, read_numbers
from imagestore_sim.parity.differences import describe
from imagestore_sim.parity.progress import OPEN, different, outcomes
from imagestore_sim.parity.runner import Outcome
from imagestore_sim.tasks import new_event_loop

pytestmark = pytest.mark.thorough

MOST_DEVIATIONS = 0.03
MOST_SHOWN = 40
SIDES = ("ZStack", "emulator")


def _chosen(*, always: bool = False) -> frozenset[int]:
    """Return the calls that deviate by choice; `always`: those that do on every machine."""
    found = (one.calls for one in read_deviations() if one.always or not always)
    return frozenset[int]().union(*found)


def _shown(found: list[Outcome], numbers: frozenset[int]) -> str:
    blocks = [describe(one.case, one.case.answers or (), one.got, SIDES) for one in found if one.case.id in numbers]
    return "\n\n".join([*blocks[:MOST_SHOWN], f"{len(blocks)} answers are not ZStack's"])


@pytest.mark.parametrize("file", ["cases.jsonl", pytest.param("cases-2.jsonl", marks=pytest.mark.scenarios)])
def test_every_answer_that_is_on_no_list_is_zstacks(file: str, store_settings: dict[str, Any]) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        found = runner.run(outcomes(file, **store_settings))
    wrong = different(found)
    unexpected = wrong - _chosen() - read_numbers(OPEN)
    assert not unexpected, f"\n{_shown(found, unexpected)}"
    of_file = {outcome.case.id for outcome in found}
    needless = (_chosen(always=True) & of_file) - wrong
    assert not needless, f"no deviation any more, take them off deviations.yaml: {sorted(needless)}"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for file in FILES for case in compared(read_cases(CORPUS / file))]


def test_the_lists_name_calls_whose_answers_are_known(cases: list[Case]) -> None:
    known = {case.id for case in cases}
    assert len(known) == len(cases)
    assert not _chosen() & read_numbers(OPEN)
    assert known >= _chosen() | read_numbers(OPEN)


def test_at_most_three_in_a_hundred_answers_deviate_by_choice() -> None:
    for file in FILES:
        known = {case.id for case in compared(read_cases(CORPUS / file))}
        assert len(_chosen() & known) <= MOST_DEVIATIONS * len(known)


def test_each_deviation_says_why(cases: list[Case]) -> None:
    assert all(deviation.reason.strip() and deviation.status.strip() for deviation in read_deviations())


def test_the_corpus_has_all_its_groups(cases: list[Case]) -> None:
    counts = Counter(case.group for case in cases)
    assert len(counts) == 29
    assert counts["query"] >= 480
