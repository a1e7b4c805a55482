"""The oracle: what holds in every story, whatever goes wrong in it (docs/life-cycle.md, read as a model).

Each function is one invariant. It looks at all that a run has shown, and yields each way in which that was broken. A
new one is a name in `scenario.format.oracle` and a function here.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

from imagestore_sim.api.long_job_runner import ENDED
from imagestore_sim.backup_storage.events import ADDED, CAPACITY_CHANGED, DELETED, DISCONNECTED, STATUS_CHANGED, Event
from imagestore_sim.backup_storage.global_config import PING_MODE, PING_PARALLELISM
from imagestore_sim.backup_storage.image_events import ADDED as IMAGE_ADDED
from imagestore_sim.backup_storage.records import HOSTS, SFTP_TYPE, Status
from imagestore_sim.explore import shown
from imagestore_sim.explore.cluster_oracle import EXPECTED_OF_NODES, may_leave_jobs, meets_trouble_of_nodes
from imagestore_sim.explore.invariants import INVARIANTS, Found, Violation, holds
from imagestore_sim.explore.runs import Call, Played
from imagestore_sim.faults.base import Layer
from imagestore_sim.images.rows import DOWNLOADING, UPLOAD
from imagestore_sim.probe import PingMode, Purpose
from imagestore_sim.scenario.format.api_steps import LONG_JOBS
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.play.results import ending_of
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
RERUN = "rerunLongJob"
UNDER_WAY = 1.0
"""Seconds, in virtual time, that a message or a result of the store is under way at the most: orders draw them."""
EXPECTED_ERRORS = ("the bits of image",)
"""What the node reports as an error, and a fault of a host explains: somebody has to look at that host."""


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
    sftp = shown.uuids_of_type(played, SFTP_TYPE)
    for event in played.stored_events:
        uuid = event.resource_uuid
        if event.path == DELETED:
            last.pop(uuid, None)
        if event.path != STATUS_CHANGED:
            continue
        old, new = str(event.content["oldStatus"]), str(event.content["newStatus"])
        if last.get(uuid, old) != old:
            yield (
                shown.at(played, event),
                f"{shown.name(played, uuid)} went from {old} to {new}, but it was {last[uuid]}",
            )
        # A connect that a failed ping overtook still connects; ReconnectSftp goes past Connecting.
        is_connect = new == CONNECTED and (event.correlation in connects or uuid in sftp)
        if (old, new) not in EDGES and not is_connect:
            yield shown.at(played, event), f"{shown.name(played, uuid)} went from {old} to {new}"
        last[uuid] = new
        if new == CONNECTING:
            connects.add(event.correlation)


@holds(
    OracleName.PING_NEVER_CONNECTS,
    "A storage is Connected by a connect: its host was asked by something else than a ping since it was Connecting.",
)
def _ping_never_connects(played: Played) -> Found:
    hosts = {uuid: one["hostname"] for uuid, one in shown.storages(played).items() if one.get("hostname")}
    numbers: dict[int, int] = {}  # times would not do: those before the story began have another zero
    for event, told in zip(played.events, played.told, strict=True):
        numbers.setdefault(event.id, told.number)
    for event in shown.of(played, STATUS_CHANGED):
        if event.content["newStatus"] != CONNECTED or event.resource_uuid not in hosts or event.id not in numbers:
            continue
        asked = (turn for turn in played.turns if turn.hostname == hosts[event.resource_uuid])
        ended = [turn for turn in asked if 0 < turn.last < numbers[event.id]]
        if ended and all(turn.purpose == Purpose.PING for turn in ended):
            at = shown.at(played, event)
            yield at, f"{shown.name(played, event.resource_uuid)} is Connected, and only pings have asked its host"


@holds(
    OracleName.CAPACITY_STANDS_STILL,
    "The capacity of a Disconnected storage stays as it is: a connect measures it again, an image has its own.",
)
def _capacity_stands_still(played: Played) -> Found:
    status: dict[str, str] = {}
    of_images = {event.correlation for event in shown.of(played, IMAGE_ADDED)}
    for event in played.stored_events:
        uuid = event.resource_uuid
        if event.path == STATUS_CHANGED:
            status[uuid] = str(event.content["newStatus"])
        elif event.path != CAPACITY_CHANGED or status.get(uuid) != DISCONNECTED_:
            continue
        elif event.correlation not in of_images or _is_measured(event):
            yield (
                shown.at(played, event),
                f"the capacity of {shown.name(played, uuid)} changed while it was Disconnected",
            )


def _is_measured(event: Event) -> bool:
    """Return whether a change of capacity is more than the space of an image.

    A call that adds one may take that a moment after the storage is lost, and gives it back when the image does not
    arrive, whatever the status is, as in ZStack.
    """
    return bool(event.content["totalCapacity"] != event.content["oldTotalCapacity"])


@holds(OracleName.EVENTS_TELL_ALL, "The events, one after the other, lead to what a query answers in the end.")
def _events_tell_all(played: Played) -> Found:
    storages = shown.storages(played)
    told: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in played.stored_events:
        uuid = event.resource_uuid
        told[uuid] |= _fields_in(event)
        if event.path == DELETED:
            told[uuid] = {}
            if uuid in storages and not shown.added_after(played, event):
                yield (
                    shown.at(played, event),
                    f"an event tells that {shown.name(played, uuid)} is gone, but it is there",
                )
    for uuid, fields in told.items():
        for name, value in fields.items():
            if uuid in storages and storages[uuid][name] != value:
                text = f"{name} of {shown.name(played, uuid)} is {storages[uuid][name]}, but the events tell {value}"
                yield played.result.length, text
    for uuid in _untold(played):
        yield played.result.length, f"{shown.name(played, uuid)} is there, and no event tells that it was added"


def _untold(played: Played) -> Iterator[str]:
    """Yield storages with a host that are there though the story did not begin with them, and no add has succeeded."""
    if any(shown.open_jobs(played)):
        return  # an add may be under way
    told = {played.storages.get(one.name) for one in played.story.all_storages()}
    told |= {event.resource_uuid for event in played.stored_events if event.path == ADDED}
    yield from (uuid for uuid, row in shown.storages(played).items() if row["type"] in HOSTS and uuid not in told)


@holds(
    OracleName.EVENTS_ARE_STORED,
    "What was published is stored, once and in order; what is stored was published, unless the node was killed.",
)
def _events_are_stored(played: Played) -> Found:
    stored = [one for one in played.stored_events if shown.is_domain(one)]
    published = [one for one in played.events if shown.is_domain(one)]
    numbers = {one.id for one in stored}
    for event in filter(shown.is_domain, played.events[: played.told_before_log]):
        if event.id not in numbers:
            yield (
                shown.at(played, event),
                f"{event.path} of {shown.name(played, event.resource_uuid)} was told, and is not stored",
            )
    for number, count in Counter(one.id for one in published).items():
        if count > 1:
            event = next(one for one in published if one.id == number)
            yield (
                shown.at(played, event),
                f"{event.path} of {shown.name(played, event.resource_uuid)} was told {count} times",
            )
    if not played.kills:
        for event in stored:
            if event.id not in {one.id for one in published}:
                yield (
                    shown.at(played, event),
                    f"{event.path} of {shown.name(played, event.resource_uuid)} was never told",
                )


@holds(
    OracleName.HOOKS_ARE_EVENTS,
    "Web hooks get ZStack's events of storages, once each and in order, unless the node ended meanwhile.",
)
def _hooks_are_events(played: Played) -> Found:
    if (
        len(played.starts) > played.story.nodes
        or meets_trouble_of_nodes(played)
        or shown.has_faults_of(played, Layer.HOOKS)
        or shown.uses(played, "restart")
    ):
        return
    told = [one for one in played.events if one.path in (STATUS_CHANGED, DISCONNECTED)]
    wanted = Counter(shown.hooked(one.path, one.content) for one in told if shown.at(played, one) > 0)
    posted = Counter(
        shown.hooked(one.body["path"], one.body["content"]) for one in played.posts if shown.is_told(one.body)
    )
    for what in (wanted - posted).keys() if played.posts else ():
        yield played.result.length, f"{what} was not posted to the web hook"
    at_first = Counter(shown.hooked(one.path, one.content) for one in told if shown.at(played, one) == 0)
    for what in posted - wanted - at_first:  # these may have happened before there was a hook, or not
        yield played.result.length, f"{what} was posted to the web hook once more than it happened"
    yield from _overtaken(played, told)


def _overtaken(played: Played, told: Sequence[Event]) -> Found:
    """Yield the posts of events that came before one of the same storage that was told UNDER_WAY earlier, or more."""
    posts = [post for post in played.posts if shown.is_told(post.body)]
    counts = Counter(shown.hooked(post.body["path"], post.body["content"]) for post in posts)
    # There was no hook yet for the first ones.
    left = {
        what: deque(shown.at(played, one) for one in events[-counts[what] :])
        for what, events in shown.grouped(told, lambda one: shown.hooked(one.path, one.content)).items()
    }
    last: dict[str, tuple[float, str]] = {}
    for post in posts:
        what = shown.hooked(post.body["path"], post.body["content"])
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
        if not call.is_poll or call.job is None or not shown.is_unaltered(played, call):
            continue
        if call.status != 202 and not shown.tells_end(played, call):
            continue
        if (known := answers.get(call.job)) is not None and known != (call.status, call.answer):
            yield shown.ended(call), f"job {call.job[:8]} was answered {known[0]}, and then {call.status} or otherwise"
        if call.status != 202:
            answers.setdefault(call.job, (call.status, call.answer))


@holds(
    OracleName.LONG_JOBS_END_ONCE,
    "A long job that has ended stays as it ended, and has its result, until it is run again.",
)
def _long_jobs_end_once(played: Played) -> Found:
    reruns = [(call, answer) for call, answer in shown.commands(played) if RERUN in (call.body or ())]
    ends: dict[str, tuple[Call, tuple[Any, ...]]] = {}
    for call, rows in _told_of_long_jobs(played):
        for row in rows:
            uuid, end = row["uuid"], (row["state"], row.get("jobResult"), row.get("executeTime"))
            before, known = ends.get(uuid, (call, end))
            again = any(
                uuid in one.path and one.number < call.last and not 0 < answer.last < before.number
                for one, answer in reruns
            )
            if known != end and not again and before.last < call.number:
                yield shown.ended(call), f"long job {row['name']} was {known[0]}, and then {end[0]} or otherwise"
            if end[0] in ENDED:
                ends[uuid] = call, end
                if row.get("jobResult") is None:
                    yield shown.ended(call), f"long job {row['name']} is {end[0]}, and has no result"


def _told_of_long_jobs(played: Played) -> Iterator[tuple[Call, Sequence[dict[str, Any]]]]:
    """Yield the queries for long jobs whose answers are the node's own, with their rows."""
    for call in played.calls:
        is_query = call.method == "GET" and call.path.startswith(LONG_JOBS) and call.status == 200
        if is_query and shown.is_unaltered(played, call):
            yield call, [one for one in (call.answer or {}).get("inventories", ()) if "state" in one]


