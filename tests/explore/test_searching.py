"""Searches: seeds in their order, each finding told once, shrunk, and written as a scenario."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import signal
import time
import weakref
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from imagestore_sim.cli import explore as command
from imagestore_sim.cli.explore import NODES
from imagestore_sim.explore import client, invariants, searching, time_limit
from imagestore_sim.explore.client import ProgramFails, stories_around
from imagestore_sim.explore.findings import Finding, signature
from imagestore_sim.explore.generation import generate
from imagestore_sim.explore.invariants import Found, Violation
from imagestore_sim.explore.judging import play_judged
from imagestore_sim.explore.runs import Played
from imagestore_sim.explore.searching import ANY, STATE, NotShrunk, Progress, Search, play_seed, seeds_from, shrink_seed
from imagestore_sim.explore.story import Content, content_of, read, text_of
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.play.results import Result, Verdict
from processes import COMMAND, child, run_here

QUICK = 4
"""A seed whose story is short."""
BASE: Content = {
    "title": "a host stops",
    "hosts": {"imagestore-1": {}},
    "timeline": [{"at": "1s", "wait": "1s"}, {"at": "3s", "stop": {"host": "imagestore-1"}}],
    "oracle": "no-errors",
}


@pytest.fixture
def stops_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the oracle take a stopped host for an error."""

    def no_stops(played: Played) -> Found:
        for step in played.story.timeline:
            if step.stop is not None:
                yield 1.5, "imagestore-1 was stopped"

    monkeypatch.setitem(invariants.INVARIANTS, OracleName.NO_ERRORS, no_stops)


def search(folder: Path, progress: Progress, count: int) -> list[tuple[Finding, Path]]:
    """Play variations of BASE; return what was found, and the files."""
    found: list[tuple[Finding, Path]] = []
    told = lambda finding, file: found.append((finding, file))  # noqa: E731
    Search(folder, progress, base=BASE, tell=told).run(seeds_from(progress.next_seed, count), lambda: False)
    return found


@pytest.mark.usefixtures("stops_are_wrong")
@pytest.mark.thorough
def test_a_finding_is_shrunk_and_written_once(tmp_path: Path) -> None:
    progress = Progress()
    [(finding, file)] = search(tmp_path, progress, 3)
    assert (finding.invariant, finding.steps) == (OracleName.NO_ERRORS, 1)
    assert content_of(file)["timeline"] == [{"stop": {"host": "imagestore-1"}}]
    assert file.name.startswith("no-errors-")
    assert "imagestore-1 was stopped" in content_of(file)["title"]
    progress.save(tmp_path / STATE)
    resumed = Progress.resumed(tmp_path / STATE)
    assert resumed.next_seed == 3
    assert search(tmp_path, resumed, 2) == []


@pytest.mark.usefixtures("stops_are_wrong")
@pytest.mark.thorough
def test_a_finding_fails_when_it_is_replayed_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [(_, file)] = search(tmp_path, Progress(), 3)
    scenario = read(content_of(file))
    broken = play_judged(scenario)
    assert [one.text for one in broken.wrong] == ["no-errors"]
    assert broken.wrong[0].seen == "at 1.5 s: imagestore-1 was stopped"
    monkeypatch.undo()
    assert play_judged(scenario).verdict is Verdict.HELD


def test_a_seed_gives_the_same_run_each_time() -> None:
    first, again = play_seed(QUICK), play_seed(QUICK)
    assert (first.digest, first.violations, first.met) == (again.digest, again.violations, again.met)
    assert first.problem == ""


def test_seeds_of_one_node_or_of_several_are_some_of_all_seeds() -> None:
    every, one, several = (list(itertools.islice(seeds_from(5, None, takes), 30)) for takes in NODES.values())
    assert every == list(range(5, 35))
    assert [generate(seed).get("nodes", 1) > 1 for seed in one[:8] + several[:8]] == [False] * 8 + [True] * 8
    assert sorted(seed for seed in one + several if seed < 35) == every
    assert list(seeds_from(5, 2, NODES["several"])) == several[:2]


def test_a_search_of_some_stories_goes_on_where_the_last_one_of_such_ended(tmp_path: Path) -> None:
    Progress(next_seed=7).save(tmp_path / STATE)
    several = Progress.resumed(tmp_path / STATE, "several")
    assert several.next_seed == 0
    several.next_seed = 40
    several.save(tmp_path / STATE)
    assert [Progress.resumed(tmp_path / STATE, nodes).next_seed for nodes in (ANY, "one", "several")] == [7, 0, 40]


