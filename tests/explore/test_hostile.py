"""`explore` among programs, folders, files and interruptions as they should not be: a clear line, and nothing lost."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import time
from pathlib import Path

import pytest

from imagestore_sim.cli import explore as command
from imagestore_sim.explore import folder, invariants, searching
from imagestore_sim.explore.extent import check_extent
from imagestore_sim.explore.folder import FolderProblem, check_writable, in_use, write_whole
from imagestore_sim.explore.generation import generate
from imagestore_sim.explore.invariants import Found
from imagestore_sim.explore.mutation import mutate
from imagestore_sim.explore.playing import play
from imagestore_sim.explore.runs import Played
from imagestore_sim.explore.searching import STATE, Progress, Search, seeds_from
from imagestore_sim.explore.story import Content, content_of, read, text_of
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.worlds.programs import MOST_OUTPUT, run_command
from processes import Finished, run, run_here
from rows import rows

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
STOP = {
    "title": "a host stops",
    "hosts": {"imagestore-1": None},
    "storages": None,
    "timeline": [{"stop": {"host": "imagestore-1"}}],
    "oracle": "no-errors",
}
SEED = next(seed for seed in range(100) if any("stop" in one for one in mutate(STOP, seed)["timeline"]))
"""Of a variation in which the host stops."""


@pytest.fixture
def stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a story whose variations are findings."""

    def no_stops(played: Played) -> Found:
        if any(step.stop is not None for step in played.story.timeline):
            yield 1.5, "imagestore-1 was \x1b[31mstopped\x1b[0m" + "!" * 1000

    monkeypatch.setitem(invariants.INVARIANTS, OracleName.NO_ERRORS, no_stops)
    (file := tmp_path / "stop.yaml").write_text(text_of(STOP))
    return file


def explored(*options: str) -> Finished:
    """Run the command; a search that is refused tells why in a line."""
    done = run_here("explore", *options)
    if done.status == 2:
        assert [line.partition(": ")[0] for line in done.errors.splitlines()][-1:] == ["imagestore-sim"], done.errors
        assert "Traceback" not in done.errors
    return done


def of_story(file: Path, out: Path) -> Finished:
    return explored("--from", str(file), "--seed", str(SEED), "--out", str(out))


