"""Events of backup storages: stored in the transaction of the change, then logged and sent to subscribers."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import orjson
from sqlalchemy import Integer, Row, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.correlation import correlation
from imagestore_sim.database import Database
from imagestore_sim.database.changes import Changes, carry_out
from imagestore_sim.database.models import Event as StoredEvent

logger = logging.getLogger(__name__)
STATUS_CHANGED = "/backup-storage/status/change"
DISCONNECTED = "/backup-storage/disconnected"
# Paths of our own, which ZStack does not have.
CAPACITY_CHANGED = "/backup-storage/capacity/change"
PROBE_FAILED = "/backup-storage/probe/failure"
ADDED = "/backup-storage/added"
DELETED = "/backup-storage/deleted"
KEPT_EVENTS = 10_000
"""The number of events kept of each path, so that the events of a long outage do not displace changes of status."""
_INSERT = insert(StoredEvent)
TRIM_EVERY = 500
"""The events of a path are trimmed once in this many."""
_OLDEST = (
    select(StoredEvent.id)
    .where(StoredEvent.path == bindparam("path"))
    .order_by(StoredEvent.id.desc())
    .offset(bindparam("newer", type_=Integer))
    .limit(1)
)
_TRIM = delete(StoredEvent).where(StoredEvent.path == bindparam("trimmed"), StoredEvent.id < bindparam("oldest"))


class NewEvent(NamedTuple):
    """An event that is not stored yet; for the fields see Event."""

    path: str
    resource_uuid: str
    content: Mapping[str, object]


class Occasion(NamedTuple):
    """When an event happens (epoch milliseconds), and the uuid of the request, ping or reconnect that caused it."""

    milliseconds: int
    correlation: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a resource at `time` (epoch seconds); for paths see (domain 1.6).

    `correlation` is the uuid of the request, ping or reconnect that caused it.
    """

    id: int
    time: float
    path: str
    resource_uuid: str
    content: Mapping[str, object]
    correlation: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the event as it appears in the event stream and the log."""
        return {
            "id": self.id,
            "time": round(self.time, 3),
            "path": self.path,
            "resourceUuid": self.resource_uuid,
            "correlation": self.correlation,
            "content": self.content,
        }


class Subscription(asyncio.Queue[Event]):
    """A queue of published events.

    If it has a limit and a consumer lets it fill up, it gets no more events, since one is missing.
    """

    def __init__(self, limit: int = 0) -> None:
        super().__init__(limit)
        self.dropped = False
        """Whether an event was dropped."""
        self.first_dropped: int | None = None
        """The lowest number of those that were dropped."""
        self.restarts = 0
        """How often the numbers of events have begun again at 1."""

    def restart(self) -> None:
        """Discard queued events: their numbers begin again at 1."""
        while not self.empty():
            self.get_nowait()
        self.first_dropped = None
        self.restarts += 1

    def take_up(self) -> None:
        """Queue events again, after some were dropped."""
        self.dropped = False
        self.first_dropped = None

    def offer(self, event: Event) -> None:
        """Queue an event if there is room and none has been dropped."""
        if self.dropped or self.full():
            self.dropped = True
            self.first_dropped = min(event.id, self.first_dropped or event.id)
        else:
            self.put_nowait(event)


class Events:
    """Records and publishes events. The database keeps the latest KEPT_EVENTS of each path."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.defer: Callable[[Callable[[], None]], bool] = lambda _: False
        """Takes a callback to call after the commit; returns False if there is nothing to commit (`Database.defer`)."""
        self._subscriptions: dict[Subscription, None] = {}
        self._followers: dict[Subscription, None] = self._subscriptions
        self.published: Callable[[], None] = lambda: None
        """Called when events of this node have been published."""
        self.restarts = 0
        """How often the numbers of events have begun again at 1."""
        self.may_come_late = False
        """Whether those who `follow` may get an event after one with a higher number."""
        self._recorded: Counter[str] = Counter()

    def occasion(self) -> Occasion:
        """Return the present time, and what the current task runs for."""
        return Occasion(int(self._clock.time() * 1000), correlation())

    async def record(
        self, connection: AsyncConnection, path: str, resource_uuid: str, content: Mapping[str, object]
    ) -> Event:
        """Store an event in the caller's transaction, and return it for `publish`."""
        new = NewEvent(path, resource_uuid, content)
        now = self.occasion()
        return await connection.run_sync(carry_out(lambda changes: self.add(changes, new, now)))

    def add(self, changes: Changes, new: NewEvent, now: Occasion) -> Event:
        """Do what `record` does, in a plan."""
        row = {
            "time": now.milliseconds,
            "path": new.path,
            "resourceUuid": new.resource_uuid,
            "content": orjson.dumps(new.content).decode(),
            "correlation": now.correlation,
        }
        number = changes.write(_INSERT, row).number
        self._trim(changes, new.path)
        time = now.milliseconds / 1000
        return Event(number, time, new.path, new.resource_uuid, new.content, now.correlation)

    def _trim(self, changes: Changes, path: str) -> None:
        self._recorded[path] += 1
        if self._recorded[path] % TRIM_EVERY == 0:
            oldest = changes.rows(_OLDEST, {"path": path, "newer": KEPT_EVENTS - 1})
            if oldest:
                changes.write(_TRIM, {"trimmed": path, "oldest": oldest[0][0]})

    def restart(self) -> None:
        """Follow the deletion of all stored events: restart the subscriptions, since numbers begin again at 1."""
        self._recorded.clear()
        self.restarts += 1
        for subscription in {**self._subscriptions, **self._followers}:
            subscription.restart()

    def follow_all(self) -> None:
        """Let those who `follow` get what is passed on, from all nodes, in place of what this node publishes."""
        self._followers = {}
        self.may_come_late = True

    @property
    def has_followers(self) -> bool:
        """Whether there are any who `follow`."""
        return bool(self._followers)

    def pass_on(self, event: Event) -> None:
        """Send an event of any node to those who `follow`."""
        for subscription in self._followers:
            subscription.offer(event)

    def publish(self, *events: Event) -> None:
        """Log events and send them to subscribers, after the commit of the change that they are about."""
        if not self.defer(partial(self._publish, events)):
            self._publish(events)

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            content = orjson.dumps(event.content).decode()
            about = {"clock_time": event.time, "correlation": event.correlation}
            logger.info("%s %s %s", event.path, event.resource_uuid, content, extra=about)
            for subscription in self._subscriptions:
                subscription.offer(event)
        self.published()

    def subscribe(self, limit: int = 0) -> AbstractContextManager[Subscription]:
        """Provide a queue of the events published while the block runs; `limit` bounds its length (0: unbounded)."""
        return _queue(self._subscriptions, limit)

    def follow(self, limit: int = 0) -> AbstractContextManager[Subscription]:
        """Do what `subscribe` does, for the events of all nodes that share the store."""
        return _queue(self._followers, limit)


