"""`imagestore-sim replay`: plays scenario files, in parallel processes if wanted, and tells what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import orjson
from rich.console import Console
from rich.markup import escape

from imagestore_sim.masking import on_one_line
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.reader import ScenarioError, no_rules, read_scenario
from imagestore_sim.scenario.play.results import Result, Verdict
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.scenario.replay import replay_file, replay_file_on_lab
from imagestore_sim.scenario.worlds import remote_lab_rules
from imagestore_sim.scenario.worlds.remote_lab import check_lab
from imagestore_sim.units import duration_text

if TYPE_CHECKING:
    from imagestore_sim.scenario.recording.recorder import Recording

HELD, NOT_HELD, UNUSABLE, INTERRUPTED = 0, 1, 2, 3
COLOURS = {Verdict.HELD: "green", Verdict.FAILED: "red", Verdict.UNKNOWN: "yellow"}
ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Options:
    """How scenarios are to be played."""

    clock: str = "virtual"
    speed: float = 1.0
    seed: int | None = None
    """In place of the scenarios' own."""
    jobs: int = 1
    report: Path | None = None
    node: str | None = None
    """The URL of a lab that is running: its hosts and its clock, in place of the scenario's own."""
    account: str = "admin"
    password: str = field(default="password", repr=False)
    lab_token: str | None = field(default=None, repr=False)
    """What calls of the lab's API carry."""
    containers: bool = False
    """Whether the scenario's own hosts are containers."""
    keep: bool = False
    """Whether the containers stay afterwards."""


def schema() -> str:
    """The JSON Schema of scenario files, for editors."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant, those of folders in the order of their names. Raises ScenarioError."""
    files: list[Path] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.suffix in ENDINGS and one.is_file())
            if not found:
                raise ScenarioError(f"{path}: there is no scenario (*.yaml) in this folder")
        files += [one for one in found if one not in files]
    return files


def run_replay(paths: Sequence[Path], options: Options) -> int:
    """Play them and print what came of them; answers the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        files = find_files(paths)
    except ScenarioError as error:
        print(f"imagestore-sim: {error}", file=sys.stderr)
        return UNUSABLE
    if options.report is not None:
        try:
            options.report.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=options.report):  # a mistake shows before anything is played
                pass
        except OSError as error:
            print(f"imagestore-sim: --report {options.report}: {error.strerror}", file=sys.stderr)
            return UNUSABLE
    if problems := list(_problems(files, options)):
        for problem in problems:
            print(f"imagestore-sim: {problem}", file=sys.stderr)
        return UNUSABLE
    if options.containers:  # they are removed, whatever ends it
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()  # real: how long people waited
    results: list[Result] = []
    interrupted = False
    try:
        with _progress(console, len(files)) as advance:
            for result in _play_all(files, options):
                results.append(result)
                _tell(console, result)
                advance()
                interrupted = interrupted or result.interrupted
                if interrupted:
                    break
    except KeyboardInterrupt:
        interrupted = True
    results.sort(key=lambda result: files.index(Path(result.file)))
    if options.report is not None:
        from imagestore_sim.scenario.report.writer import write_reports

        page = write_reports(options.report, results)
        console.print(f"report: {escape(str(page))}")
    seconds = time.monotonic() - began  # real: see above
    _sum_up(console, results, len(files), seconds)
    if interrupted:
        return INTERRUPTED
    return HELD if all(result.verdict is Verdict.HELD for result in results) else NOT_HELD


async def run_record(
    url: str, out: Path, stop: asyncio.Event, account: str, password: str, lab_token: str | None
) -> int:
    """Follow a node until `stop` is set, and write what happened; answers the exit status."""
    from imagestore_sim.scenario.recording.recorder import follow
    from imagestore_sim.scenario.worlds.event_stream import EventsMissed
    from imagestore_sim.testing.client import CallFailed, plain_reason

    if not await _has_folder(out):
        return UNUSABLE
    print(f"recording {url} until it is interrupted", flush=True)
    try:
        recording = await follow(url.rstrip("/"), stop, account=account, password=password, lab_token=lab_token)
    except (CallFailed, EventsMissed, aiohttp.ClientError, OSError, ValueError) as error:
        print(f"imagestore-sim: {url}: {plain_reason(error)}", file=sys.stderr)
        return UNUSABLE
    return await _write(recording, out)


async def run_record_stored(location: str, out: Path, since: float | None, until: float | None) -> int:
    """Write what a database says has happened between two moments; answers the exit status."""
    from imagestore_sim.database import DatabaseError
    from imagestore_sim.scenario.recording.from_database import read_stored

    if not await _has_folder(out):
        return UNUSABLE
    try:
        recording = await read_stored(location, since, until)
    except DatabaseError as error:
        print(f"imagestore-sim: --database {error}", file=sys.stderr)
        return UNUSABLE
    return await _write(recording, out)


async def _has_folder(out: Path) -> bool:
    there = await asyncio.to_thread(out.parent.is_dir)
    if not there:
        print(f"imagestore-sim: --out {out}: there is no such folder", file=sys.stderr)
    return there


async def _write(recording: Recording, out: Path) -> int:
    from imagestore_sim.scenario.recording.recorder import scenario_of

    try:
        await asyncio.to_thread(out.write_text, scenario_of(recording), encoding="utf-8")
    except OSError as error:
        print(f"imagestore-sim: --out {out}: {error.strerror}", file=sys.stderr)
        return UNUSABLE
    length = duration_text(round(recording.ended - recording.began, 1))
    print(f"{out}: {len(recording.events)} events of {length}")
    return HELD


def _problems(files: Sequence[Path], options: Options) -> Iterator[str]:
    if options.containers:
        yield from _problems_of_containers(files, options)
        return
    for file in files:
        try:
            read_scenario(file, no_rules if options.node is None else remote_lab_rules.broken_rules)
        except ScenarioError as error:
            yield str(error)
    if options.node is not None:
        try:
            asyncio.run(check_lab(options.node, options.account, options.password, options.lab_token))
        except WorldProblem as error:
            yield f"--node {error}"


def _problems_of_containers(files: Sequence[Path], options: Options) -> Iterator[str]:
    try:
        from imagestore_sim.containers.errors import EngineProblem
        from imagestore_sim.scenario import replay_on_containers as playing
    except ModuleNotFoundError as error:
        if error.name != "aiodocker":
            raise
        yield "--hosts compose needs a library for Docker: pip install 'imagestore-sim[compose]'"
        return
    fine = True
    for file in files:
        try:
            playing.read_for_containers(file, options.speed)
        except ScenarioError as error:
            fine = False
            yield str(error)
    if fine:
        try:
            playing.prepare_containers()
        except EngineProblem as problem:
            yield str(problem)


def _play_all(files: Sequence[Path], options: Options) -> Iterator[Result]:
    """The results as they come."""
    if options.jobs <= 1 or len(files) == 1:
        for file in files:
            yield _play_one(file, options)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(options.jobs, len(files))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupts)
    waiting = iter(files)
    # Each has one at a time, so that one that is interrupted has no other to go on with.
    running = {pool.submit(_play_here, file, options) for file in itertools.islice(waiting, workers)}
    done: set[Future[Result]] = set()
    try:
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(_play_here, file, options) for file in itertools.islice(waiting, len(done))}
            while done:
                yield done.pop().result()
    except (KeyboardInterrupt, GeneratorExit):
        # On the real clock it may take long until they end by themselves.
        for worker in list(pool._processes.values()):
            worker.terminate()
        pool.shutdown()
        if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
            raise
        yield from (one.result() for one in (*done, *running) if one.done() and one.exception() is None)
        raise
    finally:
        pool.shutdown()


def _play_one(file: Path, options: Options) -> Result:
    if options.node is not None:
        return replay_file_on_lab(
            options.node, file, account=options.account, password=options.password, lab_token=options.lab_token
        )
    if options.containers:
        from imagestore_sim.scenario.replay_on_containers import replay_on_containers

        return replay_on_containers(file, seed=options.seed, speed=options.speed, keep=options.keep)
    return replay_file(file, clock=options.clock, seed=options.seed, speed=options.speed)


def _ignore_interrupts() -> None:
    """Between scenarios, an interrupt is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _play_here(file: Path, options: Options) -> Result:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _play_one(file, options)
    finally:
        _ignore_interrupts()