@holds(
    OracleName.ANSWERS_ARE_TRUE,
    "A job that succeeded has done what it says: a reconnect has connected, an add has added, a deletion deleted.",
)
def _answers_are_true(played: Played) -> Found:
    for call, answer in shown.commands(played):
        if answer.status != 200:
            continue
        done = [one for one in played.stored_events if one.correlation == call.job]
        uuid = shown.storage_in(call)
        if "reconnect" in str(call.body) and not any(one.content.get("newStatus") == CONNECTED for one in done):
            yield (
                shown.ended(answer),
                f"{call.method} {call.path}: the reconnect succeeded, and nothing was Connected by it",
            )
        inventory = (answer.answer or {}).get("inventory") or {}
        is_add = call.method == "POST" and call.path.startswith("/backup-storage/") and "hostname" in inventory
        if is_add and not any(one.resource_uuid == inventory["uuid"] for one in shown.of(played, ADDED)):
            yield shown.ended(answer), f"{call.path}: the add of {inventory['name']} succeeded, and no event tells it"
        is_there = uuid in shown.storages(played) and not shown.is_made_again(played, uuid, after=call.began)
        if call.method == "DELETE" and is_there:
            yield shown.ended(answer), f"{shown.name(played, str(uuid))} was deleted, and is there"


