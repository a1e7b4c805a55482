"""The simulated hosts that the lab's API is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from imagestore_sim.hosts import SimulatedHost
from imagestore_sim.hosts.network import AnyHost

if TYPE_CHECKING:
    from imagestore_sim.faults.target import AgentState
    from imagestore_sim.lab_api.host_shapes import FormShape


class HostsByName(Protocol):
    """Simulated hosts by their names (`hosts.Fleet`)."""

    def __getitem__(self, name: str) -> SimulatedHost:
        """Return the host of that name. Raise KeyError."""

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all hosts."""


class Network(HostsByName, Protocol):
    """The network of a lab (`hosts.HostNetwork`)."""

    async def add(self, host: SimulatedHost) -> None:
        """Start a host, and resolve its name. Raise ValueError when that is taken, RuntimeError, OSError."""

    async def remove(self, name: str) -> None:
        """Stop a host and forget it. Raise KeyError."""

    def keep(self, name: str) -> None:
        """Keep a host until it is removed, even one that was made on the spot."""


@dataclass(frozen=True, slots=True)
class SimulatedHosts:
    """Simulated hosts that none is added to and none removed from (`lab_api.hosts.Hosts`)."""

    network: HostsByName

    async def all(self) -> list[SimulatedHost]:
        """Return every host."""
        return [self.network[name] for name in self.network]

    async def host(self, name: str) -> SimulatedHost:
        """Return the host of that name. Raise KeyError."""
        return self.network[name]

    async def host_to_change(self, name: str) -> SimulatedHost:
        """Return the host of that name. Raise KeyError."""
        return self.network[name]

    async def agent(self, name: str) -> AgentState:
        """Return the agent of the host of that name. Raise KeyError, ValueError while the host is stopped, OSError."""
        return await self.network[name].agent.state()

    async def container_forms(self) -> Mapping[str, FormShape]:
        """Return nothing: simulated hosts have faults as they are declared."""
        return {}


@dataclass(frozen=True, slots=True)
class LabHosts(SimulatedHosts):
    """The hosts of a lab, and what makes one of a name and a port."""

    network: Network
    new_host: AnyHost

    async def host_to_change(self, name: str) -> SimulatedHost:
        """Return the host of that name, and keep it until it is removed. Raise KeyError."""
        host = self.network[name]
        self.network.keep(name)
        return host
