"""The oracle: what holds in every story, whatever goes wrong in it (docs/life-cycle.md, read as a model).

Each function is one invariant. It looks at all that a run has shown, and yields each way in which that was broken. A
new one is a name in `scenario.format.oracle` and a function here.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagestore_sim.backup_storage.events import ADDED, CAPACITY_CHANGED, DELETED, DISCONNECTED, STATUS_CHANGED, Event
from imagestore_sim.backup_storage.global_config import PING_INTERVAL, PING_PARALLELISM
from imagestore_sim.backup_storage.image_events import ADDED as IMAGE_ADDED
from imagestore_sim.backup_storage.records import HOSTS, SFTP_TYPE, Status
from imagestore_sim.explore.runs import Call, Job, Played
from imagestore_sim.faults.base import Layer
from imagestore_sim.probe import Purpose
from imagestore_sim.rest.job_store import JobState
from imagestore_sim.scenario.format.options import option_text
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.format.steps import NodeFaultStep
from imagestore_sim.units import size_text

CONNECTING, CONNECTED, DISCONNECTED_ = Status.CONNECTING, Status.CONNECTED, Status.DISCONNECTED
EDGES = frozenset((
    (CONNECTING, CONNECTED),  # a connect has succeeded
    (CONNECTING, DISCONNECTED_),  # it has failed
    (CONNECTED, CONNECTING),  # a reconnect has begun
    (CONNECTED, DISCONNECTED_),  # a ping has failed
    (DISCONNECTED_, CONNECTING),  # a reconnect has begun
))  # fmt: skip
"""The changes of status that there are."""
UNDER_WAY = 1.0
"""Seconds, in virtual time, that a message or a result of the store is under way at the most: orders draw them."""
AFTER_HEALING = 30.0
"""Seconds beside two intervals of the pings after which everything is well again."""
NEVER = float("inf")
STORAGES = ("/backup-storage", "/backup-storage/sftp", "/backup-storage/image-store")
"""What is asked for the storages: the last answer tells the most."""
EXPECTED_ERRORS = ("the bits of image",)
"""What the node reports as an error, and a fault of a host explains: somebody has to look at that host."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A way in which an invariant was broken, in words, and when, in seconds of the story."""

    invariant: OracleName
    text: str
    at: float


Found = Iterator[tuple[float, str]]
"""When it was broken, and how."""
Invariant = Callable[[Played], Found]
INVARIANTS: dict[OracleName, Invariant] = {}
STATEMENTS: dict[OracleName, str] = {}
"""What each invariant says."""


def holds(name: OracleName, statement: str) -> Callable[[Invariant], Invariant]:
    """Declare an invariant, and what it says."""

    def declare(invariant: Invariant) -> Invariant:
        INVARIANTS[name] = invariant
        STATEMENTS[name] = statement
        return invariant

    return declare


def judge(played: Played, names: Sequence[OracleName] = tuple(OracleName)) -> list[Violation]:
    """Return how a run broke the invariants with these names."""
    return [Violation(name, text, at) for name in names for at, text in INVARIANTS[name](played)]


# Status, and what the events tell


@holds(
    OracleName.STATUS_MOVES,
    "A status moves along EDGES only, each time from where it was. ReconnectSftp goes past Connecting.",
)
def _status_moves(played: Played) -> Found:
    last: dict[str, str] = {}
    connects: set[str | None] = set()
    sftp = _uuids_of_type(played, SFTP_TYPE)
    for event in played.stored_events:
        uuid = event.resource_uuid
        if event.path == DELETED:
            last.pop(uuid, None)
        if event.path != STATUS_CHANGED:
            continue
        old, new = str(event.content["oldStatus"]), str(event.content["newStatus"])
        if last.get(uuid, old) != old:
            yield _at(played, event), f"{_name(played, uuid)} went from {old} to {new}, but it was {last[uuid]}"
        # A connect that a failed ping overtook still connects; ReconnectSftp goes past Connecting.
        is_connect = new == CONNECTED and (event.correlation in connects or uuid in sftp)
        if (old, new) not in EDGES and not is_connect:
            yield _at(played, event), f"{_name(played, uuid)} went from {old} to {new}"
        last[uuid] = new
        if new == CONNECTING:
            connects.add(event.correlation)


