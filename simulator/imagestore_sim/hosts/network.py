"""Names of simulated hosts, and the loopback addresses that they resolve to."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from imagestore_sim import open_files
from imagestore_sim.hosts.agent import PORT as AGENT_PORT
from imagestore_sim.hosts.agent_certificates import Authority
from imagestore_sim.hosts.host import SimulatedHost
from imagestore_sim.hosts.hosts_by_name import HostsByName
from imagestore_sim.hosts.listener import LOOPBACK
from imagestore_sim.hosts.ssh_config import SshConfig
from imagestore_sim.in_flight import under_way
from imagestore_sim.tasks import Tasks

AnyHost = Callable[[str, int], SimulatedHost]
"""Makes a host of a name and the port that storages know it by."""


class HostNetwork(HostsByName):
    """Hosts by name, in any case. `resolve` is the name resolution of a prober."""

    def __init__(self, *, any_host: AnyHost | None = None) -> None:
        """With `any_host`, make a host on the spot for a name that `resolve` does not know; without, know no others."""
        super().__init__()
        self.authority = Authority()
        """The authority that issues the certificates of the hosts' agents."""
        self._any_host = any_host
        self._on_the_spot: set[str] = set()
        """Names of hosts that `resolve` made, in lower case, and that have not been changed since."""
        self._turn = asyncio.Lock()
        self._tasks = Tasks()
        self._config: SshConfig | None = None
        self._refusing = _RefusingAddress()
        self._closed = False

    async def add(self, host: SimulatedHost) -> None:
        """Start a host, and resolve its name from then on.

        Raise ValueError when its name is taken, RuntimeError when the network is closed, and OSError.
        """
        async with self._turn:
            if self._closed:
                raise RuntimeError("the network is closed")
            if host.name in self:
                raise ValueError(f"there is a host {host.name} already")
            await self._begin(host.name, host)
        await self._write_config()

    async def remove(self, name: str) -> None:
        """Stop a host and forget it. Raise KeyError for a name that is not known."""
        async with self._turn:
            await self._end(self._hosts.pop(name.lower()))
        await self._write_config()

    async def renew(self, hosts: Sequence[SimulatedHost]) -> None:
        """Have these hosts, which were never started, and no others, in this order.

        A host that is there becomes the new one of its name. Nobody adds or removes a host meanwhile. Raise
        RuntimeError when the network is closed, and OSError.
        """
        first = {host.name.lower(): host for host in hosts}
        async with self._turn:
            if self._closed:
                raise RuntimeError("the network is closed")
            for name in [one for one in self._hosts if one not in first]:
                await self._end(self._hosts.pop(name))
            for name, host in first.items():
                self.keep(name)
                if (known := self._hosts.get(name)) is None:
                    await self._begin(host.name, host)
                else:
                    await known.become(host)
            self._hosts = {name: self._hosts[name] for name in first}
        await self._write_config()

    async def _end(self, host: SimulatedHost) -> None:
        self._on_the_spot.discard(host.name.lower())
        host.after_start = None
        await host.stop()
        if self._config is not None:
            self._config.drop(host)

    def keep(self, name: str) -> None:
        """Keep a host until it is removed, even one that was made on the spot: it has been changed by hand."""
        self._on_the_spot.discard(name.lower())

    async def release(self, name: str, unneeded: Callable[[], Awaitable[bool]]) -> None:
        """Remove a host that was made on the spot, unless it is still needed or has faults.

        While connections to it are open it stays, and `unneeded` is asked again once they are closed. `resolve` makes
        it again, as it was at first.
        """
        async with self._turn:
            host = self._hosts.get(name.lower())
            if host is None or name.lower() not in self._on_the_spot or list(host.faults) or not await unneeded():
                return
            if host.links:
                self._tasks.begin(self._release_when_left(host, unneeded), f"release of {name}")
                return
            del self._hosts[name.lower()]
            await self._end(host)
        await self._write_config()

    async def _release_when_left(self, host: SimulatedHost, unneeded: Callable[[], Awaitable[bool]]) -> None:
        if host.links:
            await asyncio.wait([link.closed for link in host.links])
        await self.release(host.name, unneeded)

    async def resolve(self, hostname: str, port: int) -> tuple[str, int]:
        """Return the loopback address of a host; make the host where the network does so.

        A host that is stopped is unreachable, as one that was shut down. The port of its agent is opened when it is
        first asked for. A host that is known by another port resolves to an address that refuses. Raise
        socket.gaierror for an unknown name, and OSError.
        """
        if self._closed:
            raise _unknown()
        host = self.get(hostname)
        if host is None:
            host = await self._make(hostname, port)  # it may have been removed again by now: then it does not listen
        if host.behaviour.unreachable or not host.listening:
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        if port == host.port:
            return host.address
        return await host.agent.open() if port == AGENT_PORT else self._refusing.address()

    async def _make(self, hostname: str, port: int) -> SimulatedHost:
        async with self._turn:
            if hostname not in self:  # it may have been made while others had their turn
                if self._any_host is None or self._closed:
                    raise _unknown()
                open_files.check_some_left()
                await self._begin(hostname, self._any_host(hostname, port))
                self._on_the_spot.add(hostname.lower())
            host = self[hostname]
        await self._write_config()
        return host

    async def _begin(self, name: str, host: SimulatedHost) -> None:
        host.agent.authority = self.authority
        await host.start()
        self._hosts[name.lower()] = host
        host.after_start = partial(self._started, host)
        if self._config is not None:
            self._config.enter(host)

    async def close(self) -> None:
        """Stop all hosts; from then on no name resolves."""
        self._closed = True
        await self._tasks.close()
        self._config = None
        async with self._turn:
            await asyncio.gather(*(host.stop() for host in self._hosts.values()))
        self._refusing.close()

    # The OpenSSH configuration

    async def write_ssh_config(self, folder: Path) -> Path:
        """Write a file for `ssh -F FILE NAME` to `folder`, with an identity that logs in to all hosts; return its path.

        It is kept up to date with the hosts. Raise OSError.
        """
        self._config = await SshConfig.create(folder)
        for host in self._hosts.values():
            self._config.enter(host)
        await self._config.write()
        return self._config.path

    async def _started(self, host: SimulatedHost) -> None:
        if self._config is not None:
            self._config.enter(host)
        await self._write_config()

    async def _write_config(self) -> None:
        if self._config is not None:
            with under_way():
                await self._config.write()


class _RefusingAddress:
    """An address at which no program listens, and none can begin to: it is bound as soon as it is asked for."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def address(self) -> tuple[str, int]:
        """Return the address. Raise OSError."""
        if self._socket is None:
            self._socket = socket.socket()
            self._socket.bind((LOOPBACK, 0))
        port: int = self._socket.getsockname()[1]
        return LOOPBACK, port

    def close(self) -> None:
        """Let go of it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _unknown() -> socket.gaierror:
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")