@holds(
    OracleName.CHANGES_SURVIVE,
    "What was acknowledged is there in the end, unless something changed it later, or at the same time.",
)
def _changes_survive(played: Played) -> Found:
    for uuid, storage in shown.storages(played).items():
        for name in ("name", "description", "state"):
            possible = list(shown.possible_values(shown.writes(played, uuid, name)))
            if possible and storage.get(name) not in possible:
                text = (
                    f"{name} of {shown.name(played, uuid)} is {storage.get(name)}, but {possible[-1]} was acknowledged"
                )
                yield played.result.length, text
    deleted = {event.resource_uuid for event in shown.of(played, DELETED)}
    for event in shown.of(played, ADDED):
        if event.resource_uuid not in deleted and event.resource_uuid not in shown.storages(played):
            yield played.result.length, f"{event.content.get('name')} was added, never deleted, and is not there"


# Probes


@holds(OracleName.ONE_PROBE_A_HOST, "One probe at a time is made on a host.")
def _one_probe_a_host(played: Played) -> Found:
    for (hostname, _), turns in shown.grouped(played.turns, lambda turn: (turn.hostname, turn.node)).items():
        for before, after in itertools.pairwise(sorted(turns, key=lambda turn: turn.first)):
            if before.last > after.first:
                yield after.began, f"a {after.purpose} asked {hostname} while a {before.purpose} did"