@holds(
    OracleName.PING_NEVER_CONNECTS,
    "A storage is Connected by a connect: its host was asked by something else than a ping since it was Connecting.",
)
def _ping_never_connects(played: Played) -> Found:
    hosts = {uuid: one["hostname"] for uuid, one in _storages(played).items() if one.get("hostname")}
    for event in _of(played, STATUS_CHANGED):
        if event.content["newStatus"] != CONNECTED or event.resource_uuid not in hosts:
            continue
        at = _at(played, event)
        ended = [
            turn
            for turn in played.turns
            if turn.hostname == hosts[event.resource_uuid] and turn.ended is not None and turn.ended <= at + 0.001
        ]
        if ended and all(turn.purpose == Purpose.PING for turn in ended):
            yield at, f"{_name(played, event.resource_uuid)} is Connected, and only pings have asked its host"


@holds(
    OracleName.CAPACITY_STANDS_STILL,
    "The capacity of a Disconnected storage stays as it is: a connect measures it again, an image gives back its own.",
)
def _capacity_stands_still(played: Played) -> Found:
    status: dict[str, str] = {}
    of_images = {event.correlation for event in _of(played, IMAGE_ADDED)}
    for event in played.stored_events:
        uuid = event.resource_uuid
        if event.path == STATUS_CHANGED:
            status[uuid] = str(event.content["newStatus"])
        elif event.path != CAPACITY_CHANGED or status.get(uuid) != DISCONNECTED_:
            continue
        elif event.correlation not in of_images or not _is_given_back(event):
            yield _at(played, event), f"the capacity of {_name(played, uuid)} changed while it was Disconnected"


def _is_given_back(event: Event) -> bool:
    """Return whether a change of capacity is that of an image which did not arrive, and needs no space any more."""
    content: Mapping[str, Any] = event.content
    total, available = content["totalCapacity"], content["availableCapacity"]
    return bool(total == content["oldTotalCapacity"] and available > content["oldAvailableCapacity"])


@holds(OracleName.EVENTS_TELL_ALL, "The events, one after the other, lead to what a query answers in the end.")
def _events_tell_all(played: Played) -> Found:
    storages = _storages(played)
    told: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in played.stored_events:
        uuid = event.resource_uuid
        told[uuid] |= _fields_in(event)
        if event.path == DELETED:
            told[uuid] = {}
            if uuid in storages and not _added_after(played, event):
                yield _at(played, event), f"an event tells that {_name(played, uuid)} is gone, but it is there"
    for uuid, fields in told.items():
        for name, value in fields.items():
            if uuid in storages and storages[uuid][name] != value:
                text = f"{name} of {_name(played, uuid)} is {storages[uuid][name]}, but the events tell {value}"
                yield played.result.length, text
    for uuid in _untold(played):
        yield played.result.length, f"{_name(played, uuid)} is there, and no event tells that it was added"


def _untold(played: Played) -> Iterator[str]:
    """Yield storages with a host that are there though the story did not begin with them, and no add has succeeded."""
    if any(_open_jobs(played)):
        return  # an add may be under way
    told = {played.storages.get(one.name) for one in played.story.all_storages()}
    told |= {event.resource_uuid for event in played.stored_events if event.path == ADDED}
    yield from (uuid for uuid, row in _storages(played).items() if row["type"] in HOSTS and uuid not in told)


@holds(
    OracleName.EVENTS_ARE_STORED,
    "What was published is stored, once and in order; what is stored was published, unless the node was killed.",
)
def _events_are_stored(played: Played) -> Found:
    stored = [one for one in played.stored_events if _is_domain(one)]
    published = [one for one in played.events if _is_domain(one)]
    numbers = {one.id for one in stored}
    for event in published:
        if event.id not in numbers:
            yield (
                _at(played, event),
                f"{event.path} of {_name(played, event.resource_uuid)} was told, and is not stored",
            )
    for number, count in Counter(one.id for one in published).items():
        if count > 1:
            event = next(one for one in published if one.id == number)
            yield _at(played, event), f"{event.path} of {_name(played, event.resource_uuid)} was told {count} times"
    if not played.kills:
        for event in stored:
            if event.id not in {one.id for one in published}:
                yield _at(played, event), f"{event.path} of {_name(played, event.resource_uuid)} was never told"


