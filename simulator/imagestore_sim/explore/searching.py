"""Searches: plays story after story, each from its seed, tells each finding once, and shrinks it."""

from __future__ import annotations

import gc
import hashlib
import itertools
import multiprocessing
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from imagestore_sim.explore.branches import Branches, Measured, measured
from imagestore_sim.explore.client import Around
from imagestore_sim.explore.coverage import Coverage, covered
from imagestore_sim.explore.extent import check_extent
from imagestore_sim.explore.findings import Finding, only, signature
from imagestore_sim.explore.folder import check_room, damaged
from imagestore_sim.explore.generation import generate, nodes_of
from imagestore_sim.explore.invariants import Violation
from imagestore_sim.explore.judging import write_verdicts
from imagestore_sim.explore.mutation import mutate
from imagestore_sim.explore.playing import play
from imagestore_sim.explore.runs import Played
from imagestore_sim.explore.saved import SavedBranches, SavedSearch
from imagestore_sim.explore.shrinking import shrink
from imagestore_sim.explore.story import Content, read
from imagestore_sim.explore.time_limit import LONGEST_RUN, TimeLimit, TooLong, collect_what_is_left
from imagestore_sim.scenario.format.oracle import OracleName
from imagestore_sim.scenario.format.reader import ScenarioError
from imagestore_sim.scenario.play.results import Result
from imagestore_sim.tasks import ignore_interrupts, interrupts_held_back

Base = Content | Around | None
"""What stories are made from: one that they vary, or a program that they are around; None: nothing."""
ANY = ""
"""In place of a word for how many nodes stories have: any number."""
LARGEST_SEED = 2**63 - 1
STATE = ".explore.json"
"""The file, beside the findings, from which a search resumes."""
SAVED_EVERY = 5.0
"""Real seconds after which a search saves how far it has come: it may be killed."""
TIMES_AS_LONG = 5
"""How many times as long as a story that fails a simpler one may take."""
SHORTEST_LIMIT = 20.0
"""Real seconds that it may take in any case: the machine has other work."""
SHRINKING_SECONDS = 150.0
"""Real seconds after which a finding is as simple as it has become by then."""
MOST_OF_ONE_RUN = 3
"""Findings of one run that are shrunk: the others will be found again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run, as plain data that processes can pass on."""

    seed: int
    steps: int
    violations: tuple[Violation, ...]
    met: tuple[tuple[str, str], ...]
    digest: str
    """Of its log: the same each time that the seed is played."""
    problem: str
    """Why it was not played to its end, or ''."""
    ran: Measured | None = None
    """What ran of this package's code; None if that was not measured."""


def story_of(seed: int, base: Base) -> Content:
    """Return the story of a seed: a new one, a variation of a story, or one around a program."""
    if isinstance(base, Around):
        return base.story(seed)
    return generate(seed) if base is None else mutate(base, seed)


def play_seed(seed: int, base: Base = None, measures: bool = False) -> Outcome:
    """Play the story of a seed, and judge it. `measures`: also find out which branches it takes."""
    story = story_of(seed, base)
    try:
        with measured() if measures else nullcontext() as ran:
            played, violations = _play(story, LONGEST_RUN)
    except (TooLong, ScenarioError) as error:
        return Outcome(seed, len(story["timeline"]), (), (), "", str(error))
    digest = hashlib.sha256(played.log_text.encode()).hexdigest()
    met = tuple(sorted(set(covered(played))))
    return Outcome(seed, len(story["timeline"]), tuple(violations), met, digest, played.result.problem, ran)


def shrink_seed(seed: int, violation: Violation, base: Base = None) -> Finding:
    """Return the finding that a run has shown, as simple as it could be made."""
    story = only(story_of(seed, base), violation.invariant)
    shown = signature(violation)
    candidates = _Candidates(shown)
    fails, is_late = candidates.fails, candidates.is_late
    shrunk = shrink(story, fails, stop=is_late)
    runs = shrunk.runs
    played = _shows(shrunk.story, shown)
    if played is not None and "order" in shrunk.story and played[0].drawn:
        pins = {str(kind): dict(picks) for kind, picks in played[0].drawn.items()}
        pinned = {**shrunk.story, "order": pins}
        if fails(pinned):
            again = shrink(pinned, fails, stop=is_late)
            shrunk, runs = again, runs + again.runs
            played = _shows(shrunk.story, shown)
    text = violation.text if played is None else played[1].text
    return Finding(violation.invariant, text, shrunk.story, seed, runs, len(story["timeline"]), played is not None)


