"""Counts the turns of an event loop: whether others have their turn while something runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagestore_sim.tasks import cancel_and_wait


@dataclass
class Turns:
    """How many turns there have been."""

    count: int = 0


@asynccontextmanager
async def counting(turns: Turns) -> AsyncIterator[None]:
    """Count the turns of the running event loop during a block."""

    async def count() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    try:
        yield
    finally:
        await cancel_and_wait(task)
