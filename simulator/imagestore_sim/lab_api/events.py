"""GET /lab/v1/events: changes of backup storages as they happen (server-sent events).

Each event is one message: its number as `id`, its JSON as `data`. A client that reconnects with `Last-Event-ID` (or
`?lastEventId=`) first gets the events after that one, as far as they are stored. `?path=` (a glob) and `?resourceUuid=`
filter. Three named messages are about the stream itself: `missed`, if some of the events after `Last-Event-ID` are no
longer stored; `reset`, after which numbers begin with 1 again; and `dropped`, the last one, if a client is too slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import orjson
from aiohttp import web
from pydantic import Field

from imagestore_sim.backup_storage.events import Event, EventLog, Events, Subscription
from imagestore_sim.backup_storage.missing_numbers import MissingNumbers
from imagestore_sim.globs import glob_matcher
from imagestore_sim.lab_api.routes import STREAM, Handler, Refused, Route, Shape
from imagestore_sim.suggestions import unknown
from imagestore_sim.validation_errors import names_of
from imagestore_sim.web_server import problem

LIMIT = 1000
"""Events that may wait for a slow client; one more drops it."""
BATCH = 100
"""Events that are read and sent at once: what a client does not take is held in its connection."""
MOST_STREAMS = 1000
MOST_GAPS = 1000
"""Gaps between the numbers of events that a stream remembers of what was stored when it began."""
MOST_GLOBS = 100
"""Globs of paths that each event of a stream is compared with."""
KEEP_ALIVE_SECONDS = 15.0
"""Between two comments on a stream without events."""
SECONDS_A_WRITE = 30.0
"""Until a client that does not read is dropped."""
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy must not buffer
}


class EventsQuery(Shape):
    """Which events to send."""

    path: list[str] = Field([], description="globs; the path of an event has to match one")
    resource_uuid: list[str] = Field([], description="uuids; an event has to be about one")
    last_event_id: int | None = Field(None, description="first send the stored events after this one")


class InvalidNumber(Exception):
    """A Last-Event-ID that is not the number of an event."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which events a client asked for; an empty collection matches all. The globs of paths are compiled once."""

    paths: tuple[Callable[[str], bool], ...]
    resources: frozenset[str]

    def matches(self, event: Event) -> bool:
        """Return whether the client asked for an event."""
        by_path = not self.paths or any(matches(event.path) for matches in self.paths)
        return by_path and (not self.resources or event.resource_uuid in self.resources)