@contextmanager
def _queue(subscriptions: dict[Subscription, None], limit: int) -> Iterator[Subscription]:
    subscription = Subscription(limit)
    subscriptions[subscription] = None
    try:
        yield subscription
    finally:
        del subscriptions[subscription]


_NEWEST = select(func.max(StoredEvent.id))


class EventLog:
    """The stored events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, number: int, limit: int) -> list[Event]:
        """Return the first `limit` events whose number is above `number`, in order."""
        columns = select(StoredEvent.__table__).where(StoredEvent.id > number)
        rows = await self._database.read(columns.order_by(StoredEvent.id).limit(limit))
        return [_event(row) for row in rows]

    async def numbers(self, after: int, until: int | None, limit: int) -> list[int]:
        """Return the first `limit` numbers of events above `after`, up to `until` if that is not None, in order."""
        found = select(StoredEvent.id).where(StoredEvent.id > after)
        if until is not None:
            found = found.where(StoredEvent.id <= until)
        return [row[0] for row in await self._database.read(found.order_by(StoredEvent.id).limit(limit))]

    async def of_numbers(self, numbers: Sequence[int]) -> list[Event]:
        """Return the events with these numbers, as far as they are stored, in order."""
        columns = select(StoredEvent.__table__).where(StoredEvent.id.in_(numbers))
        return [_event(row) for row in await self._database.read(columns.order_by(StoredEvent.id))]

    async def clear(self) -> None:
        """Delete all events."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(StoredEvent))

    async def newest(self) -> int:
        """Return the number of the newest stored event; 0 without any."""
        rows = await self._database.read(_NEWEST)
        return rows[0][0] or 0

    async def forgotten(self) -> int:
        """Return the number up to which events may have been trimmed; 0 if all are still stored."""
        full = func.count(StoredEvent.id) >= KEPT_EVENTS
        rows = await self._database.read(select(func.min(StoredEvent.id)).group_by(StoredEvent.path).having(full))
        return max((row[0] - 1 for row in rows), default=0)

    async def latest(self, path: str, limit: int) -> list[Event]:
        """Return the latest `limit` events with one path, the latest first."""
        columns = select(StoredEvent.__table__).where(StoredEvent.path == path)
        return [_event(row) for row in await self._database.read(columns.order_by(StoredEvent.id.desc()).limit(limit))]

    async def of(self, resource_uuid: str, path: str, limit: int = KEPT_EVENTS) -> list[Event]:
        """Return the latest `limit` events of a resource with one path, oldest first."""
        columns = select(StoredEvent.__table__).where(
            StoredEvent.resourceUuid == resource_uuid, StoredEvent.path == path
        )
        rows = await self._database.read(columns.order_by(StoredEvent.id.desc()).limit(limit))
        return [_event(row) for row in reversed(rows)]


def _event(row: Row[tuple[object, ...]]) -> Event:
    content = orjson.loads(row.content)
    return Event(row.id, row.time / 1000, row.path, row.resourceUuid, content, row.correlation)
