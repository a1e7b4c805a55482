"""The world of simulated hosts and a management node in this process, over real SSH and HTTP."""

from __future__ import annotations

from imagestore_sim.clock import Clock
from imagestore_sim.hosts import Credentials, HostNetwork, SimulatedHost, VirtualDisk
from imagestore_sim.hosts.disk import mounted_on_root
from imagestore_sim.scenario.format.model import HostRecord, Scenario
from imagestore_sim.scenario.play.world import OnEvent
from imagestore_sim.scenario.worlds.local_node import LocalNodeWorld


def make_host(name: str, spec: HostRecord, clock: Clock, seed: int) -> SimulatedHost:
    """Return the simulated host that a scenario describes, not started."""
    disk = VirtualDisk(
        spec.size,
        spec.used.of(spec.size),
        inodes=spec.inodes,
        reserved=spec.reserved.of(spec.size),
        clock=clock,
    )
    root = disk if spec.mount in (None, "/") else mounted_on_root(disk, spec.mount, clock)
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


class SimulatedWorld(LocalNodeWorld):
    """Simulated hosts, and a node beside them."""

    def __init__(self, scenario: Scenario, clock: Clock, seed: int, on_event: OnEvent) -> None:
        """`on_event` is called with every event, one at a time."""
        super().__init__(scenario, clock, seed, on_event)
        self.network = HostNetwork()
        self.hosts: dict[str, SimulatedHost] = {}

    async def resolve(self, hostname: str, port: int) -> tuple[str, int]:
        """Return the address and port where a host listens. Raise socket.gaierror or OSError."""
        return await self.network.resolve(hostname, port)

    async def file_size(self, host: str, path: str) -> int:
        """Return the bytes of a file on the disk of a host; 0 if it is missing."""
        disk = self.hosts[host].disk
        return disk.stat(path).size if disk.is_file(path) else 0

    async def _start_hosts(self) -> None:
        for name, spec in self.scenario.all_hosts().items():
            host = make_host(name, spec, self.clock, self.seed)
            await self.network.add(host)
            self.hosts[name] = host

    async def _heal_hosts(self) -> None:
        for host in self.network.values():
            await host.faults.heal_all()

    async def _stop_hosts(self) -> None:
        await self.network.close()
