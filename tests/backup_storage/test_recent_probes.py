"""The latest probes of each storage: what is remembered is equal to what was found, in less memory."""

from __future__ import annotations

from imagestore_sim.backup_storage.recent_probes import KEPT_PROBES, LastProbe, Outcome, RecentProbes
from imagestore_sim.probe import Capacity, Method, ProbeFailure, Reason
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
