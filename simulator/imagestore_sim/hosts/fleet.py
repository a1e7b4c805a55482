"""A fleet: simulated hosts without a lab, one or many. Each has an address of its own, or a port of its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from string import digits

import asyncssh
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from imagestore_sim.hosts.agent_certificates import Authority
from imagestore_sim.hosts.host import SimulatedHost
from imagestore_sim.hosts.hosts_by_name import HostsByName
from imagestore_sim.hosts.listener import Listener, NewListener
from imagestore_sim.hosts.shared_port import SharedPort

FIRST = IPv4Address("127.1.0.1")
"""The address of the first host. Below it are those that other programs use."""
FILES_OF_A_FLEET = 64
"""Open files of a fleet beside one for each host: the connection that a node keeps."""
_AT_ONCE = 100
"""Hosts that are started before the event loop does something else."""

NewHost = Callable[[str, NewListener, NewListener], SimulatedHost]
"""Makes a host of a name, and of what its ports and those of its agent are taken from."""


def numbered_names(first: str, count: int) -> list[str]:
    """Return `count` names: `first`, and those whose number at the end follows. One without a number gets `-1`."""
    stem = first.rstrip(digits)
    number = first.removeprefix(stem)
    stem, start, width = (stem, int(number), len(number)) if number else (f"{first}-", 1, 1)
    return [f"{stem}{one:0{width}}" for one in range(start, start + count)]


def addresses_from(first: IPv4Address, count: int) -> list[IPv4Address]:
    """Return `count` addresses that follow each other. Raise ValueError if there are not as many of the kind."""
    kind = "loopback addresses" if first.is_loopback else "addresses of hosts"
    most = int(IPv4Address("127.255.255.254" if first.is_loopback else "223.255.255.255")) - int(first) + 1
    if first.is_multicast or first.is_unspecified or most <= 0:
        raise ValueError(f"{first} is no address of a host")
    if count > most:
        raise ValueError(f"from {first} on there are {most} {kind}, which is fewer than {count}")
    return [first + offset for offset in range(count)]


def host_key(seed: int) -> asyncssh.SSHKey:
    """Return the host key that follows from a seed: all processes of a fleet have it, also after a restart."""
    secret = hashlib.sha256(f"host key of imagestore-sim, seed {seed}".encode()).digest()
    pem = Ed25519PrivateKey.from_private_bytes(secret).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return asyncssh.import_private_key(pem)


class CannotListen(Exception):
    """A port of a fleet that cannot be had; `__cause__` is the OSError."""

    def __init__(self, address: str, port: int, *, agents: bool) -> None:
        super().__init__(f"port {port} of {address}")
        self.address = address
        self.port = port
        self.agents = agents
        """Whether it is the port of the agents."""


class Fleet(HostsByName):
    """Hosts by name, in any case. They have one authority, which issues the certificates of their agents."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        port: int,
        agent_port: int | None,
        new_host: NewHost,
        *,
        shared: bool,
        port_each: bool = False,
    ) -> None:
        """Take the address of each host by its name, and its ports; 0 is any that is free.

        With `shared` all hosts have the same port, and each an IPv4 address of its own. With `port_each` the ports of
        the hosts follow each other from `port` on, or are any that are free; those of their agents likewise, or agents
        do not listen if `agent_port` is None. `start` makes the hosts.
        """
        super().__init__()
        self.addresses = addresses
        self._new_host = new_host
        self._port, self._agent_port = port, agent_port
        self._port_each = port_each
        self.has_agents = agent_port is not None or not port_each
        """Whether the agents of the hosts listen."""
        loopback = all(IPv4Address(one).is_loopback for one in addresses.values()) if shared else False
        self._shared = [SharedPort(loopback=loopback) for _ in range(2)] if shared else []

    async def start(self) -> None:
        """Make the hosts and have them listen. Raise CannotListen; `stop` stops what has started by then."""
        address = next(iter(self.addresses.values()))
        for number, shared in zip((self._port, self._agent_port or 0), self._shared, strict=False):
            with _listening(address, number, agents=shared is not self._shared[0]):
                shared.open(number)
        listeners: list[NewListener] = [shared.listener for shared in self._shared] or [Listener, Listener]
        authority = Authority()
        for number, (name, address) in enumerate(self.addresses.items()):
            host = self._new_host(name, *listeners)
            host.agent.authority = authority
            self._hosts[name.lower()] = host
            agent_port = self._port_of(number, self._agent_port or 0) if self.has_agents else None
            await self._start(host, address, self._port_of(number, self._port), agent_port)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _port_of(self, number: int, first: int) -> int:
        """Return the port of a host by its number from 0, and the port of the first one; 0 is any that is free."""
        return first + number if self._port_each and first else first

    async def _start(self, host: SimulatedHost, address: str, port: int, agent_port: int | None) -> None:
        """Start a host, and its agent whenever the host starts, if agents listen."""
        with _listening(address, port, agents=False):
            await host.start(address, port)
        host.port = host.address[1]
        if agent_port is None:
            return

        async def open_agent() -> None:
            await host.agent.open(address, agent_port)

        with _listening(address, agent_port, agents=True):
            await open_agent()
        host.after_start = open_agent

    async def stop(self) -> None:
        """Stop all hosts, and let go of the ports."""
        for shared in self._shared:
            await shared.close()
        await asyncio.gather(*(host.stop() for host in self._hosts.values()))


@contextmanager
def _listening(address: str, port: int, *, agents: bool) -> Iterator[None]:
    """Turn an OSError of the block into CannotListen."""
    try:
        yield
    except OSError as error:
        raise CannotListen(address, port, agents=agents) from error
