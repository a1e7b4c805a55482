"""An expectation that cannot be true, or cannot be false, is refused with its place, for every subject."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.scenario.format.reader import ScenarioError, parse_scenario, read_scenario
from rows import rows

LIBRARY = Path(__file__).parents[3] / "scenarios"
STORY = """\
title: a story
hosts: {imagestore-1: {size: 1 TiB, used: 40%}}
storages: [{name: gold, hostname: imagestore-1}]
timeline:
  - {at: 1m, expect: {storage: gold, status: Connected}}
ends: 10m
"""
STATUSES = "expected Connecting, Connected, Disconnected"


def step(text: str) -> str:
    return STORY.replace("expect: {storage: gold, status: Connected}", text)


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "s.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@rows(
    ("condition", "place", "complaint"),
    [
        # words
        ("storage: gold, status: Disconected", "status", f"Disconected is not known here; {STATUSES} (did you mean"),
        ("storage: gold, status: '!= Disconected'", "status", f"Disconected is not known here; {STATUSES}"),
        ("storage: gold, status: connected", "status", STATUSES),
        ("storage: gold, status: null", "status", "expected a value, but got null"),
        ("storage: gold, status: 'null'", "status", STATUSES),
        ("event: added, count: null", "count", "expected a value, but got null"),
        ("storage: gold, status: [Connected, Conecting]", "status", "Conecting is not known here"),
        ("storage: gold, status: [Connected, Connecting, Disconnected]", "status", "this is always true"),
        ("storage: gold, status: [Connected, '!= Connected']", "status", "this is always true"),
        ("storage: gold, state: enabled", "state", "expected Enabled, Disabled"),
        ("storage: gold, type: ImageStore", "type", "expected ImageStoreBackupStorage, SftpBackupStorage"),
        ("event: disconnected, reason: refussed", "reason", "refussed is not known here; expected refused, dns"),
        ("event: status_changed, newStatus: Gone", "newStatus", STATUSES),
        ("event: status_changed, oldStatus: '!= Gone'", "oldStatus", STATUSES),
        ("query: '/images?q=status=Redy', count: 1", "query", "expected Downloading, Ready, Deleted"),
        # what an event does not have
        ("event: added, image: '*'", "image", "no image matches"),
        ("event: added, reason: refused", "reason", "an event added has no reason"),
        ("event: disconnected, newStatus: Disconnected", "newStatus", "an event disconnected has no newStatus"),
        ("event: status_changed, reason: refused", "reason", "expected storage, count, oldStatus, newStatus"),
        ("event: status_changed, oldStatus: Connected, newStatus: Connected", "newStatus", "leads to another one"),
        # numbers
        ("event: added, count: '>= 0'", "count", "this is always true"),
        ("event: added, count: '< 0'", "count", "this can never be true"),
        ("event: added, count: ['> 3', '<= 3']", "count", "this is always true"),
        ("storage: gold, sshPort: 70000", "sshPort", "this can never be true"),
        ("storage: gold, sshPort: '< 70000'", "sshPort", "this is always true"),
        ("storage: gold, availableCapacity: '< 0'", "availableCapacity", "this can never be true"),
        ("storage: gold, totalCapacity: 9000000 TiB", "totalCapacity", "expected a size such as 1 TiB"),
        ("event: added, count: 5%", "count", "expected a whole number, or a comparison such as '>= 2', but got '5%'"),
        ("event: added, count: '> 5 and < 3'", "count", "expected a whole number"),
        # names
        ("storage: gold, hostname: imagestore-2", "hostname", "no record and no call of this scenario gives"),
        ("storage: gold, name: '!= glod'", "name", "this is always true: no record and no call"),
        ("storage: gold, url: /elsewhere", "url", "no record and no call"),
        ("storage: gold, exists: false, status: Connected", "exists", "a storage that is not there has no status"),
        # metrics
        ("metric: imagestore_sim_prob_failures_total, value: 0", "metric", "(did you mean imagestore_sim_probe_fail"),
        (
            "metric: imagestore_sim_probe_failures_total, value: 0, labels: {reson: hung}",
            "labels",
            "reson is not known",
        ),
        ("metric: imagestore_sim_probe_failures_total, value: 0, labels: {reason: hangs}", "labels.reason", "hangs is"),
        ("metric: imagestore_sim_backup_storages, value: 1, labels: {status: Up}", "labels.status", "Up is not known"),
        ("metric: imagestore_sim_tracker_lag_seconds_count, value: 1, labels: {a: b}", "labels", "has no labels"),
        ("metric: imagestore_sim_probes_total, value: '>= 0'", "value", "this is always true"),
        # queries
        ("query: /backup-storag, count: 0", "query", "no API has the path /backup-storag (did you mean /backup-stor"),
        ("query: /backup-storage, count: '>= 0'", "count", "this is always true"),
        ("query: '/backup-storage?q=status=Disconected', count: 0", "query", "status: Disconected is not known here"),
        ("query: '/backup-storage?q=status!=Up', count: 1", "query", "status: Up is not known here"),
        ("query: '/backup-storage?q=status?=Connected,Up', count: 1", "query", "status: Up is not known here"),
        ("query: '/zones?q=state=On', count: 0", "query", "state: On is not known here"),
        ("query: /backup-storage, each: {status: Disconected}", "each.status", STATUSES),
        ("query: /backup-storage, each: {satus: Connected}", "each.satus", "satus is not known here"),
        ("query: /backup-storage, each: {name: '> 3'}", "each.name", "name is a text"),
        ("query: /backup-storage, each: {sshPort: '>= 0'}", "each.sshPort", "this is always true"),
    ],
)
def test_what_cannot_be_both_is_refused_in_every_kind_of_expectation(
    condition: str, place: str, complaint: str
) -> None:
    for kind, more in (("expect", ""), ("eventually", ", within: 1m"), ("stays", ", for: 1m"), ("never", "")):
        text = refusal(step(f"{kind}: {{{condition}{more}}}"))
        assert text.startswith("s.yaml, line 5, column ")
        assert f"timeline.1.{kind}.{place}: " in text
        assert complaint in text
    for kind in ("always", "never"):
        text = refusal(f"{STORY}invariants:\n  - {kind}: {{{condition}}}\n")
        assert text.startswith("s.yaml, line 8, column ")
        assert complaint in text


@rows(
    ("text", "complaint"),
    [
        (step("eventually: {storage: gold, status: Connected, within: 0s}"), "eventually.within: expected a time above 0"),
        (step("stays: {storage: gold, status: Connected, for: 0}"), "stays.for: expected a time above 0"),
        (step("never: {storage: gold, status: Connected, during: 0s}"), "never.during: expected a time above 0"),
        (step("stays: {storage: gold, status: Connected, for: 10m}"), "stays.for: the scenario ends at 10m"),
        (step("never: {storage: gold, status: Connected, during: 9m1s}"), "expected no more than 9m"),
        (step("eventually: {storage: gold, status: Connected, within: 1s}").replace("1m,", "10m,"), "within: the scenario"),
        (step("never: {storage: gold, status: Connected}").replace("ends: 10m\n", ""), "this covers no time"),
        (step("never: {storage: gold, status: Connected}").replace("ends: 10m", "ends: 1m"), "this covers no time"),
        (
            STORY.replace("at: 1m, ", "").replace("ends: 10m", "invariants: [{always: {storage: gold, status: Connected}}]"),
            "invariants: these cover no time",
        ),
        (STORY.replace("ends: 10m", "ends: 0s").replace("at: 1m", "at: 0s") + "invariants: [{unchanged: {while: Connected}}]",
         "invariants: these cover no time"),
        (STORY + "invariants: [{unchanged: {while: Nonsense}}]", "unchanged.while: Nonsense is not known here"),
        (STORY + "invariants: [{always: {event: added}}]", "has to be true at once, and there has been no such event"),
        (STORY + "invariants: [{always: {event: added, count: '> 1'}}]", "always.count: this can never be true"),
        (STORY + "invariants: [{never: {event: added, count: 0}}]", "never.count: this can never be true: before the first"),
        (step("stays: {event: added, for: 1m}"), "what stays has to be true at once"),
        (step("eventually: {event: added, count: 0, within: 1m}"), "eventually.count: this is always true"),
        (step("call: {method: POST, path: /zone, body: {}}"), "call.path: no API has the path /zone (did you mean /zones?)"),
        (step("call: {method: PUT, path: /backup-storage/$gold/actions, body: {reconectBackupStorage: {}}}"),
         "expected one of "),
        (step("call: {method: POST, path: /zones, body: {}, error: SYS.10O2}"), "call.error: SYS.10O2 is not known here"),
        (STORY.replace("used: 40%", "used: 2 TiB"), "hosts.imagestore-1.used: expected no more than the disk's 1 TiB"),
        (STORY.replace("used: 40%", "reserved: 2 TiB"), "hosts.imagestore-1.reserved: expected no more"),
    ],
)  # fmt: skip
def test_what_says_nothing_together_is_refused(text: str, complaint: str) -> None:
    said = refusal(text)
    assert complaint in said
    assert said.startswith("s.yaml, line ")


@rows(
    "text",
    [
        step("expect: {storage: gold, status: ['!= Connecting']}"),
        step("expect: {storage: gold, availableCapacity: '<= totalCapacity'}"),
        step("never: {storage: gold, availableCapacity: '> 99%'}"),
        step("expect: {storage: gold, description: 'null'}"),
        step("expect: {event: disconnected, count: 0}"),
        step("never: {event: disconnected}"),
        step("stays: {storage: gold, status: Connected, for: 9m}"),
        step("eventually: {storage: gold, status: Connected, within: 20m}"),
        step("expect: {query: '/backup-storage?q=zone.name=south', count: 1, each: {status: '!= Connected'}}"),
        step("call: {method: GET, path: /nowhere, says: no api}"),
        STORY.replace("at: 1m, expect", "at: 1m, note: x}\n  - {call: {method: PUT, path: /backup-storage/image-store/$gold"
                      "/actions, body: {updateImageStoreBackupStorage: {hostname: h-2}}}}\n  - {expect")
             .replace("status: Connected}", "hostname: h-2}"),
    ],
)  # fmt: skip
def test_what_can_be_both_is_taken(text: str) -> None:
    parse_scenario(text)


def test_the_library_can_be_true_and_false() -> None:
    for file in sorted(LIBRARY.glob("*.yaml")):
        read_scenario(file)


@rows(
    ("condition", "complaint"),
    [
        ("image: debian, status: Connected", "Connected is not known here; expected Downloading, Ready, Deleted"),
        ("image: debian, state: ready", "expected Enabled, Disabled"),
        ("image: debian, exists: false, status: Ready", "an image that is not there has no status"),
        ("image: debian, copies: '>= 0'", "this is always true"),
        ("image: debian, onDisk: 10%", "10% is a share, and onDisk is a number"),
        ("image: debian, availableCapacity: 1", "availableCapacity is not a key for a image"),
        ("image: debian, storage: gold", "expected one of these keys for the image: storage, exists, status"),
        ("image: ubuntu, status: Ready", "ubuntu is not known here; expected debian"),
        (
            "event: image_added, newStatus: Ready",
            "an event image_added has no newStatus; expected image, storage, count",
        ),
        ("event: image_status_changed, newStatus: Connected", "expected Downloading, Ready, Deleted"),
        ("event: status_changed, image: debian", "an event status_changed has no image"),
    ],
)
def test_an_expectation_of_images_that_checks_nothing_is_refused(condition: str, complaint: str) -> None:
    add = "add_image: {image: debian, storage: gold}"
    text = step(f"{add}}}\n  - {{at: 2m, eventually: {{{condition}, within: 10s}}")
    assert complaint in refusal(text)


@rows(
    ("content", "complaint"),
    [
        ("add_image: {image: gold}", "add_image: gold is the name of something else already"),
        ("add_image: {image: debian, long_job: gold}", "long_job: gold is the name of something else already"),
        ("add_image: {image: debian, long_job: a b}", "long_job: expected a name that `$NAME` can refer to"),
        ("query: /longjobs/$download", "query: $download: download is not known here; expected gold, zone-1"),
        ("expect: {query: /longjobs/$download, count: 1}", "expect.query: $download: download is not known here"),
        ("add_image: {image: debian, storage: silver}", "add_image.storage: silver is not known here; expected gold"),
        ("add_image: {image: debian, account: tenant}", "tenant is not known here; expected admin"),
        ("add_image: {image: debian, error: SYS.9999}", "SYS.9999 is not known here"),
        ("delete_image: {image: debian}", "debian is not known here; there are none"),
        ("sync_image: {image: debian, from: gold, to: gold, as: copy}", "image: debian is not known here"),
        ("reclaim: {storage: silver}", "silver is not known here; expected gold"),
    ],
)
def test_a_step_on_images_names_what_there_is(content: str, complaint: str) -> None:
    assert complaint in refusal(step(content))
