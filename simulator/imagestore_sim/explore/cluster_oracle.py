"""What holds in every story of several management nodes, whatever becomes of them: a check of the history of a run.

It looks at who has asked which host when, what each node has told and answered, and what was acknowledged. A node that
knows later members, which is a higher epoch, has taken over from one that knows earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imagestore_sim.backup_storage.events import DELETED, STATUS_CHANGED, Event
from imagestore_sim.backup_storage.global_config import PING_INTERVAL
from imagestore_sim.cluster import LIFECYCLE, QUICK
from imagestore_sim.explore import shown
from imagestore_sim.explore.invariants import Found, holds
from imagestore_sim.explore.runs import Call, Played, Told, Turn
from imagestore_sim.probe import Purpose
from imagestore_sim.scenario.format.node_steps import KillNodeStep, NodesStep, RestartNodeStep
from imagestore_sim.scenario.format.options import option_text
from imagestore_sim.scenario.format.oracle import OracleName

BY_ITSELF = (Purpose.PING, Purpose.RECONNECT)
"""What a node asks hosts for without a call: only the owner of a storage does."""
MOST_SHARED = 20.0
"""Seconds, without those in which it stands still, that a past owner may go on in mode faithful (docs/cluster.md)."""
EXPECTED_OF_NODES = (
    "another node took it for dead",
    "its heartbeat has failed",
    "the node is cut off from it",
    "is unavailable",
)
"""What a node reports as an error when a story takes its neighbours away."""
NODE_STEPS = (NodesStep, RestartNodeStep, KillNodeStep)
OF_WRITES = ("name", "description", "state")


def meets_trouble_of_nodes(played: Played) -> bool:
    """Return whether a story stops, kills, pauses or cuts off nodes."""
    return played.story.nodes > 1 and any(isinstance(step.content, NODE_STEPS) for step in played.story.timeline)


def may_leave_jobs(played: Played) -> bool:
    """Return whether jobs may be Processing for good: in mode faithful, those of a node that has left are."""
    return not _is_quick(played) and any(
        event.path == LIFECYCLE and event.content["lifeCycle"] == "NodeLeft" for event in played.stored_events
    )


def _is_quick(played: Played) -> bool:
    return played.story.node.cluster_mode == QUICK.name


def _node(played: Played, life: int) -> str:
    """Return the name of the node that a start was of."""
    return played.lives[life - 1] if life <= len(played.lives) else ""


@holds(
    OracleName.ONE_NODE_A_STORAGE,
    "In mode quick, no two nodes ping or reconnect one storage at a time, and none does after another one has taken it"
    " over. In mode faithful, a past owner goes on for 20 s at the most.",
)
def _one_node_a_storage(played: Played) -> Found:
    if played.story.nodes == 1:
        return
    asked = [turn for turn in played.turns if turn.purpose in BY_ITSELF]
    for hostname, turns in shown.grouped(asked, lambda turn: turn.hostname).items():
        in_order: list[Turn] = sorted(turns, key=lambda turn: turn.first)
        for number, turn in enumerate(in_order):
            name = _node(played, turn.node)
            others = [one for one in in_order[:number] if _node(played, one.node) != name]
            yield from _trespass(played, hostname, turn, others)


def _trespass(played: Played, hostname: str, turn: Turn, others: Sequence[Turn]) -> Found:
    """Yield that a node has asked a host which another one was asking, or had taken over; `others` are before it."""
    name = _node(played, turn.node)
    if _is_quick(played):
        for one in others:
            if not one.last or one.last > turn.first:
                other = _node(played, one.node)
                yield turn.began, f"{name} asked {hostname} for a {turn.purpose} while {other} did for a {one.purpose}"
                return
    taken = next((one for one in others if one.epoch > turn.epoch), None)
    if taken is None:
        return
    late = turn.began - taken.began - _stood_still(played, name, taken.began, turn.began)
    if late > (0.0 if _is_quick(played) else MOST_SHARED) or _is_quick(played):
        other = _node(played, taken.node)
        yield turn.began, f"{name} asked {hostname} for a {turn.purpose} {late:g} s after {other} had taken it over"


def _stood_still(played: Played, node: str, began: float, ended: float) -> float:
    """Return the seconds between two moments in which a node was paused."""
    spans = [one for one in played.pauses if one.node == node]
    return sum(max(0.0, min(one.ended, ended) - max(one.began, began)) for one in spans)


@holds(
    OracleName.OWNERS_WRITE,
    "A status is written by the owner of the storage: a past owner writes none after another one that took it over.",
)
def _owners_write(played: Played) -> Found:
    last: dict[str, Told] = {}
    for event, told in _told_of_storages(played):
        if event.path != STATUS_CHANGED:
            continue
        before = last.get(event.resource_uuid, told)
        name, other = _node(played, told.node), _node(played, before.node)
        if name != other and told.epoch < before.epoch:
            text = f"{name} wrote a status of {shown.name(played, event.resource_uuid)} after {other}, which owned it"
            yield told.at, text
        last[event.resource_uuid] = told


def _told_of_storages(played: Played) -> Iterator[tuple[Event, Told]]:
    """Yield the events of storages in the order in which they were stored, with who told them."""
    pairs = zip(played.events, played.told, strict=False)
    yield from sorted(((one, told) for one, told in pairs if shown.is_domain(one)), key=lambda pair: pair[0].id)


@holds(
    OracleName.EVENTS_IN_ORDER,
    "The events of a storage that a node tells come in their order, and those of all nodes in the order of their times,"
    " unless a clock is wrong.",
)
def _events_in_order(played: Played) -> Found:
    told_last: dict[tuple[int, str], int] = {}
    for event, told in zip(played.events, played.told, strict=False):
        key = (told.node, event.resource_uuid)
        if shown.is_domain(event) and event.id < told_last.get(key, 0):
            yield told.at, f"{event.path} of {shown.name(played, event.resource_uuid)} was told after a later event"
        told_last[key] = max(event.id, told_last.get(key, 0))
    if played.story.nodes == 1 or any(step.skew_clock is not None for step in played.story.timeline):
        return
    last: dict[str, float] = {}
    for event in played.stored_events:
        if event.time < last.get(event.resource_uuid, 0.0):
            text = f"{event.path} of {shown.name(played, event.resource_uuid)} has a time before that of the last event"
            yield shown.at(played, event), text
        last[event.resource_uuid] = event.time


@holds(
    OracleName.WRITES_ARE_READ,
    "A query that begins after a change was acknowledged shows it, or a later one, whichever node is asked.",
)
def _writes_are_read(played: Played) -> Found:
    gone = {event.resource_uuid for event in shown.of(played, DELETED)}
    writes = {
        (uuid, field): found
        for uuid in shown.storages(played)
        for field in OF_WRITES
        if uuid not in gone and (found := shown.writes(played, uuid, field))
    }
    if not writes:
        return
    for call in _reads(played):
        rows = {one.get("uuid"): one for one in (call.answer or {}).get("inventories", ())}
        for (uuid, field), found in writes.items():
            possible = list(shown.possible_values(_as_of(found, call)))
            if uuid in rows and possible and rows[uuid].get(field, possible[-1]) not in possible:
                text = f"{_node(played, call.node)} told {field} {rows[uuid][field]} of {shown.name(played, uuid)}"
                yield shown.ended(call), f"{text.strip()}, after {possible[-1]} was acknowledged"


def _reads(played: Played) -> Iterator[Call]:
    """Yield the queries for storages whose answers are the nodes' own."""
    for call in played.calls:
        is_query = call.method == "GET" and call.path.partition("?")[0] in shown.STORAGES and call.status == 200
        if is_query and shown.is_unaltered(played, call):
            yield call


