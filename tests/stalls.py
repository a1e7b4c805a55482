"""The longest turn of an event loop, in processor time, so that other programs do not count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BEAT = 0.002


class Stalls:
    """Measures the longest turn of the running loop, in seconds of this thread's processor time."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Measure after each turn, or after a few short ones."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(BEAT)
            self.longest = max(self.longest, time.thread_time() - before)


@asynccontextmanager
async def measuring_stalls() -> AsyncIterator[Stalls]:
    """Measure the stalls of the running loop while the block runs."""
    stalls = Stalls()
    task = asyncio.create_task(stalls.watch())
    try:
        yield stalls
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
