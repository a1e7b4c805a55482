"""GET /lab/v1/events: what happens to backup storages, as it happens (server-sent events).

Each event is one message: its number as `id`, its JSON as `data`. A client that comes back with `Last-Event-ID` (or
`?lastEventId=`) first gets what it has missed, as far as that is stored. `?path=` (a glob) and `?resourceUuid=` choose.
Three named messages are about the stream itself: `missed` when some of what it asks for is no longer stored, `reset`
when the lab was, so that numbers begin with 1 again, and `dropped`, the last one, for a client that did not keep up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import orjson
from aiohttp import web
from pydantic import Field

from imagestore_sim.backup_storage.events import Event, EventLog, Events, Subscription
from imagestore_sim.lab_api.routes import Shape

LIMIT = 1000
"""Events that may wait for a client that is slow."""
BATCH = 500
MOST_STREAMS = 1000
KEEP_ALIVE_SECONDS = 15.0
SECONDS_A_WRITE = 30.0
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy is not to hold anything back
}


class EventsQuery(Shape):
    """Which events."""

    path: list[str] = Field([], description="globs, one of which its path is to match")
    resource_uuid: list[str] = Field([], description="the uuids of what it may be about")
    last_event_id: int | None = Field(None, description="first those that came after this one")


class InvalidNumber(Exception):
    """A Last-Event-ID that is none."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a client wants to hear of."""

    paths: tuple[str, ...]
    resources: tuple[str, ...]

    def has(self, event: Event) -> bool:
        """Whether that is part of it."""
        by_path = not self.paths or any(fnmatchcase(event.path, glob) for glob in self.paths)
        return by_path and (not self.resources or event.resource_uuid in self.resources)


class EventStream:
    """Streams events to as many clients as there are, each at its own pace."""

    def __init__(self, events: Events, log: EventLog, *, limit: int = LIMIT) -> None:
        self._events = events
        self._log = log
        self.limit = limit
        self._streams: dict[asyncio.Task[object] | None, None] = {}
        self._closing = False

    async def close(self) -> None:
        """End every stream."""
        self._closing = True
        for task in self._streams:
            if task is not None:
                task.cancel()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The stream, until one side ends it."""
        try:
            last = _last_number(request)
        except InvalidNumber as error:
            return web.json_response({"error": str(error)}, status=400)
        wanted = _Wanted(tuple(request.query.getall("path", ())), tuple(request.query.getall("resourceUuid", ())))
        if len(self._streams) >= MOST_STREAMS:
            return web.json_response({"error": f"{MOST_STREAMS} clients follow the events already"}, status=503)
        response = web.StreamResponse(headers=HEADERS)
        task = asyncio.current_task()
        self._streams[task] = None
        try:
            with self._events.subscribe(self.limit) as listener:
                await response.prepare(request)
                await _Stream(response, wanted).follow(listener, self._log, last)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        except asyncio.CancelledError:
            if not self._closing:
                raise
        finally:
            del self._streams[task]
        return response


class _Stream:
    """One client's stream."""

    def __init__(self, response: web.StreamResponse, wanted: _Wanted) -> None:
        self._response = response
        self._wanted = wanted
        self._last = 0
        self._restarts = 0

    async def follow(self, listener: Subscription, log: EventLog, last: int | None) -> None:
        """What is stored since `last`, then what comes. Raises ConnectionError, TimeoutError."""
        await self._write(b": events\n\n")
        if last is not None:
            await self._catch_up(log, last)
        while True:
            await self._write(await self._next(listener))
            if listener.dropped:
                text = "events came faster than they were read; come back with Last-Event-ID for the rest"
                await self._write(_named("dropped", {"lastEventId": self._last, "reason": text}))
                return

    async def _catch_up(self, log: EventLog, last: int) -> None:
        self._last = last
        newest = await log.newest()
        if last > newest:  # it has come back from before a reset
            self._last = 0
            text = "the lab was reset, and events are numbered from 1 again"
            await self._write(_named("reset", {"lastEventId": 0, "reason": text}))
        forgotten = await log.forgotten()
        if self._last < forgotten:
            await self._write(_named("missed", {"lastEventId": last, "forgotten": forgotten}))
        while events := await log.since(self._last, BATCH):
            await self._write(self._messages(events))

    async def _next(self, listener: Subscription) -> bytes:
        """The messages of what has come, or a sign of life after a while."""
        try:
            # real: the sign of life is for what stands between here and the client, which lives in real time
            first = await asyncio.wait_for(listener.get(), KEEP_ALIVE_SECONDS)  # real: see above
        except TimeoutError:
            return b": still here\n\n"
        events = [first, *(listener.get_nowait() for _ in range(listener.qsize()))]
        return self._restarted(listener) + self._messages(event for event in events if event.id > self._last)

    def _restarted(self, listener: Subscription) -> bytes:
        """A message of its own when the lab was reset: numbers begin with 1 again."""
        if listener.restarts == self._restarts:
            return b""
        self._restarts, self._last = listener.restarts, 0
        return _named("reset", {"lastEventId": 0, "reason": "the lab was reset, and events are numbered from 1 again"})

    def _messages(self, events: Iterable[Event]) -> bytes:
        messages = []
        for event in events:
            self._last = event.id
            if self._wanted.has(event):
                messages.append(b"id: %d\ndata: %b\n\n" % (event.id, orjson.dumps(event.to_json())))
        return b"".join(messages)

    async def _write(self, data: bytes) -> None:
        if data:
            await asyncio.wait_for(self._response.write(data), SECONDS_A_WRITE)  # real: the client is


def _named(name: str, content: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(content))


def _last_number(request: web.Request) -> int | None:
    """The number after which a client wants to go on; None: it wants only what comes."""
    given = request.headers.get("Last-Event-ID") or request.query.get("lastEventId")
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise InvalidNumber(f"Last-Event-ID must be the number of an event, but got {given[:40]!r}")
    return int(given)
