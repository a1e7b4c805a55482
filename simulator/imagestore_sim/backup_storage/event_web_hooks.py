"""Web hooks of events: addresses to which events are posted like ZStack's canonical events (domain 1.6)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import orjson
from sqlalchemy import delete, insert, select, update

from imagestore_sim.backup_storage.errors import CONNECT_ERROR, OPERATION_ERROR, data_exception
from imagestore_sim.backup_storage.events import STATUS_CHANGED, Event, Events, Subscription
from imagestore_sim.backup_storage.image_events import TRACKED
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database
from imagestore_sim.database.models import WebHook
from imagestore_sim.faults.node_fault import EVENTS
from imagestore_sim.globs import glob_matcher, shortest_match
from imagestore_sim.ids import new_uuid
from imagestore_sim.outbox import Delivery, FindCourse, Outbox, RetryPolicy
from imagestore_sim.supervision import Supervisor
from imagestore_sim.tasks import Tasks

CANONICAL_EVENT = "CanonicalEvent"
ANY_TEXT = re.compile(r"\*+")
LONGEST_PATH = 255
"""Characters of the longest path of an event: a glob that requires more matches none."""
LONGEST_TEXT_BYTES = 65535
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
_HOOKS = select(WebHook.url, WebHook.opaque).where(WebHook.type == CANONICAL_EVENT).order_by(WebHook.uuid)
Inventory = Callable[[Event], Awaitable[Mapping[str, object] | None]]
"""The inventory of the backup storage or the image that an event is about; None if there is none."""


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a hook gets its events, and whether a path is one of them: the glob is compiled once."""

    url: str
    opaque: str
    matches: Callable[[str], bool]


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
        self._addresses: list[_Address] = []
        self._outbox = Outbox(clock, RETRIES, find_course)

    async def open(self) -> None:
        """Read the hooks, and subscribe to events."""
        await self.read()
        self._unread = events = self._subscription.enter_context(self._events.subscribe())
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
            await connection.execute(insert(WebHook).values(**values, uuid=uuid, createDate=now, lastOpDate=now))
        await self._database.after_commit(self.read)

    async def change(self, uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of a hook. Raise NotStored for a value that a column cannot hold."""
        _check_length(values.get("opaque"))
        if not values:
            return
        change = update(WebHook).where(WebHook.uuid == uuid)
        async with self._database.transaction() as connection:
            await connection.execute(change.values(**values, lastOpDate=self._clock.local()))
        await self._database.after_commit(self.read)

    async def delete(self, uuid: str) -> None:
        """Delete a hook. Posts to it that have begun are completed."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(WebHook).where(WebHook.uuid == uuid))
        await self._database.after_commit(self.read)

    async def read(self) -> None:
        """Read the hooks from the database."""
        rows = [(url, opaque or "") for url, opaque in await self._database.read(_HOOKS)]
        known = {one.opaque: one.matches for one in self._addresses}
        for _, opaque in rows:
            known[opaque] = known.get(opaque) or _matcher(opaque)
        self._addresses = [_Address(url, opaque, known[opaque]) for url, opaque in rows]

    async def _post(self, event: Event) -> None:
        if event.path.startswith(EVENTS):
            return
        matching = [one for one in self._addresses if one.matches(event.path)]
        if matching:
            body = await self._body(event)
            for one in matching:
                self._outbox.post(Delivery(one.url, body, f"event {event.id}", HEADERS, event.path))

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


def _matcher(opaque: str) -> Callable[[str], bool]:
    """Return whether a path matches a hook's `opaque`: `*` and `?` as usual, `.` any character, `{…}` one or more."""
    first, last = opaque.find("{"), opaque.rfind("}")
    if 0 <= first < last:
        opaque = f"{opaque[:first]}?*{opaque[last + 1 :]}"
    glob = ANY_TEXT.sub("*", opaque)
    if shortest_match(glob) > LONGEST_PATH:
        return lambda path: False
    return glob_matcher(glob.replace(".", "?").replace("[", "[[]"))


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