@holds(
    OracleName.HOOKS_ARE_EVENTS,
    "Web hooks get ZStack's events of storages, once each and in order, unless the node ended meanwhile.",
)
def _hooks_are_events(played: Played) -> Found:
    if len(played.starts) > 1 or _has_faults_of(played, Layer.HOOKS) or _uses(played, "restart"):
        return
    told = [one for one in played.events if one.path in (STATUS_CHANGED, DISCONNECTED)]
    wanted = Counter(_hooked(one.path, one.content) for one in told if _at(played, one) > 0)
    posted = Counter(_hooked(one.body["path"], one.body["content"]) for one in played.posts if _is_told(one.body))
    for what in (wanted - posted).keys() if played.posts else ():
        yield played.result.length, f"{what} was not posted to the web hook"
    at_first = Counter(_hooked(one.path, one.content) for one in told if _at(played, one) == 0)
    for what in posted - wanted - at_first:  # these may have happened before there was a hook, or not
        yield played.result.length, f"{what} was posted to the web hook once more than it happened"
    yield from _overtaken(played, told)


def _overtaken(played: Played, told: Sequence[Event]) -> Found:
    """Yield the posts of events that came before one of the same storage that was told UNDER_WAY earlier, or more."""
    posts = [post for post in played.posts if _is_told(post.body)]
    counts = Counter(_hooked(post.body["path"], post.body["content"]) for post in posts)
    # There was no hook yet for the first ones.
    left = {
        what: deque(_at(played, one) for one in events[-counts[what] :])
        for what, events in _grouped(told, lambda one: _hooked(one.path, one.content)).items()
    }
    last: dict[str, tuple[float, str]] = {}
    for post in posts:
        what = _hooked(post.body["path"], post.body["content"])
        if not left.get(what):
            continue
        at, uuid = left[what].popleft(), str(post.body["content"]["backupStorageUuid"])
        before, other = last.get(uuid, (at, ""))
        if before > at + UNDER_WAY:
            yield post.at, f"{what} was posted to the web hook after {other}, which happened later"
        last[uuid] = max((before, other), (at, what))


# Jobs, and what they answer


@holds(OracleName.JOBS_END_ONCE, "A job that has ended has one answer, each time that it is asked for.")
def _jobs_end_once(played: Played) -> Found:
    answers: dict[str, tuple[int, Any]] = {}
    for call in played.calls:
        if (
            not call.is_poll
            or call.job is None
            or not _is_unaltered(played, call)
            or call.status not in (200, 202, 503)
        ):
            continue
        if (known := answers.get(call.job)) is not None and known != (call.status, call.answer):
            yield _ended(call), f"job {call.job[:8]} was answered {known[0]}, and then {call.status} or otherwise"
        if call.status != 202:
            answers.setdefault(call.job, (call.status, call.answer))


@holds(
    OracleName.ANSWERS_ARE_TRUE,
    "A job that succeeded has done what it says: a reconnect has connected, an add has added, a deletion deleted.",
)
def _answers_are_true(played: Played) -> Found:
    for call, answer in _commands(played):
        if answer.status != 200:
            continue
        done = [one for one in played.stored_events if one.correlation == call.job]
        uuid = _storage_in(call)
        if "reconnect" in str(call.body) and not any(one.content.get("newStatus") == CONNECTED for one in done):
            yield _ended(answer), f"{call.method} {call.path}: the reconnect succeeded, and nothing was Connected by it"
        inventory = (answer.answer or {}).get("inventory") or {}
        is_add = call.method == "POST" and call.path.startswith("/backup-storage/") and "hostname" in inventory
        if is_add and not any(one.resource_uuid == inventory["uuid"] for one in _of(played, ADDED)):
            yield _ended(answer), f"{call.path}: the add of {inventory['name']} succeeded, and no event tells it"
        is_there = uuid in _storages(played) and not _is_made_again(played, uuid, after=call.began)
        if call.method == "DELETE" and is_there:
            yield _ended(answer), f"{_name(played, str(uuid))} was deleted, and is there"