@holds(
    OracleName.PINGS_ARE_BOUNDED,
    "No more pings are under way at once than `ping.parallelismDegree`, the largest of the story so far.",
)
def _pings_are_bounded(played: Played) -> Found:
    pings = [turn for turn in played.turns if turn.purpose == Purpose.PING]
    for in_one_life in shown.grouped(pings, lambda turn: turn.node).values():
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
    there = shown.storages(played)
    numbers = {event.id for event in played.events}
    untold = [event for event in played.stored_events if event.id not in numbers]
    for call in played.calls:
        kind = call.path.partition("?")[0]
        if (
            call.method != "GET"
            or kind not in shown.STORAGES
            or call.status != 200
            or not shown.is_unaltered(played, call)
        ):
            continue
        starts = played.start_numbers if played.story.nodes == 1 else ()  # several nodes lose nothing with one
        life = max((one for one in starts if one < call.number), default=0)
        before = [event for event, told in moments if life < told.number < call.number]
        later = [event for event, told in moments if told.number > call.number]
        soon = sum(told.number > call.number and told.at <= shown.ended(call) + UNDER_WAY for _, told in moments)
        rows = {one["uuid"]: one for one in (call.answer or {}).get("inventories", ()) if "uuid" in one}
        for uuid, row in rows.items():
            for name, value in _told_of(uuid, before).items():
                possible = itertools.chain(_later_values(uuid, name, later, soon), _untold_values(uuid, name, untold))
                if row.get(name, value) != value and row[name] not in possible:
                    text = f"{kind} told {name} {row[name]} of {shown.name(played, uuid)}, after {value} was told"
                    yield shown.ended(call), text
        for event in before:
            uuid = event.resource_uuid
            if event.path == DELETED and uuid in rows and not shown.added_after(played, event):
                yield shown.ended(call), f"{kind} told of {shown.name(played, uuid)}, after its deletion was told"
            is_missing = event.path == ADDED and uuid in there and uuid not in rows
            if is_missing and call.path == shown.STORAGES[0]:
                yield shown.ended(call), f"{kind} told nothing of {shown.name(played, uuid)}, after its add was told"


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


def _untold_values(uuid: str, name: str, untold: Sequence[Event]) -> Iterator[Any]:
    """Yield what a field of a storage became by events that are stored, and that a kill kept from being told."""
    return (fields[name] for one in untold if one.resource_uuid == uuid and name in (fields := _fields_in(one)))


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
    whole = [one["uuid"] for one in shown.inventories(played, "/backup-storage")]
    pages = [path for path in played.answers if path.startswith("/backup-storage?") and "start=" in path]
    paged = [one["uuid"] for path in pages for one in shown.inventories(played, path)]
    if pages and sorted(whole) != sorted(paged):
        yield (
            played.result.length,
            f"{len(whole)} storages are there, and {len(set(paged))} of {len(paged)} on its pages",
        )


