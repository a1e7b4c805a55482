"""A world whose management node runs in this process, whatever its hosts are."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from imagestore_sim.backup_storage.events import Subscription
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap, ZoneRecord, stable_uuid
from imagestore_sim.bootstrap.records import AccountRecord, ImageSourceRecord
from imagestore_sim.clock import Clock
from imagestore_sim.faults import NodeFault
from imagestore_sim.node.kill_at_commit import kill_at_commit
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.rest.journal import Entry
from imagestore_sim.scenario.format.api_steps import ADMIN, ApiCall
from imagestore_sim.scenario.format.model import Scenario
from imagestore_sim.scenario.format.options import OPTIONS, option_text
from imagestore_sim.scenario.play.world import OnEvent, WorldProblem
from imagestore_sim.scenario.worlds.node_client import NodeClient
from imagestore_sim.scenario.worlds.one_node import OneNode
from imagestore_sim.scenario.worlds.programs import URL_VARIABLE, ProgramTime, run_command
from imagestore_sim.settings import Settings
from imagestore_sim.tasks import Tasks
from imagestore_sim.temporary_folders import TemporaryFolder
from imagestore_sim.testing.client import Answer
from imagestore_sim.virtual_clock import VirtualClock


class LocalNodeWorld(OneNode, ABC):
    """The node of a scenario, and a client of it; subclasses add the hosts."""

    def __init__(self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent) -> None:
        """`on_event` is called with every event, one at a time."""
        self.scenario = scenario
        self.clock = clock
        self.seed = seed
        self.zones = {name: stable_uuid("zone", name) for name in scenario.zones}
        """The uuids of zones, by their names in the scenario."""
        self.storages = {one.name: stable_uuid("backup-storage", one.name) for one in scenario.all_storages()}
        """The uuids of storages, by their names in the scenario; calls add to them."""
        self.images: dict[str, str] = {}
        """The uuids of images, by their names in the scenario; steps add to them."""
        self.long_jobs: dict[str, str] = {}
        """The uuids of long jobs, by their names in the scenario; steps add to them."""
        self._node: ManagementNode | None = None
        self._is_up = False
        self._has_begun = False
        self._clients: dict[str, NodeClient] = {}
        self._on_event = on_event
        self._tasks = Tasks()
        self._listening = ExitStack()
        self._folder = TemporaryFolder()
        self.folder = Path(self._folder.name)
        """Where its database is."""
        self._lives = 0
        """How often the node has been killed."""
        self._port = 0
        """Where the node listens; 0 before its first start."""
        self._program_time = ProgramTime(clock)

    @abstractmethod
    async def resolve(self, hostname: str, port: int) -> tuple[str, int]:
        """Return the address and port where the node reaches a host. Raise socket.gaierror or OSError."""

    @abstractmethod
    async def file_size(self, host: str, path: str) -> int:
        """Return the bytes of a file on the disk of a host; 0 if it is missing."""

    @abstractmethod
    async def _start_hosts(self) -> None:
        """Start all hosts."""

    @abstractmethod
    async def _heal_hosts(self) -> None:
        """Heal all faults."""

    @abstractmethod
    async def _stop_hosts(self) -> None:
        """Stop and remove all hosts, even those that were starting."""

    async def __aenter__(self) -> Self:
        try:
            await self._start_hosts()
            await self.start_node()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        try:
            await self._heal_hosts()
            await self.stop_node()
        finally:
            await self._stop_hosts()
            self._folder.cleanup()

    async def start_node(self) -> None:
        """Start the node and listen to its events; return once every storage has been tried."""
        node = self._node = self._new_node(self._settings())
        listener = self._listening.enter_context(node.events.subscribe())
        self._tasks.begin(forward(listener, self._on_event), "events of a scenario")
        await node.start(self._records())
        if any(
            step.program is not None for step in self.scenario.timeline
        ):  # which knows the address that it began with
            self._port = urlsplit(node.url).port or 0
        self._program_time.node_is(up=True)
        self._is_up = self._has_begun = True

    def _settings(self) -> Settings:
        return Settings(
            port=self._port,
            database=str(self._database),
            seed=self.seed,
            log_level="error",
            **self.scenario.node.model_dump(),
        )

    def _records(self) -> Bootstrap:
        """Return what a node begins with: later, the database holds all but the sources, which are in no table."""
        first = _bootstrap(self.scenario, self.zones, self.storages)
        return Bootstrap(imageSources=first.imageSources) if self._has_begun else first

    @property
    def _database(self) -> Path:
        return self.folder / (f"node-{self._lives + 1}.db" if self._lives else "node.db")

    async def kill_node(self, commits: int, within: float) -> None:
        """Kill the node at once, or right after the commit with that number from now on; after `within` in any case.

        The node that is started next gets the database as it is in that moment: what the killed one still does has no
        effect.
        """
        node = self._running_node()

        def kill() -> None:
            node.cut_off()
            self._listening.close()
            self._keep_database()

        await kill_at_commit(node.parts.store.database, self.clock, kill, commits=commits, within=within)
        await self.stop_node()

    def _keep_database(self) -> None:
        """Copy the database for the next start, on the event loop: nothing may be written meanwhile."""
        old = self._database
        self._lives += 1
        for end in ("", "-wal", ".key"):
            if (file := old.with_name(old.name + end)).exists():
                shutil.copy2(file, self._database.with_name(self._database.name + end))

    def _new_node(self, settings: Settings) -> ManagementNode:
        node = ManagementNode(settings, clock=self.clock, resolve=self.resolve)
        self._listening.enter_context(
            node.foundation.journal.watching(ProgramTime, _is_any, self._program_time.see, lasting=True)
        )
        return node

    async def run_program(self, command: str, within: float) -> tuple[int | None, str]:
        """Run a shell command against the node; return its exit status and the end of its output."""
        self._program_time.begin()
        try:
            return await run_command(command, within, {URL_VARIABLE: self._running_node().url})
        finally:
            self._program_time.end()

    async def stop_node(self) -> None:
        """Stop the node, and close the connections to it."""
        self._program_time.node_is(up=False)
        self._is_up = False
        while self._clients:
            await self._clients.popitem()[1].close()
        if self._node is not None:
            await self._node.stop()
        self._listening.close()
        await self._tasks.close()

    def concerns(self, uuid: str) -> bool:
        """Return true: all storages of the node are the scenario's."""
        return True

    async def settle(self) -> None:
        """Wait until nothing is left to do at this moment; return at once on a real clock, which cannot know."""
        if isinstance(self.clock, VirtualClock):
            await self.clock.settle()

    # What a client does

    async def request(
        self, method: str, path: str, body: Any = None, *, account: str = ADMIN, node: str = ""
    ) -> Answer:
        """Call the API as NodeClient does."""
        return await (await self._client_of(account)).request(method, path, body)

    async def node_for(self, call: ApiCall, node: str | None = None) -> str:
        """Return the URL of the node, which changes with a restart."""
        return self._running_node().url

    async def apply_to_node(self, fault: NodeFault) -> str:
        """Set a fault of the management plane, and return its id. Raise FaultProblem."""
        if not self._is_up:
            raise WorldProblem("the management node is down")
        return (await self._running_node().foundation.node_faults.apply(fault)).id

    async def heal_node(self, fault: str) -> None:
        """Heal a fault of the management plane by its id, unless that has happened."""
        faults = self._running_node().foundation.node_faults
        if (applied := faults.find(fault)) is not None:
            await faults.heal(applied)

    def _running_node(self) -> ManagementNode:
        assert self._node is not None, "the world has not been entered"
        return self._node

    async def page(self, path: str, node: str | None = None) -> str:
        """Return a page as NodeClient does."""
        return await (await self._client_of(ADMIN)).page(path)

    async def _client_of(self, account: str) -> NodeClient:
        url = self._running_node().url
        client = self._clients.get(account)
        if client is None or client.url != url:  # while the node is down, its calls are refused
            self._clients[account] = NodeClient(url, self.clock, account)
            if client is not None:  # made while the node was down
                await client.close()
        return self._clients[account]