class EventsRoutes:
    """Serves `/lab/v1/events`, also while the node starts."""

    def __init__(self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        self._answer = answer

    def routes(self) -> list[Route]:
        """Return the declaration of its call."""
        return [
            Route(
                "GET",
                "/lab/v1/events",
                "What happens, as it happens (server-sent events)",
                Handler(self.stream, query=EventsQuery),
                None,
                problems={400: "a parameter is unknown, or Last-Event-ID is not a number", 503: "the node is starting"},
                answer_media=STREAM,
            )
        ]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send each event once, as a server-sent event, until one side ends the stream.

        `Last-Event-ID`, or `lastEventId`, is the number of the last event that a client has seen: the stream begins
        with the stored ones after it.
        """
        known = names_of(EventsQuery)
        for name in request.query:
            if name not in known:  # a filter that is misspelled would let everything pass
                raise Refused(400, f"{name}: {unknown(name, known)}")
        if len(request.query.getall("lastEventId", ())) > 1:
            raise Refused(400, "lastEventId: is given twice")
        return await self._answer(request)


class EventStream:
    """Streams events to up to MOST_STREAMS clients, each at its own pace."""

    def __init__(self, events: Events, log: EventLog, *, limit: int = LIMIT) -> None:
        self._events = events
        self._log = log
        self.limit = limit
        self._messages = _Messages(limit)
        self._streams: dict[asyncio.Task[object] | None, None] = {}
        self._closing = False

    async def close(self) -> None:
        """End every stream."""
        self._closing = True
        for task in self._streams:
            if task is not None:
                task.cancel()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Stream events until one side ends it."""
        try:
            last = _last_number(request)
        except InvalidNumber as error:
            return problem(400, str(error))
        globs = dict.fromkeys(request.query.getall("path", ()))
        if len(globs) > MOST_GLOBS:
            return problem(400, f"path: {len(globs)} globs are given, and {MOST_GLOBS} at most are compared")
        chosen = _Filter(tuple(map(glob_matcher, globs)), frozenset(request.query.getall("resourceUuid", ())))
        if len(self._streams) >= MOST_STREAMS:
            return problem(503, f"{MOST_STREAMS} clients follow the events already")
        response = web.StreamResponse(headers=HEADERS)
        task = asyncio.current_task()
        self._streams[task] = None
        try:
            with self._events.follow(self.limit) as listener:
                await response.prepare(request)
                stream = _Stream(response, chosen, self._messages, may_come_late=self._events.may_come_late)
                await stream.follow(listener, self._log, last)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        except asyncio.CancelledError:
            if not self._closing:
                raise
        finally:
            del self._streams[task]
        return response


class _Messages:
    """The messages of the latest events. All streams send the same."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[int, tuple[Event, bytes]] = {}

    def of(self, event: Event) -> bytes:
        """Return the message of an event."""
        kept = self._kept.get(event.id)
        if kept is not None and kept[0] is event:
            return kept[1]
        message = b"id: %d\ndata: %b\n\n" % (event.id, orjson.dumps(event.to_json()))
        self._kept[event.id] = event, message
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return message


class _Stream:
    """The stream of one client. It sends each event once, in the order of their numbers.

    Where several nodes record events, one whose transaction ends later than that of a higher number comes after it.
    """

    def __init__(
        self, response: web.StreamResponse, chosen: _Filter, messages: _Messages, *, may_come_late: bool
    ) -> None:
        self._response = response
        self._chosen = chosen
        self._message_of = messages.of
        self._last = 0
        self._may_come_late = may_come_late
        self._seen = 0
        """The number up to which the client had seen the events that were stored then."""
        self._caught_up = 0
        """The number up to which stored events were sent before new ones."""
        self._missing = MissingNumbers(MOST_GAPS)
        """Those between the two that were not stored yet."""
        self._restarts = 0

    async def follow(self, listener: Subscription, log: EventLog, last: int | None) -> None:
        """Send the stored events after number `last`, then each new one. Raise ConnectionError, TimeoutError."""
        await self._write(b": events\n\n")
        if last is not None:
            await self._catch_up(log, last)
        while True:
            await self._write(await self._next(listener))
            if listener.dropped and listener.empty():
                text = "events came faster than they were read; come back with Last-Event-ID for the rest"
                last_sent = min(self._last, (listener.first_dropped or self._last + 1) - 1)
                await self._write(_named("dropped", {"lastEventId": last_sent, "reason": text}))
                return

    async def _catch_up(self, log: EventLog, last: int) -> None:
        self._last = last
        newest = await log.newest()
        if last > newest:  # a number from before a reset
            self._last = 0
            text = "the lab was reset, and events are numbered from 1 again"
            await self._write(_named("reset", {"lastEventId": 0, "reason": text}))
        forgotten = await log.forgotten()
        if self._last < forgotten:
            await self._write(_named("missed", {"lastEventId": last, "forgotten": forgotten}))
        self._seen = number = self._last
        while events := await log.since(self._last, BATCH):
            for event in events:
                self._missing.note(number + 1, event.id - 1, 0)
                number = event.id
            await self._write(self._messages(events))
        self._caught_up = self._last

    async def _next(self, listener: Subscription) -> bytes:
        """Return the messages of new events, or a comment after KEEP_ALIVE_SECONDS without any."""
        try:
            # real: the comment keeps proxies and the client, which live in real time, from closing the connection
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):  # real: see above
                first = await listener.get()
        except TimeoutError:
            return b": still here\n\n"
        events = [first, *(listener.get_nowait() for _ in range(min(listener.qsize(), BATCH - 1)))]
        return self._restarted(listener) + self._messages(event for event in events if self._is_new(event.id))

    def _is_new(self, number: int) -> bool:
        """Return whether an event has not been sent: one that was stored before may be passed on as well."""
        if number > self._caught_up or self._missing.take(number):
            return True
        return self._may_come_late and number <= self._seen

    def _restarted(self, listener: Subscription) -> bytes:
        """Return the message `reset` if the lab was reset since the last message, else nothing."""
        if listener.restarts == self._restarts:
            return b""
        self._restarts, self._last, self._caught_up, self._seen = listener.restarts, 0, 0, 0
        self._missing.clear()
        return _named("reset", {"lastEventId": 0, "reason": "the lab was reset, and events are numbered from 1 again"})

    def _messages(self, events: Iterable[Event]) -> bytes:
        messages = []
        for event in events:
            self._last = max(event.id, self._last)
            if self._chosen.matches(event):
                messages.append(self._message_of(event))
        return b"".join(messages)

    async def _write(self, data: bytes) -> None:
        if data:
            async with asyncio.timeout(SECONDS_A_WRITE):  # real: the client is
                await self._response.write(data)


def _named(name: str, content: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(content))


def _last_number(request: web.Request) -> int | None:
    """Return the number of the last event that a client has seen, None for a client that asks for new ones only."""
    given = request.headers.get("Last-Event-ID") or request.query.get("lastEventId")
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise InvalidNumber(f"Last-Event-ID must be the number of an event, but got {given[:40]!r}")
    return int(given)
