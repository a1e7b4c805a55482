"""Kills a node at once, or between a commit and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from imagestore_sim.clock import Clock
from imagestore_sim.database import Database


async def kill_at_commit(
    database: Database, clock: Clock, kill: Callable[[], None], *, commits: int, within: float
) -> None:
    """Call `kill` at once, or right after the commit with that number from now on; after `within` in any case.

    `within` is in seconds of the clock. `kill` is called before whatever waits for the commit goes on.
    """
    dead = asyncio.Event()
    left = commits

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            kill()
            dead.set()

    if commits:
        with database.watching_commits(count):
            await clock.sleep_unless(dead.wait(), within)
    if not dead.is_set():
        kill()
