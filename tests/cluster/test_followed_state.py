"""What a node keeps of a shared store is read again by tasks that end with the node."""

from __future__ import annotations

import asyncio
from pathlib import Path

from imagestore_sim.clock import RealClock
from imagestore_sim.cluster import FollowedState
from imagestore_sim.database import Database
from imagestore_sim.supervision import Supervisor


async def test_a_reload_that_is_under_way_ends_with_the_node(tmp_path: Path) -> None:
    clock = RealClock()
    database = await Database.open(str(tmp_path / "mn.db"), clock=clock, shared=True)
    before = asyncio.all_tasks()
    begun, never = asyncio.Event(), asyncio.Event()

    async def reload() -> None:
        begun.set()
        await never.wait()

    followed = FollowedState(database, clock, Supervisor(clock.sleep))
    followed.follow(reload)
    followed.start()
    await asyncio.wait_for(begun.wait(), 60)
    await followed.close()
    assert asyncio.all_tasks() == before
    await database.close()