@holds(
    OracleName.CHANGES_SURVIVE,
    "What was acknowledged is there in the end, unless something changed it later, or at the same time.",
)
def _changes_survive(played: Played) -> Found:
    for uuid, storage in _storages(played).items():
        for name in ("name", "description", "state"):
            possible = list(_possible_values(_writes(played, uuid, name)))
            if possible and storage.get(name) not in possible:
                text = f"{name} of {_name(played, uuid)} is {storage.get(name)}, but {possible[-1]} was acknowledged"
                yield played.result.length, text
    deleted = {event.resource_uuid for event in _of(played, DELETED)}
    for event in _of(played, ADDED):
        if event.resource_uuid not in deleted and event.resource_uuid not in _storages(played):
            yield played.result.length, f"{event.content.get('name')} was added, never deleted, and is not there"


def _writes(played: Played, uuid: str, name: str) -> list[tuple[float, float, Any]]:
    """Return when each write of a field began and was acknowledged (NEVER: it was not, or failed), and its value."""
    found: list[tuple[float, float, Any]] = []
    for call, answer in _commands(played):
        if _storage_in(call) != uuid or call.method != "PUT" or not isinstance(call.body, dict):
            continue
        for key, given in call.body.items():
            value = given.get(name) if key.startswith("update") and isinstance(given, dict) else None
            if key == "changeBackupStorageState" and name == "state":
                value = {"enable": "Enabled", "disable": "Disabled"}.get(given.get("stateEvent"))
            if value is not None and answer.status not in (400, 503):
                found.append((call.began, _ended(answer) if answer.status == 200 else NEVER, value))
    return found


def _possible_values(writes: Sequence[tuple[float, float, Any]]) -> Iterator[Any]:
    """Yield the values of which any may be the last one written; nothing if none was acknowledged."""
    if all(ended == NEVER for _, ended, _ in writes):
        return
    for _, ended, value in writes:
        if not any(began > ended and acknowledged != NEVER for began, acknowledged, _ in writes):
            yield value


# Probes


@holds(OracleName.ONE_PROBE_A_HOST, "One probe at a time is made on a host.")
def _one_probe_a_host(played: Played) -> Found:
    for (hostname, _), turns in _grouped(played.turns, lambda turn: (turn.hostname, turn.node)).items():
        for before, after in itertools.pairwise(sorted(turns, key=lambda turn: turn.first)):
            if before.last > after.first:
                yield after.began, f"a {after.purpose} asked {hostname} while a {before.purpose} did"


@holds(
    OracleName.PINGS_ARE_BOUNDED,
    "No more pings are under way at once than `ping.parallelismDegree`, the largest of the story so far.",
)
def _pings_are_bounded(played: Played) -> Found:
    pings = [turn for turn in played.turns if turn.purpose == Purpose.PING]
    for in_one_life in _grouped(pings, lambda turn: turn.node).values():
        ends = [(turn.last, -1, turn.began) for turn in in_one_life if turn.last]
        under_way = 0
        for _, step, at in sorted([*ends, *((turn.first, 1, turn.began) for turn in in_one_life)]):
            under_way += step
            if under_way > (most := _most_pings(played, at)):
                yield at, f"{under_way} pings were under way, where {most} may be"
                return


def _most_pings(played: Played, at: float) -> int:
    """Return how many pings may be under way: those that wait keep the number that they began with."""
    name = PING_PARALLELISM.name
    results = zip(played.story.timeline, played.result.steps, strict=True)
    steps = [step.settings or {} for step, one in results if one.began is not None and one.began <= at]
    given = [one[name] for one in steps if name in one]
    return max(1, *(int(one) for one in (played.story.settings.get(name, PING_PARALLELISM.default), *given)))


# What is there


