"""The jobs that run in this process, and polls that wait a moment for their ends.

Most jobs end within milliseconds, and clients wait for seconds between two polls (the Go SDK two, clients 2.5). A poll
that comes a little too early would cost them that time. ZStack answers it 202 at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from imagestore_sim.clock import Clock, is_adjustable
from imagestore_sim.rest.job_store import JobState, StoredJob
from imagestore_sim.web_server import Connection

LONGEST_SECONDS = 0.1
"""Real seconds that a poll waits at most."""
PAUSES = (0.005, 0.01, 0.02, 0.03, 0.035)
"""Real seconds between two looks at a job that another node carries out: LONGEST_SECONDS in all."""
MOST_POLLS = 256
"""Polls that wait at one time; one more is answered at once."""


class RunningJobs:
    """Knows which jobs run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, asyncio.Future[None]] = {}
        self.polls = 0
        """How many polls wait."""

    @contextmanager
    def running(self, uuid: str) -> Iterator[None]:
        """Count a job as running during the block."""
        end = self._ends[uuid] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            if self._ends.get(uuid) is end:
                del self._ends[uuid]
            end.set_result(None)

    async def wait_for_end(self, uuid: str, connection: Connection | None) -> bool:
        """Return whether the job ends within LONGEST_SECONDS; stop waiting once the client of `connection` leaves.

        If the clock stands still, wait no longer than until nothing is left to do. If it jumps, return at once: while
        a poll waits, time would jump to the end of any job.
        """
        end = self._ends.get(uuid)
        if end is None or not self._may_wait():
            return False
        with self._waiting(), self._when_settled() as settled:
            ends = [end, *settled] if connection is None else [end, *settled, connection.left()]
            await asyncio.wait(ends, timeout=LONGEST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return end.done()

    def _may_wait(self) -> bool:
        return self.polls < MOST_POLLS and not getattr(self._clock, "jumps", False)

    async def wait_for_end_elsewhere(
        self, job: StoredJob, find: Callable[[], Awaitable[StoredJob | None]], connection: Connection | None
    ) -> StoredJob | None:
        """Return a job that another node carries out, once it has ended, or after LONGEST_SECONDS.

        `find` looks it up in the store. Wait as `wait_for_end` does.
        """
        if not self._may_wait():
            return job
        found: StoredJob | None = job
        left = None if connection is None else connection.left()
        with self._waiting():
            for pause in PAUSES:
                await asyncio.sleep(pause)  # real: see LONGEST_SECONDS
                found = await find()
                if found is None or found.state != JobState.PROCESSING or (left is not None and left.done()):
                    break
        return found

    @contextmanager
    def _when_settled(self) -> Iterator[list[asyncio.Future[Any]]]:
        """Yield a task that ends once nothing is left to do; none while time passes."""
        tasks: list[asyncio.Future[Any]] = []
        if is_adjustable(self._clock) and self._clock.paused:
            tasks.append(asyncio.ensure_future(self._clock.settle()))
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self.polls += 1
        try:
            yield
        finally:
            self.polls -= 1