class _Candidates:
    """Plays the simpler stories that a finding may become: whether each shows the same."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._end = time.monotonic() + SHRINKING_SECONDS  # real: the user waits
        self._longest = 0.0
        """Real seconds that a story took which shows the same."""

    def is_late(self) -> bool:
        """Return whether there is no time for more of them."""
        return time.monotonic() > self._end  # real: as above

    def fails(self, candidate: Content) -> bool:
        """Play one. One that takes many times as long as another that failed is given up.

        One with a program has to fail twice: a busy machine may make it late, which shows nothing.
        """
        limit = max(SHORTEST_LIMIT, TIMES_AS_LONG * self._longest) if self._longest else LONGEST_RUN
        times = 2 if any("program" in step for step in candidate["timeline"]) else 1
        began = time.monotonic()  # real: as above
        if any(_shows(candidate, self._shown, limit) is None for _ in range(times)):
            return False
        self._longest = max(self._longest, time.monotonic() - began)  # real: as above
        return True


def _play(story: Content, limit: float) -> tuple[Played, list[Violation]]:
    """Play a story and judge it. Raise TooLong, ScenarioError for one that cannot be read or is too long, or NoRoom.

    `limit`: real seconds.
    """
    scenario = read(story)
    check_extent(scenario)
    check_room()
    try:
        with TimeLimit(limit) as limited:
            played = play(scenario)
        if played.result.interrupted:  # Ctrl-C has cancelled the run, which returned what it had seen
            raise KeyboardInterrupt
        limited.check()
    except TooLong as error:
        collect_what_is_left(error)
        raise
    except Exception as error:  # whatever it is, a story must not end so
        check_room()
        return Played(scenario, Result("", scenario.title)), [_broken_off(error)]
    if violations := write_verdicts(played):
        check_room()
    return played, violations


def _broken_off(error: Exception) -> Violation:
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"the run ended with {type(error).__name__}: {error} (in {where.name} of {Path(where.filename).name})"
    return Violation(OracleName.NO_ERRORS, text, 0.0)


def _shows(story: Content, shown: str, limit: float = LONGEST_RUN) -> tuple[Played, Violation] | None:
    """Return what a story shows if it shows the same, None if it does not, or takes longer than `limit`."""
    try:
        played, violations = _play(story, limit)
    except (TooLong, ScenarioError):
        return None
    return next(((played, one) for one in violations if signature(one) == shown), None)


class NotShrunk(NamedTuple):
    """A finding that has no file yet."""

    seed: int
    violation: Violation


@dataclass(slots=True)
class Progress:
    """How far a search has come."""

    runs: int = 0
    given_up: int = 0
    why_given_up: str = ""
    """Why the first of those was not played to its end, with its seed."""
    next_seed: int = 0
    nodes: str = ANY
    """The caller's word for how many nodes the stories have."""
    next_of_others: dict[str, int] = field(default_factory=dict)
    """From which seed searches go on whose stories have other nodes, by their words."""
    digest: str = ""
    """Of the logs of all runs, in their order."""
    coverage: Coverage = field(default_factory=Coverage)
    told: dict[str, str] = field(default_factory=dict)
    """The names of findings by what they show: '' while one is being shrunk, or when it is another one's."""
    being_shrunk: dict[str, NotShrunk] = field(default_factory=dict)
    """Those that are being shrunk, by what they show: after a kill their seeds are played again."""
    findings: list[Finding] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)  # real: how fast it is
    """Real: for the rate of runs."""

    def line(self) -> str:
        """Return it in a line: what matters most comes first, since a terminal may be narrow."""
        rate = self.runs / max(0.001, time.monotonic() - self.began)  # real: how fast it is
        found = f"{len(self.told)} finding{'' if len(self.told) == 1 else 's'}"
        branches = f", {self.coverage.branches}" if self.coverage.branches.taken else ""
        return f"{self.runs} runs, {rate:.1f}/s, {found}, {self.coverage}{branches}"

    def save(self, file: Path) -> None:
        """Write what a search resumes from. Raise FolderProblem."""
        following = min([self.next_seed, *(one.seed for one in self.being_shrunk.values())])
        nexts = {ANY: 0, **self.next_of_others, self.nodes: following}
        branches = self.coverage.branches.state()
        SavedSearch(
            next=nexts.pop(ANY),
            next_of=nexts,
            covered=list(self.coverage),
            told={shown: name for shown, name in self.told.items() if shown not in self.being_shrunk},
            branches=None if branches is None else SavedBranches.model_validate(branches),
        ).write(file)

    @classmethod
    def resumed(cls, file: Path, nodes: str = ANY) -> Progress:
        """Return the progress of a search that goes on where the last one of stories with these nodes ended.

        Raise FolderProblem.
        """
        saved = SavedSearch.read(file)
        nexts = {ANY: saved.next, **saved.next_of}
        try:
            branches = Branches(None if saved.branches is None else saved.branches.model_dump())
        except ValueError as error:
            raise damaged(file, f"branches: {error}") from None
        return cls(
            next_seed=nexts.pop(nodes, 0),
            nodes=nodes,
            next_of_others=nexts,
            coverage=Coverage(saved.covered, branches),
            told=dict(saved.told),
        )