@holds(
    OracleName.READS_ARE_CURRENT,
    "A query sees all that was told before it began: the status and the capacity of storages, and which there are.",
)
def _reads_are_current(played: Played) -> Found:
    moments = list(zip(played.events, played.told, strict=True))
    there = _storages(played)
    for call in played.calls:
        kind = call.path.partition("?")[0]
        if call.method != "GET" or kind not in STORAGES or call.status != 200 or not _is_unaltered(played, call):
            continue
        life = max((one for one in played.start_numbers if one < call.number), default=0)
        before = [event for event, told in moments if life < told.number < call.number]
        later = [event for event, told in moments if told.number > call.number]
        soon = sum(told.number > call.number and told.at <= _ended(call) + UNDER_WAY for _, told in moments)
        rows = {one["uuid"]: one for one in (call.answer or {}).get("inventories", ()) if "uuid" in one}
        for uuid, row in rows.items():
            for name, value in _told_of(uuid, before).items():
                if row.get(name, value) != value and row[name] not in _later_values(uuid, name, later, soon):
                    text = f"{kind} told {name} {row[name]} of {_name(played, uuid)}, after {value} was told"
                    yield _ended(call), text
        for event in before:
            uuid = event.resource_uuid
            if event.path == DELETED and uuid in rows and not _added_after(played, event):
                yield _ended(call), f"{kind} told of {_name(played, uuid)}, after its deletion was told"
            is_missing = event.path == ADDED and uuid in there and uuid not in rows
            if is_missing and call.path == STORAGES[0]:
                yield _ended(call), f"{kind} told nothing of {_name(played, uuid)}, after its add was told"


def _told_of(uuid: str, events: Sequence[Event]) -> dict[str, Any]:
    """Return the status and the capacity of a storage, as events tell them."""
    told: dict[str, Any] = {}
    for event in events:
        if event.resource_uuid == uuid:
            told |= _fields_in(event)
    return told


def _fields_in(event: Event) -> dict[str, Any]:
    """Return the fields of a storage of which an event tells, with their values."""
    if event.path == STATUS_CHANGED:
        return {"status": event.content["newStatus"]}
    if event.path == CAPACITY_CHANGED:
        return {name: event.content[name] for name in ("totalCapacity", "availableCapacity")}
    return {}


def _later_values(uuid: str, name: str, events: Sequence[Event], soon: int) -> Iterator[Any]:
    """Yield what a field of a storage became in the first `soon` events, and in the next one that tells of it.

    A change is in the store a little before it is told.
    """
    for number, event in enumerate(events):
        if event.resource_uuid == uuid and name in (fields := _fields_in(event)):
            yield fields[name]
            if number >= soon:
                return


@holds(
    OracleName.PAGES_ARE_WHOLE,
    "The pages of a query, one after the other, hold what the query without pages does.",
)
def _pages_are_whole(played: Played) -> Found:
    whole = [one["uuid"] for one in _inventories(played, "/backup-storage")]
    pages = [path for path in played.answers if path.startswith("/backup-storage?") and "start=" in path]
    paged = [one["uuid"] for path in pages for one in _inventories(played, path)]
    if pages and sorted(whole) != sorted(paged):
        yield (
            played.result.length,
            f"{len(whole)} storages are there, and {len(set(paged))} of {len(paged)} on its pages",
        )


@holds(OracleName.ONE_STORAGE_A_HOST, "A host holds one storage.")
def _one_storage_a_host(played: Played) -> Found:
    hosts = Counter(one["hostname"] for one in _storages(played).values() if one.get("hostname"))
    for hostname, count in hosts.items():
        if count > 1:
            yield played.result.length, f"{hostname} has {count} storages"


@holds(
    OracleName.IMAGES_HAVE_BITS,
    "A copy of an image that is Ready has its file on the host, whole; what a disk was replaced with has none.",
)
def _images_have_bits(played: Played) -> Found:
    if _uses(played, "unmounted", "replaced_disk", "path_gone", "path_is_file"):
        return
    storages = _storages(played)
    for image in _inventories(played, "/images"):
        for copy in image.get("backupStorageRefs", ()):
            host = (storages.get(copy["backupStorageUuid"]) or {}).get("hostname")
            disk = played.disks.get(str(host))
            if disk is None or copy["status"] != "Ready" or image["status"] != "Ready" or not image["actualSize"]:
                continue
            if image["actualSize"] not in disk.files.values():
                text = (
                    f"image {image['name']} is Ready on {host}, and no file there has its {image['actualSize']} bytes"
                )
                yield played.result.length, text