def _as_of(writes: Sequence[shown.Write], read: Call) -> list[shown.Write]:
    """Return writes as a query can have seen them: those that were not acknowledged before it began may be missing."""
    return [
        one if one.last < read.number else one._replace(ended=shown.NEVER)
        for one in writes
        if one.began <= shown.ended(read)
    ]


@holds(
    OracleName.NODES_AGREE,
    "Of several nodes, those that run are members, and each storage is pinged by one of them.",
)
def _nodes_agree(played: Played) -> Found:
    if played.story.nodes == 1 or not shown.is_quiet(played):
        return
    members = len(shown.inventories(played, "/management-nodes"))
    if members != len(played.running):
        yield played.result.length, f"{len(played.running)} nodes run, and {members} are members"
    longest = max(
        float(option_text(PING_INTERVAL.name, one))
        for one in shown.values_of(played, PING_INTERVAL.name, PING_INTERVAL.default)
    )
    pings = [turn for turn in played.turns if turn.purpose == Purpose.PING]
    lately = [
        turn for turn in pings if played.ended - 2 * longest < turn.began <= played.ended
    ]  # then they are stopped
    for uuid, storage in shown.storages(played).items():
        names = {_node(played, turn.node) for turn in lately if turn.hostname == storage.get("hostname")}
        if storage.get("hostname") and len(names) != 1:
            by = " and ".join(sorted(names)) or "no node"
            yield played.result.length, f"{shown.name(played, uuid)} is pinged by {by}"