class Search:
    """Plays seeds in their order, in some processes; findings are written into a folder."""

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        *,
        base: Base = None,
        jobs: int = 1,
        branches: int = 0,
        state: Path | None = None,
        show: Callable[[Progress], None] = lambda _: None,
        tell: Callable[[Finding, Path], None] = lambda _, __: None,
    ) -> None:
        """Save the progress into `state` every few seconds; call `show` after each run, `tell` with each finding.

        `branches`: measure the branches of every story whose seed is a multiple of this; 0: of none.
        """
        self.progress = progress
        self._folder = folder
        self._base = base
        self._jobs = jobs
        self._branches = branches
        self._state = state
        self._saved = time.monotonic()  # real: the machine may stop at any time
        self._show = show
        self._tell = tell

    def run(self, seeds: Iterator[int], is_over: Callable[[], bool]) -> None:
        """Play seeds until there are no more of them, or it is over; finish what is being shrunk.

        Raise FolderProblem, NoRoom, and BrokenProcessPool when one of several processes was killed.
        """
        workers = _Workers(self._jobs)
        shrinking: deque[tuple[str, _Task]] = deque()
        playing: deque[_Task] = deque()
        try:
            while True:
                while len(playing) < self._jobs and not is_over() and (seed := next(seeds, None)) is not None:
                    playing.append(workers.begin(play_seed, seed, self._base, self._measures(seed)))
                if not playing:
                    break
                outcome = playing.popleft().result()
                self._note(outcome)
                for violation in _first_of_each(outcome.violations)[:MOST_OF_ONE_RUN]:
                    if (shown := signature(violation)) not in self.progress.told:
                        self.progress.told[shown] = ""
                        self.progress.being_shrunk[shown] = NotShrunk(outcome.seed, violation)
                        task = workers.begin(shrink_seed, outcome.seed, violation, self._base)
                        shrinking.append((shown, task))
                        self._show(self.progress)
                while shrinking and shrinking[0][1].done():
                    self._take(*shrinking.popleft())
            while shrinking:
                self._take(*shrinking.popleft())
        finally:
            workers.close()
            self._save()

    def _measures(self, seed: int) -> bool:
        """Return whether the branches are measured that the story of a seed takes."""
        return bool(self._branches) and seed % self._branches == 0

    def _save(self) -> None:
        """Save the progress, if it is kept."""
        if self._state is not None:
            self.progress.save(self._state)
        self._saved = time.monotonic()  # real: see __init__

    def _note(self, outcome: Outcome) -> None:
        progress = self.progress
        progress.runs += 1
        progress.next_seed = outcome.seed + 1
        if outcome.problem:
            progress.given_up += 1
            progress.why_given_up = progress.why_given_up or f"seed {outcome.seed}: {outcome.problem}"
        progress.digest = hashlib.sha256(f"{progress.digest}{outcome.digest}".encode()).hexdigest()
        progress.coverage.add(outcome.met)
        if outcome.ran is not None:
            progress.coverage.branches.add(outcome.ran)
        self._show(progress)
        if time.monotonic() - self._saved > SAVED_EVERY:  # real: see __init__
            self._save()

    def _take(self, shown: str, task: _Task) -> None:
        """Write a finding, unless another one has turned out to be the same; without its file it is not shrunk."""
        finding = task.result()
        is_new = finding.name not in self.progress.told.values()
        file = finding.write(self._folder) if is_new else None
        del self.progress.being_shrunk[shown]
        if file is not None:
            self.progress.told[shown] = finding.name
            self.progress.findings.append(finding)
            self._tell(finding, file)
            self._save()


def _first_of_each(violations: Sequence[Violation]) -> list[Violation]:
    """Return the first violation of each kind."""
    return list({signature(one): one for one in reversed(violations)}.values())[::-1]


class _Task:
    """Work that is done when its result is asked for, or in another process."""

    def __init__(self, work: Callable[[], Any], future: Future[Any] | None = None) -> None:
        self._work = work
        self._future = future

    def done(self) -> bool:
        """Return whether asking for the result does not wait; work of this process is done at once."""
        return self._future is None or self._future.done()

    def result(self) -> Any:
        """Return the result."""
        return self._work() if self._future is None else self._future.result()


class _Workers:
    """Processes; with one job, this one."""

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(jobs, context, initializer=_prepare_worker) if jobs > 1 else None
        if self._pool is None:
            collect_garbage_seldom()

    def begin(self, work: Callable[..., Any], *arguments: Any) -> _Task:
        """Begin work."""
        if self._pool is None:
            return _Task(lambda: work(*arguments))
        with interrupts_held_back():
            return _Task(lambda: None, self._pool.submit(work, *arguments))

    def close(self) -> None:
        """End the processes, with what they are at."""
        if self._pool is not None:
            for worker in list(self._pool._processes.values()):
                worker.terminate()
            self._pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    ignore_interrupts()
    collect_garbage_seldom()


def collect_garbage_seldom() -> None:
    """Let the garbage collector never look at what has been imported: that takes as long as a short story."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def seeds_from(first: int, count: int | None = None, takes: Callable[[int], bool] | None = None) -> Iterator[int]:
    """Return seeds, one after the other; without a count, up to the largest one.

    `takes` chooses stories by how many nodes they have.
    """
    chosen = (seed for seed in range(first, LARGEST_SEED + 1) if takes is None or takes(nodes_of(seed)))
    return itertools.islice(chosen, count)
