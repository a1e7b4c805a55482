"""Plays stories that ask for the oracle, and writes its verdicts into their results."""

from __future__ import annotations

from imagestore_sim.explore.invariants import Violation
from imagestore_sim.explore.oracle import judge
from imagestore_sim.explore.playing import play
from imagestore_sim.explore.runs import Played
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.play.runner import ORACLE
from imagestore_sim.scenario.replay import play_virtually


def play_judged(scenario: Scenario, *, file: str = "", seed: int = 0) -> Result:
    """Play a scenario on simulated hosts and the virtual clock; if it asks for the oracle, let that decide as well."""
    if not scenario.oracle:
        return play_virtually(scenario, file=file, seed=seed)
    played = play(scenario.model_copy(update={"seed": seed}))
    played.result.file = file
    write_verdicts(played)
    return played.result


def write_verdicts(played: Played) -> list[Violation]:
    """Decide the invariants that a story asks for, and return how they were broken.

    A story that was not played to its end proves nothing: they stay unknown.
    """
    result = played.result
    broken = [] if result.problem or result.interrupted else judge(played, played.story.judged)
    for check in result.invariants:
        if check.kind != ORACLE:
            continue
        found = [one for one in broken if one.invariant == OracleName(check.text)]
        check.runs, check.ended = 1, result.length
        if result.problem or result.interrupted:
            check.seen = f"the story was not played to its end: {result.problem or 'it was interrupted'}"
        else:
            check.verdict = Verdict.FAILED if found else Verdict.HELD
            check.seen = "; ".join(f"at {one.at:g} s: {one.text}" for one in found[:3])
        entry = {"check": f"{check.kind} {check.text}", "verdict": str(check.verdict), "seen": check.seen}
        result.log.append({"at": result.length, "kind": "verdict", **entry})
    return broken