@pytest.mark.thorough
def test_the_command_plays_the_stories_of_several_nodes_alone(tmp_path: Path) -> None:
    [seed] = seeds_from(QUICK, 1, NODES["several"])
    done = [
        run_here("explore", *options, "--out", str(tmp_path))
        for options in (("--seed", str(QUICK), "--runs", "1", "--nodes", "several"), ("--seed", str(seed)))
    ]
    assert done[0] == done[1]
    assert f"1 runs up to seed {seed}, 0 findings" in done[0].output


def test_stories_that_have_their_own_nodes_are_not_chosen_by_them(tmp_path: Path) -> None:
    refused = run_here("explore", "--from", "flapping-link", "--nodes", "one")
    assert (refused.status, refused.errors.count("\n")) == (2, 1)
    assert "--nodes: variations of a scenario" in refused.errors
    refused = run_here("explore", "--nodes", "3")
    assert "--nodes: expected all or one or several, but got '3'" in refused.errors


def test_a_line_tells_now_and_then_how_far_a_search_has_come_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = run_here("explore", "--seed", str(QUICK), "--out", str(tmp_path))
    monkeypatch.setattr(command, "SHOWN_EVERY", 0.0)
    told = run_here("explore", "--seed", str(QUICK), "--out", str(tmp_path))
    assert (silent.errors, silent.output) == ("", told.output)
    assert re.fullmatch(r"after \d+s: 1 runs, \d+\.\d/s, 0 findings, .* steps\n", told.errors)


@pytest.mark.usefixtures("stops_are_wrong")
@pytest.mark.thorough
def test_a_line_tells_of_a_finding_before_it_is_shrunk(tmp_path: Path) -> None:
    (tmp_path / "stop.yaml").write_text(text_of(BASE))
    done = run_here("explore", "--from", str(tmp_path / "stop.yaml"), "--seed", "0", "--out", str(tmp_path))
    assert done.status == 1
    assert re.fullmatch(r"after .*: 1 runs, .* 1 finding, .*\n", done.errors)
    assert done.output.startswith("found  no-errors: imagestore-1 was stopped")


def test_violations_that_differ_in_names_and_numbers_show_the_same() -> None:
    texts = ("imagestore-1 has 3 of 4", "imagestore-12 has 1 of 9")
    assert len({signature(Violation(OracleName.NO_ERRORS, text, 1.0)) for text in texts}) == 1


@pytest.mark.thorough
def test_the_command_prints_the_same_for_the_same_runs(tmp_path: Path) -> None:
    outputs = [run_here("explore", "--seed", str(QUICK), "--out", str(tmp_path / name)) for name in "ab"]
    assert [one.status for one in outputs] == [0, 0]
    assert outputs[0].output == outputs[1].output
    assert f"1 runs up to seed {QUICK}, 0 findings" in outputs[0].output


@pytest.mark.thorough
def test_a_story_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(story: object) -> Played:
        """Never end, and take no notice of the first interruption, as Python does in some places."""
        with suppress(KeyboardInterrupt):
            while True:
                pass
        while True:
            pass

    monkeypatch.setattr(searching, "LONGEST_RUN", 0.1)
    monkeypatch.setattr(time_limit, "AGAIN", 0.1)
    monkeypatch.setattr(searching, "play", play)
    outcome = play_seed(QUICK)
    assert (outcome.problem, outcome.digest, outcome.violations) == ("it took more than 0.1 s", "", ())


def test_a_run_that_is_given_up_where_c_calls_python_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(_: object) -> None:
        try:
            time.sleep(60)
        except KeyboardInterrupt:  # as SQLite takes it for an error of its function
            raise RuntimeError("user-defined function raised exception") from None

    monkeypatch.setattr(searching, "LONGEST_RUN", 0.1)
    monkeypatch.setattr(searching, "play", play)
    outcome = play_seed(1)
    assert (outcome.problem, outcome.violations) == ("it took more than 0.1 s", ())
    monkeypatch.undo()
    assert play_seed(QUICK).problem == ""


class Waiting:
    """Ends once Python looks for what nothing refers to: it refers to itself."""

    def __init__(self) -> None:
        self.own = self


@pytest.mark.parametrize("ends", [False, True], ids=["broken off", "ends"])
@pytest.mark.parametrize("around_program", [False, True], ids=["drawn", "around a program"])
def test_nothing_of_a_run_that_is_given_up_ends_within_another(
    monkeypatch: pytest.MonkeyPatch, *, ends: bool, around_program: bool
) -> None:
    left: list[weakref.ref[object]] = []

    def wait() -> None:
        waiting = Waiting()
        left.append(weakref.ref(waiting))
        time.sleep(60)
        waiting.own = waiting

    def play(story: Scenario) -> Played:
        """Be broken off; or end all the same, as where Python ignores exceptions."""
        with suppress(KeyboardInterrupt) if ends else nullcontext():
            wait()
        return play_nothing(story)

    for module in (searching, client):
        monkeypatch.setattr(module, "LONGEST_RUN", 0.1)
        monkeypatch.setattr(module, "play", play)
    gc.disable()
    try:
        if around_program:
            with pytest.raises(ProgramFails, match=r"its story does not end: it took more than 0\.1 s"):
                stories_around("true", 10.0)
        else:
            assert play_seed(1).problem == "it took more than 0.1 s"
        assert [one() for one in left] == [None]
    finally:
        gc.enable()


