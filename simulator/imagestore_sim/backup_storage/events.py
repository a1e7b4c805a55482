"""What happens to backup storages: stored with the change itself, logged, and told to whoever listens."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import orjson
from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.clock import Clock
from imagestore_sim.correlation import correlation
from imagestore_sim.database import Database
from imagestore_sim.database.models import Event as StoredEvent

logger = logging.getLogger(__name__)
STATUS_CHANGED = "/backup-storage/status/change"
DISCONNECTED = "/backup-storage/disconnected"
# These are ours; ZStack tells nobody of them.
CAPACITY_CHANGED = "/backup-storage/capacity/change"
PROBE_FAILED = "/backup-storage/probe/failure"
ADDED = "/backup-storage/added"
DELETED = "/backup-storage/deleted"
KEPT_EVENTS = 10_000
"""So many of each path: an outage that goes on and on takes no room from changes of status."""
TRIM_EVERY = 500


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `time` (epoch seconds) to the resource; paths as domain 1.6 gives them.

    `correlation` is the request, ping or reconnect that it came of.
    """

    id: int
    time: float
    path: str
    resource_uuid: str
    content: Mapping[str, object]
    correlation: str | None = None

    def to_json(self) -> dict[str, object]:
        """As the event stream and the log have it."""
        return {
            "id": self.id,
            "time": round(self.time, 3),
            "path": self.path,
            "resourceUuid": self.resource_uuid,
            "correlation": self.correlation,
            "content": self.content,
        }


class Subscription(asyncio.Queue[Event]):
    """Gets every event that is told; one with a limit that does not keep up is told nothing more."""

    def __init__(self, limit: int = 0) -> None:
        super().__init__(limit)
        self.dropped = False
        """Whether it has missed something."""
        self.restarts = 0
        """How often events have been numbered from 1 again."""

    def restart(self) -> None:
        """Drop what waits: events are numbered from 1 again."""
        while not self.empty():
            self.get_nowait()
        self.restarts += 1

    def offer(self, event: Event) -> None:
        """Put an event into the queue if there is room for it."""
        if self.dropped or self.full():
            self.dropped = True
        else:
            self.put_nowait(event)


class Events:
    """Records events and tells them on. The latest KEPT_EVENTS of each path stay in the database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.defer: Callable[[Callable[[], None]], bool] = lambda _: False
        """Takes what is to be told once it has been committed; answers False if that has been."""
        self._listeners: dict[Subscription, None] = {}
        self._recorded: Counter[str] = Counter()

    async def record(
        self, connection: AsyncConnection, path: str, resource_uuid: str, content: Mapping[str, object]
    ) -> Event:
        """Store an event in the transaction of the change it is about; `tell` it once that has been committed."""
        milliseconds = int(self._clock.time() * 1000)
        stored = await connection.execute(
            insert(StoredEvent).values(
                time=milliseconds,
                path=path,
                resourceUuid=resource_uuid,
                content=orjson.dumps(content).decode(),
                correlation=correlation(),
            )
        )
        await self._trim(connection, path)
        key = stored.inserted_primary_key
        assert key is not None
        return Event(key[0], milliseconds / 1000, path, resource_uuid, content, correlation())

    async def _trim(self, connection: AsyncConnection, path: str) -> None:
        self._recorded[path] += 1
        if self._recorded[path] % TRIM_EVERY == 0:
            of_path = select(StoredEvent.id).where(StoredEvent.path == path).order_by(StoredEvent.id.desc())
            oldest = await connection.scalar(of_path.offset(KEPT_EVENTS - 1).limit(1))
            if oldest is not None:
                await connection.execute(delete(StoredEvent).where(StoredEvent.path == path, StoredEvent.id < oldest))

    def restart(self) -> None:
        """Begin with number 1 again, as all that was stored is deleted; listeners get no more of that."""
        self._recorded.clear()
        for listener in self._listeners:
            listener.restart()

    def publish(self, *events: Event) -> None:
        """Log events, and hand them to the listeners, once what they are about is committed."""
        if not self.defer(partial(self._publish, events)):
            self._publish(events)

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            content = orjson.dumps(event.content).decode()
            about = {"clock_time": event.time, "correlation": event.correlation}
            logger.info("%s %s %s", event.path, event.resource_uuid, content, extra=about)
            for listener in self._listeners:
                listener.offer(event)

    @contextmanager
    def subscribe(self, limit: int = 0) -> Iterator[Subscription]:
        """A queue that gets every event told while the block runs, of so many at once if there is a limit."""
        listener = Subscription(limit)
        self._listeners[listener] = None
        try:
            yield listener
        finally:
            del self._listeners[listener]


class EventLog:
    """The events that are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, number: int, limit: int) -> list[Event]:
        """The first events after that of a number, in their order."""
        columns = select(StoredEvent.__table__).where(StoredEvent.id > number)
        rows = await self._database.read(columns.order_by(StoredEvent.id).limit(limit))
        return [_event(row) for row in rows]

    async def clear(self) -> None:
        """Delete all."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(StoredEvent))

    async def newest(self) -> int:
        """The number of the newest event that is stored; 0 where there is none."""
        rows = await self._database.read(select(func.max(StoredEvent.id)))
        return rows[0][0] or 0

    async def forgotten(self) -> int:
        """Up to which number some events may be stored no more; 0 if all are."""
        full = func.count(StoredEvent.id) >= KEPT_EVENTS
        rows = await self._database.read(select(func.min(StoredEvent.id)).group_by(StoredEvent.path).having(full))
        return max((row[0] - 1 for row in rows), default=0)

    async def of(self, resource_uuid: str, path: str, limit: int = KEPT_EVENTS) -> list[Event]:
        """The history of a resource by one path, in its order, at most the latest so many."""
        columns = select(StoredEvent.__table__).where(
            StoredEvent.resourceUuid == resource_uuid, StoredEvent.path == path
        )
        rows = await self._database.read(columns.order_by(StoredEvent.id.desc()).limit(limit))
        return [_event(row) for row in reversed(rows)]


def _event(row: Row[tuple[object, ...]]) -> Event:
    content = orjson.loads(row.content)
    return Event(row.id, row.time / 1000, row.path, row.resourceUuid, content, row.correlation)
