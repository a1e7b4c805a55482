"""What a run has shown, in the form in which the invariants ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from imagestore_sim.backup_storage.events import ADDED, DISCONNECTED, STATUS_CHANGED, Event
from imagestore_sim.backup_storage.global_config import PING_INTERVAL
from imagestore_sim.explore.runs import Call, Job, Played
from imagestore_sim.faults.base import Layer
from imagestore_sim.rest.job_store import JobState
from imagestore_sim.scenario.format.options import option_text
from imagestore_sim.scenario.format.steps import NodeFaultStep

AFTER_HEALING = 30.0
"""Seconds beside two intervals of the pings after which everything is well again."""
AFTER_TAKEOVER: Mapping[str, float] = MappingProxyType({"quick": 15.0, "faithful": 60.0})
"""Seconds beside that, by mode, after which several nodes agree again, and have taken over."""
NEVER = float("inf")
STORAGES = ("/backup-storage", "/backup-storage/sftp", "/backup-storage/image-store")
"""What is asked for the storages: the last answer tells the most."""
LEFT = "is unavailable"
"""In the error of a call whose node has left: what it was to do may have happened."""


class Write(NamedTuple):
    """A write of a field of a storage."""

    began: float
    ended: float
    """When it was acknowledged; NEVER: it was not, or failed."""
    value: Any
    last: int = 0
    """The number of the acknowledgement among all that happened."""


def after_healing(nodes: int, mode: str) -> float:
    """Return the seconds beside two intervals of the pings after which everything is well again."""
    return AFTER_HEALING + (0.0 if nodes == 1 else AFTER_TAKEOVER[mode])


def is_quiet(played: Played) -> bool:
    """Return whether all has been well for two intervals of the pings and `after_healing` when the story ended."""
    if played.result.problem or not played.result.steps:
        return False
    patience = after_healing(played.story.nodes, played.story.node.cluster_mode)
    given = values_of(played, PING_INTERVAL.name, PING_INTERVAL.default)
    longest = max(float(option_text(PING_INTERVAL.name, one)) for one in given)
    since = played.result.length - 2 * longest - patience + 0.01
    acting = [one.ended if one.ended is not None else NEVER for one in played.result.steps if one.kind != "wait"]
    windows = [one.ended if one.ended is not None else NEVER for one in played.result.windows]
    return max([*acting, *windows], default=0.0) <= since


def open_jobs(played: Played) -> Iterator[Job]:
    """Yield the jobs that have not ended."""
    return (job for job in played.jobs if job.state == JobState.PROCESSING)


def values_of(played: Played, name: str, default: Any) -> list[Any]:
    """Return the values that an option had in a story."""
    steps = [step.settings for step in played.story.timeline if step.settings is not None]
    given = [one[name] for one in (played.story.settings, *steps) if name in one]
    return given if name in played.story.settings else [default, *given]


def has_faults_of(played: Played, layer: Layer) -> bool:
    """Return whether a story sets faults of the management plane of a layer."""
    steps = (step.fault for step in played.story.timeline)
    return any(isinstance(one, NodeFaultStep) and one.fault.layer is layer for one in steps)


def uses(played: Played, *kinds: str) -> bool:
    """Return whether a story puts faults of these kinds on hosts."""
    return any(step.fault is not None and step.fault.fault.kind in kinds for step in played.story.timeline)


def inventories(played: Played, path: str) -> list[dict[str, Any]]:
    """Return the inventories that a question was answered with in the end."""
    return list((played.answers.get(path) or {}).get("inventories", ()))


def storages(played: Played) -> dict[str, dict[str, Any]]:
    """Return the storages of the end, by uuid; those of a type that has a host, with it."""
    return {one["uuid"]: one for path in STORAGES for one in inventories(played, path)}


def uuids_of_type(played: Played, kind: str) -> set[str]:
    """Return the uuids of the storages of a type."""
    added = {event.resource_uuid for event in of(played, ADDED) if event.content.get("type") == kind}
    return added | {uuid for uuid, one in storages(played).items() if one["type"] == kind}


def of(played: Played, path: str) -> Iterator[Event]:
    """Yield the stored events with a path."""
    return (event for event in played.stored_events if event.path == path)


def is_domain(event: Event) -> bool:
    """Return whether an event is of a storage or an image, and not of the lab."""
    return event.path.startswith(("/backup-storage/", "/image/"))


def added_after(played: Played, event: Event) -> bool:
    """Return whether what an event is about was added after it."""
    return any(one.resource_uuid == event.resource_uuid and one.id > event.id for one in of(played, ADDED))


def is_made_again(played: Played, uuid: str | None, after: float) -> bool:
    """Return whether a storage was added at `after` or later, in seconds of the story."""
    return any(one.resource_uuid == uuid and at(played, one) >= after for one in of(played, ADDED))


def at(played: Played, event: Event) -> float:
    """Return when an event happened, in seconds of the story."""
    known = [one for one in played.result.log if one["kind"] == "event" and one.get("id") == event.id]
    return float(known[0]["at"]) if known else played.result.length


def name(played: Played, uuid: str) -> str:
    """Return what a storage is called in the story, or the beginning of its uuid."""
    lanes = {lane.uuid: lane.name for lane in played.result.lanes}
    return lanes.get(uuid) or str((storages(played).get(uuid) or {}).get("name") or uuid[:8])


def ended(call: Call) -> float:
    """Return when a call ended; NEVER if it has not."""
    return call.ended if call.ended is not None else NEVER


def is_unaltered(played: Played, call: Call) -> bool:
    """Return whether no fault of the management plane can have changed the answer: then it is the node's own."""
    return not call.meets_faults or not any(isinstance(step.fault, NodeFaultStep) for step in played.story.timeline)


