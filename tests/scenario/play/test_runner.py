"""Playing a scenario: what steps do, how expectations are decided, and that a run can be repeated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from example_scenario import EXAMPLE
from imagestore_sim.clock import RealClock
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.format.steps import STEP_KINDS
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.play.runner import HANDLERS
from imagestore_sim.scenario.replay import play_simulated, play_virtually, replay_file
from imagestore_sim.scenario.report.writer import event_log

HEAD = """
title: a test
hosts: {imagestore-1: {size: 1 TiB, used: 40%}}
storages: [{name: gold, hostname: imagestore-1}]
settings: {ping.interval: 10s}
"""


def run(timeline: str, *, head: str = HEAD, seed: int = 0) -> Result:
    """Play a timeline, with what follows it in the file."""
    result = play_virtually(parse_scenario(head + "timeline:\n" + timeline), seed=seed)
    assert not result.problem
    return result


def verdicts(result: Result) -> list[str]:
    return [str(one.verdict) for one in result.checks]


def test_the_example_holds_in_no_time_and_at_exact_times() -> None:
    result = play_virtually(parse_scenario(EXAMPLE))
    assert result.verdict is Verdict.HELD, result.wrong
    assert [one.began for one in result.steps] == [0, 60, 420, 480, 480]
    assert 480 < result.length < 495
    [lane] = result.lanes
    assert lane.statuses == [(0.0, "Connected")]
    assert lane.capacities[-1][1:] == (2 * 2**40, 2**40)


def test_the_same_file_and_seed_give_the_same_event_log() -> None:
    story = "  - {at: 15s, fault: {host: imagestore-1, kind: refuse, for: 20s}}\n  - {at: 2m, note: the end}\n"
    logs = [event_log(run(story)) for _ in range(2)]
    assert logs[0] == logs[1]
    assert b'"path":"/backup-storage/disconnected"' in logs[0]
    assert event_log(run(story, seed=1)) != logs[0]


@pytest.mark.parametrize(
    ("timeline", "verdict", "seen"),
    [
        ("  - expect: {storage: gold, status: Disconnected}\n", "failed", "gold: status Connected"),
        ("  - expect: {storage: gold, availableCapacity: ~ 60%}\n", "held", "614.40 GiB"),
        ("  - expect: {storage: gold, availableCapacity: '< 10%'}\n", "failed", "614.40 GiB"),
        ("  - eventually: {storage: gold, status: Disconnected, within: 5m}\n", "failed", "gold: status Connected"),
        (
            "  - expect: {query: '/backup-storage?q=name=gold', count: 1, each: {status: Connected}}\n",
            "held",
            "count 1",
        ),
        ("  - expect: {query: '/backup-storage?q=nonsense', count: 1}\n", "failed", "400"),
        ("  - stays: {storage: gold, status: Connected, for: 5m}\n", "held", ""),
        ("  - never: {event: capacity_changed, during: 1m}\n", "held", ""),
        ("  - call: {method: GET, path: /zones/$zone-1}\n", "held", "200"),
        ("  - call: {method: POST, path: /zones, body: {params: {}}}\n", "failed", "SYS.1007"),
        ("  - call: {method: POST, path: /zones, body: {params: {}}, error: SYS.1007, says: name}\n", "held", ""),
        ("  - heal: {host: imagestore-1}\n", "failed", "there was no such fault to heal"),
        ("  - fault: {host: '*', kind: path_gone, path: /nowhere}\n", "failed", "No such file or directory"),
        ("  - settings: {ping.interval: 5s}\n", "held", ""),
    ],
)
def test_a_step_has_a_verdict_and_shows_what_was_seen(timeline: str, verdict: str, seen: str) -> None:
    [step] = run(timeline).steps
    assert (step.verdict, seen in step.seen) == (verdict, True), step


def test_an_outage_is_seen_in_every_way() -> None:
    result = run(
        """
  - {at: 1m, fault: {host: imagestore-1, kind: refuse, for: 1m}}
  - {at: 1m, eventually: {event: disconnected, storage: gold, reason: refused, within: 25s}}
  - {at: 1m, stays: {storage: gold, status: Connected, for: 1m}}
  - {at: 1m, never: {storage: gold, status: Disconnected, during: 1m}}
  - {at: 1m, never: {storage: gold, totalCapacity: 0}}
  - {at: 90s, expect: {event: probe_failed, storage: gold, count: ">= 1"}}
  - {at: 90s, expect: {metric: imagestore_sim_probe_failures_total, labels: {reason: refused}, value: "> 1"}}
  - {at: 90s, expect: {metric: imagestore_sim_probe_failures_total, labels: {reason: hung}, value: 0}}
  - {at: 3m, eventually: {metric: imagestore_sim_backup_storages, labels: {status: Connected}, value: 1, within: 1m}}
  - {at: 3m, expect: {storage: gold, status: Connected}}
