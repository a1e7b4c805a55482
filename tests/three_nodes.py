"""Three nodes in one process over one database file, and nine hosts, in virtual time."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imagestore_sim.backup_storage.records import Storage
from imagestore_sim.bootstrap import BackupStorageRecord, Bootstrap, stable_uuid
from imagestore_sim.cluster import LIFECYCLE, Membership
from imagestore_sim.hosts import HostNetwork, SimulatedHost
from imagestore_sim.node.local_cluster import LocalCluster
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.probe.login_slots import Purpose
from imagestore_sim.settings import Settings
from imagestore_sim.virtual_clock import VirtualClock, virtual_clock

HOSTS = 9
NAMES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Turn:
    """A probe of a host by a node, from `began` to `ended` (seconds of the clock)."""

    node: str
    host: str
    began: float
    ended: float


@dataclass
class Watched:
    """A cluster, and who has probed which host when."""

    clock: VirtualClock
    network: HostNetwork
    cluster: LocalCluster = field(init=False)
    turns: list[Turn] = field(default_factory=list)
    seen: dict[str, ManagementNode] = field(default_factory=dict)
    """The latest node of each name, from before its start."""

    def watch(self, name: str, node: ManagementNode) -> None:
        @contextmanager
        def turn(host: str, purpose: Purpose) -> Iterator[None]:
            began = self.clock.monotonic()
            try:
                yield
            finally:
                self.turns.append(Turn(name, host, began, self.clock.monotonic()))

        self.seen[name] = node
        node.foundation.prober.watch = turn

    def membership(self, name: str) -> Membership:
        found = self.cluster.nodes[name].parts.cluster.membership
        assert found is not None
        return found

    def is_joining(self, name: str) -> bool:
        """Return whether a node that is starting has its row by now."""
        try:
            found = self.seen[name].parts.cluster.membership
        except (KeyError, RuntimeError):
            return False
        return found is not None and found.view.start > 0

    def owned(self) -> dict[str, set[str]]:
        """Return the uuids of the storages that each node owns and pings."""
        return {name: set(node.storages.tracker.owned()) for name, node in self.cluster.nodes.items()}

    async def storages(self, name: str) -> list[Storage]:
        return await self.cluster.nodes[name].storages.records.tracked()

    async def lives(self, name: str) -> list[tuple[str, str]]:
        """Return what the event log has of the nodes: who joined and left."""
        log = self.cluster.nodes[name].parts.store.event_log
        return [
            (str(one.content["lifeCycle"]), one.resource_uuid)
            for one in await log.since(0, 10_000)
            if one.path == LIFECYCLE
        ]

    def overlaps(self) -> list[tuple[Turn, Turn]]:
        """Return the pairs of times in which two nodes held one host."""
        return [
            (one, other)
            for at, one in enumerate(self.turns)
            for other in self.turns[at + 1 :]
            if one.host == other.host and one.node != other.node and one.began < other.ended and other.began < one.ended
        ]


@asynccontextmanager
async def three_nodes(mode: str, *, ping_interval: int = 5, nodes: tuple[str, ...] = NAMES) -> AsyncIterator[Watched]:
    """Start three nodes, one after another; all storages are connected when the block begins."""
    clock = virtual_clock()
    network = HostNetwork()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(cluster_mode=mode, ping_interval=ping_interval, log_level="error")
        watched = Watched(clock, network)
        for number in range(HOSTS):
            await network.add(SimulatedHost(f"imagestore-{number}", clock=clock))
        try:
            watched.cluster = LocalCluster(Path(folder) / "mn.db", settings, clock, network.resolve, watched.watch)
            async with watched.cluster as cluster:
                for name in nodes:
                    await cluster.start(name, records())
                yield watched
        finally:
            await network.close()


def records(hosts: int = HOSTS) -> Bootstrap:
    """Return storages, one on each host."""
    return Bootstrap(
        backupStorages=tuple(
            BackupStorageRecord(
                uuid=stable_uuid("backup-storage", f"imagestore-{number}"),
                name=f"imagestore-{number}",
                hostname=f"imagestore-{number}",
                username="root",
                password="password",
                url="/zstack",
            )
            for number in range(hosts)
        )
    )