def commands(played: Played) -> Iterator[tuple[Call, Call]]:
    """Yield each call that began a job, and the last answer to it that is the node's own: status 0 without one."""
    polls = grouped([one for one in played.calls if one.is_poll and one.ended is not None], lambda one: one.job)
    for call in played.calls:
        if not call.is_poll and call.method != "GET":
            ends = [one for one in polls.get(call.job, ()) if call.job and tells_end(played, one)]
            known = ends and is_unaltered(played, call) and is_unaltered(played, ends[0])
            yield call, ends[0] if known else Call(call.began, "GET", call.path)


def tells_end(played: Played, poll: Call) -> bool:
    """Return whether a poll was answered with how the job ended.

    A node that does not reach the store answers 503 as well, whatever becomes of the job.
    """
    if poll.status == 503 and ((poll.answer or {}).get("error") or {}).get("code") == "SYS.1000":
        return all(job.state == JobState.FAILED for job in played.jobs if job.uuid == poll.job)
    return poll.status in (200, 503)


def storage_in(call: Call) -> str | None:
    """Return the uuid of the storage in the path of a call, None if it is about none or more."""
    parts = call.path.partition("?")[0].split("/")
    found = [one for one in parts if len(one) == 32]
    return found[0] if parts[1:2] == ["backup-storage"] and len(found) == 1 else None


def grouped(items: Sequence[Any], key: Callable[[Any], Any]) -> Mapping[Any, list[Any]]:
    """Return items by their keys."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for one in items:
        groups[key(one)].append(one)
    return groups


def is_told(body: Any) -> bool:
    """Return whether a post is one of the events that ZStack has."""
    return isinstance(body, dict) and body.get("path") in (STATUS_CHANGED, DISCONNECTED)


def hooked(path: str, content: Mapping[str, Any]) -> str:
    """Return what an event tells, in words."""
    moved = f" {content['oldStatus']} to {content['newStatus']}" if path == STATUS_CHANGED else ""
    return f"{path.rpartition('/')[2]}{moved} of {content['backupStorageUuid']}"


def writes(played: Played, uuid: str, name: str) -> list[Write]:
    """Return when each write of a field began and was acknowledged (NEVER: it was not, or failed), and its value."""
    found: list[Write] = []
    for call, answer in commands(played):
        if storage_in(call) != uuid or call.method != "PUT" or not isinstance(call.body, dict):
            continue
        for key, given in call.body.items():
            value = given.get(name) if key.startswith("update") and isinstance(given, dict) else None
            if key == "changeBackupStorageState" and name == "state":
                value = {"enable": "Enabled", "disable": "Disabled"}.get(given.get("stateEvent"))
            if value is not None and (answer.status not in (400, 503) or LEFT in str(answer.answer)):
                acknowledged = ended(answer) if answer.status == 200 else NEVER
                found.append(Write(call.began, acknowledged, value, answer.last))
    return found


def possible_values(found: Sequence[Write]) -> Iterator[Any]:
    """Yield the values of which any may be the last one written; nothing if none was acknowledged."""
    acknowledged = [one for one in found if one.ended != NEVER]
    for write in found if acknowledged else ():
        if not any(one.began > write.ended for one in acknowledged):
            yield write.value