@holds(OracleName.ONE_STORAGE_A_HOST, "A host holds one storage.")
def _one_storage_a_host(played: Played) -> Found:
    hosts = Counter(one["hostname"] for one in shown.storages(played).values() if one.get("hostname"))
    for hostname, count in hosts.items():
        if count > 1:
            yield played.result.length, f"{hostname} has {count} storages"


@holds(
    OracleName.IMAGES_HAVE_BITS,
    "A copy of an image that is Ready has its file on the host, whole; what a disk was replaced with has none.",
)
def _images_have_bits(played: Played) -> Found:
    if shown.uses(played, "unmounted", "replaced_disk", "path_gone", "path_is_file", "registry_lost"):
        return
    storages = shown.storages(played)
    for image in shown.inventories(played, "/images"):
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
        if not any(one in line for one in (*EXPECTED_ERRORS, *EXPECTED_OF_NODES)):
            yield played.result.length, line


@holds(OracleName.PROGRAM_ENDS_WELL, "The program of a user that a story runs ends with status 0.")
def _program_ends_well(played: Played) -> Found:
    if played.exit_status:
        lines = played.output.splitlines()
        last = lines[-1] if lines else "it wrote nothing"
        yield played.result.length, f"{ending_of(played.exit_status)}: {last}"


# Liveness: once all is healed, and two intervals of the pings and AFTER_HEALING have passed


@holds(OracleName.ALL_CONNECTED, "Everything is Connected.")
def _all_connected(played: Played) -> Found:
    if shown.is_quiet(played):
        for uuid, storage in shown.storages(played).items():
            if storage["status"] != CONNECTED:
                yield played.result.length, f"{shown.name(played, uuid)} is {storage['status']}, and its host is well"


@holds(
    OracleName.CAPACITY_IS_MEASURED,
    "The capacity of a storage is what the disk of its host says, where pings ask for it.",
)
def _capacity_is_measured(played: Played) -> Found:
    modes = {str(one) for one in shown.values_of(played, PING_MODE.name, PING_MODE.default)}
    if not shown.is_quiet(played) or modes != {PingMode.CAPACITY}:
        return
    for uuid, storage in shown.storages(played).items():
        disk = played.disks.get(str(storage.get("hostname")))
        told = (storage["totalCapacity"], storage["availableCapacity"])
        if disk is not None and storage["status"] == CONNECTED and told != (disk.total, disk.available):
            known, real = (f"{size_text(a)} of {size_text(t)}" for t, a in (told, (disk.total, disk.available)))
            yield played.result.length, f"{shown.name(played, uuid)} has {known} available, and its disk {real}"


@holds(
    OracleName.NO_JOB_IS_OPEN,
    "Every job and long job has ended, but for those that a fault holds for ever or that wait for an upload;"
    " no image is Downloading, unless it waits for one.",
)
def _no_job_is_open(played: Played) -> Found:
    if not shown.is_quiet(played):
        return
    for one in shown.inventories(played, LONG_JOBS):
        if one["state"] not in ENDED and UPLOAD not in one["jobData"]:
            yield played.result.length, f"the long job {one['name']} is {one['state']}"
    for image in shown.inventories(played, "/images"):
        if image["status"] == DOWNLOADING and not image["url"].startswith(UPLOAD):
            yield played.result.length, f"the image {image['name']} is {DOWNLOADING}"
    if not shown.has_faults_of(played, Layer.JOB) and not may_leave_jobs(played):
        for job in shown.open_jobs(played):
            yield played.result.length, f"the job of {job.api} has not ended"


@holds(OracleName.ONE_CONNECTION_A_HOST, "A node keeps one connection to a host at the most.")
def _one_connection_a_host(played: Played) -> Found:
    if shown.is_quiet(played):
        for hostname, count in played.connections.items():
            if count > played.story.nodes:
                yield played.result.length, f"{count} connections to {hostname} are open"


@holds(OracleName.NOTHING_IS_LEFT, "Once the node has stopped, no task of it runs and no file of it is open.")
def _nothing_is_left(played: Played) -> Found:
    for what, count in played.left.grown(type(played.left)()).items():
        yield played.result.length, f"{count} {what} left over"