invariants:
  - never: {storage: gold, status: Disconnected}
  - always: {storage: gold, status: Connected}
  - unchanged: {while: Disconnected}
"""
    )
    assert verdicts(result) == [
        *("held", "held", "failed", "failed", "held", "held", "held", "held", "held", "held"),
        *("failed", "failed", "held"),
    ]
    assert result.verdict is Verdict.FAILED
    [window] = result.windows
    assert (window.host, window.began, window.ended) == ("imagestore-1", 60, 120)
    assert {status for _, status in result.lanes[0].statuses} == {"Connected", "Disconnected", "Connecting"}


def test_what_was_never_reached_is_unknown_and_no_pass() -> None:
    result = run(
        """
  - wait: 10m
  - expect: {storage: gold, status: Connected}
ends: 5m
invariants: [unchanged: {while: Disconnected}]
"""
    )
    assert [one.seen for one in result.wrong] == [
        "it was begun, and not decided", "it was never evaluated", "there was never anything to watch",
    ]  # fmt: skip
    assert result.verdict is Verdict.UNKNOWN
    assert result.length == 300


@pytest.mark.thorough
def test_a_repeated_expectation_holds_if_it_does_each_time() -> None:
    result = run(
        """
  - {at: 30s, every: 30s, until: 3m, expect: {storage: gold, status: Connected}}
  - {at: 1m50s, fault: {host: imagestore-1, kind: refuse, for: 15s}}
"""
    )
    [expectation, _] = result.steps
    assert (expectation.verdict, expectation.runs) == ("failed", 6)
    assert "gold: status" in expectation.seen


def test_steps_that_come_too_late_fail() -> None:
    result = run("  - wait: 1m\n  - note: then\n  - {at: 5s, note: due}\n")
    assert [one.verdict for one in result.steps] == ["held", "held", "failed"]
    assert "it was due 55 s before" in result.steps[2].seen


def test_a_storage_that_a_call_makes_can_be_named() -> None:
    result = run(
        """
  - call:
      method: POST
      path: /backup-storage/image-store
      body: {params: {name: silver, hostname: imagestore-2, username: root, password: password, url: /Cloud_bs}}
      as: silver
  - expect: {storage: silver, status: Connected, totalCapacity: 2 TiB}
  - call: {method: DELETE, path: /backup-storage/$silver}
  - expect: {storage: silver, exists: false}
""",
        head=HEAD.replace("hosts: {", "hosts: {imagestore-2: {size: 2 TiB}, "),
    )
    assert result.verdict is Verdict.HELD, result.wrong
    assert [lane.name for lane in result.lanes] == ["gold", "silver"]


def test_the_node_and_a_host_can_be_restarted() -> None:
    result = run(
        """
  - {at: 1m, stop: {host: imagestore-1}}
  - eventually: {storage: gold, status: Disconnected, within: 25s}
  - restart_node: {down: 1m}
  - expect: {storage: gold, status: Disconnected, totalCapacity: 1 TiB}
  - start: {host: imagestore-1}
  - eventually: {storage: gold, status: Connected, within: 45s}
"""
    )
    assert result.verdict is Verdict.HELD, result.wrong
    assert [(one.host, one.ended is not None) for one in result.windows] == [("imagestore-1", True), ("node", True)]


def test_a_kill_between_a_commit_and_its_answer_keeps_what_was_written_and_tells_nobody() -> None:
    """After the login, the first commit is the job of the Add, and the last one its result."""
    for commits, stored in ((2, 0), (6, 1)):
        result = run(
            f"""
  - {{at: 1m, kill_node: {{commits: {commits}, down: 5s}}}}
  - at: 1m
    client:
      method: POST
      path: /backup-storage/image-store
      body: {{params: {{name: silver, hostname: imagestore-2, username: root, password: password, url: /Cloud_bs}}}}
      as: silver
      gives_up: 10s
      status: 0
  - {{at: 2m, note: it is up again}}
  - expect: {{query: "/backup-storage?q=name=silver", count: {stored}}}
  - expect: {{storage: gold, status: Connected}}
