"""The snapshots that stale reads are answered from."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database
from imagestore_sim.rest.past_reads import PastReads


@pytest.mark.plain_loop
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_all_snapshots_are_closed_however_often_the_task_that_takes_them_is_cancelled(
    tmp_path: Path, times: int
) -> None:
    """It is cancelled when the fault heals, and again when the node stops."""
    database = await Database.open(str(tmp_path / "node.db"))
    await database.check()
    before = set(threading.enumerate())
    past = PastReads(database, RealClock(), seconds=0.25)
    await past.take()
    keeping = asyncio.create_task(past.keep())
    while len(set(threading.enumerate()) - before) < 4:  # each snapshot has a connection, and that a thread
        await asyncio.sleep(0.01)
    for _ in range(times):
        keeping.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await keeping
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio")]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)
    await database.close()
