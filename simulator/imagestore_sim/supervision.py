"""Loops that survive failed rounds, and reports of rounds that fail or never end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from imagestore_sim.tasks import Tasks

logger = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 5.0
"""A loop that failed since the store was away goes on so soon after the store is back."""
STALLED_SECONDS = 30.0
"""Real seconds that one round of a loop may take. A round that waits for a lock on the store takes up to ten."""


@dataclass(slots=True, eq=False)
class _Loop:
    """One loop, and how its rounds have gone."""

    name: str
    working_since: float | None = None
    """When the present round began, on the machine's monotonic clock; None between rounds."""
    failed: str | None = None
    """The error of the last round, None if it succeeded."""
    failures: int = 0
    """Rounds that have failed in a row."""
    stall_reported: bool = False


class Supervisor:
    """Keeps loops running. After a round that fails, it pauses and starts the next one.

    The same error in a row is logged once, and counted each time; the pause doubles with each failure in a row, up to
    LONGEST_PAUSE_SECONDS.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]],
        observe: Callable[[str, str], None] = lambda *_: None,
        explained: tuple[type[Exception], ...] = (),
    ) -> None:
        """`sleep` waits on the clock; `observe` is called with the name of a loop and `failed` or `stalled`.

        The text of an `explained` error says all there is to say: it is logged without a traceback.
        """
        self._sleep = sleep
        self._observe = observe
        self._explained = explained
        self._loops: dict[_Loop, None] = {}

    def keep(
        self, tasks: Tasks, name: str, wait: Callable[[], Awaitable[T]], work: Callable[[T], Awaitable[None]]
    ) -> asyncio.Task[None]:
        """Run rounds of `work(await wait())` as a task of `tasks` until it is cancelled.

        `wait` may take any time; `work` is reported when it takes longer than STALLED_SECONDS.
        """
        return tasks.begin(self._keep(_Loop(name), wait, work), name)

    def problems(self) -> list[str]:
        """Return a line for each loop whose last round failed, or whose present one takes too long."""
        lines = []
        for loop in self._loops:
            if loop.failed is not None:
                lines.append(f"{loop.name}: failed {loop.failures} times in a row: {loop.failed}")
            elif (seconds := self._stalled(loop)) is not None:
                lines.append(f"{loop.name}: has not ended its round for {seconds:.0f} s")
        return lines

    def report_stalls(self) -> None:
        """Log and count each loop that has stalled since the last report."""
        for loop in list(self._loops):
            seconds = self._stalled(loop)
            if seconds is not None and not loop.stall_reported:
                loop.stall_reported = True
                self._observe(loop.name, "stalled")
                logger.error("the loop %s has not ended its round for %.0f s", loop.name, seconds)

    async def _keep(self, loop: _Loop, wait: Callable[[], Awaitable[T]], work: Callable[[T], Awaitable[None]]) -> None:
        self._loops[loop] = None
        try:
            while True:
                try:
                    item = await wait()
                    loop.working_since = time.monotonic()  # real: a stall is measured in real time
                    loop.stall_reported = False
                    await work(item)
                except Exception as error:
                    loop.working_since = None
                    self._failed(loop, error)
                    await self._sleep(min(FIRST_PAUSE_SECONDS * 2 ** min(loop.failures - 1, 3), LONGEST_PAUSE_SECONDS))
                else:
                    loop.working_since = None
                    self._worked(loop)
        finally:
            del self._loops[loop]

    def _failed(self, loop: _Loop, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        loop.failures += 1
        self._observe(loop.name, "failed")
        if loop.failed != text:
            trace = None if isinstance(error, self._explained) else error
            logger.error("the loop %s failed, and continues: %s", loop.name, text, exc_info=trace)
        loop.failed = text

    def _worked(self, loop: _Loop) -> None:
        if loop.failed is not None:
            logger.warning("the loop %s works again, after %d failures", loop.name, loop.failures)
        loop.failed, loop.failures = None, 0

    def _stalled(self, loop: _Loop) -> float | None:
        if loop.working_since is None:
            return None
        seconds = time.monotonic() - loop.working_since  # real: see above
        return seconds if seconds > STALLED_SECONDS else None