def _bootstrap(scenario: Scenario, zone_uuids: Mapping[str, str], storage_uuids: Mapping[str, str]) -> Bootstrap:
    """Return the records and settings that a scenario begins with."""
    zones = tuple(ZoneRecord(uuid=uuid, name=name) for name, uuid in zone_uuids.items())
    storages = tuple(
        BackupStorageRecord(
            uuid=storage_uuids[one.name],
            name=one.name,
            description=one.description,
            hostname=one.hostname,
            username=one.username,
            password=one.password,
            sshPort=one.port,
            url=one.url,
            attachedZoneUuids=tuple(zone_uuids[zone] for zone in scenario.zones_of(one)),
        )
        for one in scenario.all_storages()
    )
    configuration: dict[str, dict[str, str]] = {}
    for name, value in scenario.settings.items():
        configuration.setdefault(OPTIONS[name].category, {})[name] = option_text(name, value)
    sources = (one.source() for one in scenario.imageSources)
    return Bootstrap(
        zones=zones,
        backupStorages=storages,
        imageSources=tuple(
            ImageSourceRecord(url=one.url, size=one.size, actualSize=one.actual_size, format=one.format,
                              rate=one.rate, error=one.error)
            for one in sources
        ),
        accounts=tuple(
            AccountRecord(name=name, password="password", quotas=one.quotas)  # noqa: S106 - of a simulated account
            for name, one in scenario.accounts.items()
        ),
        globalConfig=configuration,
    )  # fmt: skip


def _is_any(entry: Entry) -> bool:
    return True


async def forward(events: Subscription, on_event: OnEvent, node: str = "") -> None:
    """Call back with each event of a node: one of several, if it has a name."""
    while True:
        on_event(await events.get(), node)
