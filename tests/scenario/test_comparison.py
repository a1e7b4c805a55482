"""Results on both kinds of hosts are compared by all that does not depend on when a ping comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imagestore_sim.backup_storage.events import DISCONNECTED, PROBE_FAILED
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Lane, Result, StepResult, Verdict
from rows import rows

pytest.importorskip("aiodocker", reason="needs the extra `compose`")
from imagestore_sim.scenario.play.comparison import differences

SCENARIO = parse_scenario("title: t\nhosts: {h-1: {}}\ntimeline: [{stop: {host: h-1}}]\n")
SLOW = parse_scenario("title: t\nhosts: {h-1: {}}\ntimeline: [{fill: {host: h-1, to: 90%, over: 1m}}]\n")
IMAGES = parse_scenario("title: t\nhosts: {h-1: {}}\ntimeline: [{add_image: {image: i}}]\n")
NOTE = StepResult(1, "note", "note", False, Verdict.HELD)


def lane(statuses: str, *available: int) -> Lane:
    names = {"C": "Connected", "D": "Disconnected", "X": "Connecting", "-": ""}
    return Lane(
        "gold", "h-1", [(float(at), names[one]) for at, one in enumerate(statuses)],
        [(float(at), 2**40, one) for at, one in enumerate(available)], "u-1",
    )  # fmt: skip


def result(statuses: str, *available: int, reasons: str = "") -> Result:
    log: list[dict[str, Any]] = [
        {"kind": "event", "path": PROBE_FAILED, "resourceUuid": "u-1", "content": {"reason": reason}}
        for reason in reasons.split()
    ]
    if log:
        gone = {"reason": {"reason": log[0]["content"]["reason"]}}
        log.insert(1, {"kind": "event", "path": DISCONNECTED, "resourceUuid": "u-1", "content": gone})
    return Result("f", "t", steps=[replace(NOTE)], lanes=[lane(statuses, *available)], log=log)


@rows(
    ("simulated", "containers", "found"),
    [
        (result("CDXC", 5, 7), result("CDXDXDCX-", 5, 7), "statuses"),
        (result("CDXC"), result("CDXDXC"), ""),
        (result("CDXC"), result("CDXDC"), ""),
        (result("CXDXC"), result("CXDC"), ""),
        (result("CXDXC"), result("CDXC"), "statuses"),
        (result("C"), result("CDXC"), "statuses"),
        (result("C", reasons="reset busy"), result("C", reasons="reset reset busy"), ""),
        (result("C", reasons="reset busy"), result("C", reasons="reset busy reset"), "reasons"),
        (result("C", reasons="unreachable"), result("C", reasons="timeout unreachable"), ""),
        (result("C", 5, 7), result("C", 5, 6, 7), "capacities"),
        (result("C", 5, 7), result("C", 5, 8), "capacities"),
    ],
)
def test_statuses_reasons_and_capacities_are_compared(simulated: Result, containers: Result, found: str) -> None:
    differing = differences(SCENARIO, simulated, containers)
    assert [one.split(": ")[1] for one in differing] == ([found] if found else [])


def test_of_a_disk_that_fills_slowly_the_first_and_last_capacities_are_compared() -> None:
    assert differences(SLOW, result("C", 9, 5, 1), result("C", 9, 6, 4, 1)) == []
    assert len(differences(SLOW, result("C", 9, 5, 1), result("C", 9, 5, 2))) == 1


def test_where_images_are_added_the_first_and_last_capacities_are_compared_in_mib() -> None:
    gib = 2**30
    assert differences(IMAGES, result("C", 9 * gib, 5, gib - 4096), result("C", 9 * gib, 4, gib - 90_000)) == []
    assert len(differences(IMAGES, result("C", 9 * gib, gib), result("C", 9 * gib, 2 * gib))) == 1


def test_a_failed_expectation_is_a_difference() -> None:
    failed = result("C")
    failed.steps[0] = replace(NOTE, verdict=Verdict.FAILED, seen="something else")
    assert differences(SCENARIO, result("C"), failed) == ["containers: note 1 failed: note (seen: something else)"]
    assert differences(SCENARIO, replace(result("C"), problem="no engine"), result("C")) == ["simulated: no engine"]
