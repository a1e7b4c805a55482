"""Rounds of probes: each target once a round, some at once, and a round each interval for `--watch`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from rich.console import Console

from imagestore_sim.cli.exits import FAILURE, INTERRUPTED, SUCCESS, InputError
from imagestore_sim.cli.probe_output import Outcome, Outcomes, print_json, print_outcome, print_table, watching
from imagestore_sim.cli.probe_targets import Asked
from imagestore_sim.cli.running import until_stopped
from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.node.from_settings import new_prober
from imagestore_sim.probe import PingMode, ProbeFailure, Prober
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import cancel_and_wait, together, until_done_or_set

Show = Callable[[Asked, Outcome], None]
"""Called with each outcome as it comes."""
ShowAll = Callable[[Outcomes], None]
"""Called with the outcomes of a round, in the order of the targets."""


class How(NamedTuple):
    """How targets are probed and shown; `watch` is the seconds between two rounds, None for one round."""

    parallel: int
    watch: float | None
    agent: bool
    as_json: bool
    alone: bool
    """Whether one target was named on the command line: its outcome needs no name."""


async def run_probes(settings: Settings, asked: Sequence[Asked], how: How) -> int:
    """Probe the targets, show the outcomes, and return the exit status. Raise InputError."""
    clock = RealClock()
    async with _open_rounds(settings, asked, clock, how.parallel, agent=how.agent) as rounds:
        if how.watch is None:
            outcomes = await rounds.one(_print_line if how.as_json and not how.alone else _show_nothing)
            _show_once(outcomes, how)
            return _status_of(outcomes)
        async with until_stopped() as stopped:
            if how.as_json:
                show = partial(_print_line, clock=clock)
                return await rounds.watch(clock, how.watch, stopped, show, _show_nothing)
            with watching(Console(), clock, asked) as shown:
                return await rounds.watch(clock, how.watch, stopped, shown.one, shown.whole)


def _show_once(outcomes: Outcomes, how: How) -> None:
    """Print the outcomes of one round; lines of JSON were printed as they came."""
    if how.alone and how.as_json:
        print_json(outcomes[0][1])
    elif how.alone:
        print_outcome(outcomes[0][1], Console())
    elif not how.as_json:
        print_table(outcomes, Console())


def _print_line(one: Asked, outcome: Outcome, clock: Clock | None = None) -> None:
    print_json(outcome, one, None if clock is None else clock.time())


def _show_nothing(*_: object) -> None:
    """Show nothing: something else does."""


class Rounds:
    """Probes targets, a bounded number at once."""

    def __init__(self, asked: Sequence[Asked], probers: Mapping[int, Prober], parallel: int, *, agent: bool) -> None:
        self._asked = asked
        self._probers = probers
        self._slots = asyncio.Semaphore(parallel)
        self._agent = agent

    async def one(self, show: Show) -> Outcomes:
        """Probe each target once, and return the outcomes in the order of the targets."""
        outcomes = await together(*(self._probe(one, show) for one in self._asked))
        return list(zip(self._asked, outcomes, strict=True))

    async def _probe(self, one: Asked, show: Show) -> Outcome:
        async with self._slots:
            prober = self._probers[one.target.port if self._agent else 0]
            outcome: Outcome
            if self._agent:
                outcome = await prober.reach(one.target, PingMode.AGENT)
            else:
                outcome = await prober.probe(one.target)
        show(one, outcome)
        return outcome

    async def watch(self, clock: Clock, seconds: float, stopped: asyncio.Event, show: Show, show_all: ShowAll) -> int:
        """Begin a round each `seconds` until `stopped` is set; return the exit status of the last complete round."""
        status = INTERRUPTED
        while not stopped.is_set():
            due = clock.monotonic() + seconds
            task = asyncio.ensure_future(self.one(show))
            await until_done_or_set(task, stopped)
            if not task.done():
                await cancel_and_wait(task)
                break
            show_all(task.result())
            status = _status_of(task.result())
            pause = asyncio.ensure_future(clock.sleep(due - clock.monotonic()))
            await until_done_or_set(pause, stopped)
            pause.cancel()
        return status


@asynccontextmanager
async def _open_rounds(
    settings: Settings, asked: Sequence[Asked], clock: Clock, parallel: int, *, agent: bool
) -> AsyncIterator[Rounds]:
    """Yield the rounds of probes of these targets, and close their connections afterwards. Raise InputError."""
    ports = sorted({one.target.port for one in asked}) if agent else [0]
    try:
        probers = {port: new_prober(settings, clock, agent_port=port, max_logins=parallel) for port in ports}
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        yield Rounds(asked, probers, parallel, agent=agent)
    finally:
        await asyncio.gather(*(prober.close() for prober in probers.values()))


def _status_of(outcomes: Outcomes) -> int:
    """Return the exit status of a round: whether every probe succeeded."""
    return FAILURE if any(isinstance(outcome, ProbeFailure) for _, outcome in outcomes) else SUCCESS
