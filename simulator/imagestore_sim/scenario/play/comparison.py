"""A comparison of two results of a scenario: on simulated hosts and on containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from imagestore_sim.backup_storage.events import DISCONNECTED, PROBE_FAILED
from imagestore_sim.backup_storage.records import Status
from imagestore_sim.reasons import Reason
from imagestore_sim.scenario.format.api_steps import ApiStep
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.schema import matching
from imagestore_sim.scenario.format.steps import StopStep
from imagestore_sim.scenario.play.results import Lane, Result, Verdict
from imagestore_sim.units import size_text

MIB = 2**20


def differences(scenario: Scenario, simulated: Result, containers: Result) -> list[str]:
    """Return what differs, in words: verdicts, and of each storage the statuses, the reasons and the capacities."""
    found = [
        text for name, result in (("simulated", simulated), ("containers", containers)) for text in _wrong(name, result)
    ]
    lanes = {lane.name: lane for lane in containers.lanes}
    for lane in simulated.lanes:
        other = lanes.get(lane.name)
        if other is None:
            found.append(f"{lane.name}: only on simulated hosts")
            continue
        found += _differing(lane.name, "statuses", statuses(lane), statuses(other))
        stopped = _is_stopped(scenario, lane.host)
        ours, others = reasons(simulated, lane, stopped=stopped), reasons(containers, other, stopped=stopped)
        found += _differing(lane.name, "reasons", ours, others)
        slowly = _fills_slowly(scenario, lane.host)
        images = any(isinstance(step.content, ApiStep) and step.content.makes() for step in scenario.timeline)
        seen = [capacities(one, slowly=slowly or images, images=images) for one in (lane, other)]
        found += _differing(lane.name, "capacities", *seen)
    found += [f"{name}: only on containers" for name in lanes.keys() - {lane.name for lane in simulated.lanes}]
    return found


def _wrong(name: str, result: Result) -> Iterator[str]:
    if result.problem:
        yield f"{name}: {result.problem}"
    for one in result.wrong:
        yield f"{name}: {one.kind} {one.number} {one.verdict}: {one.text} (seen: {one.seen})"
    if result.verdict is not Verdict.HELD and not result.wrong and not result.problem:
        yield f"{name}: {result.verdict}"


def _differing(storage: str, what: str, simulated: Sequence[str], containers: Sequence[str]) -> Iterator[str]:
    if list(simulated) != list(containers):
        ours, theirs = ", ".join(simulated) or "none", ", ".join(containers) or "none"
        yield f"{storage}: {what}: simulated {ours}; containers {theirs}"


def statuses(lane: Lane) -> list[str]:
    """Return the statuses of a storage in their order, without the failing connects while its host is gone.

    Their number depends on when pings come. A ping that fails beside a connect that succeeds makes the storage
    Disconnected in between, as in ZStack.
    """
    seen: list[str] = []
    for _, status in lane.statuses:
        gone = bool(seen) and seen[-1] == Status.DISCONNECTED
        if not (gone and status in (Status.CONNECTING, Status.DISCONNECTED)):
            seen.append(status or "deleted")
    return seen


def reasons(result: Result, lane: Lane, *, stopped: bool) -> list[str]:
    """Return why a storage's probes failed, in their order, each run of one reason once.

    Of a host that is `stopped`, a probe ends with a timeout or as unreachable, depending on whether the machine still
    has its address in the ARP cache: both count as unreachable.
    """
    names = [_reason(entry) for entry in result.log if entry["kind"] == "event" and _is_of(entry, lane)]
    if stopped:
        names = [Reason.UNREACHABLE if name == Reason.TIMEOUT else name for name in names]
    return [reason for reason, _ in groupby(name for name in names if name)]


def _is_of(entry: Mapping[str, Any], lane: Lane) -> bool:
    return entry.get("resourceUuid") == lane.uuid


def _is_stopped(scenario: Scenario, host: str) -> bool:
    return any(
        isinstance(one.content, StopStep) and any(matching(one.content.host, [host])) for one in scenario.timeline
    )


def _reason(entry: Mapping[str, Any]) -> str:
    content = entry["content"]
    if entry["path"] == PROBE_FAILED:
        return str(content["reason"])
    return str(content["reason"]["reason"]) if entry["path"] == DISCONNECTED else ""


def capacities(lane: Lane, *, slowly: bool, images: bool) -> list[str]:
    """Return available and total capacities in their order; of a disk that fills `slowly`, the first and the last.

    Where `images` are written, available ones are rounded to MiB: folders and small files take what the file system
    makes of them.
    """
    unit = MIB if images else 1
    seen = [(total, round(available / unit) * unit) for _, total, available in lane.capacities]
    chosen = seen[:1] + seen[-1:] if slowly else seen
    return [f"{available} of {size_text(total)}" for (total, available), _ in groupby(chosen)]


def _fills_slowly(scenario: Scenario, host: str) -> bool:
    return any(
        getattr(step.content.fault, "over", 0.0) > 0 and any(matching(step.content.host, [host]))
        for step in scenario.timeline
        if step.kind in ("fill", "fault")
    )
