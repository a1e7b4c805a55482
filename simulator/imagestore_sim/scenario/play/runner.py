"""Plays a scenario: its timeline step by step, its expectations beside it, all in the time of one clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from imagestore_sim.clock import Clock
from imagestore_sim.faults import FaultProblem
from imagestore_sim.node.errors import StartError
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.steps import Step
from imagestore_sim.scenario.play.actions import ACTIONS
from imagestore_sim.scenario.play.answers import reason_of
from imagestore_sim.scenario.play.context import PlayContext
from imagestore_sim.scenario.play.expectations import EXPECTATIONS, watch_invariant
from imagestore_sim.scenario.play.node_actions import NODE_ACTIONS
from imagestore_sim.scenario.play.results import Lane, Outcome, Result, StepResult, Verdict
from imagestore_sim.scenario.play.world import NO_ANSWER, World, WorldFactory, WorldProblem
from imagestore_sim.virtual_clock import VirtualClock, begin_part

HANDLERS = {**ACTIONS, **NODE_ACTIONS, **EXPECTATIONS}
ORACLE = "oracle"
"""The kind of the checks that only `explore.judging` decides."""
PROBLEMS = (FaultProblem, ValueError, StartError, WorldProblem, *NO_ANSWER)
"""What makes a step fail, or the whole scenario where it is raised by the world itself."""


Watch = Callable[[Result, Callable[[], float]], None]
"""Is called when a scenario begins, with its result, which fills from then on, and what tells the seconds so far."""


def no_watch(result: Result, now: Callable[[], float]) -> None:
    """Watch nothing."""


async def play(
    scenario: Scenario,
    new_clock: Callable[[], Clock],
    new_world: WorldFactory,
    *,
    file: str = "",
    seed: int = 0,
    watch: Watch = no_watch,
) -> Result:
    """Play a scenario to its end. Return what was seen so far when cancelled."""
    clock = new_clock()
    kind = "virtual" if isinstance(clock, VirtualClock) else "real"
    result = Result(file, scenario.title, scenario.description, seed, kind)
    began = time.monotonic()  # real: how long it took to play
    runner = _Runner(scenario, clock, result, seed, new_world)
    watch(result, lambda: runner.now)
    try:
        await runner.run()
    except asyncio.CancelledError:
        result.interrupted = True
    except PROBLEMS as error:
        result.problem = str(error) or type(error).__name__
    runner.close()
    result.seconds = time.monotonic() - began  # real: see above
    return result


class _Runner:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, clock: Clock, result: Result, seed: int, new_world: WorldFactory) -> None:
        self._scenario = scenario
        self._clock = clock
        self._result = result
        self._world = new_world(
            scenario, clock, seed, lambda event, node="": self._context.observer.on_event(event, node)
        )
        _prepare(result, scenario, self._world)
        self._context: PlayContext = PlayContext.of(self._world, clock, result)
        self._time = self._context.time
        self._tasks = self._context.tasks

    @property
    def now(self) -> float:
        """Seconds since the story's beginning."""
        return self._time.now

    async def run(self) -> None:
        """Enter the world, and play until the last verdict. Raise one of PROBLEMS when the world is lost."""
        async with self._world:
            self._time.begin()
            await self._context.observer.begin()
            watches = [
                self._tasks.begin(watch_invariant(self._context, invariant, result), f"invariant {result.number}")
                for invariant, result in zip(self._scenario.invariants, self._result.invariants, strict=False)
            ]
            try:
                await self._until_the_end()
                await self._world.settle()
                self._end_invariants(watches)
            finally:
                await self._tasks.close()
                await self._context.clients.close()
                self._context.observer.close()
                self._context.windows.close_all()

    def close(self) -> None:
        """Log the verdict of every step and invariant."""
        self._context.observer.close()
        for check in self._result.checks:
            if check.kind == ORACLE:
                continue  # it is decided later, by all that was seen
            if check.verdict is Verdict.UNKNOWN:
                check.seen = check.seen or ("it was begun, and not decided" if check.runs else "it was never evaluated")
            self._context.log.add(
                "verdict", check=f"{check.kind} {check.number}", verdict=check.verdict, seen=check.seen
            )
        self._result.length = self._time.now

    async def _until_the_end(self) -> None:
        playing = self._timeline()
        ends = self._scenario.ends
        if ends is None:
            await playing
            return
        try:
            await self._clock.wait_for(playing, self._time.remaining(ends))
        except TimeoutError:
            return
        await self._time.sleep_until(ends)

    def _end_invariants(self, watches: list[asyncio.Task[None]]) -> None:
        """Decide the invariants that have not been broken."""
        for result, watch in zip(self._result.invariants[: len(watches)], watches, strict=True):
            if not watch.done() and result.runs:
                result.verdict, result.ended = Verdict.HELD, self._time.now
            elif not watch.done():
                result.seen = "there was never anything to watch"

    # The timeline

    async def _timeline(self) -> None:
        """Begin each step at its time: one without `at` when the one above it has ended."""
        before: asyncio.Task[None] | None = None
        tasks: list[asyncio.Task[None]] = []
        to_the_end: list[tuple[asyncio.Task[None], StepResult]] = []
        for step, result in zip(self._scenario.timeline, self._result.steps, strict=True):
            late = ""
            if step.at is not None:
                late = await self._time.sleep_until(step.at)
            else:
                if before is not None:
                    await asyncio.wait({before})
                await self._clock.sleep(step.after or 0)
            await self._world.settle()
            begin_part(result.number)
            task = self._tasks.begin(self._run_step(step, result, late), f"step {result.number}")
            await asyncio.sleep(0)
            if step.never is not None and step.never.during is None:
                to_the_end.append((task, result))
            else:
                tasks.append(before := task)
        await asyncio.gather(*tasks)
        await self._world.settle()
        for task, result in to_the_end:
            if not task.done():
                result.verdict, result.ended = Verdict.HELD, self._time.now

    async def _run_step(self, step: Step, result: StepResult, late: str) -> None:
        """Carry out a step, again and again if it says `every`; the first failure is its verdict."""
        result.began = self._time.now
        due = self._time.now
        while True:
            self._context.log.add("step", number=result.number, text=result.text)
            result.runs += 1
            verdict, seen = await self._carry_out(step)
            if result.runs == 1 or result.verdict is Verdict.HELD:
                result.verdict, result.seen = verdict, self._context.log.stable(seen)
            due += step.every or 0
            if step.until is None or due > step.until:
                break
            await self._time.sleep_until(due)
            await self._world.settle()
        result.ended = self._time.now
        if late:
            result.verdict, result.seen = Verdict.FAILED, late

    async def _carry_out(self, step: Step) -> Outcome:
        try:
            verdict, seen = await HANDLERS[step.kind](self._context, step.content)
        except PROBLEMS as error:
            verdict, seen = Verdict.FAILED, reason_of(error)
        may_fail = self._scenario.oracle and step.may_fail
        return (Verdict.HELD if may_fail else verdict), seen


def _prepare(result: Result, scenario: Scenario, world: World) -> None:
    """Enter all storages, steps and invariants of a scenario in its result, undecided."""
    result.lanes = [Lane(one.name, one.hostname, uuid=world.storages[one.name]) for one in scenario.all_storages()]
    result.steps = [
        StepResult(number, step.kind, str(step), step.expects) for number, step in enumerate(scenario.timeline, start=1)
    ]
    result.invariants = [
        StepResult(number, "invariant", str(one), True) for number, one in enumerate(scenario.invariants, start=1)
    ]
    result.invariants += [
        StepResult(number, ORACLE, name, True, seen="it is decided on simulated hosts and the virtual clock only")
        for number, name in enumerate(scenario.judged, start=1)
    ]
