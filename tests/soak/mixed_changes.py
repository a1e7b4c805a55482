"""Changes of every kind against a node, with what has to be true of each once it was acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from imagestore_sim.ids import new_uuid
from imagestore_sim.testing import Client
from imagestore_sim.testing.client import CallFailed

BROKEN = (aiohttp.ClientError, OSError, CallFailed, asyncio.TimeoutError)
PARALLELISM = "/global-configurations/backupStorage/ping.parallelismDegree"
IMAGE_STORES = "/backup-storage/image-store"


@dataclass(slots=True)
class State:
    """What a node has."""

    zones: dict[str, dict[str, Any]]
    storages: dict[str, dict[str, Any]]
    images: dict[str, dict[str, Any]]
    hooks: dict[str, dict[str, Any]]
    tags: dict[str, set[str]]
    parallelism: int

    def has(self, uuid: str) -> bool:
        """Whether there is a resource."""
        return any(uuid in kind for kind in (self.zones, self.storages, self.images, self.hooks))

    def orphans(self) -> int:
        """Tags whose resource is not there."""
        return sum(not self.has(uuid) for uuid in self.tags)


async def state_of(client: Client) -> State:
    """Read all that a node has."""
    zones, storages, images, hooks = [
        {one["uuid"]: one for one in await client.query(path)}
        for path in ("/zones", IMAGE_STORES, "/images", "/web-hooks")
    ]
    tags: dict[str, set[str]] = {}
    for path in ("/system-tags", "/user-tags"):
        for tag in await client.query(path):
            tags.setdefault(tag["resourceUuid"], set()).add(tag["tag"])
    found = await client.query("/global-configurations?q=category=backupStorage&q=name=ping.parallelismDegree")
    return State(zones, storages, images, hooks, tags, int(found[0]["value"]))


@dataclass(slots=True)
class Change:
    """A change that was asked for."""

    job: str
    made: Callable[[State], bool]
    whole: Callable[[State], bool] = lambda _: True
    accepted: bool = False
    acknowledged: bool = False
    refused: bool = False
    what: str = ""


@dataclass(slots=True)
class Tally:
    """What a run found."""

    kills: int = 0
    acknowledged: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    recovery: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = f", {max(self.recovery):.1f} s to recover at most" if self.recovery else ""
        counts = f"{self.acknowledged} acknowledged, {len(self.lost)} lost, {len(self.halves)} half done"
        return f"{self.kills} kills, {counts}, {self.refused} refused{slowest}"


class Changes:
    """Makes changes at random, a few at once, and remembers them until they have been looked at."""

    def __init__(self, seed: int, ssh_port: int, tally: Tally) -> None:
        self._random = random.Random(seed)
        self._ssh_port = ssh_port
        self.tally = tally
        self._numbers = itertools.count(1)
        self._pending: list[Change] = []
        self._zones: list[str] = []
        self._images: list[str] = []
        self._storages: list[str] = []
        self._free_zones: list[str] = []
        self._hosts = [f"127.1.{seed % 250}.{number}" for number in range(1, 13)]
        self._configuring = asyncio.Lock()
        self._configured: list[tuple[Change, int]] = []

    async def make(self, client: Client, workers: int) -> None:
        """Make changes until the node is gone."""
        await asyncio.gather(*(self._work(client) for _ in range(workers)))

    async def _work(self, client: Client) -> None:
        kinds: list[Callable[[Client], Awaitable[None]]] = [
            self._add_zone, self._add_zone, self._change_zone, self._delete_zone, self._tag_zone, self._add_storage,
            self._attach, self._add_image, self._add_hook, self._configure,
        ]  # fmt: skip
        with suppress(*BROKEN):
            while True:
                await self._random.choice(kinds)(client)

    async def _ask(self, client: Client, change: Change, method: str, path: str, body: Any = None) -> bool:
        """Ask for a change, and wait for its result; True if it was acknowledged."""
        self._pending.append(change)
        change.what = f"{method} {path}"
        answer = await client.request(method, path, body, headers={"X-Job-UUID": change.job})
        if answer.status != 202:
            change.refused = True
            self.tally.refused += 1
            await asyncio.sleep(0.02)
            return False
        change.accepted = True
        ended = await client.follow(answer.body["location"])
        if ended.status != 200:
            change.refused = True
            self.tally.refused += 1
            return False
        change.acknowledged = True
        self.tally.acknowledged += 1
        return True

    async def _create(self, client: Client, path: str, tags: tuple[str, str], **fields: object) -> str | None:
        uuid = new_uuid()
        user, system = tags
        params = {**fields, "resourceUuid": uuid}
        body = {"params": params, "userTags": [user], "systemTags": [system]}
        expected = {user, system}
        change = Change(new_uuid(), lambda state: state.has(uuid), lambda state: state.tags.get(uuid) == expected)
        return uuid if await self._ask(client, change, "POST", path, body) else None

    async def _add_zone(self, client: Client) -> None:
        tags = (f"gold-{next(self._numbers)}", "host::reservedCpu::1")
        if (uuid := await self._create(client, "/zones", tags, name="zone")) is not None:
            self._zones.append(uuid)

    async def _change_zone(self, client: Client) -> None:
        if not self._zones:
            return
        uuid, text = self._zones.pop(), f"changed {next(self._numbers)}"
        change = Change(
            new_uuid(),
            lambda state: state.zones.get(uuid, {}).get("description") == text,
            lambda state: state.zones[uuid]["name"] == text,
        )
        body = {"updateZone": {"name": text, "description": text}}
        if await self._ask(client, change, "PUT", f"/zones/{uuid}/actions", body):
            self._free_zones.append(uuid)

    async def _delete_zone(self, client: Client) -> None:
        if not self._free_zones:
            return
        uuid = self._free_zones.pop()
        self._pending = [one for one in self._pending if not one.acknowledged or not _is_of(one, uuid)]
        change = Change(new_uuid(), lambda state: uuid not in state.zones, lambda state: uuid not in state.tags)
        await self._ask(client, change, "DELETE", f"/zones/{uuid}")

    async def _tag_zone(self, client: Client) -> None:
        uuid, tag = self._random.choice([*self._storages, None]), f"more-{next(self._numbers)}"
        if uuid is not None:
            change = Change(new_uuid(), lambda state: tag in state.tags.get(uuid, ()))
            body = {"params": {"resourceType": "BackupStorageVO", "resourceUuid": uuid, "tag": tag}}
            await self._ask(client, change, "POST", "/user-tags", body)

    async def _add_storage(self, client: Client) -> None:
        if not self._hosts:
            return
        host = self._hosts.pop()
        uuid, user = new_uuid(), f"disk-{next(self._numbers)}"
        params = {"name": host, "hostname": host, "sshPort": self._ssh_port, "username": "r", "password": "p",
                  "url": "/zs", "resourceUuid": uuid}  # fmt: skip
        body = {"params": params, "userTags": [user], "systemTags": ["allowbackup"]}
        change = Change(
            new_uuid(), lambda state: uuid in state.storages,
            lambda state: state.tags.get(uuid, set()) >= {user, "allowbackup"}
            and bool(state.storages[uuid]["totalCapacity"]),
        )  # fmt: skip
        if await self._ask(client, change, "POST", IMAGE_STORES, body):
            self._storages.append(uuid)

    async def _attach(self, client: Client) -> None:
        if not self._storages or not self._zones:
            return
        zone, storage = self._zones[0], self._random.choice(self._storages)
        change = Change(new_uuid(), lambda state: zone in state.storages.get(storage, {}).get("attachedZoneUuids", ()))
        del self._zones[0]
        await self._ask(client, change, "POST", f"/zones/{zone}/backup-storage/{storage}")

    async def _add_image(self, client: Client) -> None:
        if self._storages:
            tags = (f"image-{next(self._numbers)}", "qemuga")
            fields = {"name": "image", "url": "http://mirror/i", "format": "qcow2",
                      "backupStorageUuids": [self._random.choice(self._storages)]}  # fmt: skip
            await self._create(client, "/images", tags, **fields)

    async def _add_hook(self, client: Client) -> None:
        uuid = new_uuid()
        params = {"name": "hook", "url": "http://127.0.0.1:9/", "type": "CanonicalEvent", "opaque": "/none",
                  "resourceUuid": uuid}  # fmt: skip
        change = Change(new_uuid(), lambda state: uuid in state.hooks)
        await self._ask(client, change, "POST", "/web-hooks", {"params": params})

    async def _configure(self, client: Client) -> None:
        if self._configuring.locked():
            return
        async with self._configuring:
            value = 50 + next(self._numbers) % 900
            change = Change(new_uuid(), lambda state: state.parallelism == value)
            self._configured.append((change, value))
            await self._ask(
                client, change, "PUT", f"{PARALLELISM}/actions", {"updateGlobalConfig": {"value": str(value)}}
            )
            if change.acknowledged:
                self._forget_configured(change)

    def _forget_configured(self, last: Change) -> None:
        """Only the last value that was acknowledged can be seen, and one that was asked for after it."""
        older = [one for one, _ in self._configured if one is not last]
        self._pending = [one for one in self._pending if one not in older]
        self._configured = [(one, value) for one, value in self._configured if one is last]

    async def look(self, client: Client) -> None:
        """Look at every change that has not been looked at, and count what was lost or half done."""
        statuses = {id(one): await self._status(client, one) for one in self._pending}  # once all have ended
        state = await state_of(client)
        late = [one for one, _ in self._configured if one in self._pending]
        made = {id(one): one.made(state) for one in self._pending}
        if len(late) > 1 and made[id(late[-1])]:
            self._pending = [one for one in self._pending if one not in late[:-1]]  # it was overwritten
        for change in self._pending:
            self._look_at(change, state, made[id(change)], statuses[id(change)])
        if orphans := state.orphans():
            self.tally.halves.append(f"{orphans} tags of nothing")
        self._pending, self._configured = [], []

    def _look_at(self, change: Change, state: State, made: bool, status: int) -> None:
        if change.acknowledged and not made:
            self.tally.lost.append(f"{change.what}: acknowledged, and not there")
        elif made and not change.whole(state):
            self.tally.halves.append(f"{change.what}: made in part")
        elif made != (status == 200):
            self.tally.halves.append(f"{change.what}: polled as {status}, and {'' if made else 'not '}made")
        elif change.accepted and status == 404:
            self.tally.halves.append(f"{change.what}: accepted, and unknown")

    async def _status(self, client: Client, change: Change) -> int:
        while (status := (await client.request("GET", f"/api-jobs/{change.job}")).status) == 202:
            await asyncio.sleep(0.05)
        return status


def _is_of(change: Change, uuid: str) -> bool:
    """Whether a change is about a resource: its conditions close over the uuid."""
    cells = [cell.cell_contents for cell in (change.made.__closure__ or ())]
    return uuid in cells
