"""Web hooks of events: addresses to which events are posted like ZStack's canonical events (domain 1.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import orjson
from sqlalchemy import bindparam, delete, insert, select, update

from imagestore_sim.backup_storage.errors import CONNECT_ERROR, OPERATION_ERROR, data_exception
from imagestore_sim.backup_storage.events import STATUS_CHANGED, Event, Events, Subscription
from imagestore_sim.backup_storage.hook_addresses import HookAddresses, HookRow
from imagestore_sim.backup_storage.image_events import TRACKED
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import WebHook
from imagestore_sim.database.resource_uuids import refuse_taken
from imagestore_sim.database.statement_cache import sql_of
from imagestore_sim.faults.node_fault import EVENTS
from imagestore_sim.ids import new_uuid
from imagestore_sim.outbox import Delivery, FindCourse, Outbox, RetryPolicy
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks, by_size

logger = logging.getLogger(__name__)
CANONICAL_EVENT = "CanonicalEvent"
LONGEST_TEXT_BYTES = 65535
BYTES_OF_A_HOOK = 512
"""The bytes of an input that are worked on in the time that it takes to compile the glob of a hook, about."""
POSTS_OF_A_TURN = 100
"""Posts, of one event or of several that wait, that begin before the event loop has its turn."""
MOST_UNREAD = 50_000
"""Events that may wait until it is found which hooks get them. One more is not posted, and that is logged."""
DESCRIPTIONS: Mapping[str, str] = {
    CONNECT_ERROR: "Unable to connect a backup storage",
    OPERATION_ERROR: "An operation failed",
}
DRAIN_SECONDS = 1.0
"""How long a node that stops waits for the receivers of what it has to say last."""
RETRIES = RetryPolicy(attempts=6, pause=1.0, timeout=30.0)  # one attempt, and five more
HEADERS = {
    "Content-Type": "application/json;charset=utf-8",
    "Accept": "text/plain, application/json, application/*+json, */*",
}
_COLUMNS = (WebHook.uuid, WebHook.url, WebHook.opaque, WebHook.type)
_HOOKS = select(*_COLUMNS)
_HOOK = select(*_COLUMNS).where(WebHook.uuid == bindparam("uuid"))
Inventory = Callable[[Event], Awaitable[Mapping[str, object] | None]]
"""The inventory of the backup storage or the image that an event is about; None if there is none."""


class EventWebHooks:
    """Keeps the hooks, and posts events to them; a post that fails is retried as RETRIES says."""

    def __init__(
        self,
        database: Database,
        events: Events,
        clock: Clock,
        node_uuid: Callable[[], str],
        inventory: Inventory,
        supervisor: Supervisor | None = None,
        find_course: FindCourse | None = None,
    ) -> None:
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self._subscription = ExitStack()
        self._unread = Subscription()
        self._database = database
        self._events = events
        self._clock = clock
        self._node_uuid = node_uuid
        self._inventory = inventory
        self._tasks = Tasks()
        self._addresses = HookAddresses()
        self._rows: list[tuple[object, ...]] | None = None
        """The rows of all hooks, if no change has come after the last `read`."""
        self._reading = asyncio.Lock()
        self._in_turn = 0
        """Posts that have begun since the event loop had its turn, at most."""
        self._outbox = Outbox(clock, RETRIES, find_course)

    async def open(self) -> None:
        """Read the hooks, and subscribe to events."""
        await self.read()
        self._unread = events = self._subscription.enter_context(self._events.subscribe(MOST_UNREAD))
        self._supervisor.keep(self._tasks, "web hooks", events.get, self._post)

    def cut_off(self) -> None:
        """Post nothing more, as a kill -9 would."""
        self._outbox.cut_off()

    async def close(self) -> None:
        """Discard what has not been posted yet."""
        await self._tasks.close()
        self._subscription.close()
        await self._outbox.close()

    async def drain(self) -> None:
        """Wait until all that has happened is delivered, DRAIN_SECONDS at most: the node stops."""
        deadline = self._clock.monotonic() + DRAIN_SECONDS
        while not (self._unread.empty() and self._outbox.is_idle) and self._clock.monotonic() < deadline:
            await self._clock.sleep(DRAIN_SECONDS / 50)

    async def create(self, uuid: str, values: Mapping[str, object]) -> None:
        """Insert a hook; `values` are columns. Raise NotStored for a value that a column cannot hold."""
        _check_length(values.get("opaque"))
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await refuse_taken(connection, uuid)
            await connection.execute(insert(WebHook).values(**values, uuid=uuid, createDate=now, lastOpDate=now))
        await self._database.after_commit(partial(self._take_over, uuid))

    async def change(self, uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of a hook. Raise NotStored for a value that a column cannot hold."""
        _check_length(values.get("opaque"))
        if not values:
            return
        change = update(WebHook).where(WebHook.uuid == uuid)
        async with self._database.transaction() as connection:
            await connection.execute(change.values(**values, lastOpDate=self._clock.local()))
        await self._database.after_commit(partial(self._take_over, uuid))

    async def delete(self, uuid: str) -> None:
        """Delete a hook. Posts to it that have begun are completed."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(WebHook).where(WebHook.uuid == uuid))
        await self._database.after_commit(partial(self._take_over, uuid))

    async def read(self) -> None:
        """Read all hooks from the database, after others may have changed them."""
        async with self._reading:
            rows = await self._database.fetch(sql_of(_HOOKS, self._database.dialect), ())
            if rows != self._rows:
                self._addresses = await by_size(len(rows) * BYTES_OF_A_HOOK, _addresses, rows)
                self._rows = rows

    async def _take_over(self, uuid: str) -> None:
        """Take over what is stored of one hook, as soon as the store tells it: nothing else would for a node alone."""
        stored = partial(self._database.fetch_few, sql_of(_HOOK, self._database.dialect), (uuid,))
        async with self._reading:  # so that the latest to read has read the latest
            rows = await self._database.health.insist(stored)
            self._rows = None
            self._addresses.remove(uuid)
            for hook in _hooks_of_events(rows):
                self._addresses.put(hook)

    async def _post(self, event: Event) -> None:
        if self._unread.dropped and self._unread.empty():
            logger.warning("web hooks: events after %d were dropped: %d waited already", event.id, self._unread.maxsize)
            self._unread.take_up()
        if event.path.startswith(EVENTS):
            return
        urls = await self._addresses.of(event.path)
        body = await self._body(event) if urls else b""
        for url in urls:
            self._outbox.post(Delivery(url, body, f"event {event.id}", HEADERS, event.path))
            self._in_turn += 1
            if self._in_turn == POSTS_OF_A_TURN:
                self._in_turn = 0
                await asyncio.sleep(0)
        if self._unread.empty():
            self._in_turn = 0

    async def _body(self, event: Event) -> bytes:
        content = dict(event.content)
        inventory = None
        if event.path in (STATUS_CHANGED, TRACKED):
            inventory = await self._database.health.insist(partial(self._inventory, event))
        if inventory is not None:
            # The current status may already be a later one.
            now = {"status": content["newStatus"]} if event.path == STATUS_CHANGED else {}
            content["inventory"] = {**inventory, **now}
        for name in ("reason", "error"):
            if isinstance(error := content.get(name), Mapping):
                content[name] = _error_code(error)
        body = {"path": event.path, "content": content, "managementNodeId": self._node_uuid()}
        return orjson.dumps({**body, "headers": {}, "id": new_uuid("request"), "createdTime": 0})


def _addresses(rows: list[tuple[str, str, str | None, str]]) -> HookAddresses:
    return HookAddresses(_hooks_of_events(rows))


def _hooks_of_events(rows: Iterable[tuple[str, str, str | None, str]]) -> Iterator[HookRow]:
    return (HookRow(uuid, url, opaque or "") for uuid, url, opaque, kind in rows if kind == CANONICAL_EVENT)


def _error_code(reason: Mapping[str, object]) -> dict[str, object]:
    """Return the reason of a disconnection, or of a failed upload, in the form of ZStack's ErrorCode.

    The probe's reason is in it as `opaque.reason`.
    """
    code = str(reason["code"])
    error = {"code": code, "description": DESCRIPTIONS[code], "details": reason["details"]}
    return error | ({"opaque": {"reason": reason["reason"]}} if "reason" in reason else {})


def _check_length(opaque: object) -> None:
    if isinstance(opaque, str) and len(opaque.encode(errors="replace")) > LONGEST_TEXT_BYTES:
        raise data_exception()
