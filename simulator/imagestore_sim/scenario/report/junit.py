"""Writes the results of scenarios as JUnit XML, for CI systems."""

from __future__ import annotations

from collections.abc import Sequence

import junitparser

from imagestore_sim.scenario.play.results import Result, StepResult, Verdict
from imagestore_sim.units import duration_text


def junit(results: Sequence[Result]) -> junitparser.JUnitXml:
    """Return a suite for each scenario, with a case for each step and invariant.

    A failed case is a failure, an unknown one an error.
    """
    xml = junitparser.JUnitXml("imagestore-sim replay")
    for result in results:
        suite = junitparser.TestSuite(result.title)
        suite.add_property("file", result.file)
        suite.add_property("seed", str(result.seed))
        suite.add_property("clock", result.clock)
        for one in result.checks:
            suite.add_testcase(_case(result, one))
        if result.problem:
            case = junitparser.TestCase("the scenario is played to its end", result.file)
            case.result = [junitparser.Error(result.problem)]
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    for suite in xml:  # their times were summed up from the cases, which have none; equal runs share one
        properties = {one.name: one.value for one in suite.properties()}  # type: ignore[no-untyped-call]
        played = [
            one.seconds for one in results if (one.file, str(one.seed)) == (properties["file"], properties["seed"])
        ]
        suite.time = round(sum(played), 3)
    xml.time = round(sum(result.seconds for result in results), 3)
    return xml


def _case(result: Result, one: StepResult) -> junitparser.TestCase:
    when = "" if one.began is None or one.kind == "invariant" else f" at {duration_text(one.began)}"
    case = junitparser.TestCase(f"{one.kind} {one.number}{when}: {one.text}", result.file)
    text = f"expected: {one.text}\nseen: {one.seen}"
    if one.verdict is Verdict.FAILED:
        case.result = [junitparser.Failure(one.seen or "failed", "failed")]
        case.result[0].text = text
    elif one.verdict is Verdict.UNKNOWN:
        case.result = [junitparser.Error(one.seen or "never evaluated", "unknown")]
        case.result[0].text = text
    return case