@holds(
    OracleName.NO_ERRORS,
    "The node reports no error of its own: every failure of a host, a client or a disk is expected.",
)
def _no_errors(played: Played) -> Found:
    for line in played.errors:
        if not any(one in line for one in EXPECTED_ERRORS):
            yield played.result.length, line


@holds(OracleName.PROGRAM_ENDS_WELL, "The program of a user that a story runs ends with status 0.")
def _program_ends_well(played: Played) -> Found:
    if played.exit_status:
        lines = played.output.splitlines()
        yield played.result.length, f"exit status {played.exit_status}: {lines[-1] if lines else 'it wrote nothing'}"


# Liveness: once all is healed, and two intervals of the pings and AFTER_HEALING have passed


@holds(OracleName.ALL_CONNECTED, "Everything is Connected.")
def _all_connected(played: Played) -> Found:
    if _is_quiet(played):
        for uuid, storage in _storages(played).items():
            if storage["status"] != CONNECTED:
                yield played.result.length, f"{_name(played, uuid)} is {storage['status']}, and its host is well"


@holds(OracleName.CAPACITY_IS_MEASURED, "The capacity of a storage is what the disk of its host says.")
def _capacity_is_measured(played: Played) -> Found:
    if not _is_quiet(played):
        return
    for uuid, storage in _storages(played).items():
        disk = played.disks.get(str(storage.get("hostname")))
        shown = (storage["totalCapacity"], storage["availableCapacity"])
        if disk is not None and storage["status"] == CONNECTED and shown != (disk.total, disk.available):
            known, real = (f"{size_text(a)} of {size_text(t)}" for t, a in (shown, (disk.total, disk.available)))
            yield played.result.length, f"{_name(played, uuid)} has {known} available, and its disk {real}"


@holds(OracleName.NO_JOB_IS_OPEN, "Every job has ended, but for those that a fault holds for ever.")
def _no_job_is_open(played: Played) -> Found:
    if _is_quiet(played) and not _has_faults_of(played, Layer.JOB):
        for job in _open_jobs(played):
            yield played.result.length, f"the job of {job.api} has not ended"


@holds(OracleName.ONE_CONNECTION_A_HOST, "The node keeps one connection to a host at the most.")
def _one_connection_a_host(played: Played) -> Found:
    if _is_quiet(played):
        for hostname, count in played.connections.items():
            if count > 1:
                yield played.result.length, f"{count} connections to {hostname} are open"


@holds(OracleName.NOTHING_IS_LEFT, "Once the node has stopped, no task of it runs and no file of it is open.")
def _nothing_is_left(played: Played) -> Found:
    for what, count in played.left.grown(type(played.left)()).items():
        yield played.result.length, f"{count} {what} left over"


# What a run has shown, in the form in which the invariants ask


def _is_quiet(played: Played) -> bool:
    """Return whether all has been well for two intervals of the pings and AFTER_HEALING when the story ended."""
    if played.result.problem or not played.result.steps:
        return False
    given = _values_of(played, PING_INTERVAL.name, PING_INTERVAL.default)
    longest = max(float(option_text(PING_INTERVAL.name, one)) for one in given)
    since = played.result.length - 2 * longest - AFTER_HEALING + 0.01
    acting = [one.ended if one.ended is not None else NEVER for one in played.result.steps if one.kind != "wait"]
    windows = [one.ended if one.ended is not None else NEVER for one in played.result.windows]
    return max([*acting, *windows], default=0.0) <= since


def _open_jobs(played: Played) -> Iterator[Job]:
    return (job for job in played.jobs if job.state == JobState.PROCESSING)


def _values_of(played: Played, name: str, default: Any) -> list[Any]:
    """Return the values that an option had in a story."""
    steps = [step.settings for step in played.story.timeline if step.settings is not None]
    given = [one[name] for one in (played.story.settings, *steps) if name in one]
    return given if name in played.story.settings else [default, *given]