# What people see


class _Nothing:
    def __call__(self) -> None:
        """Nobody watches."""


class _Bar:
    def __init__(self, console: Console, count: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console,
            transient=True,
        )  # fmt: skip
        self._task = self.progress.add_task("playing", total=count)

    def __call__(self) -> None:
        self.progress.advance(self._task)


@contextlib.contextmanager
def _progress(console: Console, count: int) -> Iterator[_Bar | _Nothing]:
    """A bar on a terminal, nothing elsewhere: there the lines do."""
    if not console.is_terminal or count == 1:
        yield _Nothing()
        return
    bar = _Bar(console, count)
    with bar.progress:
        yield bar


def _tell(console: Console, result: Result) -> None:
    colour = COLOURS[result.verdict]
    word = "interrupted" if result.interrupted else result.verdict
    took = f"{duration_text(round(result.length, 1))} in {result.seconds:.1f}s"
    console.print(f"[{colour}]{word:7}[/] {escape(result.file)}: {escape(result.title)} [dim]({took})[/]")
    if result.problem:
        console.print(f"        could not be played to its end: {_plain(result.problem)}")
    for one in result.wrong:
        when = "" if one.began is None else f" at {duration_text(one.began)}"
        console.print(f"        [{COLOURS[one.verdict]}]{one.verdict}[/] {_name(one.kind, one.number)}{when}:"
                      f" {_plain(one.text)}")  # fmt: skip
        console.print(f"          seen: {_plain(one.seen)}")


def _plain(text: str) -> str:
    """What a node or a host has said, which moves no cursor and is no markup."""
    return escape(on_one_line(text))


def _name(kind: str, number: int) -> str:
    return f"invariant {number}" if kind == "invariant" else f"step {number}"


def _sum_up(console: Console, results: Sequence[Result], count: int, seconds: float) -> None:
    verdicts = Counter(result.verdict for result in results)
    parts = [f"{verdicts[one]} {one}" for one in Verdict if verdicts[one] or one is Verdict.HELD]
    if count > len(results):
        parts.append(f"{count - len(results)} not played")
    console.print(f"{', '.join(parts)} in {seconds:.1f}s")