@rows(
    ("options", "said"),
    [
        (("--for", "0s"), "--for: expected more than no time, but got '0s'"),
        (("--for", "-1m"), "--for: '-1m' is no duration"),
        (("--seed", "-1"), "--seed"),
        (("--seed", str(2**63)), "--seed"),
        (("--seed", str(10**40)), "--seed"),
        (("--runs", "0"), "--runs"),
        (("--runs", str(10**20)), "--runs"),
        (("--jobs", "0"), "--jobs"),
        (("--jobs", "100000"), "--jobs"),
        (("--from", "/dev/null"), "--from"),
        (("--out", "/proc/found"), "--out /proc"),
        (("--out", "/etc/passwd"), "--out /etc/passwd: Not a directory"),
        (("--out", "/etc/passwd/found"), "--out /etc/passwd: Not a directory"),
        (("--client", " "), "--client: expected a command"),
        (("--client", "\udcff"), "--client: expected a command, in UTF-8"),
        (("--client", "true", "--from", "flapping-link"), "--client: excludes --from"),
        (("--client", "true"), "it has made no call of ZStack's API; the lab's URL is in $IMAGESTORE_LAB_URL"),
        (("--client", "kill -SEGV $$"), "it fails although nothing goes wrong: killed by SIGSEGV"),
        (("--client", r"printf 'a\033[31m\000b'; exit 3"), r"exit status 3: a\x1b[31m\x00b"),
        (("--client", "./no-such-program"), "exit status 127"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_line(options: tuple[str, ...], said: str) -> None:
    refused = explored(*options)
    assert (refused.status, said in refused.errors) == (2, True), refused


@rows(
    ("steps", "said"),
    [
        (
            "{every: 1ms, until: 100000h, query: /zones}",
            "it plays 360,000,000,001 actions, and a search",
        ),
        ("{every: 20s, until: 10h, stop: {host: '*'}}", "it plays 5,403 actions"),
        ("{wait: 100000h}", "it plays 4,167 days, and a search plays 400 of them at the most"),
        ("{wait: 20000m}", "it plays 60,000 pings, and a search plays 20,000 of them"),
        ("{wait: 10h}, {settings: {ping.interval: 1s}}", "it plays 108,000 pings"),
        ("{restart_node: {down: 20000m}}", "it plays 60,000 pings"),
        ("{kill_node: {commits: 9, within: 20000m}}", "it plays 60,000 pings"),
        ("{wait: 10h}, {settings: {expungeInterval: 1}}", "it plays 36,000 turns of other work"),
        ("{client: {method: GET, path: /zones, poll: 10ms}}", "it plays 60,000 polls of jobs"),
        (
            "{add_image: {image: 'a-{1..1000}'}}, {delete_image: {image: 'a-*', storage: '*'}},"
            "{delete_image: {image: 'a-*'}}, {reclaim: {storage: '*'}}",
            "it plays 5,003 actions",
        ),
        (", ".join(["{wait: 1s}"] * 1001), "it plays 1,001 steps"),
    ],
)
def test_a_story_that_would_be_played_for_minutes_is_refused_at_once(tmp_path: Path, steps: str, said: str) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(f"title: long\nhosts: {{'imagestore-{{1..3}}': {{}}}}\ntimeline: [{steps}]\n")
    began = time.monotonic()
    refused = explored("--from", str(file), "--runs", "1", "--seed", "0", "--out", str(tmp_path))
    assert (refused.status, f"--from {file}: {said}" in refused.errors) == (2, True), refused.errors
    assert time.monotonic() - began < 20


def test_a_variation_that_would_be_played_for_minutes_is_given_up_at_once_and_told(tmp_path: Path) -> None:
    base: Content = {**STOP, "hosts": {"imagestore-1": {}}, "timeline": [{"wait": "100000h"}]}
    Search(tmp_path, progress := Progress(), base=base).run(seeds_from(3, 2), lambda: False)
    assert (progress.runs, progress.given_up) == (2, 2)
    assert progress.why_given_up.startswith("seed 3: it plays 4,167 days")


def test_stories_of_the_library_and_those_that_are_drawn_are_short_enough() -> None:
    for file in sorted(SCENARIOS.rglob("*.yaml")):
        check_extent(read(content_of(file)))
    for seed in range(100):
        check_extent(read(generate(seed)))


@rows("options", [("--seed", "4"), ("--client", "true")])
def test_what_a_full_disk_makes_of_a_story_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc")  # a file system without room
    refused = explored(*options, "--out", str(tmp_path))
    assert (refused.status, refused.output) == (2, "")
    assert "/proc is full, where stories have their databases; make room, or set TMPDIR" in refused.errors
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_once_a_story_was_played_ends_the_search(
    tmp_path: Path, stop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(story: Scenario) -> Played:
        monkeypatch.setattr(folder, "LEAST_BYTES", 2**63)
        return play(story)

    monkeypatch.setattr(searching, "play", fill_up)
    ended = of_story(stop, tmp_path / "found")
    assert (ended.status, "is full, where stories have their databases" in ended.errors) == (2, True)
    assert not list(tmp_path.glob("found/*"))


def test_seeds_end_with_the_largest_one(tmp_path: Path) -> None:
    assert list(seeds_from(2**63 - 2)) == [2**63 - 2, 2**63 - 1]
    Progress(next_seed=2**63).save(tmp_path / STATE)
    done = explored("--out", str(tmp_path))
    assert (done.status, "0 runs" in done.output) == (0, True)


def test_a_state_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATE).symlink_to("/dev/zero")
    refused = explored("--out", str(tmp_path))
    assert (refused.status, "File too large" in refused.errors) == (2, True)


@rows(
    ("state", "said"),
    [
        (b"", "EOF while parsing"),
        (b"\x00\xff\xfe", "remove the file to start from the first seed"),
        (b"[]", "remove the file"),
        (b'{"next": -1}', "next: "),
        (b'{"next": "x"}', "next: "),
        (b'{"next": 1e400}', "next: "),
        (b'{"next_of": {"one": null}}', "next_of.one: "),
        (b'{"covered": [1]}', "covered.1: "),
        (b'{"told": ["a"]}', "told: "),
        (b'{"branches": {"by": 1}}', "branches.by: "),
    ],
)
def test_a_damaged_state_is_refused_with_its_place_and_kept(tmp_path: Path, state: bytes, said: str) -> None:
    (tmp_path / STATE).write_bytes(state)
    refused = explored("--out", str(tmp_path))
    assert (refused.status, refused.output) == (2, "")
    assert f"--out {tmp_path / STATE}: " in refused.errors
    assert said in refused.errors, refused.errors
    assert (tmp_path / STATE).read_bytes() == state


def test_a_state_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATE).mkdir()
    assert "Is a directory" in explored("--out", str(tmp_path)).errors


def test_one_search_at_a_time_resumes_in_a_folder(tmp_path: Path) -> None:
    with in_use(tmp_path / "found"):
        refused = explored("--out", str(tmp_path / "found"), "--runs", "1")
        assert (refused.status, "another search goes on there" in refused.errors) == (2, True)
        assert not list((tmp_path / "found").iterdir())
    with in_use(tmp_path / "found"):
        pass  # it is free again


def test_a_search_that_writes_nothing_makes_no_folder(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    (taken := tmp_path / "a.yaml").mkdir()
    (taken / "inside").write_text("x")
    with pytest.raises(FolderProblem, match=r"a\.yaml: Is a directory"):
        write_whole(taken, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.thorough
def test_a_finding_that_cannot_be_written_is_told_with_its_seed(tmp_path: Path, stop: Path) -> None:
    first = of_story(stop, tmp_path / "found")
    [file] = (tmp_path / "found").glob("*.yaml")
    assert content_of(file)["timeline"] == STOP["timeline"]
    assert (first.status, len(max(first.output.splitlines(), key=len)) < 600) == (1, True)
    assert r"was \x1b[31mstopped\x1b[0m!!!" in first.output
    file.unlink()
    file.mkdir()
    (file / "inside").write_text("x")
    again = of_story(stop, tmp_path / "found")
    assert (again.status, again.errors.splitlines()[-1]) == (2, f"imagestore-sim: --out {file}: Is a directory")
    assert re.search(
        rf"^found  no-errors: .*\n       seed {SEED}, not shrunk: it has no file yet$", again.output, re.MULTILINE
    )
    assert f"1 runs up to seed {SEED}, 1 finding; met" in again.output


@pytest.mark.thorough
def test_a_finding_that_was_being_shrunk_is_told_at_ctrl_c(
    tmp_path: Path, stop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(searching, "shrink", interrupted)
    done = of_story(stop, tmp_path / "found")
    assert (done.status, f"seed {SEED}, not shrunk: it has no file yet" in done.output) == (3, True)
    assert f"1 runs up to seed {SEED}, 1 finding; met" in done.output


@pytest.mark.processes
async def test_ctrl_c_in_the_first_run_of_a_program_is_no_failure_of_it(tmp_path: Path) -> None:
    done = await run("explore", "--client", "kill -INT $PPID; sleep 5", cwd=tmp_path)
    assert (done.status, done.errors) == (3, "")


@pytest.mark.processes
def test_a_killed_process_of_a_search_ends_it_with_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(progress: Progress) -> None:
        for one in multiprocessing.active_children():
            one.kill()

    monkeypatch.setattr(command, "_progress_line", lambda _: kill)
    done = run_here("explore", "--seed", "4", "--runs", "9", "-j", "2", "--out", str(tmp_path))
    assert (done.status, done.errors.count("\n")) == (2, 1)
    assert "a process that played a story was killed; play fewer at once, with a smaller -j" in done.errors
    assert "runs up to seed" in done.output


def test_a_line_of_progress_fits_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    command._progress_line(Progress())(Progress())
    assert capsys.readouterr().err.removeprefix("\r\x1b[K") == "0 runs, 0.0/s, 0 findings, 0 of 5 edges,"[:39]
    monkeypatch.setenv("TERM", "dumb")
    command._progress_line(Progress())(Progress())
    assert capsys.readouterr().err == ""


# Programs


@rows(
    ("program", "status", "output"),
    [
        ("yes | head -c 300000000; echo; echo end", 0, "end"),
        (r"printf '\377\376\200'", 0, "\ufffd" * 3),
        ("echo a >&2; exit 9", 9, "a"),
        ("(trap '' TERM; sleep 60) & echo begun", 0, "begun"),
        ("exec >&-; exec 2>&-; exit 4", 4, ""),
    ],
)
async def test_a_program_ends_as_it_does_whatever_it_writes_and_starts(program: str, status: int, output: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ended, text = await run_command(program, 30.0, {})
    assert (ended, text[-len(output) :] if output else text) == (status, output)
    assert len(text) <= MOST_OUTPUT
    assert len(os.listdir("/proc/self/fd")) == before


async def test_what_has_left_the_session_of_a_program_holds_nothing_up() -> None:
    began = time.monotonic()
    script = (
        "import os, sys, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    )
    status, text = await run_command(f'python3 -c "{script}"; sleep 1', 30.0, {})
    os.kill(int(text), 9)
    assert (status, time.monotonic() - began < 25) == (0, True)


async def test_a_program_that_writes_without_end_is_killed_in_time() -> None:
    async with asyncio.timeout(20):
        status, text = await run_command("yes", 0.3, {})
    assert (status, set(text.splitlines()) <= {"y", ""}) == (None, True)


def test_a_state_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STATE)
    done = explored("--runs", "1", "--out", str(tmp_path))
    assert (done.status, f"{STATE}: is a pipe; remove the file" in done.errors) == (2, True)
    assert (tmp_path / STATE).is_fifo()
