"""A file that several databases of one process share, as nodes do that are simulated together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from imagestore_sim.database import Database, DatabaseError
from imagestore_sim.database.models import Zone
from imagestore_sim.virtual_clock import VirtualClock, run_virtually, virtual_clock

DATES = {"createDate": datetime(2017, 11, 14, 22, 20, 57), "lastOpDate": datetime(2017, 11, 14, 22, 20, 57)}


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[list[Database]]:
    async with AsyncExitStack() as to_close:
        opened = await asyncio.gather(*(Database.open(str(tmp_path / "node.db"), shared=True) for _ in range(3)))
        for one in opened:
            to_close.push_async_callback(one.close)
        yield opened


async def _add(database: Database, name: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(Zone).values(uuid=name, name=name, state="Enabled", type="zstack", **DATES))
        await asyncio.sleep(0)


async def _names(database: Database) -> list[str]:
    return [name for (name,) in await database.read(select(Zone.name).order_by(Zone.name))]


async def test_each_sees_what_the_others_commit(three: list[Database]) -> None:
    first, second, third = three
    await asyncio.gather(_add(first, "a"), _add(second, "b"), _add(third, "c"))
    for one in three:
        assert await _names(one) == ["a", "b", "c"]
        assert await one.fetch_few("SELECT COUNT(*) FROM ZoneVO", ()) == [(3,)]


async def test_the_revision_of_all_changes_with_a_commit_of_any(three: list[Database]) -> None:
    first, second, third = three
    before = {await one.current_revision() for one in three}
    await _add(first, "a")
    after = {await one.current_revision() for one in three}
    assert len(before) == len(after) == 1
    assert before != after
    assert (first.revision, second.revision, third.revision) == (1, 0, 0)


async def test_what_is_rolled_back_changes_no_revision(three: list[Database]) -> None:
    before = await three[1].current_revision()
    with pytest.raises(RuntimeError, match="undone"):
        async with three[0].transaction():
            raise RuntimeError("undone")
    assert await three[1].current_revision() == before


async def test_the_file_is_locked_until_the_last_one_leaves_it(three: list[Database], tmp_path: Path) -> None:
    location = str(tmp_path / "node.db")
    await three[0].close()
    await three[1].close()
    await _add(three[2], "a")
    with pytest.raises(DatabaseError, match="is in use by another management node"):
        await Database.open(location)
    await three[2].close()
    alone = await Database.open(location)
    assert await _names(alone) == ["a"]
    await alone.close()


async def test_a_file_that_is_not_shared_stays_its_nodes_alone(tmp_path: Path) -> None:
    alone = await Database.open(str(tmp_path / "node.db"))
    with pytest.raises(DatabaseError, match="is in use by another management node"):
        await Database.open(str(tmp_path / "node.db"), shared=True)
    await alone.close()
    await (await Database.open(str(tmp_path / "node.db"), shared=True)).close()


async def test_nodes_of_another_event_loop_cannot_share_it(three: list[Database], tmp_path: Path) -> None:
    def elsewhere() -> None:
        asyncio.run(Database.open(str(tmp_path / "node.db"), shared=True))

    with pytest.raises(DatabaseError, match="on another event loop"):
        await asyncio.to_thread(elsewhere)
    await _add(three[0], "a")


def test_its_time_is_that_of_the_clock(tmp_path: Path) -> None:
    async def times(clock: VirtualClock) -> tuple[float, float]:
        database = await Database.open(str(tmp_path / "node.db"), clock=clock)
        before = await database.now()
        await clock.sleep(3600)
        after = await database.now()
        await database.close()
        return before, after

    async def run() -> tuple[float, float]:
        return await times(virtual_clock())

    before, after = run_virtually(run())
    assert after - before == 3600
