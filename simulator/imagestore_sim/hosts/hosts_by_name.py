"""Simulated hosts by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagestore_sim.hosts.host import SimulatedHost


class HostsByName(Mapping[str, SimulatedHost]):
    """Hosts by name, in any case. Iterating gives the names as they are written."""

    def __init__(self) -> None:
        self._hosts: dict[str, SimulatedHost] = {}
        """By name in lower case."""

    def __getitem__(self, name: str) -> SimulatedHost:
        return self._hosts[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (host.name for host in self._hosts.values())

    def __len__(self) -> int:
        return len(self._hosts)