def _has_faults_of(played: Played, layer: Layer) -> bool:
    steps = (step.fault for step in played.story.timeline)
    return any(isinstance(one, NodeFaultStep) and one.fault.layer is layer for one in steps)


def _uses(played: Played, *kinds: str) -> bool:
    return any(step.fault is not None and step.fault.fault.kind in kinds for step in played.story.timeline)


def _inventories(played: Played, path: str) -> list[dict[str, Any]]:
    return list((played.answers.get(path) or {}).get("inventories", ()))


def _storages(played: Played) -> dict[str, dict[str, Any]]:
    """Return the storages of the end, by uuid; those of a type that has a host, with it."""
    return {one["uuid"]: one for path in STORAGES for one in _inventories(played, path)}


def _uuids_of_type(played: Played, kind: str) -> set[str]:
    added = {event.resource_uuid for event in _of(played, ADDED) if event.content.get("type") == kind}
    return added | {uuid for uuid, one in _storages(played).items() if one["type"] == kind}


def _of(played: Played, path: str) -> Iterator[Event]:
    return (event for event in played.stored_events if event.path == path)


def _is_domain(event: Event) -> bool:
    """Return whether an event is of a storage or an image, and not of the lab."""
    return event.path.startswith(("/backup-storage/", "/image/"))


def _added_after(played: Played, event: Event) -> bool:
    return any(one.resource_uuid == event.resource_uuid and one.id > event.id for one in _of(played, ADDED))


def _is_made_again(played: Played, uuid: str | None, after: float) -> bool:
    return any(one.resource_uuid == uuid and _at(played, one) >= after for one in _of(played, ADDED))


def _at(played: Played, event: Event) -> float:
    """Return when an event happened, in seconds of the story."""
    known = [one for one in played.result.log if one["kind"] == "event" and one.get("id") == event.id]
    return float(known[0]["at"]) if known else played.result.length


def _name(played: Played, uuid: str) -> str:
    """Return what a storage is called in the story, or the beginning of its uuid."""
    lanes = {lane.uuid: lane.name for lane in played.result.lanes}
    return lanes.get(uuid) or str((_storages(played).get(uuid) or {}).get("name") or uuid[:8])


def _ended(call: Call) -> float:
    return call.ended if call.ended is not None else NEVER


def _is_unaltered(played: Played, call: Call) -> bool:
    """Return whether no fault of the management plane can have changed the answer: then it is the node's own."""
    return not call.meets_faults or not any(isinstance(step.fault, NodeFaultStep) for step in played.story.timeline)


def _commands(played: Played) -> Iterator[tuple[Call, Call]]:
    """Yield each call that began a job, and the last answer to it that is the node's own: status 0 without one."""
    polls = _grouped([one for one in played.calls if one.is_poll and one.ended is not None], lambda one: one.job)
    for call in played.calls:
        if not call.is_poll and call.method != "GET":
            ends = [one for one in polls.get(call.job, ()) if call.job and one.status in (200, 503)]
            known = ends and _is_unaltered(played, call) and _is_unaltered(played, ends[0])
            yield call, ends[0] if known else Call(call.began, "GET", call.path)


def _storage_in(call: Call) -> str | None:
    """Return the uuid of the storage in the path of a call, None if it is about none or more."""
    parts = call.path.partition("?")[0].split("/")
    found = [one for one in parts if len(one) == 32]
    return found[0] if parts[1:2] == ["backup-storage"] and len(found) == 1 else None


def _grouped(items: Sequence[Any], key: Callable[[Any], Any]) -> Mapping[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for one in items:
        groups[key(one)].append(one)
    return groups


def _is_told(body: Any) -> bool:
    return isinstance(body, dict) and body.get("path") in (STATUS_CHANGED, DISCONNECTED)


def _hooked(path: str, content: Mapping[str, Any]) -> str:
    """Return what an event tells, in words."""
    moved = f" {content['oldStatus']} to {content['newStatus']}" if path == STATUS_CHANGED else ""
    return f"{path.rpartition('/')[2]}{moved} of {content['backupStorageUuid']}"
