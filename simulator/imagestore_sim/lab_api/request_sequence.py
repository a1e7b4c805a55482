"""Follow a sequence of matchers through rows of the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagestore_sim.lab_api.json_path import Steps
from imagestore_sim.lab_api.request_comparison import Verdict, verdict
from imagestore_sim.lab_api.request_matcher import RequestMatcher
from imagestore_sim.rest.journal import Entry


@dataclass(frozen=True, slots=True)
class Run:
    """How far rows follow a sequence."""

    met: list[Entry]
    """The rows of the first matchers, one each."""
    rest: list[Entry]
    """The rows after these."""
    missing: RequestMatcher | None = None
    """The first matcher without a row."""
    too_early: Sequence[Entry] = ()
    """The rows before `rest` that match it."""


def find_run(matchers: Sequence[RequestMatcher], rows: list[Entry], *, strict: bool) -> Run:
    """Return how far the rows follow the matchers, in this order; if `strict`, with no row between. Raise TooMuchWork.

    Of several runs that are as long, it is the first.
    """
    steps = Steps()
    run = (_next_to_each_other if strict else _with_gaps)(matchers, rows, steps)
    if len(run.met) == len(matchers):
        return run
    missing = matchers[len(run.met)]
    earlier = [one for one in rows[: len(rows) - len(run.rest)] if one not in run.met]
    return Run(run.met, run.rest, missing, [one for one in earlier if _matches(missing, one, steps)])


def _with_gaps(matchers: Sequence[RequestMatcher], rows: list[Entry], steps: Steps) -> Run:
    met: list[Entry] = []
    for matcher in matchers:
        at = next((at for at, entry in enumerate(rows) if _matches(matcher, entry, steps)), None)
        if at is None:
            break
        met.append(rows[at])
        rows = rows[at + 1 :]
    return Run(met, rows)


def _next_to_each_other(matchers: Sequence[RequestMatcher], rows: list[Entry], steps: Steps) -> Run:
    best = Run([], rows)
    for start in range(len(rows)):
        met: list[Entry] = []
        for matcher, entry in zip(matchers, rows[start : start + len(matchers)], strict=False):
            if not _matches(matcher, entry, steps):
                break
            met.append(entry)
        if len(met) > len(best.met):
            best = Run(met, rows[start + len(met) :])
        if len(met) == len(matchers):
            break
    return best


def _matches(matcher: RequestMatcher, entry: Entry, steps: Steps) -> bool:
    return verdict(matcher, entry, steps) is Verdict.YES
