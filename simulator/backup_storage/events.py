"""What happens to backup storages: stored with the change itself, logged, and told to whoever listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from simulator.clock import Clock
from simulator.database.models import Event as StoredEvent

logger = logging.getLogger(__name__)
STATUS_CHANGED = "/backup-storage/status/change"
DISCONNECTED = "/backup-storage/disconnected"
KEPT_EVENTS = 10_000
TRIM_EVERY = 500


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `time` (epoch seconds) to the resource; paths as domain 1.6 gives them."""

    time: float
    path: str
    resource_uuid: str
    content: Mapping[str, object]


class Events:
    """Records events and tells them on. The latest KEPT_EVENTS of them stay in the database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._recorded = 0

    async def record(
        self, connection: AsyncConnection, path: str, resource_uuid: str, content: Mapping[str, object]
    ) -> Event:
        """Store an event in the transaction of the change it is about; `tell` it once that has been committed."""
        event = Event(self._clock.time(), path, resource_uuid, content)
        await connection.execute(
            insert(StoredEvent).values(
                time=int(event.time * 1000),
                path=path,
                resourceUuid=resource_uuid,
                content=orjson.dumps(content).decode(),
            )
        )
        self._recorded += 1
        if self._recorded % TRIM_EVERY == 0:
            newest = select(func.max(StoredEvent.id)).scalar_subquery()
            await connection.execute(delete(StoredEvent).where(StoredEvent.id <= newest - KEPT_EVENTS))
        return event

    def tell(self, *events: Event) -> None:
        """Log committed events, and hand them to the listeners."""
        for event in events:
            logger.info("%s %s %s", event.path, event.resource_uuid, orjson.dumps(event.content).decode())
            for listener in self._listeners:
                listener.put_nowait(event)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue that gets every event told while the block runs."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