@pytest.mark.thorough
def test_a_finding_that_does_not_show_again_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "play", play_nothing)
    finding = shrink_seed(QUICK, Violation(OracleName.NO_ERRORS, "once in a while", 0.0))
    assert (finding.text, finding.shows_again) == ("once in a while", False)
    assert str(finding.content()["description"]).endswith("Played once more, it did not show the same.")


def play_nothing(story: Scenario) -> Played:
    return Played(story, Result("", story.title))


def test_a_story_that_breaks_off_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(story: object) -> Played:
        raise RuntimeError("out of order")

    monkeypatch.setattr(searching, "play", play)
    [broken] = play_seed(QUICK).violations
    assert broken.text.startswith("the run ended with RuntimeError: out of order")


def test_a_search_that_is_killed_has_saved_how_far_it_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def show(progress: Progress) -> None:
        kept.append(Progress.resumed(tmp_path / STATE).next_seed)
        if progress.runs == 2:
            raise Killed

    kept: list[int] = []
    monkeypatch.setattr(searching, "SAVED_EVERY", 0.0)
    search = Search(tmp_path, Progress(), base=BASE, state=tmp_path / STATE, show=show)
    monkeypatch.setattr(Progress, "save", _no_last_save(Progress.save, lambda: len(kept) == 2))
    with pytest.raises(Killed):
        search.run(seeds_from(0), lambda: False)
    assert kept == [0, 1]
    resumed = Progress.resumed(tmp_path / STATE)
    assert (resumed.next_seed, [kind for kind, _ in resumed.coverage].count("edges") > 0) == (1, True)


def _no_last_save(save: Callable[[Progress, Path], None], is_dead: Callable[[], bool]) -> object:
    """Return `save`, which does nothing in a process that has been killed."""

    def saving(progress: Progress, file: Path) -> None:
        if not is_dead():
            save(progress, file)

    return saving


def test_what_was_being_shrunk_is_found_again_by_the_next_search(tmp_path: Path) -> None:
    not_shrunk = NotShrunk(4, Violation(OracleName.NO_ERRORS, "b", 1.0))
    progress = Progress(next_seed=9, told={"a": "no-errors-1", "b": ""}, being_shrunk={"b": not_shrunk})
    progress.save(tmp_path / STATE)
    resumed = Progress.resumed(tmp_path / STATE)
    assert (resumed.next_seed, resumed.told) == (4, {"a": "no-errors-1"})


@pytest.mark.processes
@pytest.mark.parametrize(
    ("jobs", "how", "ignored"),
    [
        ("1", signal.SIGINT, ""),
        ("1", signal.SIGTERM, ""),
        ("2", signal.SIGTERM, ""),
        ("1", signal.SIGTERM, "INT"),  # as in the background of a script
    ],
)
async def test_a_search_that_is_stopped_says_how_far_it_has_come(
    tmp_path: Path, jobs: str, how: signal.Signals, ignored: str
) -> None:
    shell = ("sh", "-c", f"trap '' {ignored}; exec \"$@\"" if ignored else 'exec "$@"', "sh")
    search = (*COMMAND, "explore", "-j", jobs, "--out", str(tmp_path))
    async with child(*shell, *search, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE) as process:
        async with asyncio.timeout(60):
            while not (tmp_path / STATE).exists():
                await asyncio.sleep(0.05)
        process.send_signal(how)
        output, errors = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 3, errors
    assert re.search(rb"\d+ runs", output), output
    assert b"Traceback" not in errors


@pytest.mark.processes
def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    outputs = [
        run_here("explore", "--seed", str(QUICK), "--runs", "3", "-j", jobs, "--out", str(tmp_path / jobs))
        for jobs in ("1", "2")
    ]
    assert outputs[0].output == outputs[1].output
    assert [one.status for one in outputs] == [0, 0]
    assert "of all event logs, the same for the same seeds" in outputs[0].output


def test_input_that_cannot_be_used_is_refused() -> None:
    for option, value in (("--for", "soon"), ("--from", "nowhere")):
        refused = run_here("explore", option, value)
        assert (refused.status, option in refused.errors) == (2, True), refused


def test_an_oracle_that_is_not_known_is_refused() -> None:
    with pytest.raises(Exception, match=r"one-prob is not known here; expected .*did you mean one-probe-a-host"):
        read({**BASE, "oracle": "one-prob"})
