"""A scenario on a lab that is running, perhaps in another process: its hosts over /lab/v1, its clock, its node.

What the scenario needs is added, and taken away again in the end; what was there before is as it was. A storage that is
there already, at the same host and url, is taken for the scenario's, and stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from pydantic.alias_generators import to_camel

from imagestore_sim.backup_storage.global_config import OPTIONS as STORAGE_OPTIONS
from imagestore_sim.bootstrap import stable_uuid
from imagestore_sim.faults import DiskState, Fault, FaultProblem, HostState
from imagestore_sim.scenario.format.model import Host, Scenario, StorageRecord
from imagestore_sim.scenario.format.options import OPTIONS, option_text
from imagestore_sim.scenario.format.reader import REFERENCE, Place
from imagestore_sim.scenario.format.steps import CallStep
from imagestore_sim.scenario.play.world import OnEvent, WorldProblem
from imagestore_sim.scenario.worlds.caller import Caller
from imagestore_sim.scenario.worlds.event_stream import EventsMissed, open_stream
from imagestore_sim.scenario.worlds.lab_client import LabClient, LabRefused
from imagestore_sim.scenario.worlds.lab_clock import FollowingClock
from imagestore_sim.tasks import Tasks, until_done_or_set
from imagestore_sim.testing.client import Answer, CallFailed, Client, plain_reason

# Real seconds: they are about another process, which lives in the machine's time.
LOOK_SECONDS = 0.1  # between two looks at the lab's clock
QUIET_SECONDS = 0.03  # in which what has fallen due is told, before the clock is pushed on
SETTLE_SECONDS = 0.03
MOST_LOOKS, QUIET_LOOKS = 50, 3
LONGEST_STAND = 300.0
LONGEST_GAP = 10.0
LONGEST_SETUP = 120.0
LONGEST_PUSH = 1.0
"""Seconds of the lab's clock."""
IMAGE_STORES = "/backup-storage/image-store"
RESOURCES = (IMAGE_STORES, "/zones", "/images")
"""What a call can make that is taken away again."""
NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError)


