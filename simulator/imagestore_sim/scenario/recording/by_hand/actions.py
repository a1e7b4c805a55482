"""What was done to the hosts and to the management plane, as steps of a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagestore_sim.faults import NODE_FAULTS, Meets
from imagestore_sim.hosts.windows import HostWindow
from imagestore_sim.masking import MASK, is_secret_name
from imagestore_sim.rest.node_faults import FAULT_HEALED, FAULT_SET, Healed
from imagestore_sim.scenario.format.steps import STEPS, FaultStep
from imagestore_sim.scenario.recording.recording import Event

OWN_STEPS = frozenset(
    step.fixed_kind for step in STEPS.values() if issubclass(step, FaultStep) and step.fixed_kind is not None
)
"""Kinds of fault that have a step of their own."""
TOGETHER = 0.1
"""Seconds between two steps that were taken with one click: they are written as one where they can be."""


@dataclass(frozen=True, slots=True)
class Action:
    """A step that was taken by hand, at a time (epoch seconds)."""

    time: float
    step: Mapping[str, Any]
    is_call: bool = False
    """Whether what comes of it depends on what the node knows of its hosts by then."""
    hosts: tuple[str, ...] = ()
    """The hosts that it changes."""


def host_actions(windows: Sequence[HostWindow], began: float, ended: float) -> Iterator[Action]:
    """Yield what was done to hosts between two times; a fault from before is set in the beginning."""
    there = [one for one in windows if one.began <= ended and (one.ended is None or one.ended >= began)]
    for one in there:
        yield _begin(one, max(one.began, began))
        if one.ended is not None and one.ended <= ended and not _goes_on(one, there):
            yield _end(one, one.ended)


def _begin(window: HostWindow, at: float) -> Action:
    if window.fault is None:
        return Action(at, {"stop": {"host": window.host}}, hosts=(window.host,))
    kind = window.fault.kind
    given = {name: value for name, value in window.fault.values().items() if name != "for" and not is_secret_name(name)}
    if kind in OWN_STEPS:
        return Action(at, {kind: {"host": window.host, **given}}, hosts=(window.host,))
    return Action(at, {"fault": {"host": window.host, "kind": kind, **given}}, hosts=(window.host,))


def _end(window: HostWindow, at: float) -> Action:
    if window.fault is None:
        return Action(at, {"start": {"host": window.host}}, hosts=(window.host,))
    return Action(at, {"heal": {"host": window.host, "kind": window.fault.kind}}, hosts=(window.host,))


def _goes_on(window: HostWindow, others: Sequence[HostWindow]) -> bool:
    """Return whether another fault of that kind remains on the host. A step heals all of a kind: write the last one."""
    if window.fault is None:
        return False
    assert window.ended is not None
    for number, one in enumerate(others):
        same = one is not window and one.host == window.host and one.fault is not None
        if same and one.fault is not None and one.fault.kind == window.fault.kind and one.began <= window.ended:
            if one.ended is None or one.ended > window.ended:
                return True
            if one.ended == window.ended and number > others.index(window):
                return True
    return False


def node_actions(events: Sequence[Event], left_out: list[str]) -> Iterator[Action]:
    """Yield the faults of the management plane that were set and healed; add to `left_out` what cannot be told."""
    kinds: dict[str, str] = {}
    for event in events:
        content, identity = event["content"], str(event["resourceUuid"])
        if event["path"] == FAULT_SET:
            given = {name: value for name, value in content["parameters"].items() if name != "for"}
            if MASK in str(given):
                left_out.append(f"the fault {identity}: its `when` holds a secret, which is not shown")
                continue
            kinds[identity] = content["kind"]
            yield Action(event["time"], {"fault": {"node": content["kind"], **given}})
        elif event["path"] == FAULT_HEALED and identity in kinds:
            kind = kinds.pop(identity)
            if content["healedBy"] != Healed.COUNT and kind not in kinds.values():
                yield Action(event["time"], {"heal": {"node": kind}})


def node_windows(events: Sequence[Event]) -> list[tuple[float, float | None]]:
    """Return from when to when faults of the management plane were set that count requests; None: they are still.

    Those of new connections are left out: clients in a scenario make one for each request.
    """
    ends = {str(one["resourceUuid"]): one["time"] for one in events if one["path"] == FAULT_HEALED}
    counting = [
        one
        for one in events
        if one["path"] == FAULT_SET and NODE_FAULTS[one["content"]["kind"]].meets is not Meets.NEW_CONNECTION
    ]
    return [(one["time"], ends.get(str(one["resourceUuid"]))) for one in counting]


def merged(actions: Sequence[Action]) -> list[Action]:
    """Return the actions with those that do the same to several hosts at one moment put together."""
    found: list[Action] = []
    for one in actions:
        before = found[-1] if found else None
        if before is not None and one.hosts and one.time - before.time <= TOGETHER and _alike(before, one):
            [key] = one.step
            hosts = (*before.hosts, *one.hosts)
            step = {key: {**before.step[key], "host": list(hosts)}}
            found[-1] = Action(before.time, step, hosts=hosts)
        else:
            found.append(one)
    return found


def _alike(first: Action, second: Action) -> bool:
    def without_hosts(action: Action) -> dict[str, Any]:
        return {key: {**content, "host": None} for key, content in action.step.items()}

    return bool(first.hosts) and first.hosts != second.hosts and without_hosts(first) == without_hosts(second)
