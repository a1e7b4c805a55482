"""The branches that stories take: measured without changing what they do, and counted on from search to search."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import orjson
import pytest

from imagestore_sim.explore import branches
from imagestore_sim.explore.branches import PACKAGE, Branches, Measured
from imagestore_sim.explore.client import Around
from imagestore_sim.explore.generation import nodes_of
from imagestore_sim.explore.mutation import mutate
from imagestore_sim.explore.searching import STATE, Base, Progress, Search, play_seed, seeds_from
from imagestore_sim.explore.story import Content
from processes import run_here

pytest.importorskip("coverage", reason="the extra explore is not installed")

QUICK = 4
"""A seed whose story is short."""
OF_NODES = next(seed for seed in range(100) if nodes_of(seed) > 1)
QUIET: Content = {"title": "nothing happens", "hosts": {"imagestore-1": {}}, "timeline": [{"wait": "10s"}]}
EVENTFUL: Content = {
    "title": "a host stops",
    "hosts": {"imagestore-1": {}},
    "timeline": [{"at": "1s", "stop": {"host": "imagestore-1"}}],
    "oracle": "all",
}
SEED = next(seed for seed in range(100) if any("stop" in one for one in mutate(EVENTFUL, seed)["timeline"]))
"""Of a variation in which the host stops."""


def measure(base: Content) -> Measured:
    """Play a variation, and return what it ran."""
    ran = play_seed(SEED, base, measures=True).ran
    assert ran is not None
    return ran


def of_a_few(ran: Measured) -> Measured:
    """Return what ran of a few sources: it takes a while to find the branches of all of them."""
    return {name: one for name, one in ran.items() if name.startswith(("probe/", "backup_storage/"))}


@pytest.fixture(scope="module")
def everything() -> Measured:
    """Return what a story ran."""
    return measure(EVENTFUL)


@pytest.fixture(scope="module")
def ran(everything: Measured) -> Measured:
    """Return what it ran of a few sources."""
    return of_a_few(everything)


@pytest.mark.parametrize(
    ("seed", "base"),
    [
        pytest.param(QUICK, None, id="new", marks=pytest.mark.thorough),
        pytest.param(OF_NODES, None, id="several-nodes", marks=pytest.mark.thorough),
        pytest.param(QUICK, EVENTFUL, id="variation", marks=pytest.mark.thorough),
        pytest.param(QUICK, Around("true", 60.0, ("APIQueryImageMsg",)), id="around-a-program"),
    ],
)
def test_a_story_is_the_same_when_its_branches_are_measured(seed: int, base: Base) -> None:
    plain, measured = play_seed(seed, base), play_seed(seed, base, measures=True)
    assert plain.digest == measured.digest != ""
    assert (plain.violations, plain.met, plain.problem) == (measured.violations, measured.met, measured.problem)
    assert plain.ran is None
    assert measured.ran


def test_branches_of_this_package_are_measured_and_of_no_other(everything: Measured) -> None:
    assert {"node/management_node.py", "probe/prober.py", "explore/oracle.py"} <= everything.keys()
    assert [name for name in everything if not (PACKAGE / name).is_file()] == []
    assert all(one.arcs for one in everything.values())


def test_what_only_one_story_does_is_new(ran: Measured) -> None:
    found = Branches()
    found.add(of_a_few(measure(QUIET)))
    before = found.taken
    assert found.new == before > 50
    found.add(ran)
    assert found.new == found.taken > before
    assert re.fullmatch(rf"{found.taken} of \d{{3}} branches \({found.taken} new\)", str(found))
    after = found.taken
    found.add(ran)
    assert found.taken == after


@pytest.mark.thorough
def test_arcs_that_are_no_branches_do_not_count(ran: Measured) -> None:
    found = Branches()
    found.add({"explore/branches.py": branches.Ran(branches._digest("explore/branches.py"), frozenset({(1, 3)}))})
    assert found.taken == 0
    found.add(ran)
    assert found.taken < sum(len(one.arcs) for one in ran.values()) / 3


@pytest.mark.thorough
def test_the_state_of_all_sources_is_small(everything: Measured) -> None:
    found = Branches()
    found.add(everything)
    assert found.taken > 1000
    assert len(orjson.dumps(found.state())) < 40_000


def test_another_search_counts_on(ran: Measured) -> None:
    found = Branches()
    found.add(ran)
    text = orjson.dumps(found.state())
    resumed = Branches(orjson.loads(text))
    assert (resumed.taken, resumed.new, resumed.stories) == (found.taken, 0, 0)
    resumed.add(ran)
    assert (resumed.taken, resumed.new, resumed.stories) == (found.taken, 0, 1)
    assert resumed.state() == found.state()


@pytest.mark.thorough
def test_what_was_met_of_a_source_that_has_changed_does_not_count(
    ran: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Branches()
    found.add(ran)
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy, ignore=lambda _, names: [one for one in names if one == "__pycache__"])
    changed = copy / "probe" / "prober.py"
    before = changed.stat()
    changed.write_text(changed.read_text() + "\n# later\n")
    os.utime(changed, (before.st_atime, before.st_mtime))
    monkeypatch.setattr(branches, "PACKAGE", copy)
    state = found.state()
    assert state is not None
    known = Branches(state).state()
    assert known == {**state, "sources": {k: v for k, v in state["sources"].items() if k != "probe/prober.py"}}


def test_a_source_that_changes_while_a_search_runs_is_left_out(ran: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = "probe/prober.py"
    monkeypatch.setattr(branches, "_BEGAN", (PACKAGE / changed).stat().st_mtime - 1)
    found = Branches()
    found.add({changed: ran[changed]})
    assert found.taken == 0


@pytest.mark.thorough
def test_what_another_python_has_measured_does_not_count(ran: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Branches()
    found.add(ran)
    state = found.state()
    assert Branches(state).taken == found.taken
    monkeypatch.setattr(branches, "_measured_by", lambda: "Python 2.7, coverage.py 3")
    assert Branches(state).taken == 0


@pytest.mark.thorough
def test_a_search_measures_some_stories_and_the_next_one_counts_on(tmp_path: Path) -> None:
    state = tmp_path / STATE
    first = Progress()
    Search(tmp_path, first, base=EVENTFUL, branches=2, state=state).run(seeds_from(0, 3), lambda: False)
    assert first.coverage.branches.stories == 2
    assert first.line().endswith(f", {first.coverage.branches}")
    resumed = Progress.resumed(state)
    assert resumed.coverage.branches.taken == first.coverage.branches.taken > 0
    assert resumed.coverage.branches.new == 0


@pytest.mark.processes
def test_the_logs_are_the_same_with_branches_and_without_in_one_process_and_in_two(tmp_path: Path) -> None:
    ways = (("--branches", "0"), ("--branches", "1"), ("--branches", "2", "-j", "2"))
    lines = []
    for number, way in enumerate(ways):
        done = run_here("explore", "--seed", "6", "--runs", "2", "--out", str(tmp_path / str(number)), *way)
        assert done.status == 0, done
        lines.append(done.output.splitlines())
    assert [[one for one in printed if "branches" not in one] for printed in lines] == [lines[0]] * 3
    told = [[one for one in printed if "branches" in one] for printed in lines]
    assert told[0] == []
    assert [one.split("; ")[1] for [one] in told[1:]] == ["2 stories were measured", "1 story was measured"]


@pytest.mark.thorough
def test_without_coverage_py_the_summary_says_so_and_nothing_is_forgotten(
    ran: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Branches()
    found.add(ran)
    monkeypatch.setattr(branches, "are_measurable", lambda: False)
    assert Branches(found.state()).state() == found.state()
    for option, told in (
        ("1", ["branches are not counted: that needs pip install 'imagestore-sim[explore]'"]),
        ("0", []),
    ):
        done = run_here("explore", "--seed", str(QUICK), "--branches", option, "--out", str(tmp_path))
        assert (done.status, [one for one in done.output.splitlines() if "branches" in one]) == (0, told)
