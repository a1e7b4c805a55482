"""Where a scenario is played: simulated hosts and a management node in this process, over real SSH and HTTP."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from simulator.backup_storage.events import Event, Listener
from simulator.bootstrap import BackupStorageRecord, Bootstrap, ZoneRecord, stable_uuid
from simulator.clock import Clock
from simulator.hosts import Credentials, HostNetwork, SimulatedHost, VirtualDisk
from simulator.node import ManagementNode
from simulator.scenario.model import Host, Scenario
from simulator.scenario.options import OPTIONS, option_text
from simulator.settings import Settings
from simulator.tasks import Tasks
from simulator.testing.client import Answer, Client

ROOT_SIZE = 50 * 2**30
LONGEST_JOB = 6 * 3600.0
POLL_SECONDS = 0.5
LOGIN_LASTS = 3600.0
"""Seconds after which the client logs in anew, before its session is over."""


def make_host(name: str, spec: Host, clock: Clock, seed: int) -> SimulatedHost:
    """The host that a scenario describes, not started yet."""
    disk = VirtualDisk(
        spec.size,
        spec.used.of(spec.size),
        inodes=spec.inodes,
        reserved=spec.reserved.of(spec.size),
        clock=clock,
    )
    root = disk
    if spec.mount is not None and spec.mount != "/":
        root = VirtualDisk(ROOT_SIZE, ROOT_SIZE // 5, clock=clock)
        root.make_directory(spec.mount, parents=True)
        root.mount(spec.mount, disk)
    return SimulatedHost(
        name,
        port=spec.port,
        disk=root,
        credentials=Credentials(spec.username, spec.password),
        sftp=spec.sftp,
        statvfs=spec.statvfs,
        clock=clock,
        seed=seed,
    )


class World:
    """The hosts and the node of a scenario, and a client of the node."""

    def __init__(self, scenario: Scenario, clock: Clock, seed: int, heard: Callable[[Event], None]) -> None:
        """`heard` is called with every event, one at a time."""
        self.scenario = scenario
        self.clock = clock
        self.seed = seed
        self.hosts = HostNetwork()
        self.zones = {name: stable_uuid("zone", name) for name in scenario.zones}
        """Their uuids, by the names that the scenario has for them."""
        self.storages = {one.name: stable_uuid("backup-storage", one.name) for one in scenario.all_storages()}
        """And those of storages, to which calls may add."""
        self.node: ManagementNode
        self.client: Client | None = None
        self._heard = heard
        self._tasks = Tasks()
        self._listening = ExitStack()
        self._logged_in = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="imagestore-sim-")
        self.folder = Path(self._folder.name)
        """Where its database is."""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        for name, spec in self.scenario.all_hosts().items():
            await self.hosts.add(make_host(name, spec, self.clock, self.seed))
        await self.start_node()

    async def _stop(self) -> None:
        for host in self.hosts.values():
            await host.faults.heal_all()
        await self.stop_node()
        await self.hosts.close()
        self._folder.cleanup()

    async def start_node(self) -> None:
        """Start the node; returns when every storage has been tried once."""
        settings = Settings(
            port=0,
            database=str(self.folder / "node.db"),
            seed=self.seed,
            log_level="error",
            **self.scenario.node.model_dump(),
        )
        self.node = ManagementNode(settings, clock=self.clock, resolve=self.hosts.resolve)
        listener = self._listening.enter_context(self.node.events.listening())
        self._tasks.begin(self._hear(listener), "events of a scenario")
        await self.node.start(self._bootstrap())

    async def stop_node(self) -> None:
        """Stop the node, and what the client has of it."""
        client, self.client = self.client, None
        if client is not None:
            await client.close()
        if hasattr(self, "node"):
            await self.node.stop()
        self._listening.close()
        await self._tasks.close()

    async def _hear(self, listener: Listener) -> None:
        while True:
            self._heard(await listener.get())

    def _bootstrap(self) -> Bootstrap:
        scenario = self.scenario
        zones = tuple(ZoneRecord(uuid=uuid, name=name) for name, uuid in self.zones.items())
        storages = tuple(
            BackupStorageRecord(
                uuid=self.storages[one.name],
                name=one.name,
                description=one.description,
                hostname=one.hostname,
                username=one.username,
                password=one.password,
                sshPort=one.port,
                url=one.url,
                attachedZoneUuids=tuple(self.zones[zone] for zone in (one.zone, *scenario.zones)[:2] if zone)[:1],
            )
            for one in scenario.all_storages()
        )
        configuration: dict[str, dict[str, str]] = {}
        for name, value in scenario.settings.items():
            configuration.setdefault(OPTIONS[name].category, {})[name] = option_text(name, value)
        return Bootstrap(zones=zones, backupStorages=storages, globalConfig=configuration)

    def uuid_of(self, name: str) -> str:
        """Of a storage or a zone."""
        return self.storages.get(name) or self.zones[name]

    # What a client does

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """One call of the API by a client that has logged in, with its job's end; the answer as it came.

        Raises OSError and aiohttp.ClientError when the node does not answer.
        """
        client = await self._logged_in_client()
        path, _, question = path.partition("?")
        query = parse_qsl(question.replace("+", "%2B"), keep_blank_values=True)
        answer = await client.request(method, path, body, query=query)
        return await client.follow(str(answer.body["location"])) if answer.status == 202 else answer

    async def page(self, path: str) -> str:
        """What the node answers outside of ZStack's API. Raises as `request` does."""
        client = await self._logged_in_client()
        return (await client.request("GET", f"{self.node.url}{path}")).text

    async def _logged_in_client(self) -> Client:
        now = self.clock.monotonic()
        if self.client is None:
            self.client = Client(self.node.url, timeout=LONGEST_JOB, clock=self.clock, poll_seconds=POLL_SECONDS)
            self._logged_in = -LOGIN_LASTS
        if now - self._logged_in >= LOGIN_LASTS:
            await self.client.log_in()
            self._logged_in = now
        return self.client
