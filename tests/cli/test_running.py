"""Signals end what runs in order: a start before what it has opened is closed, an event loop by a cancellation."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from imagestore_sim.cli.running import started, stoppable, until_stopped
from rows import rows


class Work:
    """Notes what is done in which order. Its start goes on until it is cancelled."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.done: list[str] = []
        self.begun = asyncio.Event()
        self._problem = problem

    async def start(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.done.append("start ended")
            if self._problem is not None:
                raise self._problem from None
            raise

    async def stop(self) -> None:
        self.done.append("stopped")


async def _run(work: Work, stopped: asyncio.Event) -> None:
    async with started(work.start, work.stop, stopped):
        work.done.append("entered")


async def test_a_caller_that_is_cancelled_ends_the_start_before_it_stops() -> None:
    for problem in (None, IndexError("half open")):
        work = Work(problem)
        running = asyncio.create_task(_run(work, asyncio.Event()))
        await work.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert work.done == ["start ended", "stopped"]


async def test_a_signal_ends_the_start_before_it_stops() -> None:
    work, stopped = Work(), asyncio.Event()
    running = asyncio.create_task(_run(work, stopped))
    await work.begun.wait()
    stopped.set()
    await running
    assert work.done == ["start ended", "entered", "stopped"]


async def test_a_start_that_fails_as_it_is_ended_says_so() -> None:
    work, stopped = Work(OSError("no room")), asyncio.Event()
    running = asyncio.create_task(_run(work, stopped))
    await work.begun.wait()
    stopped.set()
    with pytest.raises(OSError, match="no room"):
        await running
    assert work.done == ["start ended", "stopped"]


def test_sigterm_raises_nothing_in_what_runs_where_sigint_is_ignored() -> None:
    done: list[str] = []

    async def main() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        done.append("went on")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.append("cancelled")
            raise

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable(), pytest.raises(KeyboardInterrupt), asyncio.Runner() as runner:
            runner.run(main())
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["went on", "cancelled"]


def _be_interrupted(number: signal.Signals) -> None:
    with stoppable():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            if number is signal.SIGHUP:
                os.kill(os.getpid(), number)
                time.sleep(0.05)


@rows("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_or_a_closed_terminal_ends_what_runs_in_order(number: signal.Signals) -> None:
    async def main() -> bool:
        async with until_stopped() as stopped:
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                await stopped.wait()
            if number is signal.SIGHUP:  # once more, as the shell does after the system
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.05)
            return stopped.is_set()

    before = signal.getsignal(number)
    assert asyncio.run(main())
    with pytest.raises(KeyboardInterrupt):
        _be_interrupted(number)
    assert signal.getsignal(number) == before


def test_a_closed_terminal_ends_nothing_that_ignores_it() -> None:
    async def main() -> bool:
        async with until_stopped() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.05)
            return stopped.is_set()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert not asyncio.run(main())
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