""",
            head=HEAD.replace("hosts: {", "hosts: {imagestore-2: {size: 2 TiB}, "),
        )
        assert result.verdict is Verdict.HELD, result.wrong
        assert [(one.text, one.ended - one.began) for one in result.windows if one.ended] == [
            ("management node killed", 5.0)
        ]


@pytest.mark.thorough
def test_a_kill_does_not_wait_longer_for_a_commit_than_it_may() -> None:
    result = run("  - {at: 1m, kill_node: {commits: 1000, within: 20s, down: 5s}}\n  - note: it is up")
    assert (result.verdict, result.length) == (Verdict.HELD, 85.0)


async def test_it_plays_on_the_real_clock_and_an_interrupt_keeps_what_was_seen() -> None:
    scenario = parse_scenario(
        HEAD + "timeline:\n  - expect: {storage: gold, status: Connected}\n  - wait: 4321s\n  - note: never\n"
    )
    waits = asyncio.Event()

    class NoticedClock(RealClock):
        async def sleep(self, seconds: float) -> None:
            if seconds == 4321.0:  # the story waits
                waits.set()
            await super().sleep(seconds)

    playing = asyncio.create_task(play_simulated(scenario, NoticedClock))
    await asyncio.wait_for(waits.wait(), 60)
    playing.cancel()
    result = await playing
    assert (result.clock, result.interrupted) == ("real", True)
    assert [str(one.verdict) for one in result.steps] == ["held", "unknown", "unknown"]


def test_a_fast_real_clock_plays_a_minute_in_seconds(tmp_path: Path) -> None:
    file = tmp_path / "real.yaml"
    file.write_text(HEAD + "timeline:\n  - {at: 10s, expect: {storage: gold, status: Connected}}\n")
    result = replay_file(file, clock="real", speed=5)
    assert result.verdict is Verdict.HELD
    assert result.seconds < 60
    assert result.length >= 10


def test_every_step_key_has_a_handler() -> None:
    assert set(HANDLERS) == set(STEP_KINDS), "scenario/play/actions.py and expectations.py handle the keys of Step"


IMAGES = (
    HEAD
    + """
accounts: {tenant: {quotas: {image.num: 1}}}
imageSources:
  - {url: "*/broken", error: 404 Not Found}
  - {url: "zstore://*", rate: 100 MiB}
  - {url: "*", size: 40 GiB, actualSize: 10 GiB, rate: 1 GiB}
"""
)


@pytest.mark.usefixtures("few_steps")
def test_steps_on_images_do_what_a_client_does() -> None:
    result = run(
        """
  - add_image: {image: "debian-{1..2}", storage: gold}
  - expect: {image: "debian-*", status: Ready, state: Enabled, size: 40 GiB, actualSize: 10 GiB}
  - expect: {image: "debian-*", storage: gold, copies: 1, onDisk: 10 GiB}
  - expect: {event: image_status_changed, image: debian-1, storage: gold, newStatus: Ready, count: 1}
  - call: {method: PUT, path: /images/$debian-1/actions, body: {changeImageState: {stateEvent: disable}}}
  - expect: {image: debian-1, state: Disabled}
  - delete_image: {image: "*", storage: gold}
  - recover_image: {image: debian-1}
  - expunge_image: {image: debian-2}
  - expect: {image: debian-2, exists: false, copies: 0, onDisk: 0}
  - export_image: {image: debian-1}
  - delete_export: {image: debian-1, storage: gold}
  - reclaim: {storage: gold}
  - add_image: {image: broken, error: SYS.1002, says: 404 Not Found}
  - add_image: {image: mine, account: tenant}
  - add_image: {image: too-many, account: tenant, error: ID.1003}
  - expect: {query: /images, count: 2}
""",
        head=IMAGES,
    )
    assert result.verdict is Verdict.HELD, result.wrong
    assert 30 < result.length < 45  # the bits of three images come, one after the other


@pytest.mark.thorough
def test_an_expectation_of_an_image_that_is_not_met_shows_what_was_seen() -> None:
    story = """
  - add_image: {image: broken}
  - expect: {image: broken, status: Ready}
  - add_image: {image: a}
  - expect: {image: a, status: Deleted}
  - expect: {image: a, onDisk: 1 GiB}
  - expect: {image: a, exists: false}
  - never: {image: a, status: Ready, during: 5s}
"""
    result = run(story, head=IMAGES)
    assert result.verdict is Verdict.FAILED
    seen = ["Failed to download i", "no record", "a: status Ready", "a: onDisk 10 GiB", "a: there", "a: status Ready"]
    assert [text for text, one in zip(seen, result.wrong, strict=True) if text not in one.seen] == []


@pytest.mark.thorough
def test_images_that_are_records_only_have_no_bits() -> None:
    story = """
  - add_image: {image: debian}
  - expect: {image: debian, status: Ready, actualSize: 0, onDisk: 0}
"""
    assert run(story, head=IMAGES + "node: {write_images: false}\n").verdict is Verdict.HELD


@pytest.mark.thorough
def test_images_survive_a_restart_of_the_node_and_half_added_ones_do_not() -> None:
    story = """
  - add_image: {image: debian}
  - add_image: {image: ubuntu, error: SYS.1006}
  - at: 14s
    restart_node: {down: 5s}
  - eventually: {image: ubuntu, exists: false, onDisk: 0, within: 1m}
  - expect: {image: debian, status: Ready, onDisk: 10 GiB}
"""
    result = run(story, head=IMAGES)
    assert [one.text for one in result.wrong] == ["add image ubuntu"]  # the node does not answer
