"""How long the event loop of this thread is held by one turn, in processor time, which other programs do not add to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BEAT = 0.002


class Stalls:
    """The longest turn of the loop so far, in seconds of this thread's processor time."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Look after every turn, or every few that are short."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(BEAT)
            self.longest = max(self.longest, time.thread_time() - before)


@asynccontextmanager
async def watching_stalls() -> AsyncIterator[Stalls]:
    """The stalls of the running loop while the block runs."""
    stalls = Stalls()
    task = asyncio.create_task(stalls.watch())
    try:
        yield stalls
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
