"""The latest probes of each storage: what is remembered is equal to what was found, in less memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

from imagestore_sim.backup_storage.recent_probes import KEPT_PROBES, LastProbe, Outcome, RecentProbes
from imagestore_sim.probe import Capacity, Method, PingMode, ProbeFailure, Reached, Reason
from imagestore_sim.probe.capacity import Inodes

TIMES = {"kex": 2.5, "command": 0.5}


def found(total: int = 10**12, available: int = 10**11) -> Capacity:
    return Capacity(int(str(total)), int(str(available)), Inodes(10**6, 10**5), False, Method.STATVFS, dict(TIMES))


def test_the_latest_probes_are_kept_and_equal_to_what_was_found() -> None:
    probes = RecentProbes()
    failure = ProbeFailure(Reason.REFUSED, "refused", {}, None)
    outcomes: list[Outcome] = [*(found(available=number) for number in range(KEPT_PROBES)), failure, found()]
    for number, outcome in enumerate(outcomes):
        probes.add("a", LastProbe(number, outcome, f"ping {number}"))
    kept = [LastProbe(number, outcome, f"ping {number}") for number, outcome in enumerate(outcomes)][-KEPT_PROBES:]
    assert probes.of("a") == kept
    assert (probes["a"], probes.answered("a"), probes.measured("a")) == (kept[-1], kept[-1], found())


def test_probes_that_are_alike_are_equal_to_what_was_found_and_kept_apart_from_others() -> None:
    probes = RecentProbes()
    failure = ProbeFailure(Reason.REFUSED, "refused", {}, None)
    reached = Reached(PingMode.TCP, {"tcp": 1.5})
    without = replace(found(), phases={})
    outcomes: list[Outcome] = [*[found()] * 3, failure, failure, reached, reached, found(), without, found(2), found(2)]
    ids = [None, "0" * 32, f"{7:032x}", f"{8:032x}", "hand", "A" * 32]
    given = [
        LastProbe(1.7e9 + number / 7, one, ids[number % len(ids)])
        for number, one in enumerate(outcomes * (KEPT_PROBES // 4))
    ]
    for number, probe in enumerate(given):
        probes.add("a", probe)
        assert probes.of("a") == given[max(0, number + 1 - KEPT_PROBES) : number + 1]


def test_sixteen_probes_that_are_alike_take_a_kilobyte() -> None:
    probes = RecentProbes()
    names = [f"{number:032x}" for number in range(200)]

    def probe_all(number: int) -> None:
        for name in names:
            outcome = replace(found(), phases={"command": number / 7})
            probes.add(name, LastProbe(1.7e9 + number, outcome, f"{number:032x}"))

    probe_all(0)
    tracemalloc.start()
    try:
        for number in range(1, KEPT_PROBES):
            probe_all(number)
        full = tracemalloc.get_traced_memory()[0]
        for number in range(KEPT_PROBES, 3 * KEPT_PROBES):
            probe_all(number)
        later = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert full / len(names) < 1600
    assert later / len(names) < full / len(names) + 100


def test_probes_that_find_the_same_share_it() -> None:
    probes = RecentProbes()
    for number in range(2):
        probes.add("a", LastProbe(number, found()))
    one, other = (probe.outcome for probe in probes.of("a"))
    assert isinstance(one, Capacity)
    assert isinstance(other, Capacity)
    assert other.total is one.total
    assert other.available is one.available
    assert other.inodes is one.inodes


def test_times_can_be_read_as_a_mapping() -> None:
    probes = RecentProbes()
    probes.add("a", LastProbe(0, found()))
    times = probes["a"].outcome.phases
    assert dict(times) == TIMES
    assert (times["command"], times.get("tcp"), "tcp" in times) == (0.5, None, False)
