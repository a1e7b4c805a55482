"""Web hooks: addresses that are told of events, as ZStack tells them of its canonical events (domain 1.6)."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import aiohttp
import orjson
from sqlalchemy import delete, insert, select, update

from simulator.backup_storage.errors import CONNECT_ERROR, OPERATION_ERROR, out_of_range
from simulator.backup_storage.events import STATUS_CHANGED, Event, Events
from simulator.clock import Clock
from simulator.database import Database, StoreUnavailable
from simulator.database.models import WebHook
from simulator.supervision import Supervisor
from simulator.tasks import Tasks
from simulator.uuids import new_uuid

logger = logging.getLogger(__name__)
CANONICAL_EVENT = "CanonicalEvent"
BRACES = re.compile(r"\{.*\}", re.DOTALL)
LONGEST_TEXT_BYTES = 65535
DESCRIPTIONS: Mapping[str, str] = {
    CONNECT_ERROR: "Unable to connect a backup storage",
    OPERATION_ERROR: "An operation failed",
}
ATTEMPTS = 6  # one, and five more
SECONDS_BETWEEN = 1.0
SECONDS_AN_ATTEMPT = 30.0
ACCEPTED = "text/plain, application/json, application/*+json, */*"
Inventory = Callable[[str], Awaitable[Mapping[str, object] | None]]
"""The inventory of a backup storage by its uuid."""


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a hook is told, and of which events."""

    url: str
    glob: str


class WebHooks:
    """Keeps the hooks, and tells them of what happens: once, and again for a while if they do not take it."""

    def __init__(
        self,
        database: Database,
        events: Events,
        clock: Clock,
        node_uuid: Callable[[], str],
        inventory: Inventory,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._supervisor = supervisor or Supervisor(clock.sleep)
        self._listening = ExitStack()
        self._database = database
        self._events = events
        self._clock = clock
        self._node_uuid = node_uuid
        self._inventory = inventory
        self._tasks = Tasks()
        self._addresses: list[_Address] = []
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Read the hooks, and begin to listen."""
        await self.read()
        events = self._listening.enter_context(self._events.listening())
        self._supervisor.keep(self._tasks, "web hooks", events.get, self._begin_to_tell)

    async def close(self) -> None:
        """Give up what has not been told yet."""
        await self._tasks.close()
        self._listening.close()
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def create(self, uuid: str, values: Mapping[str, object]) -> None:
        """A new hook; values are columns. Raises NotStored."""
        _check_length(values.get("opaque"))
        now = self._clock.local()
        async with self._database.transaction() as connection:
            await connection.execute(insert(WebHook).values(**values, uuid=uuid, createDate=now, lastOpDate=now))
        await self._database.once_committed(self.read)

    async def change(self, uuid: str, values: Mapping[str, object]) -> None:
        """Change columns of a hook. Raises NotStored."""
        _check_length(values.get("opaque"))
        if not values:
            return
        change = update(WebHook).where(WebHook.uuid == uuid)
        async with self._database.transaction() as connection:
            await connection.execute(change.values(**values, lastOpDate=self._clock.local()))
        await self._database.once_committed(self.read)

    async def delete(self, uuid: str) -> None:
        """Forget a hook; what it is being told it still is."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(WebHook).where(WebHook.uuid == uuid))
        await self._database.once_committed(self.read)

    async def read(self) -> None:
        """Take up the hooks that are in the database now."""
        columns = select(WebHook.url, WebHook.opaque).where(WebHook.type == CANONICAL_EVENT).order_by(WebHook.uuid)
        self._addresses = [_Address(url, _glob(opaque or "")) for url, opaque in await self._database.read(columns)]

    async def _begin_to_tell(self, event: Event) -> None:
        wanted = [one for one in self._addresses if fnmatchcase(event.path, one.glob)]
        if wanted:
            body = await self._body(event)
            for one in wanted:
                self._tasks.begin(self._tell(one.url, event, body), f"event {event.id} to {one.url}")

    async def _body(self, event: Event) -> bytes:
        content = dict(event.content)
        inventory = await self._inventory_of(event.resource_uuid) if event.path == STATUS_CHANGED else None
        if inventory is not None:
            # It may have moved on since.
            content["inventory"] = {**inventory, "status": content["newStatus"]}
        if isinstance(reason := content.get("reason"), Mapping):
            content["reason"] = _error_code(reason)
        body = {"path": event.path, "content": content, "managementNodeId": self._node_uuid()}
        return orjson.dumps({**body, "headers": {}, "id": new_uuid(), "createdTime": 0})

    async def _inventory_of(self, storage_uuid: str) -> Mapping[str, object] | None:
        while True:
            try:
                return await self._inventory(storage_uuid)
            except StoreUnavailable:
                await self._database.health.until_it_works()

    async def _tell(self, url: str, event: Event, body: bytes) -> None:
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._clock.sleep(SECONDS_BETWEEN)
            problem = await self._post(url, body)
            if problem is None:
                return
            logger.info("web hook %s, event %d: attempt %d: %s", url, event.id, attempt + 1, problem)
        logger.warning("web hook %s was not told of event %d: given up after %d attempts", url, event.id, ATTEMPTS)

    async def _post(self, url: str, body: bytes) -> str | None:
        """What kept the other side from taking it; None if nothing did."""
        if self._http is None:
            # As ZStack does, without a look at certificates: hooks stand in test networks.
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))
        try:
            with self._reaching(url):
                return await self._clock.wait_for(_status_of(self._http, url, body), SECONDS_AN_ATTEMPT)
        except TimeoutError:
            return f"no answer within {SECONDS_AN_ATTEMPT:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return str(error) or type(error).__name__

    def _reaching(self, url: str) -> AbstractContextManager[None]:
        """Whoever is not on this machine lives in real time."""
        try:
            here = ipaddress.ip_address(urlsplit(url).hostname or "").is_loopback
        except ValueError:
            here = urlsplit(url).hostname == "localhost"
        return nullcontext() if here else self._clock.outside()


def _glob(opaque: str) -> str:
    """Return the glob of paths that a hook asks for: `*` and `?` as usual, `.` any character, `{…}` one or more."""
    return BRACES.sub("?*", opaque).replace(".", "?").replace("[", "[[]")


def _error_code(reason: Mapping[str, object]) -> dict[str, object]:
    """Return why a storage was disconnected as ZStack's ErrorCode has it, with the probe's word as `opaque.reason`."""
    code = str(reason["code"])
    told = {"code": code, "description": DESCRIPTIONS[code], "details": reason["details"]}
    return told | ({"opaque": {"reason": reason["reason"]}} if "reason" in reason else {})


def _check_length(opaque: object) -> None:
    if isinstance(opaque, str) and len(opaque.encode(errors="replace")) > LONGEST_TEXT_BYTES:
        raise out_of_range()


async def _status_of(http: aiohttp.ClientSession, url: str, body: bytes) -> str | None:
    headers = {"Content-Type": "application/json;charset=utf-8", "Accept": ACCEPTED}
    async with http.post(url, headers=headers, data=body, allow_redirects=False) as response:
        return None if 200 <= response.status < 300 else f"it answered {response.status}"
