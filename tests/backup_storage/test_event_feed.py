"""The feed of events passes on each event of each node once, in whichever order their transactions end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from imagestore_sim.backup_storage.event_feed import OPEN_SECONDS, EventFeed
from imagestore_sim.backup_storage.events import EventLog, Events, Subscription
from imagestore_sim.backup_storage.missing_numbers import MOST_GAPS, MissingNumbers
from imagestore_sim.clock import RealClock
from imagestore_sim.database import Database
from imagestore_sim.database.models import Event


class World:
    """A store, in which events of other nodes appear, and the feed of this node."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.events = Events(RealClock())
        self.events.follow_all()
        self.log = EventLog(database)
        self.machine = 0.0
        """What the machine's monotonic clock says."""
        self.feed = self.new_feed()

    def new_feed(self) -> EventFeed:
        return EventFeed(self.events, self.log, lambda: self.machine)

    async def stored(self, *numbers: int) -> None:
        """Let events appear in the store, of long ago by the clocks of their nodes, and the feed read."""
        row = {"time": 0, "path": "/x", "resourceUuid": "u", "content": "{}"}
        async with self.database.transaction() as connection:
            await connection.execute(insert(Event), [{"id": number, **row} for number in numbers])
        await self.feed.read()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database.open(str(tmp_path / "mn.db"))
    yield World(database)
    await database.close()


def _got(follower: Subscription) -> list[int]:
    return [follower.get_nowait().id for _ in range(follower.qsize())]


async def test_an_event_is_passed_on_however_much_later_than_those_of_higher_numbers(world: World) -> None:
    await world.feed.read()
    with world.events.follow() as follower:
        await world.stored(2, 5)
        world.machine += OPEN_SECONDS - 1
        await world.stored(7)
        await world.stored(1, 4)
        assert _got(follower) == [2, 5, 7, 1, 4]
        await world.stored(3, 6)
        await world.feed.read()
        assert _got(follower) == [3, 6]


async def test_a_number_that_stays_away_for_longer_than_a_transaction_lasts_is_given_up(world: World) -> None:
    await world.feed.read()
    with world.events.follow() as follower:
        await world.stored(2)
        world.machine += OPEN_SECONDS
        await world.stored(4)
        await world.stored(1, 3)
        assert _got(follower) == [2, 4, 3]


async def test_who_begins_to_follow_gets_what_was_open_then(world: World) -> None:
    await world.stored(1, 3)  # before the node starts
    await world.feed.read()
    await world.stored(6)  # while nobody follows
    with world.events.follow() as follower:
        await world.stored(2, 5)
        await world.stored(7)
        assert _got(follower) == [2, 5, 7]


async def test_numbers_that_begin_again_are_read_from_the_first(world: World) -> None:
    await world.feed.read()
    with world.events.follow() as follower:
        await world.stored(5, 9)
        async with world.database.transaction() as connection:
            await connection.execute(delete(Event))
        world.events.restart()
        await world.stored(1, 5)
        assert _got(follower) == [1, 5]


def test_the_gaps_that_are_kept_have_a_bound() -> None:
    missing = MissingNumbers()
    for number in range(3, 10 * MOST_GAPS, 3):  # as the servers of a Galera cluster number
        missing.note(number - 2, number - 1, 0)
    missing.note(10 * MOST_GAPS, 10**12, 0)  # as after a restart of a server
    assert len(missing._gaps) == MOST_GAPS
    assert 1 not in missing
    assert missing.take(10**6)
    assert 10**6 not in missing
    assert missing.bounds is not None
    assert missing.bounds[1] == 10**12
