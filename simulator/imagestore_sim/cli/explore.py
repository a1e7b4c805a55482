"""`imagestore-sim explore`: searches for stories that break the oracle's invariants, and shrinks them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli.completion import stories_and_files, words
from imagestore_sim.cli.exits import FAILURE, INTERRUPTED, SUCCESS, InputError
from imagestore_sim.cli.options import jobs_option
from imagestore_sim.cli.rules import IgnoreVariables, OneOf, Refuse, Values, apply_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from imagestore_sim.explore.findings import Finding
    from imagestore_sim.explore.searching import Base, Progress

BRANCHES = 20
"""How many stories there are for each whose branches are measured: those make a search 6 % slower."""
ALL = "all"
NODES: Mapping[str, Callable[[int], bool] | None] = {
    ALL: None,
    "one": lambda count: count == 1,
    "several": lambda count: count > 1,
}
"""Words for stories by how many nodes they have: all, or those that a function takes."""
LENGTH = "How long"
STORIES = "Which stories"
PROGRAM_SECONDS = 60.0
"""Of the machine, that a program may take in one story; then it is killed, and has shown nothing."""
SHOWN_EVERY = 60.0
"""Real seconds between two lines that tell how far a search has come, where there is no terminal."""
LARGEST = 2**63 - 1
"""The largest seed, and number of stories."""
LONGEST_TEXT = 400
"""Characters that are printed of what a finding shows: a program of the user may have written it."""


def _has_own_nodes(given: Values) -> bool:
    """Return whether the stories are not drawn from nothing."""
    return given.from_ is not None or given.client is not None


def _is_command(text: str) -> bool:
    """Return whether a story can hold a command: it says something, in UTF-8."""
    return bool(text.strip()) and not any("\ud800" <= one <= "\udfff" for one in text)


RULES = (
    Refuse(
        lambda given: given.client is not None and not _is_command(given.client),
        "--client: expected a command, in UTF-8",
    ),
    Refuse(
        lambda given: given.client is not None and given.from_ is not None,
        "--client: excludes --from: the stories are those around the program",
    ),
    IgnoreVariables(("nodes",), when=_has_own_nodes),
    OneOf("nodes", tuple(NODES)),
    Refuse(
        lambda given: given.nodes != ALL and _has_own_nodes(given),
        "--nodes: variations of a scenario, and stories around a program, have the nodes that they have",
    ),
)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a search is to do."""

    seconds: float | None
    runs: int | None
    seed: int | None
    base: Base
    nodes: str
    jobs: int
    branches: int
    out: Path


@dataclass(slots=True)
class _Ended:
    """How a search has ended."""

    progress: Progress
    interrupted: bool = False
    """Whether Ctrl-C or SIGTERM has ended it."""
    problem: str = ""
    """Why it could not go on, or ''."""