def rules_of_a_running_node(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    """What cannot be done to a node that is running."""
    for name in sorted(scenario.node.model_fields_set):
        yield ("node", name), "says how a node is started, and with --node it is running already"
    for number, step in enumerate(scenario.timeline):
        if step.restart_node is not None:
            yield ("timeline", number, "restart_node"), "a node that is running (--node) is not restarted"
        what = step.what
        if isinstance(what, CallStep) and what.method == "POST" and not what.path.startswith(RESOURCES):
            text = (
                f"what this makes on a running node (--node) could not be taken away again; {', '.join(RESOURCES)} can"
            )
            yield ("timeline", number, "call"), text


async def check_lab(url: str, account: str, password: str, lab_token: str | None) -> None:
    """Whether a scenario can be played there at all. Raises WorldProblem."""
    try:
        async with LabClient(url, lab_token) as lab, Client(url, timeout=LONGEST_SETUP) as client:
            await lab.hosts()
            await lab.time()
            await client.log_in(account, password)
            await client.log_out()
    except (LabRefused, CallFailed, ValueError, *NO_ANSWER) as error:
        raise WorldProblem(f"{url}: {plain_reason(error)}") from error


class RunningFault:
    """A fault that the scenario has put on a host of the lab."""

    def __init__(self, lab: LabClient, clock: FollowingClock, host: str, identity: str, fault: Fault) -> None:
        self.fault = fault
        self.number = int(identity.rpartition("-")[2])
        self.expires_at = None if fault.lasts is None else clock.monotonic() + fault.lasts
        self._lab = lab
        self._clock = clock
        self._host = host
        self._identity = identity
        self._healed = False

    @property
    def active(self) -> bool:
        """Whether it has not been healed."""
        return not self._healed and (self.expires_at is None or self._clock.monotonic() < self.expires_at)

    async def heal(self) -> None:
        """Undo it."""
        if not self._healed:
            self._healed = True
            await self._lab.heal_host(self._host, self._identity)


class RunningHost:
    """A host of the lab."""

    def __init__(self, lab: LabClient, clock: FollowingClock, name: str) -> None:
        self.name = name
        self._lab = lab
        self._clock = clock
        self._faults: list[RunningFault] = []
        self._stopped = False

    @property
    def faults(self) -> Collection[RunningFault]:
        """Those of the scenario that are on it."""
        return [one for one in self._faults if one.active]

    async def apply(self, fault: Fault) -> RunningFault:
        """Put a fault on it. Raises FaultProblem."""
        try:
            identity = await self._lab.break_host(self.name, {"kind": fault.kind, **fault.values()})
        except LabRefused as refused:
            raise FaultProblem(str(refused)) from None
        applied = RunningFault(self._lab, self._clock, self.name, identity, fault)
        self._faults.append(applied)
        return applied

    async def state(self) -> HostState:
        """Return how the lab shows it, with the faults of the scenario. Raise LabRefused."""
        shown = (await self._lab.hosts())[self.name]
        numbers = {one.name: shown[to_camel(one.name)] for one in fields(DiskState)}
        return HostState(
            at=self._clock.monotonic(),
            name=self.name,
            port=shown["port"],
            listening=shown["listening"],
            address=shown["address"],
            disk=None if shown["size"] is None else DiskState(**numbers),
            logins=shown["logins"],
            connections=shown["connections"],
            username=shown["username"],
            faults=self.faults,
        )

    async def start(self) -> None:
        """Let it listen."""
        await self._lab.start_host(self.name)
        self._stopped = False

    async def stop(self) -> None:
        """Shut it down."""
        await self._lab.stop_host(self.name)
        self._stopped = True

    async def restore(self) -> None:
        """Heal it of what the scenario has done, the latest first, and let it listen."""
        for fault in reversed(self._faults):
            await fault.heal()
        if self._stopped:
            await self.start()


class RemoteLab:
    """A lab that is running, for the time of a scenario."""

    folder = Path("/no files of the scenario's own")

    def __init__(
        self,
        url: str,
        account: str,
        password: str,
        scenario: Scenario,
        clock: FollowingClock,
        on_event: OnEvent,
        lab_token: str | None = None,
    ) -> None:
        self.scenario = scenario
        self.clock = clock
        self.hosts: dict[str, RunningHost] = {}
        self.zones: dict[str, str] = {}
        self.storages = {one.name: stable_uuid("backup-storage", one.name) for one in scenario.all_storages()}
        self._url = url
        self._account = account
        self._password = password
        self._lab_token = lab_token
        self._on_event = on_event
        self._made: set[str] = set()
        self._undo = AsyncExitStack()
        self._tasks = Tasks()
        self._playing: asyncio.Task[Any] | None = None
        self._lost = ""
        self._pushes = False
        self._latest: int | None = None
        self._lab: LabClient
        self._client: Client
        self._caller: Caller

    async def __aenter__(self) -> Self:
        self._playing = asyncio.current_task()
        try:
            await asyncio.wait_for(self._prepare(), LONGEST_SETUP)  # real: another process is waited for
        except BaseException as error:
            await self._leave(error)
            if isinstance(error, CallFailed | aiohttp.ClientError | TimeoutError):
                raise WorldProblem(f"{self._url}: {plain_reason(error)}") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    async def _leave(self, error: BaseException | None) -> None:
        """Put all back. Raises WorldProblem when the lab was lost, or not all could be put back."""
        if self._lost and isinstance(error, asyncio.CancelledError):
            assert self._playing is not None
            self._playing.uncancel()
        await self._tasks.close()
        try:
            await self._undo.aclose()
        except (CallFailed, WorldProblem, *NO_ANSWER) as problem:
            text = f"not all on {self._url} could be put back as it was: {plain_reason(problem)}"
            raise WorldProblem(f"{self._lost}; {text}" if self._lost else text) from problem
        if self._lost:
            raise WorldProblem(self._lost) from error

    def _lose(self, why: str) -> None:
        """The scenario cannot go on."""
        self._lost = self._lost or why
        if self._playing is not None:
            self._playing.cancel()

    # What it is played with

    async def _prepare(self) -> None:
        self._lab = await self._undo.enter_async_context(LabClient(self._url, self._lab_token))
        self._client = await self._undo.enter_async_context(Client(self._url, timeout=LONGEST_SETUP))
        hosts = await self._lab.hosts()
        self.clock.show(await self._hold_time())
        await self._client.log_in(self._account, self._password)
        self._undo.push_async_callback(self._client.log_out)
        inventories = await self._client.query("/backup-storage")
        for uuid in self._adopt(inventories):
            self._undo.push_async_callback(self._reconnect, uuid)
        self._check_hosts(hosts)
        self._check_calls({one["uuid"] for one in inventories})
        await self._keep_settings()
        self._undo.push_async_callback(self._remove_again, set(self.scenario.all_hosts()) - set(hosts))
        for name, spec in self.scenario.all_hosts().items():
            await self._prepare_host(name, spec, hosts.get(name))
        await self._prepare_zones()
        await self._listen()
        await asyncio.gather(*(self._prepare_storage(one, inventories) for one in self.scenario.all_storages()))
        await self._set(self._wanted_settings())
        self._caller = Caller(self._url, self.clock, self._account, self._password, self._lab_token)
        self._undo.push_async_callback(self._caller.close)
        self._undo.push_async_callback(self._caller.log_out)
        self.clock.show(await self._lab.time())
        self._tasks.begin(self._follow_time(), "time of a lab")

    async def _hold_time(self) -> Any:
        """What the clock says. One that jumps would be gone by the first step: it is held, and pushed on by steps."""
        now = await self._lab.time()
        if now.speed is None and not now.paused:
            await self._lab.pause()
            self._undo.push_async_callback(self._lab.resume)
            now = await self._lab.time()
        self._pushes = now.paused
        return now

    def _adopt(self, inventories: list[dict[str, Any]]) -> list[str]:
        """Take storages of the lab for the scenario's that are in the same place; answers their uuids.

        Raises WorldProblem for one that is in the way.
        """
        adopted = []
        there = {one.get("hostname"): one for one in inventories}
        for record in self.scenario.all_storages():
            found = there.get(record.hostname)
            if found is None:
                continue
            if found["url"] != record.url:
                text = f"{found['name']}, which has the url {found['url']} in place of {record.url}"
                raise WorldProblem(f"storage {record.name}: there is a storage on {record.hostname} already: {text}")
            self.storages[record.name] = found["uuid"]
            adopted.append(found["uuid"])
        return adopted

    def _check_hosts(self, hosts: Mapping[str, dict[str, Any]]) -> None:
        """Raises WorldProblem for a host that is there, and cannot be made what the scenario says, or put back."""
        for name, spec in self.scenario.all_hosts().items():
            there = hosts.get(name)
            if there is None:
                continue
            faults = [str(one["id"]) for one in there["faults"]]
            wrong = {
                f"has faults on it: {', '.join(faults)}": bool(faults),
                "is stopped": not there["listening"],
                f"has port {there['port']}": there["port"] != spec.port,
                f"lets in {there['username']} only": there["username"] not in (None, spec.username),
                f"has {there['inodes']} inodes": there["inodes"] != spec.inodes,
                "has no disk of its own for a mount": spec.mount not in (None, "/"),
                "cannot have its SFTP taken away": not (spec.sftp and spec.statvfs),
            }
            for text in (text for text, is_so in wrong.items() if is_so):
                raise WorldProblem(f"host {name}: it is there already, and {text}")

    def _check_calls(self, there: set[str]) -> None:
        """Raises WorldProblem for a call that would change a storage which is not the scenario's own."""
        for number, step in enumerate(self.scenario.timeline, start=1):
            what = step.what
            if not isinstance(what, CallStep) or what.method == "GET" or "reconnect" in str(what.body):
                continue
            for name in REFERENCE.findall(f"{what.path} {what.body}"):
                if self.storages.get(name) in there:
                    raise WorldProblem(
                        f"step {number}: {step}: {name} was on the node before, and could not be put back as it was"
                    )

    # Settings

    async def _keep_settings(self) -> None:
        before = await self._settings()
        self._undo.push_async_callback(self._set, {name: before[name] for name in OPTIONS if name in before})

    def _wanted_settings(self) -> dict[str, str]:
        """All that storages are kept by: what the scenario says, or else what a node begins with."""
        defaults = {one.name: one.default for one in STORAGE_OPTIONS}
        return defaults | {name: option_text(name, value) for name, value in self.scenario.settings.items()}

    async def _settings(self) -> dict[str, str]:
        """Return the values in force of the options that scenarios know; others have names that are theirs too."""
        found = await self._client.query("/global-configurations")
        known = {(option.category, option.name) for option in OPTIONS.values()}
        return {one["name"]: one["value"] for one in found if (one["category"], one["name"]) in known}

    async def _set(self, wanted: Mapping[str, str]) -> None:
        now = await self._settings()
        for name, value in wanted.items():
            if now.get(name) != value:
                path = f"/global-configurations/{OPTIONS[name].category}/{name}/actions"
                await self._client.call("PUT", path, {"updateGlobalConfig": {"value": value}})

    # Hosts, zones and storages

    async def _prepare_host(self, name: str, spec: Host, there: dict[str, Any] | None) -> None:
        disk = {"size": spec.size, "used": spec.used.of(spec.size), "reserved": spec.reserved.of(spec.size)}
        if there is None:
            access = {"username": spec.username, "password": spec.password, "port": spec.port}
            offers = {"inodes": spec.inodes, "sftp": spec.sftp, "statvfs": spec.statvfs, "mount": spec.mount}
            await self._lab.add_host({"name": name, **disk, **access, **offers})
            self._undo.push_async_callback(self._lab.remove_host, name)
        else:
            self._undo.push_async_callback(self._lab.change_host, name, {one: there[one] for one in disk})
            await self._lab.change_host(name, disk)
        self.hosts[name] = host = RunningHost(self._lab, self.clock, name)
        self._undo.push_async_callback(host.restore)

    async def _remove_again(self, names: set[str]) -> None:
        """Remove hosts that are there anew: a lab makes one for whoever looks for it, such as a probe that was under
        way when its storage was deleted."""
        quiet = 0
        for _ in range(MOST_LOOKS):
            there = names & set(await self._lab.hosts())
            for name in there:
                await self._lab.remove_host(name)
            quiet = 0 if there else quiet + 1
            if not names or quiet == QUIET_LOOKS:
                return
            await asyncio.sleep(LOOK_SECONDS)  # real: another process is waited for

    async def _prepare_zones(self) -> None:
        there = {one["name"]: one["uuid"] for one in await self._client.query("/zones")}
        for name in self.scenario.zones:
            if name not in there:
                body = {"params": {"name": name, "resourceUuid": stable_uuid("zone", name)}}
                there[name] = (await self._client.call("POST", "/zones", body))["inventory"]["uuid"]
                self._undo.push_async_callback(self._client.call, "DELETE", f"/zones/{there[name]}")
            self.zones[name] = there[name]

    async def _prepare_storage(self, record: StorageRecord, inventories: list[dict[str, Any]]) -> None:
        """Add it, or connect it anew: its host's disk is another one now."""
        uuid = self.storages[record.name]
        if uuid in {one["uuid"] for one in inventories}:
            await self._reconnect(uuid)
            return
        params = {"name": record.name, "hostname": record.hostname, "url": record.url, "username": record.username,
                  "password": record.password, "sshPort": record.port, "description": record.description,
                  "resourceUuid": uuid}  # fmt: skip
        self._undo.push_async_callback(self._client.call, "DELETE", f"/backup-storage/{uuid}")
        await self._client.call("POST", IMAGE_STORES, {"params": {k: v for k, v in params.items() if v is not None}})
        for zone in self.scenario.zones_of(record):
            await self._client.call("POST", f"/zones/{self.zones[zone]}/backup-storage/{uuid}", {})

    async def _reconnect(self, uuid: str) -> None:
        await self._client.call("PUT", f"{IMAGE_STORES}/{uuid}/actions", {"reconnectImageStoreBackupStorage": {}})

    def concerns(self, uuid: str) -> bool:
        """Whether it is the scenario's, or was made by one of its calls."""
        return uuid in self._made or uuid in self.storages.values()

    # Its time

    async def _follow_time(self) -> None:
        stood = 0.0
        while True:
            try:
                if self._pushes:
                    await asyncio.sleep(QUIET_SECONDS)  # real: what has fallen due is told by another process
                    self.clock.show(await self._lab.step(self._next_push()))
                    continue
                await asyncio.sleep(LOOK_SECONDS)  # real: as often as that is asked
                now = await self._lab.time()
            except (LabRefused, *NO_ANSWER) as error:
                self._lose(f"{self._url}: {plain_reason(error)}")
                return
            self.clock.show(now)
            stood = stood + LOOK_SECONDS if now.paused else 0.0
            if stood > LONGEST_STAND:
                self._lose(f"the lab's clock was paused in the middle, and has stood still for {LONGEST_STAND:g} s")
                return

    def _next_push(self) -> float:
        due = self.clock.next_due
        return LONGEST_PUSH if due is None else min(LONGEST_PUSH, max(0.0, due - self.clock.monotonic()))

    # Its events

    async def _listen(self) -> None:
        """Hear of every event from now on."""
        listening = asyncio.Event()
        task = self._tasks.begin(self._hear(listening), "events of a lab")
        await until_done_or_set(task, listening)

    async def _hear(self, listening: asyncio.Event) -> None:
        """Tell what is heard; a stream that breaks off is taken up again where it was."""
        gap = 0.0
        while gap < LONGEST_GAP:
            try:
                async with open_stream(self._url, self._latest, lab_token=self._lab_token) as events:
                    listening.set()
                    gap = 0.0
                    async for event in events:
                        self._latest = event.id
                        if self.concerns(event.resource_uuid):
                            self._on_event(event)
            except EventsMissed as error:
                self._lose(f"{self._url}: {error}")
                return
            except NO_ANSWER:
                gap += LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)  # real: another process is waited for
        self._lose(f"{self._url}: the stream of events has ended, and is not to be had again")

    # What the runner asks for

    async def settle(self) -> None:
        """What has happened is told by another process: returns a moment later."""
        await asyncio.sleep(SETTLE_SECONDS)  # real: see above

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """One call of the API; what it makes is taken away in the end. Raises as Caller.request."""
        answer = await self._caller.request(method, path, body)
        inventory = answer.body.get("inventory") if method == "POST" and answer.status == 200 else None
        if isinstance(inventory, dict) and path in RESOURCES:
            self._made.add(inventory["uuid"])
            where = "/backup-storage" if path == IMAGE_STORES else path
            self._undo.push_async_callback(self._client.call, "DELETE", f"{where}/{inventory['uuid']}")
        return answer

    async def page(self, path: str) -> str:
        """What the node answers outside of ZStack's API. Raises as Caller.request."""
        return await self._caller.page(path)
