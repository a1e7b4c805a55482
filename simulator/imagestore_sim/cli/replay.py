"""`imagestore-sim replay`: failure scenarios, played one after another or in parallel processes."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imagestore_sim.cli import options
from imagestore_sim.cli.completion import stories_and_files, words
from imagestore_sim.cli.exits import FAILURE, INTERRUPTED, SUCCESS, UNUSABLE_INPUT, InputError, print_error
from imagestore_sim.cli.options import jobs_option
from imagestore_sim.cli.rules import Default, IgnoreVariables, OneOf, Refuse, apply_rules

if TYPE_CHECKING:
    from rich.console import Console

    from imagestore_sim.scenario.play.results import Result

PLAYING = "Playing"
RULES = (
    IgnoreVariables(("node",), when=lambda given: given.hosts == "compose"),
    # The lab at --node has all of these itself.
    IgnoreVariables(("hosts", "clock", "speed", "seed", "jobs"), when=lambda given: given.node is not None),
    OneOf("hosts", ("embedded", "compose")),
    IgnoreVariables(("clock",), when=lambda given: given.hosts == "compose"),
    IgnoreVariables(("keep",), when=lambda given: given.hosts != "compose"),
    Refuse(lambda given: given.keep and given.hosts != "compose", "--keep: expected together with --hosts compose"),
    Default("clock", lambda given: "real" if given.hosts == "compose" else "virtual"),
    OneOf("clock", ("virtual", "real")),
    IgnoreVariables(("speed",), when=lambda given: given.clock == "virtual"),
    Refuse(
        lambda given: given.clock == "virtual" and given.hosts == "compose",
        "--clock: containers live in real time; expected real with --hosts compose",
    ),
    Refuse(
        lambda given: not 0 < given.speed < math.inf or (given.clock == "virtual" and given.speed != 1.0),
        "--speed: expected a number above 0, together with --clock real",
    ),
    Refuse(lambda given: not given.files, "expected a scenario file, or a folder of such"),
    Refuse(
        lambda given: (
            given.node is not None
            and (given.clock, given.speed, given.seed, given.jobs, given.hosts) != ("virtual", 1.0, None, 1, "embedded")
        ),
        "--node: the lab has hosts, a clock and a seed, and plays one scenario after another; expected no --hosts,"
        " --clock, --speed, --seed or --jobs",
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How scenarios are played."""

    clock: str = "virtual"
    speed: float = 1.0
    seed: int | None = None
    """In place of the scenarios' own."""
    jobs: int = 1
    """Processes to play in."""
    report: Path | None = None
    node: str | None = None
    """The URL of a running lab, whose hosts and clock replace the scenario's own."""
    account: str = "admin"
    password: str = field(default="password", repr=False)
    lab_token: str | None = field(default=None, repr=False)
    hosts: str = "embedded"
    """embedded or compose."""
    keep: bool = False
    """Whether the containers stay afterwards."""

    @property
    def on_containers(self) -> bool:
        """Whether the scenario's own hosts are containers."""
        return self.hosts == "compose"

    def command(self, files: Sequence[str], seed: int | None) -> str:
        """Return the command that plays files as these options say, without a password or a token."""
        from imagestore_sim.masking import without_userinfo

        chosen: dict[str, object] = {}
        if self.node is not None:
            chosen |= {"--node": without_userinfo(self.node)}
            chosen |= {"--account": self.account} if self.account != "admin" else {}
        else:
            chosen |= {"--hosts": self.hosts} if self.on_containers else {}
            chosen |= {"--clock": self.clock} if self.clock == "real" and not self.on_containers else {}
            chosen |= {"--speed": f"{self.speed:g}"} if self.speed != 1.0 else {}
            chosen |= {"--seed": seed} if seed is not None else {}
        options = [str(word) for pair in chosen.items() for word in pair]
        return shlex.join(["imagestore-sim", "replay", *files, *options])


