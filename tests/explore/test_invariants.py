"""The oracle: what each invariant says of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from imagestore_sim.backup_storage.events import (
    ADDED,
    CAPACITY_CHANGED,
    DELETED,
    DISCONNECTED,
    STATUS_CHANGED,
    Event,
)
from imagestore_sim.backup_storage.image_events import ADDED as IMAGE_ADDED
from imagestore_sim.cluster import LIFECYCLE
from imagestore_sim.explore.invariants import INVARIANTS, STATEMENTS
from imagestore_sim.explore.oracle import judge
from imagestore_sim.explore.runs import Call, Census, Disk, Job, Played, Post, Span, Told, Turn
from imagestore_sim.explore.story import read
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.play.results import Result, StepResult, Verdict

GOLD = "a" * 32
PAGE = Path(__file__).parent.parent.parent / "docs" / "explore.md"
STORAGE = {
    "uuid": GOLD,
    "name": "gold",
    "hostname": "imagestore-1",
    "status": "Connected",
    "state": "Enabled",
    "type": "ImageStoreBackupStorage",
    "totalCapacity": 100,
    "availableCapacity": 60,
}


def run(*events: Event, **shown: object) -> Played:
    """Return a run of a story in which nothing happens, with these events and whatever else it has shown."""
    story = read({"title": "nothing", "hosts": {"imagestore-1": {}}, "timeline": [{"wait": "3m"}], "oracle": "all"})
    result = Result("", "nothing", length=180.0)
    result.steps = [StepResult(1, "wait", "wait 3m", False, Verdict.HELD, 0.0, 180.0)]
    played = Played(story, result, events=list(events), stored_events=list(events))
    played.told = [Told(float(one.id), one.id) for one in events]
    played.told_before_log = len(events)
    played.answers = {"/backup-storage/image-store": {"inventories": [STORAGE]}}
    played.storages = {"imagestore-1": GOLD}
    played.disks = {"imagestore-1": Disk(100, 60, {})}
    for name, value in shown.items():
        setattr(played, name, value)
    return played


def moved(number: int, old: str, new: str, correlation: str = "job") -> Event:
    return event(number, STATUS_CHANGED, {"oldStatus": old, "newStatus": new}, correlation)


def event(number: int, path: str, content: Mapping[str, object], correlation: str = "job") -> Event:
    return Event(number, float(number), path, GOLD, {"backupStorageUuid": GOLD, **content}, correlation)


def changed_capacity(available: int) -> dict[str, int]:
    return {"oldTotalCapacity": 100, "oldAvailableCapacity": 60, "totalCapacity": 100, "availableCapacity": available}


def told_long_job(number: int, state: str, result: str | None = "{}") -> Call:
    """Return a query that told of a long job."""
    row = {"uuid": GOLD, "name": "download", "state": state, "jobResult": result}
    call = Call(float(number), "GET", "/longjobs", ended=float(number), status=200, answer={"inventories": [row]})
    call.number = call.last = number
    return call


def answered(
    body: Mapping[str, object], status: int = 200, path: str = f"/backup-storage/{GOLD}/actions"
) -> list[Call]:
    """Return a call that began a job, and the poll that got its answer."""
    return [
        Call(1.0, "PUT", path, body, 1.1, 202, {"location": "http://lab/zstack/v1/api-jobs/job"}, "job"),
        Call(2.0, "GET", "/api-jobs/job", None, 2.1, status, {}, "job"),
    ]


def read_back(number: int, row: Mapping[str, object] = STORAGE) -> Call:
    """Return a query that began as the thing with that number, and its answer."""
    return Call(2.0, "GET", "/backup-storage", None, 2.1, 200, {"inventories": [row]}, number=number)


def cluster(*events: Event, mode: str = "quick", **shown: object) -> Played:
    """Return a run of two nodes, in which nothing happens but this."""
    played = run(*events, lives=["node-1", "node-2"], running=["node-1", "node-2"], **shown)
    several = {"nodes": 2, "node": {"cluster_mode": mode}}
    played.story = read({"title": "nothing", "hosts": {"imagestore-1": {}}, "timeline": [{"wait": "3m"}], **several})
    return played


def asked(node: int, epoch: int, began: float, last: int = 0, purpose: str = "ping") -> Turn:
    """Return a probe of imagestore-1 by a node that knows an epoch; without `last`, it is over at once."""
    first = int(began * 10)
    return Turn("imagestore-1", purpose, began, began, node=node, epoch=epoch, first=first, last=last or first + 1)


CONNECTED = moved(1, "Connecting", "Connected")
LOST = moved(2, "Connected", "Disconnected", "ping")
CAPACITY = event(3, CAPACITY_CHANGED, changed_capacity(50))
BROKEN: Mapping[OracleName, Played] = {
    OracleName.STATUS_MOVES: run(CONNECTED, LOST, moved(3, "Disconnected", "Connected", "ping")),
    OracleName.PING_NEVER_CONNECTS: run(
        moved(3, "Connecting", "Connected"), turns=[Turn("imagestore-1", "ping", 0.0, 1.0, first=1, last=2)]
    ),
    OracleName.CAPACITY_STANDS_STILL: run(CONNECTED, LOST, CAPACITY),
    OracleName.EVENTS_TELL_ALL: run(CONNECTED, LOST),
    OracleName.EVENTS_ARE_STORED: run(CONNECTED, events=[CONNECTED, CONNECTED]),
    OracleName.JOBS_END_ONCE: run(calls=[*answered({}), *answered({}, 503)[1:]]),
    OracleName.LONG_JOBS_END_ONCE: run(calls=[told_long_job(1, "Canceled"), told_long_job(2, "Succeeded")]),
    OracleName.ANSWERS_ARE_TRUE: run(calls=answered({"reconnectBackupStorage": {}})),
    OracleName.CHANGES_SURVIVE: run(calls=answered({"updateBackupStorage": {"name": "silver"}})),
    OracleName.ONE_PROBE_A_HOST: run(
        turns=[
            Turn("imagestore-1", "ping", 0.0, 0.0, first=1, last=3),
            Turn("imagestore-1", "command", 0.0, 0.0, first=2, last=4),
        ]
    ),
    OracleName.PINGS_ARE_BOUNDED: run(turns=[Turn(f"imagestore-{n}", "ping", 0.0, first=n + 1) for n in range(51)]),
    OracleName.ONE_NODE_A_STORAGE: cluster(turns=[asked(1, 5, 1.0, last=30), asked(2, 5, 2.0)]),
    OracleName.OWNERS_WRITE: cluster(CONNECTED, LOST, told=[Told(1.0, 1, 2, 7), Told(2.0, 2, 1, 5)]),
    OracleName.EVENTS_IN_ORDER: run(events=[LOST, CONNECTED], told=[Told(1.0, 1), Told(2.0, 2)]),
    OracleName.WRITES_ARE_READ: run(
        calls=[
            *answered({"updateBackupStorage": {"name": "silver"}}),
            read_back(1),
        ]
    ),
    OracleName.READS_ARE_CURRENT: run(
        CONNECTED,
        LOST,
        told=[Told(1.0, 1), Told(2.0, 3)],
        calls=[read_back(2), read_back(4)],
    ),
    OracleName.ONE_STORAGE_A_HOST: run(
        answers={"/backup-storage/image-store": {"inventories": [STORAGE, {**STORAGE, "uuid": "b" * 32}]}}
    ),
    OracleName.PAGES_ARE_WHOLE: run(
        answers={
            "/backup-storage": {"inventories": [STORAGE]},
            "/backup-storage?start=0&limit=2": {"inventories": [STORAGE, STORAGE]},
        }
    ),
    OracleName.IMAGES_HAVE_BITS: run(
        answers={
            "/backup-storage/image-store": {"inventories": [STORAGE]},
            "/images": {
                "inventories": [
                    {
                        "name": "debian",
                        "status": "Ready",
                        "actualSize": 7,
                        "backupStorageRefs": [{"backupStorageUuid": GOLD, "status": "Ready"}],
                    }
                ]
            },
        }
    ),
    OracleName.NO_ERRORS: run(errors=["asyncio: Task exception was never retrieved"]),
    OracleName.ALL_CONNECTED: run(
        answers={"/backup-storage/image-store": {"inventories": [{**STORAGE, "status": "Disconnected"}]}}
    ),
    OracleName.CAPACITY_IS_MEASURED: run(disks={"imagestore-1": Disk(100, 10, {})}),
    OracleName.NO_JOB_IS_OPEN: run(jobs=[Job("job", "APIReconnectBackupStorageMsg", "Processing")]),
    OracleName.ONE_CONNECTION_A_HOST: run(connections={"imagestore-1": 2}),
    OracleName.NODES_AGREE: cluster(
        turns=[asked(1, 5, 1.0)], answers={"/management-nodes": {"inventories": [{"uuid": "a" * 32}]}}
    ),
    OracleName.NOTHING_IS_LEFT: run(left=Census(files=2)),
}


TRIED_ELSEWHERE = (OracleName.HOOKS_ARE_EVENTS, OracleName.PROGRAM_ENDS_WELL)
"""Invariants that the mutants, and the tests of clients, break."""


def test_a_run_in_which_all_is_well_breaks_nothing() -> None:
    assert judge(run(CONNECTED)) == []


def test_a_storage_is_there_from_the_beginning_or_by_an_add() -> None:
    [broken] = judge(run(CONNECTED, storages={}), [OracleName.EVENTS_TELL_ALL])
    assert broken.text == "gold is there, and no event tells that it was added"
    added = event(2, ADDED, {"name": "gold"})
    assert judge(run(CONNECTED, added, storages={}), [OracleName.EVENTS_TELL_ALL]) == []
    under_way = [Job("job", "APIAddImageStoreBackupStorageMsg", "Processing")]
    assert judge(run(CONNECTED, storages={}, jobs=under_way), [OracleName.EVENTS_TELL_ALL]) == []


@pytest.mark.parametrize("name", BROKEN)
def test_an_invariant_tells_how_it_was_broken(name: OracleName) -> None:
    broken = judge(BROKEN[name], [name])
    assert broken, name
    assert all(one.invariant == name and one.text for one in broken)


def test_every_invariant_is_declared_tried_and_explained() -> None:
    assert set(INVARIANTS) == set(OracleName) == {*BROKEN, *TRIED_ELSEWHERE}
    page = PAGE.read_text("utf-8")
    assert [name for name in OracleName if f"| `{name}` | {STATEMENTS[name]} |" not in page] == []


def test_a_connect_that_a_failed_ping_overtook_may_still_connect() -> None:
    events = [
        CONNECTED,
        moved(2, "Connected", "Connecting", "reconnect"),
        moved(3, "Connecting", "Disconnected", "ping"),
    ]
    assert judge(run(*events, moved(4, "Disconnected", "Connected", "reconnect")), [OracleName.STATUS_MOVES]) == []


def test_an_image_takes_and_gives_back_its_space_though_the_storage_is_disconnected() -> None:
    """An add that was accepted before may wait for its host behind the ping that fails."""
    began = Event(1, 1.0, IMAGE_ADDED, "b" * 32, {}, "image")
    sizes = [changed_capacity(size) for size in (70, 50)]
    measured = {**sizes[0], "totalCapacity": 200}
    for content, correlation, count in (
        (sizes[0], "image", 0),
        (sizes[1], "image", 0),
        (sizes[1], "ping", 1),
        (measured, "image", 1),
    ):
        played = run(CONNECTED, began, LOST, event(4, CAPACITY_CHANGED, content, correlation))
        assert len(judge(played, [OracleName.CAPACITY_STANDS_STILL])) == count


def test_a_storage_that_was_added_and_deleted_is_not_missed() -> None:
    gone = run(event(1, ADDED, {"name": "gold"}), event(2, DELETED, {}), answers={})
    assert judge(gone, [OracleName.CHANGES_SURVIVE, OracleName.EVENTS_TELL_ALL]) == []
    lost = run(event(1, ADDED, {"name": "gold"}), answers={})
    assert [one.text for one in judge(lost, [OracleName.CHANGES_SURVIVE])] == [
        "gold was added, never deleted, and is not there"
    ]


def test_liveness_is_judged_only_after_two_intervals_of_quiet() -> None:
    played = BROKEN[OracleName.ALL_CONNECTED]
    played.result.length = 100.0
    assert judge(played, [OracleName.ALL_CONNECTED]) == []
    played.result.length = 180.0


def test_of_two_writes_at_one_time_either_may_be_the_last() -> None:
    def write(began: float, name: str, job: str) -> list[Call]:
        path = f"/backup-storage/{GOLD}/actions"
        body = {"updateBackupStorage": {"name": name}}
        return [
            Call(began, "PUT", path, body, began + 0.1, 202, {}, job),
            Call(9.0, "GET", f"/api-jobs/{job}", None, 9.1, 200, {}, job),
        ]

    both = run(calls=[*write(1.0, "gold", "one"), *write(1.5, "silver", "two")])
    assert judge(both, [OracleName.CHANGES_SURVIVE]) == []


def test_events_that_are_told_after_the_log_was_read_may_be_missing_there() -> None:
    def found(told_before_log: int) -> list[str]:
        both = run(CONNECTED, events=[CONNECTED, LOST], told_before_log=told_before_log)
        return [one.text for one in judge(both, [OracleName.EVENTS_ARE_STORED])]

    assert found(1) == []
    assert found(2) == [f"{STATUS_CHANGED} of gold was told, and is not stored"]


def test_a_query_may_see_what_is_told_a_little_later() -> None:
    told = [Told(1.0, 1), Told(2.0, 3)]
    lost = {**STORAGE, "status": "Disconnected"}
    early = run(CONNECTED, LOST, told=told, calls=[read_back(2, lost), read_back(2)])
    assert judge(early, [OracleName.READS_ARE_CURRENT]) == []
    [stale] = judge(run(CONNECTED, LOST, told=told, calls=[read_back(4)]), [OracleName.READS_ARE_CURRENT])
    assert stale.text == "/backup-storage told status Connected of gold, after Disconnected was told"


def test_a_query_lists_what_was_added_and_not_what_was_deleted() -> None:
    gone = run(event(1, DELETED, {}), told=[Told(1.0, 1)], calls=[read_back(2)], answers={})
    assert [one.text for one in judge(gone, [OracleName.READS_ARE_CURRENT])] == [
        f"/backup-storage told of {GOLD[:8]}, after its deletion was told"
    ]
    missing = run(event(1, ADDED, {"name": "gold"}), told=[Told(1.0, 1)], calls=[read_back(2, {"uuid": "b" * 32})])
    assert [one.text for one in judge(missing, [OracleName.READS_ARE_CURRENT])] == [
        "/backup-storage told nothing of gold, after its add was told"
    ]


def test_posts_come_in_the_order_in_which_things_happened() -> None:
    lost = event(1, DISCONNECTED, {})
    back = moved(9, "Disconnected", "Connecting")
    posts = [Post(at, "/", {}, {"path": one.path, "content": one.content}) for at, one in ((10.0, back), (10.1, lost))]
    log = [{"kind": "event", "id": one.id, "at": float(one.id)} for one in (lost, back)]
    played = run(lost, back, posts=posts)
    played.result.log = log
    [broken] = judge(played, [OracleName.HOOKS_ARE_EVENTS])
    assert "was posted to the web hook after change Disconnected to Connecting" in broken.text
    played.posts.reverse()
    assert judge(played, [OracleName.HOOKS_ARE_EVENTS]) == []


def test_more_pings_at_once_are_allowed_once_a_step_has_said_so() -> None:
    pings = [Turn(f"imagestore-{n}", "ping", 9.0, first=n + 1) for n in range(2)]
    content = {"title": "few", "hosts": {"imagestore-1": {}}, "settings": {"ping.parallelismDegree": 1}}
    timeline = [{"at": "5s", "settings": {"ping.parallelismDegree": 2}}]
    for began, count in ((5.0, 0), (20.0, 1)):
        played = run(turns=pings)
        played.story = read({**content, "timeline": timeline})
        played.result.steps = [StepResult(1, "settings", "", False, Verdict.HELD, began, began)]
        assert len(judge(played, [OracleName.PINGS_ARE_BOUNDED])) == count


def trespasses(mode: str, *turns: Turn, **shown: object) -> list[str]:
    found = judge(cluster(turns=list(turns), mode=mode, **shown), [OracleName.ONE_NODE_A_STORAGE])
    return [one.text for one in found]


def test_a_past_owner_asks_a_host_never_in_mode_quick_and_for_a_while_in_mode_faithful() -> None:
    late = [asked(1, 5, 1.0), asked(2, 7, 10.0), asked(1, 5, 25.0)]
    assert trespasses("quick", *late) == ["node-1 asked imagestore-1 for a ping 15 s after node-2 had taken it over"]
    assert trespasses("faithful", *late) == []
    assert len(trespasses("faithful", *late, asked(1, 5, 31.0))) == 1
    paused = [Span("node-1", 5.0, 20.0)]
    assert trespasses("faithful", *late, asked(1, 5, 31.0), pauses=paused) == []
    assert trespasses("quick", asked(1, 5, 1.0), asked(2, 7, 10.0), asked(1, 9, 25.0)) == []


def test_images_may_come_from_another_node_than_the_owner() -> None:
    assert trespasses("quick", asked(1, 5, 1.0, last=300), asked(2, 5, 2.0, purpose="command")) == []


def test_a_job_of_a_node_that_has_left_may_stay_open_in_mode_faithful() -> None:
    left = Event(1, 1.0, LIFECYCLE, "n" * 32, {"lifeCycle": "NodeLeft"}, None)
    jobs = [Job("job", "APIReconnectBackupStorageMsg", "Processing")]
    assert judge(cluster(left, mode="faithful", jobs=jobs), [OracleName.NO_JOB_IS_OPEN]) == []
    assert len(judge(cluster(left, jobs=jobs), [OracleName.NO_JOB_IS_OPEN])) == 1


def test_a_long_job_that_is_run_again_may_end_otherwise() -> None:
    calls = [told_long_job(1, "Failed"), told_long_job(4, "Running"), told_long_job(5, "Succeeded")]
    again, poll = answered({"rerunLongJob": {}})
    again.path, again.number, poll.last = f"/longjobs/{GOLD}/actions", 2, 3
    assert judge(run(calls=[again, poll, *calls]), [OracleName.LONG_JOBS_END_ONCE]) == []
    assert len(judge(run(calls=calls), [OracleName.LONG_JOBS_END_ONCE])) == 2
    [lost] = judge(run(calls=[told_long_job(1, "Failed", None)]), [OracleName.LONG_JOBS_END_ONCE])
    assert lost.text == "long job download is Failed, and has no result"


def test_neither_a_long_job_nor_an_image_is_under_way_in_the_end_but_for_uploads() -> None:
    url, to_send = "http://images/debian", "upload://debian"
    jobs = [{"name": one, "state": "Canceling", "jobData": f'{{"url": "{one}"}}'} for one in (url, to_send)]
    images = [{"name": one, "status": "Downloading", "url": one} for one in (url, to_send)]
    answers = {"/longjobs": {"inventories": jobs}, "/images": {"inventories": images}}
    found = [one.text for one in judge(run(answers=answers), [OracleName.NO_JOB_IS_OPEN])]
    assert found == [f"the long job {url} is Canceling", f"the image {url} is Downloading"]


def test_a_query_that_began_before_a_change_was_acknowledged_may_miss_it() -> None:
    change = answered({"updateBackupStorage": {"name": "silver"}})
    change[1].last = 2
    assert judge(run(calls=[*change, read_back(1)]), [OracleName.WRITES_ARE_READ]) == []
    assert len(judge(run(calls=[*change, read_back(3)]), [OracleName.WRITES_ARE_READ])) == 1
