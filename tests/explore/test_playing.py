"""A run shows all that happened: calls, posts, probes, the end; and it is the same when it is played again."""

from __future__ import annotations

import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from imagestore_sim.explore import playing
from imagestore_sim.explore.playing import play
from imagestore_sim.explore.runs import Played
from imagestore_sim.explore.story import read
from imagestore_sim.scenario.format.reader import parse_scenario
from imagestore_sim.scenario.play.results import Verdict
from imagestore_sim.virtual_clock import VirtualEventLoop, run_virtually

STORY = """
title: two hosts, one goes down; a kill; an image
hosts: {"imagestore-{1..2}": }
settings: {ping.interval: 10s}
imageSources: [{url: "*", size: 2 GiB, actualSize: 1 GiB, rate: 1 GiB}]
timeline:
  - {at: 1s, stop: {host: imagestore-1, for: 1m}}
  - add_image: {image: debian, storage: imagestore-2}
  - {at: 90s, kill_node: {down: 5s}}
  - {at: 3m, note: all is well}
"""


def played(order: str = "") -> Played:
    return play(parse_scenario(STORY + order, "s.yaml"))


@pytest.fixture(scope="module")
def run() -> Played:
    return played()


def test_a_run_shows_what_happened_and_what_there_is_in_the_end(run: Played) -> None:
    assert (run.result.verdict, run.result.problem) == (Verdict.HELD, "")
    assert [one.id for one in run.events] == [one.id for one in run.stored_events] != []
    assert {one.body["path"] for one in run.posts} >= {"/backup-storage/status/change", "/image/added"}
    [add] = [call for call in run.calls if call.method == "POST" and call.path == "/images"]
    assert add.status == 202
    assert add.job in {job.uuid for job in run.jobs if job.state == "Done"}
    assert any(call.job == add.job and call.status == 200 for call in run.calls if call.is_poll)
    assert {turn.purpose for turn in run.turns} == {"ping", "reconnect", "command"}
    assert all(turn.ended is not None and turn.ended >= turn.began for turn in run.turns)
    assert (len(run.starts), run.kills) == (2, [90.0])
    storages = run.answers["/backup-storage/image-store"]["inventories"]
    assert {one["name"]: one["status"] for one in storages} == dict.fromkeys(run.storages, "Connected")
    for one in storages:
        disk = run.disks[one["hostname"]]
        assert (one["totalCapacity"], one["availableCapacity"]) == (disk.total, disk.available)
    assert run.connections == {"imagestore-1": 1, "imagestore-2": 1}
    assert 2**30 in run.disks["imagestore-2"].files.values()
    assert (run.ended, run.errors) == (180.0, [])


def test_a_run_leaves_nothing_behind(run: Played) -> None:
    assert run.left.grown(type(run.left)()) == {}
    assert run.at_last.grown(run.at_first) == {}


def test_nothing_keeps_what_a_run_was_made_of() -> None:
    def loops() -> int:
        gc.collect()
        return sum(isinstance(one, VirtualEventLoop) for one in gc.get_objects())

    before = loops()
    played()
    assert loops() == before


@pytest.mark.thorough
def test_a_run_in_an_order_of_its_own_is_the_same_when_it_is_played_again() -> None:
    first, again = played("order: {seed: 5}"), played("order: {seed: 5}")
    assert first.log_text == again.log_text
    assert first.drawn == again.drawn != {}


def test_without_threads_of_sqlite_the_same_happens(run: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_threads(main: Coroutine[Any, Any, None], **options: Any) -> None:
        run_virtually(main, **{**options, "without_threads": False})

    monkeypatch.setattr(playing, "run_virtually", with_threads)
    assert played().log_text == run.log_text


def test_the_log_of_calls_while_the_node_is_down_is_the_same_each_time() -> None:
    story = {
        "title": "a call meets no node",
        "hosts": {"imagestore-1": {}},
        "timeline": [
            {"at": "1s", "kill_node": {"down": "5s"}},
            {"at": "2s", "call": {"method": "GET", "path": "/backup-storage"}},
        ],
        "oracle": "no-errors",
    }
    first, again = play(read(story)), play(read(story))
    assert "cannot be reached: Connection refused" in first.log_text
    assert first.log_text == again.log_text


@pytest.mark.thorough
def test_the_log_of_posts_that_meet_a_fault_is_the_same_each_time() -> None:
    story = {
        "title": "an event is posted twice",
        "hosts": {"imagestore-1": {}},
        "timeline": [
            {"fault": {"node": "hook_duplicated"}},
            {"at": "1s", "stop": {"host": "imagestore-1"}},
            {"eventually": {"storage": "imagestore-1", "status": "Disconnected", "within": "2m"}},
        ],
        "oracle": "hooks-are-events",
    }
    first, again = play(read(story)), play(read(story))
    assert "/management-node/fault/hit" in first.log_text
    assert first.log_text == again.log_text