def replay(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE|FOLDER|STORY...",
            help="Scenario files, folders of them, or names of stories (--list).",
            autocompletion=stories_and_files,
        ),
    ] = None,
    jobs: Annotated[int, jobs_option(PLAYING)] = 1,
    hosts: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            rich_help_panel=PLAYING,
            help="Hosts to play on: embedded (simulated) or compose (Docker containers).",
            autocompletion=words("embedded", "compose"),
            envvar="IMAGESTORE_SIM_REPLAY_HOSTS",
        ),
    ] = "embedded",
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave the containers in place.", envvar="IMAGESTORE_SIM_KEEP", rich_help_panel=PLAYING
        ),
    ] = False,
    clock: Annotated[
        str | None,
        typer.Option(
            metavar="CLOCK",
            rich_help_panel=PLAYING,
            autocompletion=words("virtual", "real"),
            help="Clock to play by: virtual (never waits) or real. Default: virtual; real with --hosts compose.",
            envvar="IMAGESTORE_SIM_REPLAY_CLOCK",
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            help="Speed of the real clock as a factor; on containers, divide waits and pings by it.",
            metavar="FACTOR",
            envvar="IMAGESTORE_SIM_SPEED",
            rich_help_panel=PLAYING,
        ),
    ] = 1.0,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for a page, JUnit XML, and every event.",
            envvar="IMAGESTORE_SIM_REPORT",
            rich_help_panel=PLAYING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Seed in place of the scenarios' own.",
            envvar="IMAGESTORE_SIM_REPLAY_SEED",
            rich_help_panel=PLAYING,
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Play on the running lab at this URL, by its clock.",
            envvar="IMAGESTORE_SIM_NODE",
            rich_help_panel=options.LOG_IN,
        ),
    ] = None,
    account: options.Account = "admin",
    password: options.Password = "password",  # noqa: S107 - ZStack's own
    lab_token: options.OfLabToken = None,
    list_: Annotated[
        bool,
        typer.Option("--list", help="List the stories that come with this program, and exit.", rich_help_panel=PLAYING),
    ] = False,
) -> int:
    """Replay failure scenarios.

    Exit with status 0 if all expectations held, 1 if some did not, 2 for unusable input, 3 if interrupted.

    Examples:
        a story of the library; --list names them
        imagestore-sim replay disk-fills-up
        every scenario of a folder, two at a time, with a report
        imagestore-sim replay scenarios/ -j 2 --report report
        on a lab that runs, for clients that are connected to it
        imagestore-sim replay outage.yaml --node http://127.0.0.1:8080
        on Docker containers in place of simulated hosts
        imagestore-sim replay outage.yaml --hosts compose
    """
    if list_:
        from imagestore_sim.cli.replay_output import print_stories

        print_stories()
        return SUCCESS
    values = apply_rules(context, RULES)
    paths = values.pop("files")
    del values["list_"]
    if values["node"] is not None:
        values["node"] = values["node"].rstrip("/")
    return run_replay(paths, Options(**values))


def run_replay(paths: Sequence[Path], chosen: Options) -> int:
    """Play scenarios, print the results, and return the exit status. Raise InputError."""
    import time

    from rich.console import Console

    from imagestore_sim import open_files
    from imagestore_sim.cli.replay_batch import find_files, find_problems
    from imagestore_sim.cli.replay_output import print_failures, print_report_path, print_summary
    from imagestore_sim.cli.running import prepare, stoppable
    from imagestore_sim.scenario.format.reader import ScenarioError
    from imagestore_sim.scenario.play.results import Verdict

    open_files.raise_limit()
    prepare()
    console = Console(highlight=False, soft_wrap=True)
    try:
        files = find_files(paths)
    except ScenarioError as error:
        raise InputError(str(error)) from None
    _prepare_report(chosen.report)
    if problems := list(find_problems(files, chosen)):
        for problem in problems:
            print_error(problem)
        return UNUSABLE_INPUT
    began = time.monotonic()  # real: how long the user waited
    with stoppable():
        results, interrupted = _play(files, chosen, console)
    results.sort(key=lambda result: files.index(Path(result.file)))
    if chosen.report is not None:
        print_report_path(console, _write_report(chosen.report, results, paths, chosen))
    print_failures(console, results, _again(chosen))
    seconds = time.monotonic() - began  # real: how long the user waited
    print_summary(console, results, len(files), seconds)
    if interrupted:
        return INTERRUPTED
    return SUCCESS if all(result.verdict is Verdict.HELD for result in results) else FAILURE


def _again(chosen: Options) -> Callable[[Result], str]:
    """Return what tells the command that plays the scenario of a result again."""
    from imagestore_sim.scenario import library

    return lambda result: chosen.command([library.name_of(Path(result.file)) or result.file], result.seed)


def _write_report(folder: Path, results: Sequence[Result], paths: Sequence[Path], chosen: Options) -> Path:
    from datetime import UTC, datetime

    from imagestore_sim.scenario.report.page import Making
    from imagestore_sim.scenario.report.writer import write_reports

    written = datetime.now(UTC)  # real: when a person ran it
    command = chosen.command([str(path) for path in paths], chosen.seed)
    return write_reports(folder, results, Making(written, command, _again(chosen)))


def _prepare_report(folder: Path | None) -> None:
    """Create the folder of the report and check that it can be written. Raise InputError."""
    import tempfile

    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--report {folder}: {error.strerror}") from None


def _play(files: Sequence[Path], chosen: Options, console: Console) -> tuple[list[Result], bool]:
    """Play scenarios, printing each result. Return the results, and whether Ctrl-C or SIGTERM ended it early.

    Raise InputError where this machine does not let a scenario begin.
    """
    from concurrent.futures.process import BrokenProcessPool

    from imagestore_sim.cli.replay_batch import play_all
    from imagestore_sim.cli.replay_output import print_result, progress
    from imagestore_sim.database import DatabaseError
    from imagestore_sim.node.errors import StartError

    results: list[Result] = []
    try:
        with progress(console, len(files)) as advance:
            for result in play_all(files, chosen):
                results.append(result)
                print_result(console, result)
                advance()
                if result.interrupted:
                    return results, True
    except KeyboardInterrupt:
        return results, True
    except (DatabaseError, StartError) as error:
        raise InputError(str(error)) from None
    except BrokenProcessPool:
        raise InputError("a process that played a scenario was killed; play fewer at once, with a smaller -j") from None
    return results, False