def explore(
    context: typer.Context,
    lasts: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="DURATION",
            help="Search for this long, such as 10m, and finish what is being shrunk.",
            envvar="IMAGESTORE_SIM_EXPLORE_FOR",
            rich_help_panel=LENGTH,
            show_default="until Ctrl-C",
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            metavar="NUMBER",
            min=1,
            max=LARGEST,
            help="Play this many stories.",
            envvar="IMAGESTORE_SIM_RUNS",
            rich_help_panel=LENGTH,
        ),
    ] = None,
    jobs: Annotated[int, jobs_option(LENGTH)] = 1,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="NUMBER",
            min=0,
            max=LARGEST,
            help="Play the story of this seed; with --runs, begin with it. Else go on after the last search.",
            envvar="IMAGESTORE_SIM_EXPLORE_SEED",
            rich_help_panel=STORIES,
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE|STORY",
            help="Play variations of a scenario in place of new stories.",
            autocompletion=stories_and_files,
            envvar="IMAGESTORE_SIM_EXPLORE_FROM",
            rich_help_panel=STORIES,
        ),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            "--client",
            metavar="COMMAND",
            help="Run this program against a lab in each story: its exit status is a verdict, too.",
            envvar="IMAGESTORE_SIM_EXPLORE_CLIENT",
            rich_help_panel=STORIES,
        ),
    ] = None,
    nodes: Annotated[
        str,
        typer.Option(
            "--nodes",
            metavar="WHICH",
            help="Stories to play by how many nodes they have: all, those of one, or those of several.",
            autocompletion=words(*NODES),
            envvar="IMAGESTORE_SIM_EXPLORE_NODES",
            rich_help_panel=STORIES,
        ),
    ] = ALL,
    branches: Annotated[
        int,
        typer.Option(
            "--branches",
            metavar="NUMBER",
            min=0,
            help="Measure the code branches of stories whose seed is a multiple of this, in twice their time; 0: none.",
            envvar="IMAGESTORE_SIM_BRANCHES",
            rich_help_panel=STORIES,
        ),
    ] = BRANCHES,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder for what is found, and for the state of the search.",
            envvar="IMAGESTORE_SIM_FOUND",
            rich_help_panel=STORIES,
        ),
    ] = Path("found"),
) -> int:
    """Search for failing stories: draw faults, calls and orders, judge each run, shrink what fails.

    Each story comes from its seed alone, and breaks an invariant of docs/explore.md or none. What fails is shrunk to
    the fewest steps, and written as a scenario that `replay` takes. Exit with status 0 if nothing was found, 1 if
    something was, 2 for unusable input, 3 if interrupted. The last line is a hash of the event logs of all stories:
    the same seeds give the same hash, in however many processes.

    Examples:
        search for ten minutes, in two processes
        imagestore-sim explore --for 10m -j 2
        let it find what breaks your own program
        imagestore-sim explore --client ./my-test.sh --for 10m
        the same hundred stories each time, for CI
        imagestore-sim explore --runs 100 --seed 1
        a thousand stories of several nodes
        imagestore-sim explore --runs 1000 --seed 1 --nodes several
    """
    from rich.console import Console

    from imagestore_sim.cli.running import prepare, stoppable
    from imagestore_sim.explore.branches import are_measurable
    from imagestore_sim.explore.folder import FolderProblem, check_writable

    nodes = apply_rules(context, RULES)["nodes"]
    seconds = _seconds(lasts)
    try:
        check_writable(out)
    except FolderProblem as error:
        raise InputError(f"--out {error}") from None
    prepare()
    try:
        with stoppable():
            base = _base(from_) if client is None else _around(client)
    except KeyboardInterrupt:
        return INTERRUPTED
    chosen = _Chosen(seconds, runs, seed, base, nodes, jobs, branches if are_measurable() else 0, out)
    console = Console(highlight=False, soft_wrap=True)
    ended = _search(chosen, console)
    if ended.problem and not ended.progress.runs:
        raise InputError(ended.problem)
    _print_end(console, ended.progress)
    _print_branches(console, ended.progress, are_missing=branches > chosen.branches)
    console.print(f"logs {ended.progress.digest[:16]}: of all event logs, the same for the same seeds")
    if ended.problem:
        raise InputError(ended.problem)
    if ended.interrupted:
        return INTERRUPTED
    return FAILURE if ended.progress.findings else SUCCESS


def _seconds(text: str | None) -> float | None:
    from imagestore_sim.units import parse_seconds

    if text is None:
        return None
    try:
        seconds = parse_seconds(text)
    except ValueError as error:
        raise InputError(f"--for: {error}") from None
    if not seconds:
        raise InputError(f"--for: expected more than no time, but got {text!r}")
    return seconds


def _base(path: Path | None) -> Base:
    """Return the story that is varied. Raise InputError for one that cannot be read."""
    if path is None:
        return None
    from imagestore_sim.cli.replay_batch import find_files
    from imagestore_sim.explore.extent import check_extent
    from imagestore_sim.explore.story import content_of, read
    from imagestore_sim.scenario.format.reader import ScenarioError

    try:
        files = find_files([path])
        if len(files) != 1:
            raise InputError(f"--from {path}: expected one scenario, but this is a folder of such")
        content = content_of(files[0])
    except ScenarioError as error:
        raise InputError(f"--from {error}") from None
    try:
        check_extent(read(content))
    except ScenarioError as error:
        raise InputError(f"--from {path}: {error}") from None
    return content


def _around(command: str) -> Base:
    """Return the stories around a program. Raise InputError for one that fails although nothing goes wrong."""
    from imagestore_sim.explore.client import ProgramFails, stories_around
    from imagestore_sim.explore.folder import NoRoom

    try:
        return stories_around(command, PROGRAM_SECONDS)
    except ProgramFails as error:
        raise InputError(f"--client {command}: {error}") from None
    except NoRoom as error:
        raise InputError(str(error)) from None


def _search(chosen: _Chosen, console: Console) -> _Ended:
    """Search until all is done, or something ends it."""
    from concurrent.futures.process import BrokenProcessPool
    from contextlib import nullcontext

    from imagestore_sim.cli.running import stoppable
    from imagestore_sim.explore.folder import FolderProblem, NoRoom, in_use
    from imagestore_sim.explore.searching import ANY, STATE, Progress

    nodes = ANY if chosen.nodes == ALL else chosen.nodes
    ended = _Ended(Progress(nodes=nodes))
    state = chosen.out / STATE if chosen.seed is None and chosen.base is None else None
    try:
        with stoppable(), nullcontext() if state is None else in_use(chosen.out):
            if state is not None:
                ended.progress = Progress.resumed(state, nodes)
            _play(chosen, ended.progress, console, state)
    except KeyboardInterrupt:
        ended.interrupted = True
    except FolderProblem as error:
        ended.problem = f"--out {error}"
    except NoRoom as error:
        ended.problem = str(error)
    except BrokenProcessPool:
        ended.problem = "a process that played a story was killed; play fewer at once, with a smaller -j"
    return ended


