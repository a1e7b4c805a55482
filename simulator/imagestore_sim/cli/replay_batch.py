"""Plays scenario files one after another, or each in a process of a pool."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from imagestore_sim.cli.replay import Options
from imagestore_sim.lab import check_files
from imagestore_sim.node.errors import StartError
from imagestore_sim.scenario import library
from imagestore_sim.scenario.format.reader import ScenarioError, no_rules, read_scenario
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.scenario.play.world import WorldProblem
from imagestore_sim.scenario.replay import replay_file, replay_file_on_lab
from imagestore_sim.scenario.worlds import remote_lab_rules
from imagestore_sim.scenario.worlds.remote_lab import check_lab
from imagestore_sim.tasks import ignore_interrupts, interrupts_held_back

ENDINGS = (".yaml", ".yml")


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files at `paths`, which may be names of stories; those of a folder are sorted by name.

    Raise ScenarioError for an empty folder, and a name that is neither a file nor a story.
    """
    files: list[Path] = []
    for path in paths:
        found = [path]
        if not path.exists() and len(path.parts) == 1 and path.suffix not in ENDINGS:
            found = [library.file_of(path.name)]
        elif path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.suffix in ENDINGS and one.is_file())
            if not found:
                raise ScenarioError(f"{path}: there is no scenario (*.yaml) in this folder")
        files += [one for one in found if one not in files]
    return files


def find_problems(files: Sequence[Path], options: Options) -> Iterator[str]:
    """Yield why scenarios cannot be played as chosen: a mistake in a file, no lab, no containers."""
    if options.on_containers:
        yield from _find_problems_of_containers(files, options)
        return
    for file in files:
        try:
            scenario = read_scenario(file, no_rules if options.node is None else remote_lab_rules.broken_rules)
            if options.node is None:
                check_files(len(scenario.all_hosts()), "play a scenario with fewer hosts")
        except ScenarioError as error:
            yield str(error)
        except StartError as error:
            yield f"{file}: {error}"
    if options.node is not None:
        try:
            asyncio.run(check_lab(options.node, options.account, options.password, options.lab_token))
        except WorldProblem as error:
            yield f"--node {error}"


def _find_problems_of_containers(files: Sequence[Path], options: Options) -> Iterator[str]:
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


def play_all(files: Sequence[Path], options: Options) -> Iterator[Result]:
    """Play scenarios in `options.jobs` processes. Yield the results as they come."""
    if options.jobs <= 1 or len(files) == 1:
        for file in files:
            yield _play_one(file, options)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(options.jobs, len(files))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=ignore_interrupts)

    def begin(some: Iterable[Path]) -> set[Future[Result]]:
        with interrupts_held_back():
            return {pool.submit(_play_in_worker, file, options) for file in some}

    waiting = iter(files)
    # A worker gets one file at a time, so that Ctrl-C leaves it none to continue with.
    running = begin(itertools.islice(waiting, workers))
    done: set[Future[Result]] = set()
    try:
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= begin(itertools.islice(waiting, len(done)))
            while done:
                yield done.pop().result()
    except (KeyboardInterrupt, GeneratorExit):
        # On the real clock a scenario may take long to end by itself.
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
    if options.on_containers:
        from imagestore_sim.scenario.replay_on_containers import replay_on_containers

        return replay_on_containers(file, seed=options.seed, speed=options.speed, keep=options.keep)
    from imagestore_sim.explore.judging import play_judged

    return replay_file(file, clock=options.clock, seed=options.seed, speed=options.speed, play=play_judged)


def _play_in_worker(file: Path, options: Options) -> Result:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _play_one(file, options)
    finally:
        ignore_interrupts()