def _play(chosen: _Chosen, progress: Progress, console: Console, state: Path | None) -> None:
    """Play stories, and write into the file `state` how far that has come."""
    import time

    from imagestore_sim.explore.searching import Search, seeds_from

    count = chosen.runs if chosen.runs is not None or chosen.seed is None or chosen.seconds is not None else 1
    seeds = seeds_from(progress.next_seed if chosen.seed is None else chosen.seed, count, NODES[chosen.nodes])
    end = None if chosen.seconds is None else time.monotonic() + chosen.seconds  # real: how long the user waits
    search = Search(
        chosen.out,
        progress,
        base=chosen.base,
        jobs=chosen.jobs,
        branches=chosen.branches,
        state=state,
        show=_progress_line(progress),
        tell=lambda finding, file: _print_finding(console, finding, file),
    )
    search.run(seeds, lambda: end is not None and time.monotonic() > end)  # real: see above


def _progress_line(progress: Progress) -> Callable[[Progress], None]:
    """Return what shows the progress: a line that changes on a terminal; elsewhere one now and then, for logs of CI."""
    import shutil
    import sys

    if not _is_terminal():
        return _Lines(len(progress.told))

    def show(progress: Progress) -> None:
        width = shutil.get_terminal_size().columns - 1  # a line that is folded could not be cleared
        sys.stderr.write(f"\r\x1b[K{progress.line()[:width]}")
        sys.stderr.flush()

    return show


def _is_terminal() -> bool:
    """Return whether a line of standard error can be changed."""
    import os
    import sys

    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class _Lines:
    """Shows the progress every SHOWN_EVERY seconds, and when something is found, which may take minutes to shrink."""

    def __init__(self, told: int) -> None:
        """`told`: how much was found before."""
        import time

        self._began = self._shown = time.monotonic()  # real: the user waits
        self._told = told

    def __call__(self, progress: Progress) -> None:
        """Show it, if it is time to."""
        import sys
        import time

        from imagestore_sim.units import duration_text

        now = time.monotonic()  # real: as above
        if now - self._shown >= SHOWN_EVERY or len(progress.told) > self._told:
            self._shown, self._told = now, len(progress.told)
            print(f"after {duration_text(round(now - self._began))}: {progress.line()}", file=sys.stderr, flush=True)


def _print_finding(console: Console, finding: Finding, file: Path) -> None:
    import sys

    if _is_terminal():
        sys.stderr.write("\r\x1b[K")
    again = "" if finding.shows_again else ", which did not show it once more"
    console.print(f"found  {finding.invariant}: {_plain(finding.text)}", markup=False)
    console.print(f"       seed {finding.seed}, {finding.size}{again}: {file}", markup=False)


def _plain(text: str) -> str:
    """Return a text on one line, which is not endless."""
    from imagestore_sim.masking import on_one_line

    return on_one_line(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…")


def _print_end(console: Console, progress: Progress) -> None:
    """Print what the search has come to: the same for the same runs, whatever time they took."""
    import sys

    if _is_terminal():
        sys.stderr.write(f"\r\x1b[K{progress.line()}\n")
    for one in progress.being_shrunk.values():
        console.print(f"found  {one.violation.invariant}: {_plain(one.violation.text)}", markup=False)
        console.print(f"       seed {one.seed}, not shrunk: it has no file yet", markup=False)
    count = len(progress.findings) + len(progress.being_shrunk)
    found = f"{count} finding{'' if count == 1 else 's'}"
    console.print(f"{progress.runs} runs up to seed {progress.next_seed - 1}, {found}; met {progress.coverage}")
    if progress.given_up:
        first = _plain(progress.why_given_up)
        console.print(f"{progress.given_up} of them were not played to their end; the first: {first}", markup=False)


def _print_branches(console: Console, progress: Progress, *, are_missing: bool) -> None:
    """Print which branches the stories have taken that were measured; what is needed if coverage.py is missing."""
    branches = progress.coverage.branches
    if are_missing:
        console.print("branches are not counted: that needs pip install 'imagestore-sim[explore]'", markup=False)
    elif branches.stories:
        stories = f"{branches.stories} stor{'y was' if branches.stories == 1 else 'ies were'} measured"
        console.print(f"took {branches}; {stories}")
